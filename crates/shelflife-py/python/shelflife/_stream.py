"""`@cache.cached` on generators: who asks first gets the items as they come, the others, and all later ones, the whole as a list.

    nothing stored ─► a load begins: in flight in the engine before the first item is asked for
                        │ the generator runs, at its own pace
                        ├─ each item ─► who asked first
                        ├─ its end ───► the list is stored, and given to who waits for it
                        └─ it raises, is over `max_entry`, takes longer than `hard_timeout`, or who asked first leaves: nothing is stored

An item is encoded before it is handed out, so what its reader does with it changes nothing. The generator does not wait for its reader:
a slow client holds nobody up, and the items are collected anyway. From when they are not collected any more, it does.

Must not: decide whether the list is stored. An invalidation that came meanwhile is the engine's to know of.
"""

from __future__ import annotations

import asyncio
import collections.abc
import contextvars
import functools
import inspect
import threading
import types
import typing
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, get_args, get_origin

from . import _loop, _shape
from ._core import MISS, Load, LoadLost, ValueNotStorable
from ._given import size
from ._loads import Running, _inside, entered, inside
from ._settings import known
from ._values import ValueCodec

if TYPE_CHECKING:
    from ._cache import Cache
    from ._decorator import Plan

_STREAMS = (
    collections.abc.AsyncIterable,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.Iterable,
    collections.abc.Iterator,
    collections.abc.Generator,
)
_MOST = 8 << 20


def is_stream(function: Callable[..., Any]) -> bool:
    """Whether a function is a generator, async or not."""
    return inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)


def item_of(function: Callable[..., Any], said: Any) -> Any:
    """The type of the items, by the annotation of what is returned."""
    said = _shape.bare(said)
    origin, args = get_origin(said) or said, get_args(said)
    if said is Any:
        return Any
    if origin not in _STREAMS:
        raise TypeError(
            f"{function.__qualname__} is a generator, and {_shape.text(said)} is not what it returns: annotate it as "
            "AsyncIterator[T] or Iterator[T], or give type=, the type of an item"
        )
    if origin in (collections.abc.AsyncGenerator, collections.abc.Generator) and len(args) > 1:
        if args[1] not in (None, types.NoneType, Any):
            raise TypeError(f"{function.__qualname__} takes what is sent to it ({_shape.text(args[1])}): it can't be replayed")
    return args[0] if args else Any


def over_async(plan: Plan) -> Any:
    """The function that stands for an async generator function."""

    @functools.wraps(plan.function)
    async def cached(*args: Any, **kwargs: Any) -> Any:
        off = plan.off(args, kwargs)
        found: Any = MISS if off else plan.hit(args, kwargs)
        if found is not MISS:
            plan.hits += 1
            for item in found:
                yield item
            return
        # Whoever loads a key, and asks for it meanwhile, would wait for himself.
        alone = off or inside(plan.cache, plan.key(args, kwargs))
        plan.misses += not alone
        coming: AsyncGenerator[Any, None] = plan.function(*args, **kwargs) if alone else _Run(plan, args, kwargs).follow()
        async with aclosing(coming) as items:
            async for item in items:
                yield item

    return cached


def over_blocking(plan: Plan) -> Any:
    """The function that stands for a generator function."""

    @functools.wraps(plan.function)
    def cached(*args: Any, **kwargs: Any) -> Any:
        off = plan.off(args, kwargs)
        found: Any = MISS if off else plan.hit(args, kwargs)
        if found is not MISS:
            plan.hits += 1
            yield from found
        elif off or inside(plan.cache, plan.key(args, kwargs)):
            yield from plan.function(*args, **kwargs)
        else:
            _loop.refuse_in_a_loop(f"{plan.function.__qualname__}(), which is not async and not in L1,")
            plan.misses += 1
            yield from _ThreadRun(plan, args, kwargs).follow()

    return cached


