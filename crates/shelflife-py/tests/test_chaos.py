"""Faults of the engine's own steps: each does what it says, without a server and with one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgi import ask
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from shelflife import Cache, ShelflifeError, Unavailable
from shelflife.fastapi import Rule, ShelflifeMiddleware
from shelflife.testing import faults

Run = Callable[[Callable[[], Any]], Any]


def on_both_stores(test: Callable[[Cache], Awaitable[None]]) -> Callable[..., None]:
    @pytest.mark.parametrize("store", ["memory", "redis"])
    def on_one(store: str, request: pytest.FixtureRequest, run: Run) -> None:
        url = "memory://" if store == "memory" else request.getfixturevalue("redis").url

        async def with_a_cache() -> None:
            cache = Cache(url, namespace="chaos", window="60s", timeout="5s")
            await cache.open()
            try:
                await test(cache)
            finally:
                faults(cache).heal()
                await cache.close()

        run(with_a_cache)

    return on_one


@on_both_stores
async def test_the_next_few_fail_and_no_others(cache: Cache) -> None:
    # Not with writes: one that fails is tried again behind, and takes a fault of those that are left.
    with faults(cache).on("reads").next(2).error() as fault:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await cache.ping()
        await cache.ping()
    assert fault.struck == 2


@on_both_stores
async def test_what_is_lost_has_happened(cache: Cache) -> None:
    await cache.set("k", 1)
    with faults(cache).on("writes").next(1).lose(), pytest.raises(Unavailable):
        await cache.delete("k")
    assert await cache.get("k") is None


@on_both_stores
async def test_what_is_frozen_goes_on_when_the_fault_ends(cache: Cache) -> None:
    await cache.set("k", 1)
    with faults(cache).on("writes").freeze() as fault:
        deleting = asyncio.ensure_future(cache.delete("k"))
        while not fault.struck:
            await asyncio.sleep(0)
        assert not deleting.done()
    await deleting
    assert await cache.get("k") is None


@on_both_stores
async def test_a_load_that_fails_is_no_value_of_anybodys(cache: Cache) -> None:
    calls = []

    @cache.cached(ttl=60, key="of:{n}")
    async def of(n: int) -> int:
        calls.append(n)
        return n

    with faults(cache).on("loads").next(1).error() as fault:
        with pytest.raises(ShelflifeError):
            await of(1)
        assert (fault.struck, calls) == (1, [])
        assert await of(1) == 1
    with faults(cache).on("loads").next(1).lose():
        with pytest.raises(ShelflifeError):
            await of(2)
        assert calls == [1, 2]


@on_both_stores
async def test_reads_do_without_a_store_that_fails(cache: Cache) -> None:
    @cache.cached(ttl=60, key="of:{n}")
    async def of(n: int) -> int:
        return n

    with faults(cache).on("reads").error(), faults(cache).on("writes").error():
        assert await of(7) == 7
    assert cache.stats()["fills"] == 0


@on_both_stores
async def test_chance_falls_as_the_seed_says(cache: Cache) -> None:
    async def fall() -> list[bool]:
        fell = []
        for _ in range(40):
            try:
                await cache.ping()
                fell.append(False)
            except Unavailable:
                fell.append(True)
        return fell

    with faults(cache).on("reads").chance(0.5).error():
        faults(cache).seed(7)
        first = await fall()
        faults(cache).seed(7)
        assert await fall() == first
    assert True in first and False in first


@on_both_stores
async def test_what_can_not_be_is_refused(cache: Cache) -> None:
    with pytest.raises(ValueError, match="reads, writes, log, loads"):
        with faults(cache).on("rights").error():  # type: ignore[arg-type]
            pass
    with pytest.raises(ValueError, match="probability"):
        with faults(cache).on("reads").chance(2).error():
            pass


def test_more_loads_than_may_be_are_refused(run: Run) -> None:
    async def test() -> None:
        cache = Cache("memory://", loads=1, loads_waiting=0)
        await cache.open()

        @cache.cached(ttl=60, key="of:{n}")
        async def of(n: int) -> int:
            return n

        with faults(cache).on("loads").freeze() as fault:
            first = asyncio.ensure_future(of(1))
            while not fault.struck:
                await asyncio.sleep(0)
            with pytest.raises(ShelflifeError, match="too many") as refused:
                await of(2)
            assert refused.value.kind == "overloaded"
            assert cache.stats()["loads_shed"] == 1
        assert await first == 1
        assert await of(2) == 2
        await cache.close()

    run(test)


def bounded(test: Callable[[Cache], Awaitable[None]]) -> Callable[..., None]:
    """On a cache with one place for loads, and none to wait for it."""

    def on_it(run: Run) -> None:
        async def with_a_cache() -> None:
            cache = Cache("memory://", loads=1, loads_waiting=0)
            await cache.open()
            try:
                await test(cache)
                assert cache.stats()["loads_running"] == 0
            finally:
                await cache.close()

        run(with_a_cache)

    return on_it


def nested(cache: Cache) -> dict[str, Callable[[], Any]]:
    """Loads of each kind."""

    @cache.cached(ttl=60, key="of:{n}")
    async def of(n: int) -> int:
        return n

    @cache.cached_many(ids="ns", ttl=60, key="each:{id}")
    async def each(ns: list[int]) -> dict[int, int]:
        return {n: n for n in ns}

    return {
        "one": lambda: cache.get_or_load("inner", lambda: 1, ttl=60),
        "function": lambda: of(2),
        "several": lambda: each([3, 4]),
    }


@bounded
async def test_a_load_inside_another_needs_no_place(cache: Cache) -> None:
    for kind, inner in nested(cache).items():
        assert await cache.get_or_load(f"outer:{kind}", inner, ttl=60) in (1, 2, {3: 3, 4: 4}), kind
    assert cache.stats()["loads"] == 6


@bounded
async def test_nor_does_one_inside_a_load_of_several(cache: Cache) -> None:
    for kind, inner in nested(cache).items():

        @cache.cached_many(ids="ns", ttl=60, key=f"outer:{kind}:{{id}}")
        async def outer(ns: list[int], inner: Callable[[], Any] = inner) -> dict[int, Any]:
            value = await inner()
            return dict.fromkeys(ns, str(value))

        assert list(await outer([1, 2])) == [1, 2], kind
    assert cache.stats()["loads"] == 6


@bounded
async def test_nor_does_one_that_several_tasks_of_a_load_ask_for(cache: Cache) -> None:
    async def outer() -> list[int]:
        inner = [cache.get_or_load(f"inner:{n}", lambda n=n: n, ttl=60) for n in range(5)]
        return list(await asyncio.gather(*inner))

    assert await cache.get_or_load("outer", outer, ttl=60) == list(range(5))


@bounded
async def test_what_goes_on_behind_a_load_waits_for_a_place_like_others(cache: Cache) -> None:
    ended, tasks = asyncio.Event(), []

    async def behind() -> int:
        await ended.wait()
        return await cache.get_or_load("behind", lambda: 2, ttl=60)

    async def outer() -> int:
        tasks.append(asyncio.ensure_future(behind()))
        return 1

    assert await cache.get_or_load("outer", outer, ttl=60) == 1
    with faults(cache).on("loads").next(1).freeze() as fault:
        busy = asyncio.ensure_future(cache.get_or_load("busy", lambda: 3, ttl=60))
        while not fault.struck:
            await asyncio.sleep(0)
        ended.set()
        with pytest.raises(ShelflifeError, match="too many"):
            await tasks[0]
        # It was shed, as it should have been.
        assert cache.stats()["loads_shed"] == 1
    assert await busy == 3


@bounded
async def test_nor_does_one_inside_a_response(cache: Cache) -> None:
    inner = nested(cache)
    app = FastAPI()

    @app.get("/routed/{kind}")
    @cache.route(ttl=60)
    async def routed(kind: str) -> Any:
        return str(await inner[kind]())

    @app.get("/streamed/{kind}")
    @cache.route(ttl=60)
    async def streamed(kind: str) -> StreamingResponse:
        async def content() -> AsyncIterator[str]:
            yield str(await inner[kind]())

        return StreamingResponse(content())

    @app.get("/plain/{kind}")
    async def plain(kind: str) -> Any:
        return str(await inner[kind]())

    @app.get("/nothing")
    @cache.route(ttl=60)
    async def nothing() -> None:
        pass

    served = ShelflifeMiddleware(app, cache=cache, rules=[Rule.path("/plain/{kind}").ttl(60)])

    async def stored() -> None:
        """Content is stored behind its client's back, and its load has its place until then."""
        while cache.stats()["loads_running"]:
            await asyncio.sleep(0)

    # The first request prepares the application, so what it loads is not counted here.
    await ask(served, "/nothing")
    await stored()
    for path in ("routed", "streamed", "plain"):
        for kind in inner:
            before = cache.stats()["loads"]
            reply = await ask(served, f"/{path}/{kind}")
            assert reply.status == 200, (path, kind)
            assert cache.stats()["loads"] == before + 2, (path, kind)
            await stored()
        await cache.invalidate(all=True)
    assert cache.stats()["loads_shed"] == 0


