"""Loads: a loader of the application's, run where it belongs, when the engine wants it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import json
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from . import _loop
from ._core import Inside, Load, LoadLost, Mailbox, Turn
from ._time import Time, seconds
from ._values import ValueCodec

if TYPE_CHECKING:
    from ._cache import Cache

#: The loads inside which something runs, the innermost last: (number of the cache, key).
_inside: contextvars.ContextVar[tuple[tuple[int, str], ...]] = contextvars.ContextVar("shelflife_inside", default=())
_current: contextvars.ContextVar[Load | None] = contextvars.ContextVar("shelflife_current", default=None)
#: What the engine has to be told about that: the innermost of them.
_within: contextvars.ContextVar[Load | Turn | None] = contextvars.ContextVar("shelflife_within", default=None)
#: How often what somebody else began, and gave up, is asked for again.
TRIES = 3
#: Tasks are kept by nobody else.
_tasks: set[asyncio.Task[Any]] = set()


def inside(cache: Cache, key: str) -> bool:
    """Whether this runs inside a load of the key."""
    return (id(cache), key) in _inside.get()


def within() -> Inside | None:
    """The loads inside which this runs, as the engine knows them."""
    load = _within.get()
    return None if load is None else load.inside


def entered(load: Load) -> None:
    """What follows in this context is what a load does."""
    _current.set(load)
    _within.set(load)


def context_of(cache: Cache, keys: list[str]) -> contextvars.Context:
    """Where a load of these keys runs."""
    context = contextvars.copy_context()
    context.run(_inside.set, (*_inside.get(), *((id(cache), key) for key in keys)))
    return context


class CurrentEntry:
    """The entry that is being loaded, seen from inside its loader: changes its policy. Does nothing outside."""

    __slots__ = ()

    def ttl(self, ttl: Time) -> CurrentEntry:
        """How long the value that comes is fresh."""
        if (load := _current.get()) is not None:
            load.ttl(seconds(ttl, "ttl"))
        return self

    def stale(self, stale: Time) -> CurrentEntry:
        """How long after that it may be served stale."""
        if (load := _current.get()) is not None:
            load.stale(seconds(stale, "stale"))
        return self

    def tags(self, *tags: str) -> CurrentEntry:
        """Adds tags."""
        if (load := _current.get()) is not None:
            for tag in tags:
                load.tag(tag)
        return self

    def no_store(self) -> CurrentEntry:
        """The value is given to who waits for it, and not stored."""
        if (load := _current.get()) is not None:
            load.no_store()
        return self


def current_entry() -> CurrentEntry:
    """The entry that is being loaded by who calls this."""
    return CurrentEntry()


class Running:
    """A loader, and what is done with its value."""

    __slots__ = ("adapt", "box", "codec", "context", "inside", "loader", "loop")

    def __init__(
        self,
        cache: Cache,
        key: str,
        codec: ValueCodec,
        loader: Callable[[], Any],
        adapt: Callable[[Load, Any], None] | None,
    ) -> None:
        #: None: the call blocks, and the loader runs in a thread.
        self.loop = _loop.own_loop()
        #: Where the engine asks for the load.
        self.box: Mailbox = _loop.box_of(self.loop)
        self.codec, self.loader, self.adapt = codec, loader, adapt
        self.inside = (*_inside.get(), (id(cache), key))
        self.context = contextvars.copy_context()

    def start(self, load: Load) -> None:
        """Called where the load belongs, when the engine wants it."""
        if self.loop is None:
            _loop.loaders().run(lambda: self.context.run(self._run_here, load))
        else:
            begin_load(self.loop, lambda: self._run(load), lambda made: load.done(*made), load, self.context)

    async def _run(self, load: Load) -> tuple[bytes, Any]:
        _inside.set(self.inside)
        entered(load)
        value = self.loader()
        if inspect.isawaitable(value):
            value = await value
        return self._made(load, value)

    def _run_here(self, load: Load) -> None:
        _inside.set(self.inside)
        entered(load)
        try:
            value = _not_awaitable(self.loader())
            made = self._made(load, value)
        except BaseException as error:
            load.fail(error)
        else:
            load.done(*made)

    def _made(self, load: Load, value: Any) -> tuple[bytes, Any]:
        if self.adapt is not None:
            self.adapt(load, value)
        return self.codec.encode(value), value


class Handling:
    """A handler of an event, run like a load; `answer` packs what it returns.

    It may outlive the loop that registered it: the event is heard in a thread, which hands it to that loop, or, when that has been closed,
    to the one that used the cache last.
    """

    __slots__ = ("answer", "box", "handler", "last", "loop")

    def __init__(self, handler: Callable[[Any], Any], answer: Callable[[Any], bytes], last: _loop.Last) -> None:
        self.handler, self.answer, self.last = handler, answer, last
        loop = _loop.own_loop()
        #: `None`: it was registered by code that blocks, and may block itself.
        self.loop = None if loop is None else weakref.ref(loop)
        self.box: Mailbox = _loop.loaders().box

    def start(self, load: Load) -> None:
        """Called in the thread that listens, when the event is there."""
        for loop in self._loops():
            try:
                loop.call_soon_threadsafe(self._start_in, loop, load)
            except RuntimeError:
                # It has been closed meanwhile.
                continue
            return
        _loop.loaders().run(lambda: self._run_here(load))

    def _loops(self) -> list[asyncio.AbstractEventLoop]:
        if self.loop is None and not inspect.iscoroutinefunction(self.handler):
            return []
        own = None if self.loop is None else self.loop()
        return [loop for loop in (own, self.last.loop()) if loop is not None and not loop.is_closed()]

    def _start_in(self, loop: asyncio.AbstractEventLoop, load: Load) -> None:
        task = _load_task(loop, lambda: self._run(load), lambda packed: load.done(packed, None), load, None)

        def cancel() -> None:
            # Called in the thread that listens. Of a loop that has ended there is nothing left to cancel.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

        load.on_cancel(cancel)

    async def _run(self, load: Load) -> bytes:
        asked = self.handler(json.loads(load.payload or "null"))
        return self.answer(await asked if inspect.isawaitable(asked) else asked)

    def _run_here(self, load: Load) -> None:
        try:
            packed = self.answer(_not_awaitable(self.handler(json.loads(load.payload or "null"))))
        except BaseException as error:
            load.fail(error)
        else:
            load.done(packed, None)


def _not_awaitable(value: Any) -> Any:
    if inspect.iscoroutine(value):
        value.close()
    if inspect.isawaitable(value):
        raise TypeError("it is async, and there is no event loop here: use it, or register it, from async code")
    return value


def begin_load(
    loop: asyncio.AbstractEventLoop,
    run: Callable[[], Awaitable[Any]],
    done: Callable[[Any], None],
    load: Load,
    context: contextvars.Context | None = None,
) -> None:
    """Runs a load in a task, and tells the engine its end, whatever that is."""
    load.on_cancel(_load_task(loop, run, done, load, context).cancel)


def _load_task(
    loop: asyncio.AbstractEventLoop,
    run: Callable[[], Awaitable[Any]],
    done: Callable[[Any], None],
    load: Load,
    context: contextvars.Context | None,
) -> asyncio.Task[None]:
    async def whole() -> None:
        try:
            made = await run()
        except asyncio.CancelledError:
            load.fail(LoadLost("the load was cancelled"))
            raise
        except BaseException as error:
            load.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            done(made)

    context = context or contextvars.copy_context()
    task: asyncio.Task[None] = context.run(loop.create_task, whole())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task
