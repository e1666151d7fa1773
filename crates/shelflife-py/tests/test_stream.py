"""Generators: the items come as they are made, and what has come to its end is kept."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest
from conftest import Redis
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from shelflife import Cache, Clock, LoadTimeout, ValueNotStorable, current_entry

Run = Callable[[Callable[[], Any]], Any]


class Row(BaseModel):
    id: int
    price: Decimal


async def all_of(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


class Source:
    """A generator that gives an item when the test says so, and tells what becomes of it."""

    def __init__(self) -> None:
        self.runs = self.closed = 0
        self.go: asyncio.Queue[Any] = asyncio.Queue()

    async def items(self) -> AsyncGenerator[Any, None]:
        self.runs += 1
        try:
            while (item := await self.go.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed += 1


def stream_of(cache: Cache, source: Source, **how: Any) -> Any:
    @cache.cached(ttl=60, key="of:{n}", tags=["t"], type=str, **how)
    async def of(n: int) -> AsyncGenerator[str, None]:
        async with aclosing(source.items()) as items:
            async for item in items:
                yield item

    return of


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
            first = of(1)
            source.go.put_nowait("a")
            assert await anext(first) == "a"
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


def test_what_was_broken_off_is_not_kept_and_the_next_who_waits_begins_anew(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            first = of(1)
            source.go.put_nowait("a")
            await anext(first)
            other = of(1)
            reading = asyncio.create_task(anext(other))
            await asyncio.sleep(0.02)
            await first.aclose()
            assert source.closed == 1  # Before `aclose` has returned.
            assert await of.peek(1) is None
            source.go.put_nowait("b")
            assert await reading == "b"
            assert source.runs == 2
            source.go.put_nowait(None)
            assert await all_of(other) == []
            assert await of.peek(1) == ["b"]

    run(test)


def test_one_that_never_waits_takes_turns_with_its_reader(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            made = 0

            @cache.cached(ttl=60)
            async def of() -> AsyncIterator[int]:
                nonlocal made
                for made in range(1, 101):
                    yield made

            reading = of()
            assert await anext(reading) == 1
            assert made < 5
            await reading.aclose()
            # The reader was in time to break it off.
            assert await of.peek() is None

    run(test)


def test_who_leaves_before_the_load_has_begun_leaves_nothing_behind(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            reading = asyncio.create_task(all_of(of(1)))
            while not cache.stats()["flights"]:
                await asyncio.sleep(0)
            # The engine has asked for the load, and this loop has not heard it yet.
            time.sleep(0.05)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            while cache.stats()["flights"]:
                await asyncio.sleep(0.01)
            assert source.runs == 0

    run(test)


@pytest.mark.parametrize("how", ["cancelled", "dropped"])
def test_a_reader_who_is_cancelled_or_forgets_it_ends_the_generator(run: Run, how: str) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            source.go.put_nowait("a")
            if how == "cancelled":
                reading = asyncio.create_task(all_of(of(1)))
                await asyncio.sleep(0.02)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            else:
                async for _ in of(1):
                    break
                gc.collect()
                while not source.closed:
                    await asyncio.sleep(0.01)
            assert (source.runs, source.closed) == (1, 1)
            assert await of.peek(1) is None
            assert cache.stats()["fills"] == 0

    run(test)


def test_an_error_comes_after_the_items_before_it_and_nothing_is_kept(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            error = KeyError("gone")
            first = of(1)
            source.go.put_nowait("a")
            assert await anext(first) == "a"
            other = asyncio.create_task(all_of(of(1)))
            await asyncio.sleep(0.02)
            source.go.put_nowait(error)
            for reading in (anext(first), other):
                with pytest.raises(KeyError) as raised:
                    await reading
                assert raised.value is error
            assert source.runs == 1
            assert cache.stats()["fills"] == 0
            source.go.put_nowait(None)
            assert await all_of(of(1)) == []

    run(test)


def test_an_invalidation_meanwhile_keeps_the_list_out(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            reading = of(1)
            source.go.put_nowait("old")
            assert await anext(reading) == "old"
            await cache.invalidate(tags=["t"])
            source.go.put_nowait(None)
            assert await all_of(reading) == []
            assert await of.peek(1) is None
            assert cache.stats()["fills_refused"] == 1

    run(test)


def test_what_is_over_the_limit_goes_on_for_its_reader_at_his_pace_and_is_not_kept(run: Run) -> None:
    async def test() -> None:
        async with Cache("memory://", max_entry="64KiB") as cache:
            made = runs = closed = 0

            @cache.cached(ttl=60)
            async def endless() -> AsyncIterator[bytes]:
                nonlocal made, runs, closed
                runs += 1
                try:
                    while True:
                        made += 1
                        yield b"x" * 1024
                finally:
                    closed += 1

            first = endless()
            await anext(first)
            other = endless()
            waits = asyncio.create_task(anext(other))
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert made <= 130  # Two of them, each up to the limit: it does not go on by itself.
            assert len(await waits) == 1024
            for _ in range(500):
                assert len(await anext(first)) == 1024
            assert made > 500
            assert runs == 2
            await first.aclose()
            await other.aclose()
            assert cache.stats()["fills"] == 0
            with pytest.raises(ValueNotStorable, match="max_entry"):
                await endless.refresh()
            # It has no reader for whom it would go on.
            while closed < 3:
                await asyncio.sleep(0.01)

    run(test)


def test_what_takes_too_long_goes_on_for_its_reader_and_is_not_kept(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source, hard_timeout="50ms")
            reading = of(1)
            source.go.put_nowait("a")
            assert await anext(reading) == "a"
            with pytest.raises(LoadTimeout):
                await all_of(of(1))
            for item in ("b", "c", None):
                source.go.put_nowait(item)
            assert await all_of(reading) == ["b", "c"]
            assert cache.stats()["fills"] == 0
            # Of one that has given nothing at all its reader hears as of any load.
            with pytest.raises(LoadTimeout):
                await anext(of(2))
            assert source.closed == 2
            with pytest.raises(LoadTimeout):
                await of.refresh(3)
            while source.closed < 3:
                await asyncio.sleep(0.01)

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


def test_blocking_generators_stream_and_are_replayed() -> None:
    cache = Cache.memory()
    go = threading.Semaphore(0)
    runs: list[int] = []

    @cache.cached(ttl=60)
    def of(n: int) -> Iterable[int]:
        runs.append(n)
        for item in range(n):
            go.acquire(timeout=20)
            yield item

    assert inspect.isgeneratorfunction(of)
    reading = iter(of(3))
    go.release()
    assert next(reading) == 0
    others: list[list[int]] = []
    waits = threading.Thread(target=lambda: others.append(list(of(3))))
    waits.start()
    waits.join(0.05)
    assert not others
    go.release(2)
    assert list(reading) == [1, 2]
    waits.join(20)
    assert (others, list(of(3)), of.peek(3), runs) == ([[0, 1, 2]], [0, 1, 2], [0, 1, 2], [3])
    of.invalidate(3)
    go.release(3)
    assert of.refresh(3) == [0, 1, 2]
    assert runs == [3, 3]
    cache.sync.close()


def test_a_blocking_generator_that_breaks_off_or_fails_or_is_too_long_is_not_kept() -> None:
    cache = Cache("memory://", max_entry="64KiB")
    closed = threading.Event()
    made = 0

    @cache.cached(ttl=60)
    def endless() -> Iterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 1
                yield b"x" * 1024
        finally:
            closed.set()

    reading = endless()
    for _ in range(500):
        assert len(next(reading)) == 1024
    assert made <= 502
    reading.close()
    assert closed.wait(20)

    @cache.cached(ttl=60)
    def fails(n: int) -> Iterator[int]:
        yield n
        raise KeyError(n)

    for _ in range(2):
        reading = fails(1)
        assert next(reading) == 1
        with pytest.raises(KeyError):
            next(reading)
    closed.clear()
    short = threading.Event()

    @cache.cached(ttl=60)
    def slow(n: int) -> Iterator[int]:
        try:
            yield n
            short.wait(20)
            yield n
        finally:
            closed.set()

    reading = slow(1)
    assert next(reading) == 1
    reading.close()
    short.set()
    assert closed.wait(20)
    assert list(slow(1)) == [1, 1]
    stats = cache.stats()
    assert stats["fills"] == 1
    cache.sync.close()


def test_a_blocking_generator_is_refused_where_a_loop_runs_unless_it_is_there(run: Run) -> None:
    cache = Cache.memory()

    @cache.cached(ttl=60)
    def of() -> Iterator[int]:
        yield 1

    async def test() -> list[int]:
        return list(of())

    with pytest.raises(RuntimeError, match="would block the event loop"):
        run(test)
    assert list(of()) == [1]
    assert run(test) == [1]


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
