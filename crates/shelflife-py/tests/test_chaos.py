"""Faults of the engine's own steps: each does what it says, without a server and with one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shelflife import Cache, ShelflifeError, Unavailable
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
    with faults(cache).on("writes").next(2).error() as fault:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await cache.delete("k")
        await cache.delete("k")
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
