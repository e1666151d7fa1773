"""The kit for tests, in a test; its assertions fail when they should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shelflife import Cache, Clock
from shelflife.testing import assert_hit, assert_miss

Run = Callable[[Callable[[], Any]], Any]


def test_hits_and_misses_by_the_clock(run: Run, shelflife_cache: Cache, shelflife_clock: Clock) -> None:
    cache = shelflife_cache

    @cache.cached(ttl="5m")
    async def of(n: int) -> int:
        return n

    async def test() -> None:
        with assert_miss(cache):
            await of(1)
        with assert_hit(cache):
            await of(1)
        with pytest.raises(AssertionError, match="expected a miss: 1 of the reads"), assert_miss(cache):
            await of(1)
        shelflife_clock.advance(301)
        with pytest.raises(AssertionError, match="there was a load.*absent"), assert_hit(cache):
            await of(1)
        with pytest.raises(AssertionError, match="nothing was read"), assert_hit(cache):
            pass
        with pytest.raises(AssertionError, match="nothing was read"), assert_miss(cache):
            pass
        with assert_miss(cache):
            assert await cache.get("nothing") is None

    run(test)
