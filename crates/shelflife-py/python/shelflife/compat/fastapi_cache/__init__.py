"""What applications written for fastapi-cache2 0.2 import: change the prefix, and keep the rest.

    from shelflife.compat.fastapi_cache import FastAPICache
    from shelflife.compat.fastapi_cache.backends.redis import RedisBackend
    from shelflife.compat.fastapi_cache.decorator import cache

    FastAPICache.init(RedisBackend("redis://localhost"), prefix="shop")

    @app.get("/users/{user_id}")
    @cache(expire=60, namespace="users")
    async def user(user_id: int) -> User: ...

    await FastAPICache.clear(namespace="users")

The shapes are theirs, the engine is shelflife's: one load for a herd, an invalidation holds, an outage of Redis is none of the
API. What is different on purpose stands in docs/moving-over.md.
"""

from ._state import FastAPICache
from .coder import Coder, JsonCoder, PickleCoder
from .key_builder import default_key_builder
from .types import Backend, KeyBuilder

__all__ = ["Backend", "Coder", "FastAPICache", "JsonCoder", "KeyBuilder", "PickleCoder", "default_key_builder"]
