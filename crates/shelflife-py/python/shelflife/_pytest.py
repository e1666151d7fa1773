"""The fixtures, for pytest to find (entry point `pytest11`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ._cache import Cache
from ._core import Clock
from ._faults import Faults, faults


@pytest.fixture
def shelflife_clock() -> Clock:
    """The clock of `shelflife_cache`: it stands still until `advance(seconds)`."""
    return Clock()


@pytest.fixture
def shelflife_cache(shelflife_clock: Clock) -> Iterator[Cache]:
    """An empty cache in memory, without jitter, by `shelflife_clock`."""
    yield Cache("memory://", clock=shelflife_clock, jitter=0.0)


@pytest.fixture
def shelflife_faults(shelflife_cache: Cache) -> Faults:
    """The faults of `shelflife_cache`: `with shelflife_faults.down(): ...`."""
    return faults(shelflife_cache)
