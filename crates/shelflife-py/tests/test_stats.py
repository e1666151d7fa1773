"""What is counted has the names that are promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_type_hints

import pytest

from shelflife import Cache, Stats
from shelflife._stats import Following, Times, Timings

Run = Callable[[Callable[[], Any]], Any]


def figures(of: Any) -> Iterator[Any]:
    if isinstance(of, Mapping):
        for value in of.values():
            yield from figures(value)
    else:
        yield of


def test_the_keys_are_those_that_the_engine_gives(run: Run) -> None:
    async def test() -> None:
        cache = Cache.memory()
        names = list(get_type_hints(Stats))
        assert list(cache.stats()) == names  # Before it is opened.
        assert not any(figures(cache.stats()))
        async with cache:
            stats = cache.stats()
            assert list(stats) == names
            nested = {"reasons", "following", "timings"}
            assert {name: type(value) for name, value in stats.items()} == {
                name: dict if name in nested else list if name == "nodes" else int for name in names
            }
            assert list(stats["following"]) == list(get_type_hints(Following))
            assert list(stats["timings"]) == list(get_type_hints(Timings))
            assert list(stats["timings"]["loads"]) == list(get_type_hints(Times))

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
            loads = stats["timings"]["loads"]
            assert loads["count"] == 2 and loads["p50"] is not None and loads["sum"] > 0
            assert stats["following"]["open"]  # There is no other process.

    run(test)


def test_metrics_are_the_same_figures_as_text(run: Run) -> None:
    async def test() -> None:
        cache = Cache.memory()
        assert cache.prometheus() == ""  # Before it is opened.
        async with cache:
            for _ in range(3):
                await cache.get_or_load("secret-key", lambda: 1)
            text = await cache.scrape()
            assert 'shelflife_reads_total{namespace="default",tier="l1",outcome="hit"} 2\n' in text
            assert 'shelflife_load_duration_seconds_count{namespace="default"} 1\n' in text
            assert 'shelflife_server_up{namespace="default"} 1\n' in text
            assert "secret" not in text
            assert cache.prometheus().count("\n") == text.count("\n")

    run(test)
