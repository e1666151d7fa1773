"""What is counted has the names that are promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from shelflife import Cache, Stats

Run = Callable[[Callable[[], Any]], Any]


def test_the_keys_are_those_that_the_engine_gives(run: Run) -> None:
    async def test() -> None:
        cache = Cache.memory()
        names = list(get_type_hints(Stats))
        assert list(cache.stats()) == names  # Before it is opened.
        assert not any(cache.stats().values())
        async with cache:
            stats = cache.stats()
            assert list(stats) == names
            assert {name: type(value) for name, value in stats.items()} == {
                name: dict if name == "reasons" else int for name in names
            }

    run(test)


def test_they_count(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            before = cache.stats()
            for _ in range(3):
                await cache.get_or_load("k", lambda: 1)
            with pytest.raises(ZeroDivisionError):
                await cache.get_or_load("l", lambda: 1 // 0)
            await cache.invalidate(keys=["k"])
            stats = cache.stats()
            grown = {name: stats[name] - before[name] for name in ("l1_hits", "misses", "loads", "load_failures", "fills", "invalidations")}  # type: ignore[literal-required]
            assert grown == {"l1_hits": 2, "misses": 2, "loads": 2, "load_failures": 1, "fills": 1, "invalidations": 1}
            assert stats["reasons"]["absent"] >= 1

    run(test)
