"""What stands beside a cached function: its counts, and values that are given to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from conftest import until
from pydantic import BaseModel

from shelflife import Cache, CacheInfo, Clock, ValueNotStorable

Run = Callable[[Callable[[], Any]], Any]


class Price(BaseModel):
    amount: Decimal


def test_calls_are_counted_by_what_became_of_them(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60, condition=lambda n: n != 0)
            async def of(n: int) -> int:
                await asyncio.sleep(0)
                return 6 // n if n > 0 else 1 // 0

            @cache.cached(ttl=60)
            async def other() -> int:
                return 1

            assert of.cache_info() == CacheInfo(hits=0, misses=0, loads=0, errors=0)
            await asyncio.gather(*[of(1) for _ in range(5)])
            assert of.cache_info() == CacheInfo(hits=0, misses=5, loads=1, errors=0)
            for _ in range(3):
                await of(1)
            assert of.cache_info() == CacheInfo(hits=3, misses=5, loads=1, errors=0)
            for n in (-1, 0):
                with pytest.raises(ZeroDivisionError):
                    await of(n)
            assert of.cache_info() == CacheInfo(hits=3, misses=6, loads=2, errors=1)
            with cache.disabled():
                await of(1)
            await of.refresh(1)
            assert of.cache_info() == CacheInfo(hits=3, misses=6, loads=3, errors=1)
            await other()
            await other()
            assert other.cache_info() == CacheInfo(hits=1, misses=1, loads=1, errors=0)

    run(test)


def test_calls_of_blocking_functions_and_generators_are_counted(run: Run) -> None:
    cache = Cache.memory()

    @cache.cached(ttl=60)
    def of(n: int) -> int:
        return 1 // n

    for n in (1, 1, 0):
        try:
            of(n)
        except ZeroDivisionError:
            pass
    assert of.cache_info() == CacheInfo(hits=1, misses=2, loads=2, errors=1)

    @cache.cached(ttl=60)
    async def items(n: int) -> AsyncIterator[int]:
        yield 1
        yield 1 // n

    async def test() -> None:
        for n in (1, 1, 0):
            try:
                async for _ in items(n):
                    pass
            except ZeroDivisionError:
                pass
        # Who leaves is no error.
        async for _ in endless():
            break
        assert endless.cache_info() == CacheInfo(hits=0, misses=1, loads=1, errors=0)

    @cache.cached(ttl=60)
    async def endless() -> AsyncIterator[int]:
        while True:
            yield 1
            await asyncio.sleep(0.001)

    @cache.cached(ttl=60)
    def endless_here() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    run(test)
    assert items.cache_info() == CacheInfo(hits=1, misses=2, loads=2, errors=1)
    closed = threading.Event()
    reading = endless_here()
    next(reading)
    reading.close()
    assert closed.wait(20)

    async def has_landed() -> bool:
        return not cache.stats()["flights"]

    run(lambda: until(has_landed))
    assert endless_here.cache_info() == CacheInfo(hits=0, misses=1, loads=1, errors=0)


def test_a_value_that_is_set_stands_for_a_call(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0) as cache:

            @cache.cached(ttl="5m", key="price:{of}", tags=["of:{of}"])
            async def price(of: int) -> Price:
                raise AssertionError("it was not to be asked")

            given = Price(amount=Decimal("1.10"))
            assert await price.set(given, 7)
            assert await price(7) == await price(of=7) == given
            clock.advance(299)
            assert await price.peek(7) == given
            clock.advance(2)
            assert await price.peek(7) is None
            await price.set(given, of=7)
            await cache.invalidate(tags=["of:7"])
            assert await price.peek(7) is None
            with pytest.raises(ValueNotStorable):
                await price.set("1.10", 7)
            with pytest.raises(TypeError):
                await price.set(given)
            with cache.disabled():
                assert await price.set(given, 7) is None
            assert await price.peek(7) is None

    run(test)


def test_a_value_that_is_set_has_the_ttl_and_tags_of_its_result(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0) as cache:

            @cache.cached(ttl=lambda value: value, tags=lambda result: [f"is:{result}"], stale="10s")
            async def of(value: int) -> int:
                return value

            await of.set(5, 1)
            clock.advance(4)
            assert await of.peek(1) == 5
            clock.advance(2)
            assert await of.peek(1) is None
            assert await of(1) == 5  # Stale.
            await of.set(60, 2)
            await cache.invalidate(tags=["is:60"])
            assert await of.peek(2) is None

    run(test)


def test_a_value_that_is_set_wins_over_the_load_in_flight(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            began, go = asyncio.Event(), asyncio.Event()

            @cache.cached(ttl=60)
            async def of(n: int) -> str:
                began.set()
                await go.wait()
                return "loaded"

            reading = asyncio.create_task(of(1))
            await began.wait()
            await of.set("given", 1)
            go.set()
            await reading
            assert await of(1) == "given"

    run(test)


def test_values_are_set_for_blocking_functions_and_generators(run: Run) -> None:
    cache = Cache.memory()

    @cache.cached(ttl=60)
    def of(n: int) -> int:
        return n

    of.set(7, 1)
    assert of(1) == 7

    @cache.cached(ttl=60)
    async def items(n: int) -> AsyncIterator[int]:
        yield n

    async def test() -> None:
        await items.set((1, 2), 3)
        assert [item async for item in items(3)] == [1, 2]
        with pytest.raises(RuntimeError, match="would block"):
            of.set(7, 1)

    run(test)
