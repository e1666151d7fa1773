"""Generators: the items come as they are made, and what has come to its end is kept."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from conftest import Redis
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from streams import Row, Source, all_of, begun, stream_of

from shelflife import Cache, Clock, ValueNotStorable, current_entry

Run = Callable[[Callable[[], Any]], Any]


def test_items_come_as_they_are_made_and_are_replayed_afterwards(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            assert inspect.isasyncgenfunction(of)
            reading = of(1)
            for item in "ab":
                source.go.put_nowait(item)
                assert await anext(reading) == item  # The generator is not at its end.
            assert source.closed == 0
            source.go.put_nowait(None)
            assert await all_of(reading) == []
            # At once: at the end of the reading it was stored.
            assert await all_of(of(1)) == ["a", "b"]
            assert await of.peek(1) == ["a", "b"]
            assert (source.runs, source.closed) == (1, 1)
            assert cache.stats()["fills"] == 1

    run(test)


def test_items_are_typed_by_the_annotation(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60)
            async def rows(n: int) -> AsyncIterator[Row]:
                for id in range(n):
                    yield Row(id=id, price=Decimal("1.10"))

            expected = [Row(id=id, price=Decimal("1.10")) for id in range(20)]
            assert await all_of(rows(20)) == await all_of(rows(20)) == expected
            assert cache.stats()["loads"] == 1

            @cache.cached(ttl=60)
            async def untyped():  # type: ignore[no-untyped-def]
                yield (1, 2)
                yield {Decimal(1)}

            assert await all_of(untyped()) == await all_of(untyped()) == [(1, 2), {Decimal(1)}]

            @cache.cached(ttl=60)
            async def nothing() -> AsyncIterator[int]:
                for n in ():
                    yield n

            assert await all_of(nothing()) == await all_of(nothing()) == []
            assert cache.stats()["loads"] == 3

    run(test)


@pytest.mark.parametrize("count", [15, 16, 70_000])
def test_a_long_one_is_one_array(run: Run, count: int) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60)
            async def numbers() -> AsyncIterator[int]:
                for n in range(count):
                    yield n

            assert await all_of(numbers()) == list(range(count))
            with cache.disabled():
                assert await all_of(numbers()) == list(range(count))
            assert await numbers.peek() == list(range(count))

    run(test)


def test_who_asks_meanwhile_waits_for_the_whole_of_one_run(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            first = await begun(of, source, "a")
            others = [asyncio.create_task(all_of(of(1))) for _ in range(5)]
            await asyncio.sleep(0.02)
            assert not any(other.done() for other in others)
            for item in ("b", None):
                source.go.put_nowait(item)
            # They need not wait until the first has read it.
            assert await asyncio.gather(*others) == [["a", "b"]] * 5
            assert await all_of(first) == ["b"]
            assert source.runs == 1

    run(test)


def test_a_stale_list_is_replayed_while_the_generator_runs_for_the_next(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0) as cache:
            source = Source()
            of = stream_of(cache, source, stale="1h")
            for item in ("old", None):
                source.go.put_nowait(item)
            assert await all_of(of(1)) == ["old"]
            clock.advance(61)
            assert await all_of(of(1)) == ["old"]
            while source.runs < 2:
                await asyncio.sleep(0.01)
            for item in ("new", None):
                source.go.put_nowait(item)
            while await of.peek(1) != ["new"]:
                await asyncio.sleep(0.01)
            assert source.closed == 2

    run(test)


def test_what_a_reader_does_with_an_item_changes_nothing(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60)
            async def lists() -> AsyncIterator[list[int]]:
                yield [1]
                yield [2]

            async for item in lists():
                item.append(7)
            assert await all_of(lists()) == [[1], [2]]

    run(test)


def test_an_item_that_can_not_be_stored_says_so(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60)
            async def of() -> AsyncIterator[int]:
                yield 1
                yield "2"  # type: ignore[misc]

            reading = of()
            assert await anext(reading) == 1
            with pytest.raises(ValueNotStorable):
                await anext(reading)

    run(test)


def test_policy_condition_refresh_and_its_own_key(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0) as cache:
            runs = 0

            @cache.cached(ttl=lambda items: len(items), condition=lambda n: n > 0)
            async def of(n: int) -> AsyncIterator[int]:
                nonlocal runs
                runs += 1
                yield runs
                current_entry().tags("late")
                if runs == 1:
                    async for inner in of(n):
                        yield inner

            runs = 1
            assert [await all_of(of(0)), await all_of(of(0))] == [[2], [3]]
            runs = 0
            assert await all_of(of(1)) == [1, 2]
            assert await all_of(of(1)) == [1, 2]
            clock.advance(3)
            assert await of.peek(1) is None
            assert await of.refresh(1) == [3]
            assert await all_of(of(1)) == [3]
            await cache.invalidate(tags=["late"])
            assert await of.peek(1) is None
            await all_of(of(1))
            await of.invalidate(1)
            assert await of.peek(1) is None

    run(test)


def test_what_is_no_stream_or_is_sent_to_is_refused() -> None:
    cache = Cache.memory()
    with pytest.raises(TypeError, match="AsyncIterator"):

        @cache.cached(ttl=60)
        async def odd() -> list[int]:  # type: ignore[misc]
            yield 1

    with pytest.raises(TypeError, match="replayed"):

        @cache.cached(ttl=60)
        def sent() -> Generator[int, str, None]:
            yield 1

    with pytest.raises(TypeError, match="can't be stored"):

        @cache.cached(ttl=60)
        def nested() -> Iterator[Iterator[int]]:
            yield iter([1])


def test_a_streaming_response_is_replayed() -> None:
    cache = Cache.memory()
    app = FastAPI(lifespan=cache.lifespan)
    runs: list[int] = []

    @cache.cached(ttl=60)
    async def lines(n: int) -> AsyncIterator[str]:
        runs.append(n)
        for line in range(n):
            yield f"{line}\n"

    @cache.cached(ttl=60)
    def blocking(n: int) -> Iterator[bytes]:
        runs.append(n)
        for line in range(n):
            yield b"%d\n" % line

    app.get("/lines/{n}")(lambda n: StreamingResponse(lines(int(n))))
    app.get("/blocking/{n}")(lambda n: StreamingResponse(blocking(int(n))))
    with TestClient(app) as client:
        assert [client.get(f"/{path}/3").text for path in ("lines", "lines", "blocking", "blocking")] == ["0\n1\n2\n"] * 4
    assert runs == [3, 3]


def test_another_process_replays_it_and_an_outage_stops_nothing(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url, window="50ms") as a, Cache(redis.url) as b:
            runs = 0

            def of(cache: Cache) -> Any:
                @cache.cached(ttl=60, key="rows:{n}")
                async def rows(n: int) -> AsyncIterator[Row]:
                    nonlocal runs
                    runs += 1
                    yield Row(id=n, price=Decimal(n))

                return rows

            one, two = of(a), of(b)
            assert await all_of(one(1)) == await all_of(two(1)) == [Row(id=1, price=Decimal(1))]
            assert runs == 1
            redis.kill()
            assert await all_of(one(2)) == [Row(id=2, price=Decimal(2))]
            assert runs == 2

    run(test)
