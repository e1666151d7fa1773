"""An exchange: one request, whatever answers it, and what is stored of that on the way out.

A request that finds nothing stored may get its *turn*: the engine wants its answer for all who ask for the same. Then the application
runs as it would have, in the task of its request, and what it sends goes to the client and to the engine at once. Nothing of a response
that is not stored passes through the engine.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from . import _loads, _loop
from ._core import Asking, LoadLost, Passing, Step, Storing, Turn
from ._keys import canonical

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: What goes out: the head, the content (`None`: what the application sends), and what is held while it is being stored.
Outgoing = tuple[dict[str, Any], "bytes | None", "Storing | None"]

#: In the scope of a request that is looked up from within the application.
KEY = "shelflife.exchange"
#: In the scope of one that was looked up in front of it: the route for which, and the exchange.
BEFORE = "shelflife.before"
#: In the scope of one that was asked for in front of the application: of which caches.
ASKED = "shelflife.asked"

log = logging.getLogger("shelflife")

_behind: set[asyncio.Task[None]] = set()


class Word:
    """What `current_entry()` says inside a route: it travels with the head of the response."""

    __slots__ = ("said",)

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def ttl(self, seconds: float) -> None:
        self.said["ttl"] = seconds

    def stale(self, seconds: float) -> None:
        self.said["stale"] = seconds

    def tag(self, tag: str) -> None:
        self.said.setdefault("tags", []).append(canonical(tag))

    def no_store(self) -> None:
        self.said["no_store"] = True


class Exchange:
    """One request of an application, and its two ends."""

    __slots__ = (
        "_app",
        "_body",
        "_context",
        "_first",
        "_out",
        "_read",
        "_receive",
        "_send",
        "_step",
        "_storing",
        "_wants",
        "_within",
        "before",
        "own",
        "passing",
        "scope",
        "started",
        "to_client",
        "told",
        "turn",
        "word",
    )

    def __init__(self, app: App, scope: Scope, receive: Receive, send: Send | None, *, within: bool = False) -> None:
        #: As it came: routing writes into the one that the application gets.
        self.scope = scope
        #: Whether it is looked up from within the application, which finds it in its scope.
        self._within = within
        self._app, self._receive, self._send = app, receive, send
        #: Its turn, if it has got it.
        self.turn: Turn | None = None
        self.word = Word()
        self.passing: Passing | None = None
        #: The route in front of which this stands.
        self.before: Any = None
        #: Whether the engine knows the head; whether the client has it.
        self.told = self.started = False
        #: What the endpoint's dependencies wrote into the response: this request's own.
        self.own: list[Any] = []
        #: Whether what the application sends is what the client gets.
        self.to_client = send is not None
        self._first: asyncio.Future[Any] | None = None
        self._out: asyncio.Future[Any] | None = None
        self._step: Step | None = None
        self._storing: Storing | None = None
        self._wants = True
        self._body, self._read = b"", False
        self._context: contextvars.Context | None = None

    async def ask(self, asking: Asking, body: bytes = b"") -> Outgoing | None:
        """What is stored, or what another's turn has brought; `None`: it is this request's turn, and the application is to answer.

        If this is cancelled when it has its turn, the turn is taken behind it: others may wait for it.
        """
        loop = asyncio.get_running_loop()
        self._first, self._body, self._context = loop.create_future(), body, contextvars.copy_context()
        box = _loop.mailbox_of(loop)
        step = asking.ask(box, self._start, body, _loads.within())
        if not isinstance(step, Step):
            self._first.cancel()
            return step
        self._step = step
        step.attach(box, self._first)
        try:
            came = await self._first
        except asyncio.CancelledError:
            step.cancel()
            if self._first.done() and not self._first.cancelled() and self._first.exception() is None:
                came = self._first.result()
                if isinstance(came, Turn) and not came.is_alone:
                    self._answer_behind(came)
            raise
        if isinstance(came, Turn):
            self.turn = came
            return None
        outgoing: Outgoing = came
        return outgoing

    def _start(self, turn: Turn) -> None:
        """Called in the loop, when the engine wants this request to be answered."""
        assert self._first is not None
        if not self._first.done() and self._step is not None:
            # Before the application can have said anything: what goes out then is told to this one.
            loop = self._first.get_loop()
            self._out = loop.create_future()
            self._step.attach(_loop.mailbox_of(loop), self._out)
            self._first.set_result(turn)
        elif self._out is not None and not self._out.done():
            # Its client waits for the answer that the application has given already.
            turn.fail()
        elif turn.is_alone:
            turn.fail()
        else:
            self._answer_behind(turn)

    def _answer_behind(self, turn: Turn) -> None:
        """The request's client has its answer, or has gone: the application is asked once more, for those who come after."""
        behind = Exchange(self._app, self.scope, self._receive, None, within=self._within)
        behind._receive = behind._nothing_more
        behind.turn, behind._body, behind.before = turn, self._body, self.before
        behind.scope = {**self.scope, "headers": turn.headers}
        context = self._context or contextvars.copy_context()
        task: asyncio.Task[None] = context.run(asyncio.get_running_loop().create_task, behind._run_behind())
        _behind.add(task)
        task.add_done_callback(_behind.discard)
        turn.on_cancel(task.cancel)

    async def _run_behind(self) -> None:
        try:
            await self.run()
        except Exception:
            log.exception("the application failed while a stored response was being refreshed behind its clients")

    async def _nothing_more(self) -> Message:
        """What a client sends that has gone, as far as the application can tell: its content, and after the answer that it has hung up."""
        if not self._read:
            self._read = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._first is None:
            self._first = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._first)
        return {"type": "http.disconnect"}

    async def run(self) -> None:
        """Runs the application, and ends the turn with it, however that goes."""
        scope = self.scope.copy()  # type: ignore[attr-defined]
        if self._within:
            scope[KEY] = self
        if self.before is not None:
            scope[BEFORE] = (self.before, self)
        # What an endpoint sets when it gets its turn ends with the response, whose content may be made after it.
        within = _loads._within.set(self.turn or _loads._within.get())
        try:
            await self._app(scope, self._receive, self.send)
        except asyncio.CancelledError:
            if self._step is not None:
                self._step.cancel()
            turn = self.turn
            if turn is not None and not self.told and self._send is not None and not turn.is_alone:
                # It is not lost for the others.
                self.turn = None
                self._answer_behind(turn)
            raise
        except Exception as error:
            if self.passing is not None:
                self.passing.give_up()
            if self.turn is None or self.told:
                raise
            self.turn.fail(error)
            if not await self._stand_in():
                raise
            log.exception("the application failed, and what is stored was served in its place")
        finally:
            _loads._within.reset(within)
            if self.turn is not None:
                self.turn.fail()
            out = self._out
            # Nobody asks for it any more, be it an error.
            if out is not None and not out.cancel() and not out.cancelled():
                out.exception()

    async def _stand_in(self) -> bool:
        """Sends what the engine has in place of a response that never came."""
        if self._out is None:
            return True
        try:
            start, body, _ = await self._outgoing()
        except Exception:
            return False
        if body is None:
            return False
        await self.give(start, body)
        return True

    async def give(self, start: Message, body: bytes) -> None:
        if self._send is not None:
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body})

    async def _outgoing(self) -> Outgoing:
        """What goes out, now that the head is known."""
        assert self._out is not None
        outgoing: Outgoing = await self._out
        return outgoing

    async def send(self, message: Message) -> None:
        """What the application sends: to the client, and to be stored."""
        if self.turn is not None:
            await self._send_both(self.turn, message)
            return
        if self.passing is not None and message["type"] == "http.response.start":
            message = await self._passed(self.passing, message)
        if self._send is not None:
            await self._send(message)

    async def _passed(self, passing: Passing, message: Message) -> Message:
        """The head of a response in which a cache has no part. What it makes outdated is invalidated before it goes out."""
        self.passing = None
        headers = list(message.get("headers", ()))
        if passing.changes:
            await _loop.wait(passing.answered(message["status"], headers))
        if passing.said is not None:
            headers.append((b"cache-status", passing.said))
        return {**message, "headers": headers}

    async def _send_both(self, turn: Turn, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            data = message.get("body", b"")
            if self._wants and data:
                self._wants = turn.push(data) and (self._storing is None or self._storing.go_on())
            if not message.get("more_body", False):
                turn.end()
                self._ended()
                if self._storing is not None:
                    self._storing.go_on()
            if self.to_client and self._send is not None:
                await self._send(message)
        elif kind == "http.response.start":
            await self._start_both(turn, message)
        else:
            if self.started:
                # A file's path, trailers, …: content that is not here to be stored.
                turn.fail()
                self._wants = False
            if self.to_client and self._send is not None:
                await self._send(message)

    def _ended(self) -> None:
        """There is no client: who listens for its hanging up hears that now."""
        if self._send is None:
            if self._first is None:
                self._first = asyncio.get_running_loop().create_future()
            if not self._first.done():
                self._first.set_result(None)

    async def _start_both(self, turn: Turn, message: Message) -> None:
        headers = list(message.get("headers", ()))
        own = [field for field in map(tuple, self.own) if field in map(tuple, headers)]
        if own:
            headers = [field for field in headers if tuple(field) not in own]
        word = {"no_store": True} if message.get("trailers") else self.word.said
        turn.head(message["status"], headers, word or None)
        # From here on nobody else can take the turn: what follows belongs to this head.
        self.told = True
        if self._out is None:
            self.started = True
            return
        try:
            start, body, self._storing = await self._outgoing()
        except LoadLost:
            start, body = {**message, "headers": headers}, None
        self.started = True
        start["headers"] = [*start["headers"], *own]
        if body is None:
            if self._send is not None:
                await self._send({**message, **start})
        else:
            self.to_client = False
            await self.give(start, body)


def word_of(exchange: Exchange) -> contextvars.Token[Any]:
    """Lets `current_entry()` speak of the response that the application makes now, and loads know that they run inside it."""
    if exchange.turn is not None:
        _loads._within.set(exchange.turn)
    return _loads._current.set(exchange.word)  # type: ignore[arg-type]


def forget(token: contextvars.Token[Any]) -> None:
    """Ends that, but for what goes on inside."""
    _loads._current.reset(token)
