"""The workers of one server, as far as their metrics go: each scrape is answered by one of them, for all.

A server with several workers has one port, and whoever accepts a scrape knows of itself alone. So each worker listens on a Unix socket in a
directory that they share, from its lifespan on, and gives its figures to whoever connects; the one that is scraped asks the others, and puts a
label `worker` on each series. The label is the number of a place: a worker that comes in place of one that has died takes the place over, so
that there are never more series than workers at once. A child that a worker forks has none of its parent's: it takes a place of its own with its
cache.

    metrics/0.lock   held (flock) by the worker of place 0 while it lives
    metrics/0.sock   where it listens

Must not: make a scrape wait for a worker that does not answer, or fail for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from . import _loop

log = logging.getLogger("shelflife")

#: How long a worker may take to give its figures.
_PATIENCE = 2.0


class _Place:
    """A place that is held, and the socket at which its worker listens."""

    def __init__(self, directory: Path) -> None:
        self.number, self._lock = _take(directory)
        self._path = directory / f"{self.number}.sock"
        self._socket: socket.socket | None = None
        self._server: asyncio.AbstractServer | None = None

    async def listen(self, answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        # Of one that has died.
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._path))
        self._server = await asyncio.start_unix_server(answer, sock=self._socket)

    def leave(self) -> None:
        if self._server is not None:
            self._server.close()
        elif self._socket is not None:
            self._socket.close()
        # While the place is still ours: after that it may be another's.
        self._path.unlink(missing_ok=True)
        os.close(self._lock)

    def forget(self) -> None:
        """In a forked child: the place is its parent's, and not to be held beyond it. Neither is anything told to the parent's loop, whose
        selector the child shares, nor is the socket's file removed.
        """
        os.close(self._lock)
        if self._socket is not None:
            os.close(self._socket.detach())


class Workers:
    """A place among the workers of a server."""

    def __init__(self, directory: str | os.PathLike[str], own: Callable[[], Awaitable[str]]) -> None:
        self._directory, self._own = Path(directory), own
        #: While it is held.
        self._place: _Place | None = None
        #: Whether this process was forked by a worker that had a place.
        self._is_child = False
        #: What gives a child's place up with its loop.
        self._until: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Takes a place, and answers there."""
        place = self._place
        if place is not None:
            # That of a child which has opened its cache already, or of another lifespan of the same cache.
            yield
            return
        place = await self._enter()
        try:
            yield
        finally:
            # A child that was forked meanwhile comes here, too: it is not its own.
            if self._place is place:
                self._leave()

    async def opened(self) -> None:
        """A worker's child answers in a place of its own from when it opens its cache, in a loop, until it closes it."""
        if not self._is_child or self._place is not None or _loop.own_loop() is None:
            return
        try:
            place = await self._enter()
        except OSError as error:
            log.warning("a forked worker's figures will be missing from scrapes: %s", error)
            return
        self._until = asyncio.ensure_future(self._until_the_loop_ends(place))

    async def _until_the_loop_ends(self, place: _Place) -> None:
        """Nothing closes the cache of a child that calls `asyncio.run` and lives on: a socket that nobody serves would hold up each scrape."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            if self._place is place:
                self._leave()

    def closed(self) -> None:
        """See `opened`."""
        if self._is_child and self._place is not None:
            self._leave()
        until, self._until = self._until, None
        if until is not None and not until.get_loop().is_closed():
            until.cancel()

    def after_fork(self) -> None:
        """In the child: its parent's place is not its own."""
        place, self._place = self._place, None
        if place is not None:
            self._is_child = True
            place.forget()

    async def _enter(self) -> _Place:
        if not hasattr(asyncio, "start_unix_server"):
            raise RuntimeError("workers= needs Unix sockets, which this system does not have: leave it out")
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._directory.stat().st_uid != os.getuid():
            raise PermissionError(f"workers={str(self._directory)!r}: it is another user's, who could answer in the workers' place")
        place = self._place = _Place(self._directory)
        try:
            await place.listen(self._answer)
        except BaseException as error:
            self._leave()
            if isinstance(error, OSError):
                raise OSError(f"workers={str(self._directory)!r}: {error}") from error
            raise
        return place

    def _leave(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.leave()

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who asked may have gone.
        with contextlib.suppress(OSError):
            writer.write((await self._own()).encode())
            await writer.drain()
        writer.close()

    async def joined(self) -> str:
        """The figures of all workers that answer; this one's alone, and without a label, outside of `listening`."""
        if self._place is None:
            alone = await self._own()
            # A child takes its place when it opens its cache, which that may have been.
            if self._place is None:
                return alone
        place = self._place.number
        others = [other for other in _places(self._directory) if other != place]
        answers = await asyncio.gather(self._own(), *(self._asked(other) for other in others))
        found = dict(zip([place, *others], answers, strict=True))
        return join({str(at): text for at in sorted(found) if (text := found[at]) is not None})

    async def _asked(self, place: int) -> str | None:
        path = self._directory / f"{place}.sock"
        try:
            return await asyncio.wait_for(_read(path), _PATIENCE)
        except (ConnectionError, FileNotFoundError):
            _forget(self._directory, place)
        except (OSError, asyncio.TimeoutError):
            log.warning("the worker at %s does not give its figures: they are missing from this scrape", path)
        return None


async def _read(path: Path) -> str:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


def _places(directory: Path) -> list[int]:
    return sorted(int(found.stem) for found in directory.glob("*.sock") if found.stem.isdigit())


def _take(directory: Path) -> tuple[int, int]:
    """The first place that nobody holds, and what holds it: given up when it is closed, whatever ends this process."""
    place = 0
    while True:
        lock = _held(directory, place)
        if lock is not None:
            return place, lock
        place += 1


def _held(directory: Path, place: int) -> int | None:
    import fcntl

    lock = os.open(directory / f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _forget(directory: Path, place: int) -> None:
    """Removes the socket of a worker that has died, unless another is about to take its place."""
    lock = _held(directory, place)
    if lock is not None:
        (directory / f"{place}.sock").unlink(missing_ok=True)
        os.close(lock)


def join(texts: dict[str, str]) -> str:
    """One exposition of several, by what their series are told apart: what belongs to a metric stands together, as the format wants it."""
    heads: dict[str, list[str]] = {}
    series: dict[str, list[str]] = {}
    for worker, text in texts.items():
        name = ""
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                _, kind, name, *_ = line.split(" ", 3)
                head = heads.setdefault(name, [])
                series.setdefault(name, [])
                if not any(known.startswith(f"# {kind} ") for known in head):
                    head.append(line)
            elif line and not line.startswith("#"):
                series.setdefault(name, []).append(_labelled(line, worker))
    return "".join(f"{line}\n" for name, found in series.items() for line in [*heads.get(name, []), *found])


def _labelled(line: str, worker: str) -> str:
    at = min((found for found in (line.find("{"), line.find(" ")) if found >= 0), default=len(line))
    label = f'worker="{worker}"'
    if line[at : at + 1] != "{":
        return f"{line[:at]}{{{label}}}{line[at:]}"
    return f"{line[:at]}{{{label}{'' if line[at + 1 : at + 2] == '}' else ','}{line[at + 1 :]}"
