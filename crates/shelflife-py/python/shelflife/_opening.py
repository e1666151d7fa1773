"""When a cache's core is opened and closed: at its first use, by `open`, by an application's lifespan, anew in a forked child.

Must not: look anything up, or store it.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from . import _loop
from ._core import Clock, Core, pack
from ._core import Faults as _EngineFaults
from ._given import asked_for
from ._loads import Handling
from ._workers import Workers

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("shelflife")

_all: weakref.WeakSet[Opening] = weakref.WeakSet()


class Opening:
    """The part of a `Cache` that has its core."""

    def __init__(self, url: str | None, settings: dict[str, str], clock: Clock | None, workers: Workers | None) -> None:
        self._url, self._settings, self._clock, self._workers = url, settings, clock, workers
        self._environment = False
        #: What a test may have the engine suffer (`shelflife.testing.faults`); nothing, elsewhere.
        self._faults = _EngineFaults()
        self._core: Core | None = None
        #: What is asked for hits: the same, unless a test has taken it away (`shelflife.testing.faults`).
        self._near: Core | None = None
        #: What a test has put between this and the core, for all else.
        self._between: Callable[[Core], Any] | None = None
        #: Guards the two cores, and who listens, while it is opened or closed.
        self._guard = threading.Lock()
        self._handlers: list[tuple[str, Callable[[Any], Any]]] = []
        #: Where they run when the loops that registered them have been closed.
        self._last = _loop.Last()
        _all.add(self)

    def _begin(self) -> Any:
        return Core.open(self._url, self._settings, self._environment, self._clock, self._faults)

    async def open(self) -> Self:
        """Connects. Raises ConfigError for a setting that can't be used, ShelflifeError for a server that refuses; one that can't
        be reached yet is no error.
        """
        await self._opened()
        return self

    async def _opened(self) -> Core:
        core = await self._opened_core()
        if self._handlers:
            self._last.note()
        return core if self._between is None else self._between(core)

    async def _opened_core(self) -> Core:
        if self._core is not None:
            return self._core
        core: Core = await _loop.wait(self._begin())
        core = await self._settle(core)
        if self._workers is not None:
            await self._workers.opened()
        return core

    async def _settle(self, core: Core) -> Core:
        with self._guard:
            if self._core is None:
                self._core = core
                if self._between is None:
                    self._near = core
                for name, handler in self._handlers:
                    self._listen(name, handler)
                return core
            mine = self._core
        # Two were opened at once: one is enough.
        await _loop.wait(core.close())
        return mine

    async def close(self) -> None:
        """Finishes what is under way, and closes the connections. The next use opens it again."""
        with self._guard:
            core, self._core, self._near = self._core, None, None
        if self._workers is not None:
            self._workers.closed()
        if core is not None:
            await _loop.wait(core.close())

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def lifespan(self, app: Any) -> Any:
        """A lifespan for FastAPI and Starlette: `FastAPI(lifespan=cache.lifespan)`.

        Nests round another: `FastAPI(lifespan=cache.lifespan(existing))`.
        """
        if inspect.isfunction(app) or inspect.ismethod(app) or inspect.isbuiltin(app):
            inner: Callable[[Any], AbstractAsyncContextManager[Any]] = app

            @asynccontextmanager
            async def nested(app: Any) -> AsyncIterator[Any]:
                self._prepare(app)
                async with self, self._listening(), inner(app) as state:
                    yield state

            return nested

        @asynccontextmanager
        async def alone() -> AsyncIterator[None]:
            self._prepare(app)
            async with self, self._listening():
                yield

        return alone()

    def _listening(self) -> AbstractAsyncContextManager[None]:
        """To the other workers of the server, if it has any."""
        return contextlib.nullcontext() if self._workers is None else self._workers.listening()

    def _prepare(self, app: Any) -> None:
        """What an application needs of us, and what it should know, before its first request."""
        from . import _routes

        if _routes.seen_through(app) is not app:
            return
        if getattr(app, "state", None) is not None and getattr(app.state, "cache", None) is None:
            app.state.cache = self
        _routes.install(app)
        for line in _routes.check(app):
            log.warning("%s", line)

    def _listen(self, name: str, handler: Callable[[Any], Any]) -> None:
        assert self._core is not None
        running = Handling(handler, lambda asked: pack(asked_for(asked)), self._last)
        self._core.on(name, running.box, running.start)


def _after_fork() -> None:
    # Siblings would draw the same leases.
    Core.reseed(int.from_bytes(os.urandom(8), "big"))
    for cache in list(_all):
        core, cache._core, cache._near = cache._core, None, None
        cache._guard = threading.Lock()
        if core is not None:
            core.leak()
        if cache._workers is not None:
            cache._workers.after_fork()
    _loop.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
