"""Generators that come to no good end, or to none: nothing of them is kept."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from streams import Source, all_of, begun, stream_of

from shelflife import Cache, LoadTimeout, ValueNotStorable

Run = Callable[[Callable[[], Any]], Any]


def test_what_was_broken_off_is_not_kept_and_the_next_who_waits_begins_anew(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            source = Source()
            of = stream_of(cache, source)
            first = await begun(of, source, "a")
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
                had = asyncio.Event()

                async def read() -> None:
                    async for _ in of(1):
                        had.set()

                reading = asyncio.create_task(read())
                await had.wait()
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
            first = await begun(of, source, "a")
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
            reading = await begun(of, source, "old")
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
            # Its first item has to come before.
            of = stream_of(cache, source, hard_timeout="500ms")
            reading = await begun(of, source, "a")
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
