"""The middleware: the cache in front of an ASGI application, which answers before anything behind it has run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _routes
from ._core import Core, Layer, Passing
from ._exchange import ASKED, App, Exchange, Message, Receive, Scope, Send
from ._given import size
from ._rule import Rule, natives
from ._time import Time, seconds

if TYPE_CHECKING:
    from ._cache import Cache

#: Of a route: the layer by which it is looked up (None: it is left alone), by which a change is told, whether it says `public` itself, and what
#: it depended on then, if so.
Ready = tuple[Core, "Layer | None", Layer, bool, Any]

#: Methods that change nothing: nothing is to be invalidated.
SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "QUERY"))


class ShelflifeMiddleware:
    """Caches the responses of the application behind it, by RFC 9111: `app.add_middleware(ShelflifeMiddleware, cache=cache, rules=[...])`.

    What says how long it is fresh (`Cache-Control`) is stored, and what a `Rule` names. `ETag`, `304`, ranges, `HEAD`, `Vary` are
    handled, and `Cache-Status` (RFC 9211) tells what was done. A request that succeeded in changing something (`POST`, `PUT`, ...)
    invalidates what is stored of its URL before its response goes out. WebSockets, streams, events and files go through as they are.

    It answers *before* what is behind it: add it so that authentication, rate limits and logs that have to see every request are in
    front of it (what is added later is further in front). Dependencies of FastAPI are always behind it: a route that has any is answered
    here only if the route, or a rule, says `public`; `@cache.route` answers the others after their dependencies have run.

    Settings, all optional: `max_body` (1 MiB), `collapse_wait` (5 s), `linger` (30 s), `remember_passed` (60 s), `compress` (off; from so
    many bytes on), `name` ("shelflife", in `Cache-Status`; None: silent).
    """

    def __init__(
        self,
        app: App,
        *,
        cache: Cache,
        rules: Iterable[Rule] = (),
        max_body: int | str | None = None,
        collapse_wait: Time | None = None,
        linger: Time | None = None,
        remember_passed: Time | None = None,
        compress: int | str | None = None,
        name: str | None = "shelflife",
    ) -> None:
        self.app, self.cache = app, cache
        self.rules = tuple(rules)
        natives(self.rules)
        given = {
            "max_body": max_body,
            "collapse_wait": collapse_wait,
            "linger": linger,
            "remember_passed": remember_passed,
            "compress": compress,
        }
        self._settings = layer_settings({k: v for k, v in given.items() if v is not None} | {"name": name})
        self._layers: dict[Any, tuple[Core, Layer, Any]] = {}
        self._ready: dict[_routes.Found, Ready] = {}
        #: The application that is behind, as far as it can be seen from here.
        self._front = _routes.seen_through(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (self.cache._is_off and scope["method"] in SAFE) or self.cache in scope.get(ASKED, ()):
            await self.app(scope, receive, send)
            return
        front = self._front
        found = _routes.find(scope, self.app) if front is None else _routes.table_of(front).find(scope)
        ready = self._ready.get(found)
        # A route that is answered in front of its dependencies is told apart by what they read: who overrides one later is heard, too.
        if ready is None or ready[0] is not self.cache._core or (ready[3] and ready[4] is not found.dependant):
            ready = self._ready[found] = await self._made(found)
        _, layer, changes, before, _ = ready
        if scope["method"] not in SAFE:
            layer = changes
        if layer is None:
            await self.app(scope, receive, send)
            return
        looked = layer.look(scope)
        if type(looked) is tuple:
            start, body = looked
            await send(start)
            await send({"type": "http.response.body", "body": body})
        elif looked is None:
            await self.app(scope, receive, send)
        else:
            await self._go(looked, found if before else None, scope, receive, send)

    async def _go(self, looked: Any, found: _routes.Found | None, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {ASKED: (*scope.get(ASKED, ()), self.cache)}
        exchange = Exchange(self.app, {**scope, **asked}, receive, send)
        if isinstance(looked, Passing):
            exchange.passing = looked
            await exchange.run()
            return
        body = b""
        if looked.wants_body is not None:
            body, exchange._receive = await _read(receive, looked.wants_body)
        if found is not None and found.mark is not None:
            # What the endpoint knows more of its tags it says when it runs.
            exchange.before = found.mark
            looked.tag(found.mark.tags_of_path(found.path_params(scope)))
        came = await exchange.ask(looked, body)
        if came is None:
            assert exchange.turn is not None
            exchange.scope = {**exchange.scope, "headers": exchange.turn.headers}
            await exchange.run()
        else:
            await exchange.give(came[0], came[1] or b"")

    async def _made(self, found: _routes.Found) -> Ready:
        """What is done about requests of a route: by the route where it says so itself, by the rules that may answer for it where not."""
        core = await self.cache._opened_core()
        mark = found.mark
        if mark is not None and not found.is_choosy and mark.answers_before(self.cache):
            dependant = found.dependant
            layer = self._layer(core, found, [mark.rule(dependant, before=True)], dependant)
            return core, layer, layer, True, dependant
        if not found.is_guarded:
            layer = self._layer(core, False, list(self.rules))
            return core, layer, layer, False, None
        rules = [rule if rule._is_public else rule.private() for rule in self.rules]
        if all(rule._path is not None for rule in rules):
            rules.append(Rule.any().private())
        layer = self._layer(core, True, rules)
        left_alone = mark is not None or not any(rule._is_public for rule in self.rules)
        return core, None if left_alone else layer, layer, False, None

    def _layer(self, core: Core, which: Any, rules: list[Rule], dependant: Any = None) -> Layer:
        made = self._layers.get(which)
        if made is None or made[0] is not core or made[2] is not dependant:
            made = self._layers[which] = (core, Layer(core, natives(rules), self._settings), dependant)
        return made[1]


async def _read(receive: Receive, most: int) -> tuple[bytes, Receive]:
    """The content of a request, up to what is over the limit; and what gives it to the application."""
    messages: list[Message] = []
    body = b""
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False) or len(body) > most:
            break

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again


def layer_settings(given: dict[str, Any]) -> dict[str, Any]:
    """As a layer takes them."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("collapse_wait", "linger", "remember_passed"):
            made[name] = f"{seconds(value, name):.6f}s"
        elif name in ("max_body", "compress"):
            found = size(value) if isinstance(value, str) else value
            if not isinstance(found, int) or found < 0:
                raise ValueError(f'{name}={value!r}: expected bytes, or text such as "256KiB"')
            made[name] = found
        elif name == "name":
            made[name] = value
        else:
            known = "max_body, collapse_wait, linger, remember_passed, compress, name"
            raise TypeError(f"no setting {name!r}; there are: {known}")
    return made
