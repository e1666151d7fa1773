"""The cache, as an application holds it."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast, overload

from . import _loop
from ._blocking import Blocking
from ._core import MISS, Clock, Core, Load, LoadLost, Options, Undecodable
from ._decorating import Decorating
from ._given import Policy, options, setting, several
from ._keys import canonical
from ._loads import TRIES, Running, inside, within
from ._opening import Opening
from ._stats import Stats, nothing_yet
from ._time import Time
from ._typed import F, T
from ._values import ValueCodec, codec_for
from ._workers import Workers
from ._write import Write

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Loading(Policy, total=False):
    """How `get_or_load` is told to load."""

    ttl: Time | None
    tags: Iterable[str]
    type: Any
    share: bool
    strict: bool
    session: str | None


class Receipt(str):
    """What an invalidation, or a write, returns: text, to be given to who reads next (`session=`)."""

    __slots__ = ()


class Cache(Opening, Decorating):
    """A cache: entries in this process, and, with a URL, in Redis or Valkey, shared with all others of the namespace.

    Opened when it is first used, or by `open()` or `lifespan`; never when it is made, so it may stand at the top of a module
    and survive a fork. Without a URL it is in memory: the same semantics, no server.

    Reads don't fail because of the cache: what can't be read is a miss. Writes and invalidations tell the truth.

    Every setting of docs/settings.md is a keyword: `Cache("redis://...", namespace="shop", ttl="5m", memory="256MiB")`. `workers` is a
    directory of the server's own, in which its worker processes find each other, so that `scrape` tells of all of them.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        enabled: bool = True,
        clock: Clock | None = None,
        workers: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        given = {name: setting(name, value) for name, value in settings.items()}
        super().__init__(url, given, clock, None if workers is None else Workers(workers, self._scraped))
        #: A test has taken the store away.
        self._away = False
        #: False: loaders run, nothing is looked up or stored. For tests, and for a switch in production.
        self.enabled = enabled
        self.sync = Blocking(self)

    @classmethod
    def from_env(cls, **settings: Any) -> Cache:
        """By `SHELFLIFE_URL`, else `REDIS_URL`, else in memory; and every `SHELFLIFE_*`. What is given here comes first."""
        cache = cls(settings.pop("url", None), **settings)
        cache._environment = True
        return cache

    @classmethod
    def from_settings(cls, settings: Any, *, prefix: str | None = None, **more: Any) -> Cache:
        """By the fields of a settings object (pydantic-settings, a dataclass, any other) or a mapping: those whose names are `prefix`
        and then the name of a setting. `shelflife_` is the prefix unless another is given; `redis_url` is the URL if `shelflife_url` is
        not there. A field that is `None` is not set. What is given here comes first.

        Raises ConfigError for a field that has the prefix and names no setting, and when there is nothing to be used at all.
        """
        from ._settings import taken_from

        return cls(**{**taken_from(settings, prefix), **more})

    @classmethod
    def memory(cls, **settings: Any) -> Cache:
        """In this process alone."""
        return cls("memory://", **settings)

    @property
    def _is_off(self) -> bool:
        """Whether no response is looked up or stored."""
        return self._away or not self.enabled

    @contextlib.contextmanager
    def disabled(self) -> Iterator[None]:
        """As if there were no cache, until it ends."""
        before, self.enabled = self.enabled, False
        try:
            yield
        finally:
            self.enabled = before

    # By hand

    async def get(
        self,
        key: str,
        default: Any = None,
        *,
        type: Any = Any,
        strict: bool = False,
        session: str | None = None,
    ) -> Any:
        """The fresh value; `default` when there is none, or none of this type."""
        if not self.enabled:
            return default
        core, codec = await self._opened(), codec_for(type)
        level = "strict" if strict else session
        try:
            found = await _loop.wait(core.get(canonical(key), codec.decoder, options(codec), False, level))
        except Undecodable:
            return default
        return default if found is MISS else found

    async def get_many(self, keys: Iterable[str], *, type: Any = Any) -> dict[str, Any]:
        """The fresh values of what there is, in one round trip."""
        names = list(keys)
        if not self.enabled or not names:
            return {}
        core, codec = await self._opened(), codec_for(type)
        try:
            found = await _loop.wait(core.get_many(list(map(canonical, names)), codec.decoder, options(codec), False))
        except Undecodable:
            found = [await self.get(name, MISS, type=type) for name in names]
        return {name: value for name, value in zip(names, found) if value is not MISS}

    async def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Time | None = None,
        tags: Iterable[str] = (),
        type: Any = Any,
        **policy: Any,
    ) -> Receipt | None:
        """Stores a value. Counts as an invalidation of the key: a load that is in flight will not overwrite it.

        Raises ValueNotStorable, or Unavailable when it could not be confirmed.
        """
        codec = codec_for(type)
        item = (canonical(key), list(map(canonical, tags)), codec.encode(value))
        if not self.enabled:
            return None
        core = await self._opened()
        return Receipt(await _loop.wait(core.set([item], options(codec, ttl=ttl, **policy))))

    async def set_many(
        self, values: Mapping[str, Any], *, ttl: Time | None = None, tags: Iterable[str] = (), type: Any = Any
    ) -> Receipt | None:
        """Stores several, in one round trip."""
        codec, shared = codec_for(type), list(map(canonical, tags))
        items = [(canonical(key), shared, codec.encode(value)) for key, value in values.items()]
        if not self.enabled or not items:
            return None
        core = await self._opened()
        return Receipt(await _loop.wait(core.set(items, options(codec, ttl=ttl))))

    def begin_write(
        self,
        key: str,
        *,
        ttl: Time | None = None,
        tags: Iterable[str] = (),
        type: Any = Any,
        **policy: Any,
    ) -> Write:
        """Announces a write of the source: no load that began before can fill the entry any more.

            async with cache.begin_write("user:42", ttl="5m", type=User) as write:
                user = await database.save(...)
                await write.finish(user)      # or write.abandon(), if nothing was written

        Left without either, as by an exception, the entry is invalidated: the source may have been written.
        """
        codec = codec_for(type)
        return Write(self, canonical(key), list(map(canonical, tags)), codec, options(codec, ttl=ttl, **policy))

    async def delete(self, *keys: str) -> Receipt | None:
        """Removes keys: the same as to invalidate them."""
        return await self.invalidate(keys=keys)

    async def exists(self, key: str) -> bool:
        """Whether there is a fresh value, of whatever type."""
        if not self.enabled:
            return False
        core = await self._opened()
        return bool(await _loop.wait(core.exists(canonical(key))))

    async def ttl(self, key: str) -> float | None:
        """How long the value is still fresh, in seconds; `None` without a fresh value."""
        if not self.enabled:
            return None
        core = await self._opened()
        left: float | None = await _loop.wait(core.ttl(canonical(key)))
        return left

    @overload
    async def get_or_load(self, key: str, loader: Callable[[], Awaitable[T]], **how: Unpack[Loading]) -> T: ...
    @overload
    async def get_or_load(self, key: str, loader: Callable[[], T], **how: Unpack[Loading]) -> T: ...
    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Any],
        *,
        ttl: Time | None = None,
        tags: Iterable[str] = (),
        type: Any = Any,
        share: bool = False,
        strict: bool = False,
        session: str | None = None,
        **policy: Any,
    ) -> Any:
        """The value, loaded if there is none: once for all who ask for it meanwhile, here and in other processes.

        An exception of the loader comes out as it is, unless something stale may stand in (`stale=`). If this call is cancelled,
        the load goes on for the others.
        """
        codec = codec_for(type)
        how = options(codec, share, ttl=ttl, **policy)
        level = "strict" if strict else session
        return await self._load(canonical(key), list(map(canonical, tags)), codec, how, share, level, loader, refresh=False)

    async def _load(
        self,
        key: str,
        tags: list[str],
        codec: ValueCodec,
        policy: Options,
        share: bool,
        level: str | None,
        loader: Callable[[], Any],
        *,
        refresh: bool,
        adapt: Callable[[Load, Any], None] | None = None,
    ) -> Any:
        # Whoever loads a key, and asks for it meanwhile, would wait for himself.
        if not self.enabled or inside(self, key):
            value = loader()
            return await value if inspect.isawaitable(value) else value
        return await self._ask(Running(self, key, codec, loader, adapt), key, tags, policy, share, level, refresh=refresh)

    async def _ask(
        self, running: Running, key: str, tags: list[str], policy: Options, share: bool, level: str | None, *, refresh: bool
    ) -> Any:
        """What is stored, or what this load gives, or another one of the key."""
        core = await self._opened()
        what = (key, tags, running.codec.decoder, policy, share, level, running.box, running.start)
        for _ in range(TRIES):
            try:
                return await _loop.wait(core.load(*what, refresh, within()))
            except Undecodable:
                # Somebody else's value: it is replaced.
                refresh = True
            except LoadLost:
                # It was another caller's, who has gone.
                continue
        return await _loop.wait(core.load(*what, refresh, within()))

    # Invalidation

    async def invalidate(
        self,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        patterns: Iterable[str] = (),
        all: bool = False,
        soft: bool = False,
        everywhere: bool = False,
    ) -> Receipt:
        """When it has returned, nothing older is served by this process; by others not later than Δ (1 s), typically within
        milliseconds. `everywhere=True` waits for them.

        Carried out even if the caller is cancelled. Raises Unavailable when it could not be confirmed: then it is *not done*, and
        tried again in the background.
        """
        core = await self._opened()
        return Receipt(
            await _loop.wait(
                core.invalidate(
                    keys=list(map(canonical, several("keys", keys))),
                    tags=list(map(canonical, several("tags", tags))),
                    patterns=several("patterns", patterns),
                    all=all,
                    soft=soft,
                    everywhere=everywhere,
                )
            )
        )

    def invalidate_on_commit(
        self,
        session: Any,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        patterns: Iterable[str] = (),
        all: bool = False,
        soft: bool = False,
        everywhere: bool = False,
    ) -> None:
        """Invalidates when the transaction of an SQLAlchemy `Session` or `AsyncSession` has committed, before `commit()` returns;
        forgotten when it is rolled back.

        If the invalidation could not be confirmed, `commit()` raises Unavailable, although the database has committed.
        """
        from ._commit import invalidate_on_commit

        named = {
            "keys": several("keys", keys),
            "tags": several("tags", tags),
            "patterns": several("patterns", patterns),
        }
        invalidate_on_commit(self, session, {**named, "all": all, "soft": soft, "everywhere": everywhere})

    # Events

    async def emit(self, name: str, payload: Any = None) -> Receipt:
        """Says that something happened: runs the handlers of this process, carries out what they ask for, and logs it for the handlers
        of the others.
        """
        core = await self._opened()
        return Receipt(await _loop.wait(core.emit(name, json.dumps(payload, separators=(",", ":")))))

    def on(self, name: str) -> Callable[[F], F]:
        """Registers a handler, sync or async: it gets the payload, and may return what is to be invalidated, as keywords of
        `invalidate`: `{"tags": ["user:42"]}`. It may see an event twice.
        """

        def register(handler: F) -> F:
            self._handlers.append((name, handler))
            if self._core is not None:
                self._listen(name, handler)
            return handler

        return register

    # Sight

    def stats(self) -> Stats:
        """What this process's cache has done so far, and what it holds."""
        return cast(Stats, self._core.stats()) if self._core is not None else nothing_yet()

    def prometheus(self) -> str:
        """The metrics of this process's cache, as Prometheus reads them (`METRICS_CONTENT_TYPE`): of the server what `scrape` found last. Nothing
        before the cache is opened."""
        return self._core.prometheus() if self._core is not None else ""

    async def scrape(self) -> str:
        """Asks the server how it is, then gives `prometheus()`: the answer of `GET /metrics`. A server that does not answer is told as down.

        With `workers=`, and under `lifespan`: the same of each worker that answers, with a label `worker`.
        """
        return await (self._scraped() if self._workers is None else self._workers.joined())

    async def _scraped(self) -> str:
        core = await self._opened()
        return cast(str, await _loop.wait(core.scrape()))

    async def ping(self) -> None:
        """Raises Unavailable if the store does not answer."""
        core = await self._opened()
        await _loop.wait(core.ping())