async def whole_async(plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs the generator, whatever is stored, and stores what comes: the list."""
    run = _Run(plan, args, kwargs)
    run.reads = False
    return await run.ask(refresh=True)


def whole_blocking(plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same for code that is not async."""
    run = _ThreadRun(plan, args, kwargs)
    run.reads = False
    return _loop.block(run.ask(refresh=True))


class _TooLong(ValueNotStorable):
    """The whole is over the limit: who waits for it runs the generator for himself."""


class _Unkept(LoadLost):
    """It is not collected any more: not an error of the generator's."""


class _Collecting(Running):
    """One run of a generator, as a load: what has come of it, for who reads it and for the engine."""

    def __init__(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert plan.item is not None
        self.cache, self.plan = plan.cache, plan
        self.key, self.tags = plan.key(args, kwargs), plan.tags(args, kwargs)
        loader = functools.partial(plan.function, *args, **kwargs)
        super().__init__(plan.cache, self.key, plan.codec, loader, plan.adapting())
        self.item: ValueCodec = plan.item
        self.most = most(plan.cache)
        #: What has come; when it isn't kept, what has come and is not read yet.
        self.items: list[Any] = []
        self.parts: list[bytes] = []
        self.size = 0
        self.taken = 0
        #: Whether it is collected for the engine.
        self.keeps = True
        #: Whether somebody takes the items as they come; without him it runs for the engine alone.
        self.reads = True
        #: He has had something of this run: no other one can go on with it.
        self.had = False
        #: He has left before its end.
        self.gone = False
        self.began = self.ended = False
        self.error: BaseException | None = None

    async def ask(self, *, refresh: bool = False) -> Any:
        """The whole: stored, another caller's, or of this run, once the engine has asked for it."""
        plan = self.plan
        return await self.cache._ask(self, self.key, self.tags, plan.options, plan.share, None, refresh=refresh)

    def _begin(self) -> None:
        if self.began or self.gone:
            raise LoadLost("who began to read it has left")
        self.began = True
        self.plan.loads += 1

    def _failed(self, error: BaseException) -> None:
        self.error = None if isinstance(error, _Unkept) else error
        # Who leaves is no error.
        self.plan.errors += isinstance(error, Exception) and not isinstance(error, LoadLost)

    def _encoded(self, item: Any) -> bytes:
        return self.item.encode(item) if self.keeps else b""

    def _add(self, item: Any, part: bytes, load: Load) -> None:
        self.items.append(item)
        if not self.keeps:
            return
        self.parts.append(part)
        self.size += len(part)
        if self.size > self.most:
            self._let_go()
            load.fail(_TooLong(f"what {self.plan.function.__qualname__} yields is over the limit of size (max_entry)"))

    def _take(self) -> Any:
        item = self.items[self.taken]
        self.taken, self.had = self.taken + 1, True
        return item

    def _let_go(self) -> None:
        """It is not collected any more."""
        self.keeps, self.parts = False, []

    def _drop_read(self) -> None:
        del self.items[: self.taken]
        self.taken = 0

    def _is_ahead(self) -> bool:
        """Whether the reader is to be waited for."""
        if self.keeps:
            return False
        if not self.reads:
            raise _Unkept("nobody wants it any more")
        return self.taken < len(self.items)

    def _made(self, load: Load, value: Any) -> tuple[bytes, Any]:
        if not self.keeps:
            raise _Unkept("it was not collected to its end")
        if self.adapt is not None:
            self.adapt(load, value)
        return _array(self.parts), value


class _Run(_Collecting):
    """In an event loop: the generator runs in the task of its load."""

    def __init__(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(plan, args, kwargs)
        #: There is something for the reader.
        self.moved = asyncio.Event()
        #: The reader has taken something.
        self.asked = asyncio.Event()
        self.task: asyncio.Task[Any] | None = None

    async def follow(self) -> AsyncGenerator[Any, None]:
        """The items, as they come, or of the whole if there is one."""
        asking = asyncio.create_task(self.ask())
        asking.add_done_callback(self._answered)
        try:
            while True:
                if self.taken < len(self.items):
                    item = self._take()
                    self.asked.set()
                    yield item
                elif self.ended and self.had:
                    # When the last one has been read, it is stored.
                    await asyncio.wait([asking])
                    if self.error is not None:
                        raise self.error
                    return
                elif asking.done() and not self.had:
                    break
                else:
                    self.moved.clear()
                    await self.moved.wait()
            found = _whole(asking)
            if found is not MISS:
                # A load that has begun all the same refreshes it.
                self.reads = False
                self.asked.set()
                for item in found:
                    yield item
                return
            async with aclosing(self.loader()) as alone:
                async for item in alone:
                    yield item
        finally:
            if self.reads and not self.ended:
                await self._leave(asking)

    def _answered(self, asking: asyncio.Task[Any]) -> None:
        if not asking.cancelled():
            # It may be told to nobody: who reads has had it from the generator.
            asking.exception()
        self.moved.set()

    async def _leave(self, asking: asyncio.Task[Any]) -> None:
        self.gone = True
        asking.cancel()
        if self.task is not None:
            self.task.cancel()
            # The generator's own end comes before that of who read it.
            await asyncio.wait([self.task])

    async def _run(self, load: Load) -> tuple[bytes, Any]:
        _inside.set(self.inside)
        entered(load)
        self._begin()
        self.task = asyncio.current_task()
        load.on_cancel(self._given_up)
        try:
            async with aclosing(self.loader()) as items:
                async for item in items:
                    self._add(item, self._encoded(item), load)
                    self.moved.set()
                    # Who reads it comes before the next one, even if there is nothing to wait for.
                    await asyncio.sleep(0)
                    await self._keep_step()
            made = self._made(load, self.items)
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            self.ended = True
            self.moved.set()
        return made

    async def _keep_step(self) -> None:
        while self._is_ahead():
            self.asked.clear()
            await self.asked.wait()
        if not self.keeps:
            self._drop_read()

    def _given_up(self) -> None:
        self._let_go()
        self.asked.set()
        if not self.reads and self.task is not None:
            self.task.cancel()


class _ThreadRun(_Collecting):
    """Without an event loop: the generator runs in the thread of its load."""

    def __init__(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(plan, args, kwargs)
        #: Held to look at what has come, or to change it; told of each change.
        self.moved = threading.Condition()

    def follow(self) -> Generator[Any, None, None]:
        """The items, as they come, or of the whole if there is one."""
        asking: Future[Any] = Future()
        context = contextvars.copy_context()
        _loop.loaders().run(lambda: context.run(self._ask_here, asking))
        try:
            while (item := self._next(asking)) is not MISS:
                yield item
            if self.had:
                if self.error is not None:
                    raise self.error
                return
            found = _whole(asking)
            if found is not MISS:
                with self.moved:
                    self.reads = False
                    self.moved.notify_all()
                yield from found
            else:
                yield from self.loader()
        finally:
            with self.moved:
                self.gone = self.reads and not self.ended
                self.moved.notify_all()

    def _ask_here(self, asking: Future[Any]) -> None:
        try:
            asking.set_result(_loop.block(self.ask()))
        except BaseException as error:
            asking.set_exception(error)
        with self.moved:
            self.moved.notify_all()

    def _next(self, asking: Future[Any]) -> Any:
        """The next item; MISS when there is none, or the whole instead."""
        with self.moved:
            while self.taken >= len(self.items):
                # When the last one has been read, it is stored.
                if asking.done() and (self.ended or not self.had):
                    return MISS
                self.moved.wait()
            item = self._take()
            self.moved.notify_all()
            return item

    def _run_here(self, load: Load) -> None:
        _inside.set(self.inside)
        entered(load)
        try:
            made = self._drive(load)
        except BaseException as error:
            load.fail(error)
        else:
            load.done(*made)

    def _drive(self, load: Load) -> tuple[bytes, Any]:
        self._begin()
        load.on_cancel(self._given_up)
        try:
            with closing(self.loader()) as items:
                for item in items:
                    part = self._encoded(item)
                    with self.moved:
                        self._add(item, part, load)
                        self._keep_step()
            made = self._made(load, self.items)
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            with self.moved:
                self.ended = True
                self.moved.notify_all()
        return made

    def _keep_step(self) -> None:
        self.moved.notify_all()
        while not self.gone and self._is_ahead():
            self.moved.wait()
        if self.gone:
            raise LoadLost("who began to read it has left")
        if not self.keeps:
            self._drop_read()

    def _given_up(self) -> None:
        with self.moved:
            self._let_go()
            self.moved.notify_all()


def _whole(asking: asyncio.Task[Any] | Future[Any]) -> Any:
    """What the engine has; MISS where the generator is to be run without it: a read does not fail because of the cache."""
    try:
        return asking.result()
    except (LoadLost, _TooLong):
        return MISS


def _array(parts: list[bytes]) -> bytes:
    """A MessagePack array of what is encoded already."""
    count = len(parts)
    if count < 16:
        head = bytes([0x90 | count])
    else:
        head = b"\xdc" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdd" + count.to_bytes(4, "big")
    return head + b"".join(parts)


def most(cache: Cache) -> int:
    """`max_entry`; the engine refuses what is over its own in any case."""
    given = known(cache, "max_entry")
    return (size(given) if given else None) or _MOST
