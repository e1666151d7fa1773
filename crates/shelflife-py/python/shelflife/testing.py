"""For tests: a cache without a server, a clock that is moved by hand, assertions, and faults.

    from shelflife.testing import assert_hit, assert_miss

    async def test_profile(shelflife_cache, shelflife_clock):
        with assert_miss(shelflife_cache):
            await profile(1)
        with assert_hit(shelflife_cache):
            await profile(1)
        shelflife_clock.advance(301)

    async def test_profile_without_the_store(shelflife_faults):
        with shelflife_faults.down():
            await profile(1)

With pytest the three fixtures are there by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ._cache import Cache
from ._core import Clock
from ._faults import Faults, faults
from ._stats import Stats

__all__ = ["Clock", "Faults", "assert_hit", "assert_miss", "faults"]


@contextmanager
def assert_hit(cache: Cache) -> Iterator[None]:
    """What is read inside is there: nothing is loaded."""
    before = cache.stats()
    yield
    hits, loads = _since(before, cache)
    if loads:
        raise AssertionError(f"expected a hit: there was a load ({loads}); {_why(before, cache)}")
    if not hits:
        raise AssertionError("expected a hit: nothing was read from the cache")


@contextmanager
def assert_miss(cache: Cache) -> Iterator[None]:
    """What is read inside is not there: no read is answered from what is stored."""
    before = cache.stats()
    yield
    hits, loads = _since(before, cache)
    if hits:
        raise AssertionError(f"expected a miss: {hits} of the reads were answered from what is stored")
    if not loads and cache.stats()["misses"] == before["misses"]:
        raise AssertionError("expected a miss: nothing was read from the cache")


def _since(before: Stats, cache: Cache) -> tuple[int, int]:
    now = cache.stats()
    return _answered(now) - _answered(before), now["loads"] - before["loads"]


def _answered(stats: Stats) -> int:
    return stats["l1_hits"] + stats["l2_hits"] + stats["stale"]


def _why(before: Stats, cache: Cache) -> str:
    was = before["reasons"]
    grown = {name: count - was.get(name, 0) for name, count in cache.stats()["reasons"].items()}
    return "reasons: " + (", ".join(sorted(name for name, count in grown.items() if count)) or "none")
