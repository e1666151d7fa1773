"""Writes that are announced: between the announcement and its end, no older load fills the entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _core, _loop
from ._core import Options
from ._keys import Name
from ._values import ValueCodec

if TYPE_CHECKING:
    from ._cache import Cache


class Write:
    """See `Cache.begin_write`."""

    def __init__(self, cache: Cache, key: str, tags: list[str], codec: ValueCodec, options: Options) -> None:
        self._cache, self._key, self._tags, self._codec, self._options = cache, key, tags, codec, options
        self._write: _core.Write | None = None
        self._ended = False

    async def __aenter__(self) -> Write:
        if self._write is not None or self._ended:
            raise RuntimeError("a write is announced once: call begin_write() again")
        core = await self._cache._opened()
        self._write = await _loop.wait(core.begin_write(self._key, self._tags, self._options))
        return self

    async def finish(self, value: Any) -> bool:
        """Stores the value that the source has now, and tells whether it stays stored: not when another write or an invalidation of the key
        came between.

        Raises ValueNotStorable, or Unavailable when it could not be confirmed; then the entry is invalidated.
        """
        write = self._under_way()
        payload = self._codec.encode(value)
        if not self._cache.enabled:
            return False
        stored = bool(await _loop.wait(write.finish(payload)))
        self._ended = True
        return stored

    def abandon(self) -> None:
        """The source is as it was: what is stored stays."""
        self._under_way().abandon()
        self._ended = True

    def _under_way(self) -> _core.Write:
        if self._write is None or self._ended:
            raise RuntimeError("no write is under way: async with cache.begin_write(...) as write")
        return self._write

    async def __aexit__(self, *_: object) -> None:
        write, self._write = self._write, None
        if self._ended or write is None:
            return
        self._ended = True
        # Nothing older after this block: what the announcement kept away may come again then.
        await self._cache.invalidate(keys=[Name(self._key)])
        write.abandon()
