"""What a backend and a key builder are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Union

from starlette.requests import Request
from starlette.responses import Response

from ... import _loop
from ..._cache import Cache
from ..._core import MISS, Undecodable
from ..._given import options
from ..._keys import Name, canonical
from ..._time import Time
from . import _kept


class KeyBuilder(Protocol):
    """From a call to the key of its entry, sync or async. `args` and `kwargs` are without the request and the response."""

    def __call__(
        self,
        __function: Callable[..., Any],
        __namespace: str = ...,
        *,
        request: Request | None = ...,
        response: Response | None = ...,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Union[Awaitable[str], str]: ...


class Backend:
    """Where the entries are: a cache of shelflife's."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    async def get_with_ttl(self, key: str) -> tuple[int, bytes | None]:
        """For how many seconds it is fresh, and what is stored; `(0, None)` without it."""
        found = await self._found(key)
        if found is None:
            return 0, None
        return int(await self.cache.ttl(key) or 0), _kept.coded(found)

    async def get(self, key: str) -> bytes | None:
        """What is stored, as a coder wrote it, or would have."""
        found = await self._found(key)
        return None if found is None else _kept.coded(found)

    async def set(self, key: str, value: bytes, expire: Time | None = None) -> None:
        """Stores what a coder has written."""
        core = await self.cache._opened()
        kept = _kept.Kept(_kept.Form.CODER, value)
        policy = options(_kept.CODEC, ttl=expire or None, **_kept.POLICY)
        await _loop.wait(core.set([(canonical(key), [], _kept.CODEC.encode(kept))], policy))

    async def clear(self, namespace: str | None = None, key: str | None = None) -> int:
        """Invalidates a namespace, with its prefix (`"prefix:namespace"`, or a prefix alone: all of it), and a key.

        Returns how many of the two it did: nobody counts entries.
        """
        tags = [] if namespace is None else [tag_of(namespace), tag_of_prefix(namespace)]
        keys = [] if key is None else [key]
        if tags or keys:
            await self.cache.invalidate(tags=tags, keys=keys)
        return (namespace is not None) + (key is not None)

    async def _found(self, key: str) -> _kept.Kept | None:
        core = await self.cache._opened()
        try:
            found = await _loop.wait(core.get(canonical(key), _kept.CODEC.decoder, options(_kept.CODEC), True, None))
        except Undecodable:
            return None
        return None if found is MISS else found


def tag_of(namespace: str) -> Name:
    """The tag of all entries of a namespace, which is named with its prefix."""
    return Name("fastapi_cache:in:" + canonical(namespace))


def tag_of_prefix(prefix: str) -> Name:
    """The tag of all entries of a prefix."""
    return Name("fastapi_cache:all:" + canonical(prefix))
