"""Writes that are announced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from shelflife import Cache, ValueNotStorable


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 30))  # type: ignore[arg-type]


def test_a_load_that_began_before_does_not_fill_what_was_written() -> None:
    async def work() -> None:
        async with Cache.memory() as cache:
            going, gate = asyncio.Event(), asyncio.Event()

            async def old() -> str:
                going.set()
                await gate.wait()
                return "old"

            reading = asyncio.create_task(cache.get_or_load("k", old, ttl=60))
            await going.wait()
            async with cache.begin_write("k", ttl=60, tags=["t"]) as write:
                gate.set()
                assert await reading == "old"
                assert await cache.get("k") is None, "not kept"
                assert await write.finish("new")
            assert await cache.get("k") == "new"
            await cache.invalidate(tags=["t"])
            assert await cache.get("k") is None

    run(work)


def test_an_abandoned_write_leaves_what_was_there() -> None:
    async def work() -> None:
        async with Cache.memory() as cache:
            await cache.set("k", "old")
            async with cache.begin_write("k") as write:
                write.abandon()
            assert await cache.get("k") == "old"
            with pytest.raises(RuntimeError, match="no write is under way"):
                await write.finish("late")

    run(work)


def test_what_is_left_open_is_invalidated_before_the_block_ends() -> None:
    async def work() -> None:
        async with Cache.memory() as cache:
            await cache.set("k", "old")
            with pytest.raises(ZeroDivisionError):
                async with cache.begin_write("k"):
                    raise ZeroDivisionError
            assert await cache.get("k") is None
            await cache.set("k", "old")
            async with cache.begin_write("k"):
                pass
            assert await cache.get("k") is None
            assert await cache.get_or_load("k", lambda: "new") == "new"

    run(work)


def test_an_invalidation_between_wins() -> None:
    async def work() -> None:
        async with Cache.memory() as cache:
            async with cache.begin_write("k") as write:
                await cache.invalidate(keys=["k"])
                assert not await write.finish("too late")
            assert await cache.get("k") is None

    run(work)


def test_a_value_that_can_not_be_stored_says_so_and_leaves_nothing_old() -> None:
    async def work() -> None:
        async with Cache.memory() as cache:
            await cache.set("k", "old")
            with pytest.raises(ValueNotStorable):
                async with cache.begin_write("k") as write:
                    await write.finish(object())
            assert await cache.get("k") is None

    run(work)
