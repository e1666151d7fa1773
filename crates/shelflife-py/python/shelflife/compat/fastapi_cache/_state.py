"""`FastAPICache`: what the decorators of this process use."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from ..._cache import Cache
from ..._time import Time, seconds
from .coder import Coder, JsonCoder, usable
from .key_builder import default_key_builder, forget
from .types import Backend, KeyBuilder

T = TypeVar("T")


class FastAPICache:
    """One for the process, as its users know it."""

    _backend: ClassVar[Backend | None] = None
    _prefix: ClassVar[str | None] = None
    _expire: ClassVar[Time | None] = None
    _init: ClassVar[bool] = False
    _coder: ClassVar[type[Coder] | None] = None
    _key_builder: ClassVar[KeyBuilder | None] = None
    _cache_status_header: ClassVar[str | None] = None
    _enable: ClassVar[bool] = True

    @classmethod
    def init(
        cls,
        backend: Backend | Cache,
        prefix: str = "",
        expire: Time | None = None,
        coder: type[Coder] = JsonCoder,
        key_builder: KeyBuilder = default_key_builder,
        cache_status_header: str = "X-FastAPI-Cache",
        enable: bool = True,
    ) -> None:
        """Once: a second call does nothing until `reset()`. Without `expire`, entries live for the cache's own `ttl`."""
        if cls._init:
            return
        if isinstance(backend, Cache):
            backend = Backend(backend)
        if not isinstance(backend, Backend):
            raise TypeError(
                f"a {type(backend).__qualname__} is no backend here: give RedisBackend(...), InMemoryBackend() or a shelflife.Cache"
            )
        if expire is not None:
            seconds(expire, "expire")
        cls._coder = usable(coder)
        cls._init = True
        cls._backend = backend
        cls._prefix = prefix
        cls._expire = expire
        cls._key_builder = key_builder
        cls._cache_status_header = cache_status_header
        cls._enable = enable

    @classmethod
    def reset(cls) -> None:
        """As before `init()`."""
        cls._init = False
        cls._backend = None
        cls._prefix = None
        cls._expire = None
        cls._coder = None
        cls._key_builder = None
        cls._cache_status_header = None
        cls._enable = True
        forget()

    @classmethod
    def get_backend(cls) -> Backend:
        return _there(cls._backend)

    @classmethod
    def get_prefix(cls) -> str:
        return _there(cls._prefix)

    @classmethod
    def get_expire(cls) -> Time | None:
        return cls._expire

    @classmethod
    def get_coder(cls) -> type[Coder]:
        return _there(cls._coder)

    @classmethod
    def get_key_builder(cls) -> KeyBuilder:
        return _there(cls._key_builder)

    @classmethod
    def get_cache_status_header(cls) -> str:
        return _there(cls._cache_status_header)

    @classmethod
    def get_enable(cls) -> bool:
        return cls._enable

    @classmethod
    async def clear(cls, namespace: str | None = None, key: str | None = None) -> int:
        """Invalidates exactly this namespace, and this key; without either, all of the prefix. Loads in flight are covered.

        Returns how many of the two it did: nobody counts entries. Raises Unavailable if it could not be confirmed.
        """
        backend, prefix = cls.get_backend(), cls.get_prefix()
        if namespace:
            return await backend.clear(f"{prefix}:{namespace}", key)
        return await backend.clear(None if key else prefix, key)


def _there(found: T | None) -> T:
    if found is None:
        raise AssertionError("You must call init first!")
    return found
