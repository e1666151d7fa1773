"""The cache for code that is not async."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from . import _loop

if TYPE_CHECKING:
    from ._cache import Cache, Receipt

T = TypeVar("T")


class Blocking:
    """The same calls for code that is not async: each waits in its thread. Not on a thread that runs an event loop."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def _run(self, name: str, *args: Any, **kwargs: Any) -> Any:
        _loop.refuse_in_a_loop(f"cache.sync.{name}()")
        return _loop.block(getattr(self._cache, name)(*args, **kwargs))

    def get(self, key: str, default: Any = None, **how: Any) -> Any:
        return self._run("get", key, default, **how)

    def get_many(self, keys: Iterable[str], **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._run("get_many", keys, **how)
        return found

    def set(self, key: str, value: Any, **how: Any) -> Receipt | None:
        receipt: Receipt | None = self._run("set", key, value, **how)
        return receipt

    def set_many(self, values: Mapping[str, Any], **how: Any) -> Receipt | None:
        receipt: Receipt | None = self._run("set_many", values, **how)
        return receipt

    def delete(self, *keys: str) -> Receipt | None:
        receipt: Receipt | None = self._run("delete", *keys)
        return receipt

    def exists(self, key: str) -> bool:
        return bool(self._run("exists", key))

    def ttl(self, key: str) -> float | None:
        left: float | None = self._run("ttl", key)
        return left

    def get_or_load(self, key: str, loader: Callable[[], T], **how: Any) -> T:
        value: T = self._run("get_or_load", key, loader, **how)
        return value

    def invalidate(self, **what: Any) -> Receipt:
        receipt: Receipt = self._run("invalidate", **what)
        return receipt

    def emit(self, name: str, payload: Any = None) -> Receipt:
        receipt: Receipt = self._run("emit", name, payload)
        return receipt

    def scrape(self) -> str:
        text: str = self._run("scrape")
        return text

    def ping(self) -> None:
        self._run("ping")

    def close(self) -> None:
        self._run("close")
