"""Waiting for the engine: in an event loop, or in a thread.

Each loop has one mailbox. It is watched by the loop itself, so that a thread of Rust never calls into Python.
"""

from __future__ import annotations

import asyncio
import select
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from ._core import Mailbox, Step

T = TypeVar("T")

_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox] = weakref.WeakKeyDictionary()
_guard = threading.Lock()
_thread = threading.local()


def mailbox_of(loop: asyncio.AbstractEventLoop) -> Mailbox:
    """The mailbox of a running loop."""
    box = _loops.get(loop)
    if box is None:
        with _guard:
            _bury()
            box = _loops[loop] = Mailbox()
        loop.add_reader(box.fileno(), box.drain)
    return box


def _bury() -> None:
    """Closes the mailboxes of loops that have ended: what waits for them fails, and says why."""
    for loop in [loop for loop in _loops if loop.is_closed()]:
        _loops.pop(loop).close()


def mailbox_of_thread() -> Mailbox:
    """The mailbox of a thread that blocks."""
    box: Mailbox | None = getattr(_thread, "box", None)
    if box is None:
        box = _thread.box = Mailbox()
    return box


async def wait(step: Any) -> Any:
    """What a call of the core gave, or will give."""
    if type(step) is not Step:
        return await step() if type(step) is Later else step
    if is_blocking():
        return await _Told(step)
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    step.attach(mailbox_of(loop), future)
    try:
        return await future
    except asyncio.CancelledError:
        step.cancel()
        raise


class Later:
    """What is asked for only after a while: how a test makes a store slow."""

    def __init__(self, seconds: float, ask: Callable[[], Any]) -> None:
        self.seconds, self.ask = seconds, ask

    async def __call__(self) -> Any:
        if is_blocking():
            time.sleep(self.seconds)
        else:
            await asyncio.sleep(self.seconds)
        return await wait(self.ask())


class _Told:
    """Hands a step to `block`, and gives what comes of it."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def __await__(self) -> Generator[Step, Any, Any]:
        return (yield self.step)


def is_blocking() -> bool:
    """Whether `block` runs what asks."""
    return getattr(_thread, "blocking", 0) > 0


def block(work: Coroutine[Any, Any, T]) -> T:
    """Runs what waits for the engine alone, without a loop: this thread waits."""
    box = mailbox_of_thread()
    _thread.blocking = getattr(_thread, "blocking", 0) + 1
    try:
        step = work.send(None)
        while True:
            try:
                value = step.block(box)
            except BaseException as error:
                step = work.throw(error)
            else:
                step = work.send(value)
    except StopIteration as end:
        value = end.value
        return value  # type: ignore[no-any-return]
    finally:
        _thread.blocking -= 1
        work.close()


def own_loop() -> asyncio.AbstractEventLoop | None:
    """The loop in which what somebody gives us is to run; `None`: a thread of its own, for who has none."""
    return None if is_blocking() or not in_a_loop() else asyncio.get_running_loop()


def box_of(loop: asyncio.AbstractEventLoop | None) -> Mailbox:
    """Where the engine asks for it."""
    return loaders().box if loop is None else mailbox_of(loop)


class Last:
    """The loop in which something was used last."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None

    def note(self) -> None:
        """It is used now."""
        loop = own_loop()
        if loop is not None and loop is not self.loop():
            self._loop = weakref.ref(loop)

    def loop(self) -> asyncio.AbstractEventLoop | None:
        """That loop, if it is still there; it may have been closed."""
        return None if self._loop is None else self._loop()


class Loaders:
    """Where the loaders of blocking calls run: each in a thread of its own, for a load may outlive the call that began it, and may wait
    for another.
    """

    def __init__(self) -> None:
        self.box = Mailbox()
        threading.Thread(target=self._listen, name="shelflife-loads", daemon=True).start()

    def run(self, work: Callable[[], None]) -> None:
        """Begins it."""
        threading.Thread(target=work, name="shelflife-load", daemon=True).start()

    def _listen(self) -> None:
        fd = self.box.fileno()
        while True:
            select.select([fd], [], [])
            self.box.drain()


_loaders: Loaders | None = None


def loaders() -> Loaders:
    """Those of this process."""
    global _loaders
    with _guard:
        if _loaders is None:
            _loaders = Loaders()
        return _loaders


def in_a_loop() -> bool:
    """Whether this thread runs an event loop now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def refuse_in_a_loop(what: str) -> None:
    """A call that blocks would stop everything else in a loop's thread."""
    if in_a_loop():
        raise RuntimeError(f"{what} would block the event loop that runs in this thread: await its async twin")


def after_fork() -> None:
    """In the child: its parent's loops, and what they wait for, are not its own."""
    global _guard, _thread, _loaders
    _guard, _thread, _loaders = threading.Lock(), threading.local(), None
    for box in list(_loops.values()):
        # Never closed here: the child shares the parent's socket.
        _kept.append(box)
    _loops.clear()


_kept: list[Mailbox] = []
