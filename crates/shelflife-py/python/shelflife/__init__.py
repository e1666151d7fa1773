"""A cache for web APIs: two tiers, tags, leases, and invalidation that holds.

    from shelflife import Cache

    cache = Cache.from_env()

    @cache.cached(ttl="5m", key="user:{user_id}", tags=["user:{user_id}"])
    async def user(user_id: int) -> User: ...

    await cache.invalidate(tags=["user:42"])   # nothing older is served after this
"""

from ._blocking import Blocking
from ._cache import Cache, Receipt
from ._core import (
    Clock,
    ConfigError,
    LoadTimeout,
    ShelflifeError,
    Unavailable,
    ValueNotStorable,
    __version__,
)
from ._decorator import CacheInfo
from ._loads import CurrentEntry, current_entry
from ._stats import METRICS_CONTENT_TYPE, Stats

__all__ = [
    "METRICS_CONTENT_TYPE",
    "Blocking",
    "Cache",
    "CacheInfo",
    "Clock",
    "ConfigError",
    "CurrentEntry",
    "LoadTimeout",
    "Receipt",
    "ShelflifeError",
    "Stats",
    "Unavailable",
    "ValueNotStorable",
    "__version__",
    "current_entry",
]
