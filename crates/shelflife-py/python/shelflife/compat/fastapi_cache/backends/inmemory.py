"""Entries in this process alone."""

from __future__ import annotations

from typing import Any

from ...._cache import Cache
from ..types import Backend


class InMemoryBackend(Backend):
    """An empty cache of its own, bounded by `memory=` (docs/settings.md), as every setting is a keyword."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(Cache.memory(**settings))
