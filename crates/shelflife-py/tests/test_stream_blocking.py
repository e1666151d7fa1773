"""Generators that are not async."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from shelflife import Cache

Run = Callable[[Callable[[], Any]], Any]


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
