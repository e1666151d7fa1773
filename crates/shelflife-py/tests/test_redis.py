"""On a real Redis: two caches that stand for two processes, outages, a fork."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Redis, until

from shelflife import Cache, Unavailable

Run = Callable[[Callable[[], Any]], Any]


def test_two_processes_share_entries_and_invalidations(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as a, Cache(redis.url) as b:
            loads = 0

            async def load() -> int:
                nonlocal loads
                loads += 1
                return loads

            assert await a.get_or_load("users:1", load, tags=["user:1"]) == 1
            assert await b.get_or_load("users:1", load, tags=["user:1"]) == 1
            await a.invalidate(tags=["user:1"], everywhere=True)
            assert await b.get_or_load("users:1", load, tags=["user:1"]) == 2

    run(test)


def test_events_reach_other_processes(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as a, Cache(redis.url) as b:
            seen: asyncio.Queue[Any] = asyncio.Queue()

            @b.on("happened")
            async def handler(payload: Any) -> None:
                await seen.put(payload)

            await a.emit("happened", {"id": 1})
            assert await seen.get() == {"id": 1}

    run(test)


def test_what_rust_would_read_is_named_messagepack(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url, namespace="shop") as cache:
            await cache.set("users:42", {"id": 42, "name": "Ada"})
            stored = redis.cli("--raw", "GET", "sl1:shop:e:users:42")
            assert "name" in stored and "Ada" in stored

    run(test)


def test_an_outage_of_redis_is_none_of_the_api(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url, window="50ms") as cache:

            @cache.cached(ttl=60, key="n:{a}")
            async def of(a: int) -> int:
                return a

            assert await of(1) == 1
            redis.kill()
            for n in range(5):
                assert await of(n) == n
            assert await cache.get("nothing") is None
            with pytest.raises(Unavailable):
                await cache.invalidate(tags=["t"])
            redis.start()

            async def is_back() -> bool:
                try:
                    await cache.ping()
                except Unavailable:
                    return False
                return True

            await until(is_back)

            # It came back empty, in another incarnation: until this process has learnt of it, a set stores nothing.
            async def is_stored() -> bool:
                await cache.set("k", 1)
                return bool(await cache.get("k", strict=True) == 1)

            await until(is_stored)

    run(test)


def test_a_frozen_redis_delays_by_its_timeout_and_no_more(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.address, window="50ms", timeout="200ms") as cache:
            assert await cache.get_or_load("k", lambda: 1) == 1
            redis.freeze()
            assert await asyncio.wait_for(cache.get_or_load("l", lambda: 2), 5) == 2
            redis.thaw()

    run(test)


def test_a_cancelled_request_does_not_cross_replies(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache:
            for n in range(20):
                await cache.set(f"k:{n}", n)

            async def read(n: int) -> None:
                assert await cache.get(f"k:{n}", strict=True) == n

            for _ in range(20):
                tasks = [asyncio.create_task(read(n)) for n in range(20)]
                await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                for task in tasks[1::2]:
                    await task

    run(test)


def test_a_child_that_was_forked_begins_anew(redis: Redis) -> None:
    cache = Cache(redis.url)
    cache.sync.set("k", "parent")
    assert cache.sync.get("k") == "parent"
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the test's may run here.
        try:
            seen = cache.sync.get("k")
            cache.sync.set("child", "here")
            cache.sync.invalidate(keys=["k"], everywhere=True)
            os.write(theirs, str(seen).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        assert told.read() == "parent"
    os.waitpid(child, 0)
    assert cache.sync.get("child") == "here"
    assert cache.sync.get("k") is None
    cache.sync.close()
