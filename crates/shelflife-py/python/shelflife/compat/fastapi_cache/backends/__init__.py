"""Backends: a cache of shelflife's under the names that there were."""

from ..types import Backend
from . import inmemory, redis

__all__ = ["Backend", "inmemory", "redis"]