@bounded
async def test_nor_does_a_response_inside_a_load(cache: Cache) -> None:
    app = FastAPI()

    @app.get("/plain")
    async def plain() -> int:
        return 7

    served = ShelflifeMiddleware(app, cache=cache, rules=[Rule.path("/plain").ttl(60)])

    async def outer() -> int:
        return (await ask(served, "/plain")).status

    assert await cache.get_or_load("outer", outer, ttl=60) == 200
    while cache.stats()["loads_running"]:
        await asyncio.sleep(0)


def test_a_blocking_load_inside_another_needs_no_place() -> None:
    cache = Cache("memory://", loads=1, loads_waiting=0)

    @cache.cached(ttl=60, key="inner:{n}")
    def inner(n: int) -> int:
        return n

    @cache.cached(ttl=60, key="outer:{n}")
    def outer(n: int) -> int:
        return inner(n) + cache.sync.get_or_load("by hand", lambda: 1, ttl=60)

    assert outer(7) == 8
    assert cache.stats()["loads_shed"] == 0
    cache.sync.close()


@on_both_stores
async def test_batches_that_wait_for_each_other_in_vain_end_without_the_value(cache: Cache) -> None:
    @cache.cached_many(ids="ns", ttl=60, key="ghost:{id}")
    async def ghosts(ns: list[int]) -> dict[int, int]:
        await asyncio.sleep(0)
        return {}

    assert await asyncio.gather(*(ghosts([1]) for _ in range(3))) == [{}, {}, {}]
