"""Handlers of events: where they run, and for how long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Redis, until

from shelflife import Cache, ShelflifeError

Run = Callable[[Callable[[], Any]], Any]


def test_a_handler_outlives_the_loop_that_registered_it(run: Run) -> None:
    cache = Cache.memory()
    ran_in: list[Any] = []

    @cache.on("happened")
    async def handler(payload: Any) -> dict[str, list[str]]:
        await asyncio.sleep(0)
        ran_in.append(asyncio.get_running_loop())
        return {"keys": ["k"]}

    @cache.on("happened")
    def other(payload: Any) -> None:
        ran_in.append(asyncio.get_running_loop())

    async def test() -> None:
        await cache.set("k", 1)
        await cache.emit("happened")
        assert await cache.get("k") is None
        assert ran_in == [asyncio.get_running_loop()] * 2
        ran_in.clear()

    for _ in range(3):
        run(test)


def test_while_its_loop_lives_it_runs_there() -> None:
    cache = Cache.memory()
    began, end, ran_in = threading.Event(), asyncio.Event(), []
    first: list[asyncio.AbstractEventLoop] = []

    async def registers() -> None:
        @cache.on("happened")
        async def handler(_: Any) -> None:
            ran_in.append(asyncio.get_running_loop())

        await cache.open()
        first.append(asyncio.get_running_loop())
        began.set()
        await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(registers()))
    thread.start()
    assert began.wait(20)

    async def emits() -> None:
        await cache.emit("happened")

    asyncio.run(emits())
    cache.sync.emit("happened")
    assert ran_in == first * 2
    first[0].call_soon_threadsafe(end.set)
    thread.join(20)
    asyncio.run(emits())
    assert len(ran_in) == 3 and ran_in[2] is not first[0]


def test_one_that_was_registered_without_a_loop_finds_one_if_it_is_async(run: Run) -> None:
    cache = Cache.memory()
    ran_in: list[Any] = []
    cache.sync.set("k", 1)

    @cache.on("happened")
    async def handler(_: Any) -> None:
        ran_in.append(asyncio.get_running_loop())

    @cache.on("happened")
    def blocks(_: Any) -> None:
        ran_in.append(cache.sync.get("k"))

    with pytest.raises(ShelflifeError, match="no event loop here"):
        cache.sync.emit("happened")
    ran_in.clear()

    async def test() -> None:
        await cache.emit("happened")
        assert sorted(ran_in, key=str) == sorted([1, asyncio.get_running_loop()], key=str)

    run(test)


def test_a_handler_that_takes_too_long_is_cancelled_in_its_loop(run: Run) -> None:
    async def test() -> None:
        async with Cache("memory://", handler_timeout="500ms") as cache:
            # It would notice a cancellation from another thread.
            asyncio.get_running_loop().set_debug(True)
            ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            @cache.on("happened")
            async def handler(_: Any) -> None:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    ended.set_result(threading.current_thread().name)
                    raise

            with pytest.raises(ShelflifeError):
                await cache.emit("happened")
            assert await ended == threading.current_thread().name

    run(test)


def test_events_of_other_processes_find_a_loop_that_came_later(run: Run, redis: Redis) -> None:
    cache = Cache(redis.url)
    seen: list[Any] = []

    @cache.on("happened")
    async def handler(payload: Any) -> None:
        seen.append(payload)

    async def first() -> None:
        await cache.ping()

    async def second() -> None:
        await cache.ping()
        async with Cache(redis.url) as other:
            await other.emit("happened", 7)

        async def is_seen() -> bool:
            return seen == [7]

        await until(is_seen)
        await cache.close()

    run(first)
    run(second)
