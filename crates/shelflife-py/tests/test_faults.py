"""Faults for tests do what they say; where they can, they are held against a real outage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from conftest import Redis
from fastapi import FastAPI
from fastapi.testclient import TestClient

from shelflife import Cache, Clock, Unavailable
from shelflife.compat.fastapi_cache import FastAPICache
from shelflife.compat.fastapi_cache.decorator import cache as kept
from shelflife.fastapi import Rule, ShelflifeMiddleware
from shelflife.testing import Faults, assert_hit, assert_miss, faults

Run = Callable[[Callable[[], Any]], Any]


async def what_an_outage_shows(cache: Cache, away: Callable[[], AbstractContextManager[None]]) -> None:
    """The same of a real one, and of one that is made up."""
    calls: list[Any] = []

    @cache.cached(ttl=60, key="n:{n}", tags=["n"])
    async def of(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(0.01)
        return n

    @cache.cached_many(ids="ids", key="many:{id}")
    async def many(ids: list[int]) -> dict[int, int]:
        calls.append(ids)
        return {id: id for id in ids}

    @cache.cached(ttl=60, key="items")
    async def items() -> AsyncIterator[int]:
        calls.append("items")
        yield 1

    @cache.cached(ttl=60, key="fails")
    async def fails() -> int:
        raise KeyError("x")

    await cache.set("k", 1, tags=["t"])
    assert await of(1) == 1
    assert await many([1]) == {1: 1}
    assert [item async for item in items()] == [1]
    calls.clear()
    with away():
        # The window is over.
        await asyncio.sleep(0.1)
        assert await cache.get("k", "none") == "none"
        assert await cache.get_many(["k", "l"]) == {}
        assert await cache.exists("k") is False
        assert await cache.ttl("k") is None
        # Shared by who asks meanwhile (who asks after it began may not trust it, without the store), and again for who asks later.
        assert await asyncio.gather(*[of(1) for _ in range(5)]) == [1] * 5
        assert len(calls) in (1, 2)
        calls.clear()
        assert await of(1) == 1
        assert calls == [1]
        assert await many([1, 2]) == {1: 1, 2: 2}
        assert [item async for item in items()] == [1]
        assert calls == [1, [1, 2], "items"]
        assert await cache.get_or_load("new", lambda: 1) == 1
        with pytest.raises(KeyError):
            await fails()
        for write in (
            cache.set("other", 1),
            cache.set_many({"other": 1}),
            cache.delete("other"),
            cache.invalidate(tags=["other"], everywhere=True),
            cache.emit("happened"),
            cache.ping(),
            cache.begin_write("other").__aenter__(),
        ):
            with pytest.raises(Unavailable) as raised:
                await write
            assert raised.value.kind == "unavailable"
    calls.clear()


def test_down_is_what_a_real_outage_is(run: Run, redis: Redis, shelflife_cache: Cache, shelflife_faults: Faults) -> None:
    @contextmanager
    def frozen() -> Any:
        redis.kill()
        yield

    async def real() -> None:
        async with Cache(redis.url, window="50ms") as cache:
            await what_an_outage_shows(cache, frozen)

    async def made_up() -> None:
        await what_an_outage_shows(shelflife_cache, shelflife_faults.down)

    run(real)
    run(made_up)


def test_when_it_is_over_what_was_stored_is_there_and_what_was_owed_is_done(run: Run, shelflife_faults: Faults, shelflife_cache: Cache) -> None:
    cache = shelflife_cache
    told: list[Any] = []

    @cache.cached(ttl=60, key="n:{n}", tags=["n:{n}"])
    async def of(n: int) -> int:
        return n

    async def test() -> None:
        @cache.on("happened")
        def handler(payload: Any) -> dict[str, list[str]]:
            told.append(payload)
            return {"keys": ["k"]}

        for n in (1, 2, 3, 4):
            await of(n)
        await cache.set("k", 1)
        with shelflife_faults.down():
            with assert_miss(cache):
                await of(1)
            with pytest.raises(Unavailable):
                await of.invalidate(2)
            with pytest.raises(Unavailable):
                await of.set(7, 3)
            with pytest.raises(Unavailable):
                await cache.emit("happened", 5)
            await of(5)
        with assert_hit(cache):
            await of(1)
            await of(4)
        assert [await of.peek(n) for n in (2, 3, 5)] == [None, None, None]
        while await cache.exists("k"):
            await asyncio.sleep(0.01)
        assert told == [5]

    run(test)


def test_a_load_that_had_begun_before_is_not_stored_either(run: Run, shelflife_faults: Faults, shelflife_cache: Cache) -> None:
    async def test() -> None:
        began, go = asyncio.Event(), asyncio.Event()

        async def load() -> int:
            began.set()
            await go.wait()
            return 1

        @shelflife_cache.cached_many(ids="ids", key="many:{id}")
        async def many(ids: list[int]) -> dict[int, int]:
            return {id: await load() for id in ids}

        for work in (shelflife_cache.get_or_load("k", load), many([1])):
            reading: asyncio.Task[Any] = asyncio.create_task(work)  # type: ignore[arg-type]
            await began.wait()
            with shelflife_faults.down():
                go.set()
                assert await reading in (1, {1: 1})
            began.clear()
            go.clear()
        assert await shelflife_cache.get_many(["k", "many:1"]) == {}

    run(test)


def test_a_cache_may_be_opened_while_it_is_down_and_opened_again(run: Run) -> None:
    async def test() -> None:
        cache = Cache.memory()

        @cache.cached(ttl=60)
        async def of(n: int) -> int:
            return n

        with faults(cache).down():
            with pytest.raises(Unavailable):
                await cache.ping()
            await of(1)
            assert await of.peek(1) is None
        await of(1)
        with assert_hit(cache), faults(cache).slow(30):
            await of(1)
        await cache.close()
        await of(1)
        with faults(cache).slow(30):
            await asyncio.wait_for(of(1), 5)
        assert of.cache_info().hits == 2
        assert faults(cache) is faults(cache)

    run(test)


def test_slow_is_slow_for_the_store_and_not_for_what_is_near(run: Run, shelflife_faults: Faults, shelflife_cache: Cache) -> None:
    cache = shelflife_cache

    async def took(work: Awaitable[Any]) -> bool:
        before = time.monotonic()
        await work
        return time.monotonic() - before >= 0.1

    async def test() -> None:
        await cache.set("k", 1)
        with shelflife_faults.slow("100ms"):
            assert not await took(cache.get("k"))
            assert not await took(cache.get_or_load("k", lambda: 2))
            assert await took(cache.get("k", strict=True))
            assert await took(cache.get("absent"))
            assert await took(cache.set("l", 2))
            assert await took(cache.invalidate(keys=["k"]))
            assert await took(cache.get_or_load("k", lambda: 2))
        assert not await took(cache.ping())
        assert await cache.get_many(["k", "l"]) == {"k": 2, "l": 2}

    run(test)
    with shelflife_faults.slow(0.1):
        before = time.monotonic()
        cache.sync.set("l", 3)
        assert time.monotonic() - before >= 0.1


def test_what_is_slower_than_the_timeout_counts_as_down(run: Run) -> None:
    async def test() -> None:
        async with Cache("memory://?timeout=50ms") as cache:
            await cache.set("k", 1)
            with faults(cache).slow("1h"):
                assert await cache.get("k", strict=True) is None
                assert await cache.get_or_load("l", lambda: 2) == 2
                with pytest.raises(Unavailable):
                    await cache.invalidate(keys=["k"])
            assert await cache.get_many(["k", "l"]) == {}

    run(test)


def test_routes_the_middleware_and_compat_let_requests_through(shelflife_faults: Faults, shelflife_cache: Cache) -> None:
    cache, calls = shelflife_cache, []
    app = FastAPI(lifespan=cache.lifespan)
    app.add_middleware(ShelflifeMiddleware, cache=cache, rules=[Rule.path("/ruled").ttl(60)])

    @app.get("/ruled")
    def ruled() -> str:
        calls.append("ruled")
        return "ruled"

    @app.get("/routed")
    @cache.route(ttl=60)
    async def routed() -> str:
        calls.append("routed")
        return "routed"

    FastAPICache.reset()
    FastAPICache.init(cache)

    @app.get("/kept")
    @kept(expire=60)
    async def kept_by_compat() -> str:
        calls.append("kept")
        return "kept"

    with TestClient(app) as client:

        def ask() -> list[str]:
            calls.clear()
            assert [client.get(f"/{path}").json() for path in ("ruled", "routed", "kept")] == ["ruled", "routed", "kept"]
            return list(calls)

        every = ["ruled", "routed", "kept"]
        assert (ask(), ask()) == (every, [])
        with shelflife_faults.down():
            assert (ask(), ask()) == (every, every)
        assert ask() == []
    FastAPICache.reset()


def test_loads_fail_as_often_as_they_are_told_to(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0, stale="1h", soft_timeout="10s") as cache:
            with faults(cache).failing_loads(2, KeyError("gone")):
                for _ in range(2):
                    with pytest.raises(KeyError, match="gone"):
                        await cache.get_or_load("k", lambda: 1)
                assert await cache.get_or_load("k", lambda: 1) == 1
            clock.advance(61)
            with faults(cache).failing_loads():
                # Something stale stands in.
                assert await cache.get_or_load("k", lambda: 2) == 1
                for _ in range(3):
                    with pytest.raises(RuntimeError, match="for a test"):
                        await cache.get_or_load("l", lambda: 2)
            clock.advance(2)
            assert await cache.get_or_load("k", lambda: 2) == 2

    run(test)


def test_faults_for_code_that_is_not_async(shelflife_faults: Faults, shelflife_cache: Cache) -> None:
    cache = shelflife_cache
    loads: list[int] = []

    @cache.cached(ttl=60)
    def of(n: int) -> int:
        loads.append(n)
        return n

    of(1)
    with shelflife_faults.down():
        assert [of(1), of(1)] == [1, 1]
        with pytest.raises(Unavailable):
            cache.sync.invalidate(all=True)
    assert (of(1), loads) == (1, [1, 1, 1, 1])
    with shelflife_faults.failing_loads(), pytest.raises(RuntimeError):
        of(2)
