"""`@cache.route`: the response of a FastAPI route, sent from what is stored after the route's dependencies have run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _keys, _routes, _whose
from ._asgi import layer_settings
from ._core import Core, Layer, Passing
from ._decorator import _hints
from ._exchange import BEFORE, Exchange, forget, word_of
from ._given import several
from ._rule import Rule, parts_of
from ._time import Time

if TYPE_CHECKING:
    from ._cache import Cache

#: The parameters by which FastAPI hands us the request, and what the dependencies wrote into the response. They are not in the documentation
#: that FastAPI makes.
_REQUEST, _RESPONSE = "shelflife_request", "shelflife_response"


class Mark:
    """What a route was told, and the layers that are made of it."""

    def __init__(
        self,
        cache: Cache,
        function: Callable[..., Any],
        signature: inspect.Signature,
        *,
        ttl: Time | None = None,
        expire: Time | None = None,
        tags: Iterable[str] = (),
        vary_by: Iterable[str] = (),
        per_user: str | None = None,
        public: bool = False,
        shared: bool = False,
        stale: Time | None = None,
        statuses: Iterable[int] = (),
        ignore_cookies: Iterable[str] = (),
        condition: Callable[..., bool] | None = None,
        **settings: Any,
    ) -> None:
        ttl = expire if ttl is None else ttl
        self.cache, self.function, self.public, self.shared = cache, function, public, shared or public
        #: What FastAPI is given in its place.
        self.endpoint: Callable[..., Any] | None = None
        self.names = list(signature.parameters)
        self.signature = signature
        self.condition = condition
        self.label = _keys.part(f"{function.__module__}.{getattr(function, '__qualname__', '')}", False)
        self.of_request, of_call = parts_of(vary_by)
        if self.shared and per_user is not None:
            raise TypeError("per_user= says that each user has an answer of their own, public= or shared= that all have the same: give one")
        self.tags = [_keys.template(tag, self.names) for tag in several("tags", tags)]
        self.by = [_keys.template(_braced(by), self.names) for by in of_call]
        self.user = None if per_user is None else _keys.template(_braced(per_user), self.names)
        if self.user is not None and (len(self.user) != 1 or isinstance(self.user[0], str)):
            raise ValueError(f'per_user={per_user!r}: expected one parameter of the endpoint, such as "user" or "user.id"')
        rule = Rule.any()
        if ttl is not None:
            rule = rule.ttl(ttl)
        if stale is not None:
            rule = rule.stale(stale)
        if statuses := list(statuses):
            rule = rule.statuses(*statuses)
        if ignored := several("ignore_cookies", ignore_cookies):
            rule = rule.ignore_cookies(*ignored)
        if self.shared:
            rule = rule.public()
        rule._native.check()
        self._rule = rule
        self._settings = layer_settings(settings)
        self._layers: dict[int, tuple[Core, Layer, Any, Any]] = {}

    def rule(self, dependant: Any, *, before: bool, is_choosy: bool = False) -> Rule:
        """For requests of this route: what its parameters read of the request tells answers apart, whether anybody said so or not."""
        by = list(self.of_request)
        if dependant is not None:
            by += _whose.read_of_request(dependant)
        rule = self._rule.vary_by(*dict.fromkeys(by)) if by else self._rule
        if dependant is not None and self._unsaid(dependant, is_choosy):
            rule = rule.private()
        if before:
            return rule
        return rule._with(rule._native.by_name(self.user is not None))

    def _unsaid(self, dependant: Any, is_choosy: bool) -> list[str]:
        """What may tell answers apart, and nothing says whether it does."""
        said = {self.names[piece[0]] for pieces in self.by for piece in pieces if not isinstance(piece, str)}
        unseen = [name for name in _whose.unseen(dependant) if name not in said]
        if is_choosy:
            unseen.append("whatever the class of its route looks at")
        if self.shared or self.user is not None or self.of_request:
            return [name for name in unseen if name == "its body"]
        return unseen

    def answers_before(self, cache: Cache) -> bool:
        """Whether a middleware of this cache may answer in front of the route."""
        return self.public and cache is self.cache and self.condition is None and not self.by

    def layer(self, core: Core, found: _routes.Found) -> Layer:
        """By which its requests are looked up. A function may stand under several paths, each with dependencies of its own; an application may
        put others in their place.
        """
        dependant = found.dependant
        made = self._layers.get(id(found.declared))
        if made is None or made[0] is not core or made[2] is not dependant:
            rule = self.rule(dependant, before=False, is_choosy=found.is_choosy)
            layer = Layer(core, [rule._native], self._settings)
            made = self._layers[id(found.declared)] = (core, layer, dependant, found.declared)
        return made[1]

    def name(self, values: dict[str, Any]) -> str | None:
        """What tells this call from others of the same URL; `None`: each user has an answer of their own, and there is no user."""
        if self.user is None:
            return ":".join(self._texts(self.by, values))
        if values.get(self.names[self.user[0][0]]) is None:
            return None
        (user,) = self._texts([self.user], values)
        return None if user == _NOBODY else ":".join([user, *self._texts(self.by, values)])

    def _texts(self, templates: list[list[Any]], values: dict[str, Any]) -> list[str]:
        given = [values.get(name) for name in self.names]
        return [_keys.fill(pieces, given) for pieces in templates]

    def tags_of(self, values: dict[str, Any]) -> list[str]:
        """The names to invalidate this call's response by."""
        return self._texts(self.tags, values)

    def tags_of_path(self, params: dict[str, Any]) -> list[str]:
        """Those that are made of the path alone: for who stands in front of the route."""
        known = [pieces for pieces in self.tags if all(isinstance(p, str) or self.names[p[0]] in params for p in pieces)]
        return self._texts(known, params)

    def check(self, path: str, dependant: Any, *, is_choosy: bool) -> list[str]:
        """What is not as it should be, for who starts the application."""
        said: list[str] = []
        users = [below.name for below in dependant.dependencies if _whose.knows_user(below)]
        named = [name for name in users if name is not None]
        unsaid = self._unsaid(dependant, is_choosy)
        if "its body" in unsaid:
            said.append(f"{path}: its answer depends on the content of the request, which is not in the key: it is never stored")
        elif unsaid:
            said.append(
                f"{path}: its answer may be made of anything in the request ({', '.join(unsaid)}), and is not stored: say shared=True if "
                "it is made of the URL alone, or what it depends on, by vary_by= or per_user="
            )
        if self.shared:
            if named:
                said.append(
                    f"{path}: its answer is made of {', '.join(named)}, which depends on who asks, and is shared with everybody: "
                    f'say per_user="{named[0]}.id" in place of public= or shared=, or take {named[0]} out of the endpoint'
                )
        elif users and self.user is None:
            hint = f'per_user="{named[0]}.id"' if named else 'per_user="user.id"'
            said.append(
                f"{path}: it depends on who asks, and its key does not: answers to requests with credentials are not stored. "
                f"Say {hint} if each user has an answer of their own, or shared=True if all who get there have the same"
            )
        return said


#: The text of None in a key.
_NOBODY = _keys.part(None, False)


def _braced(by: str) -> str:
    return by if "{" in by else f"{{{by}}}"


def decorate(cache: Cache, function: Callable[..., Any], **how: Any) -> Any:
    """See `Cache.route`."""
    try:
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import Request
        from starlette.responses import Response
    except ImportError:
        raise ImportError("@cache.route is for FastAPI: pip install 'shelflife[fastapi]'") from None
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function.__qualname__} streams: its response is not stored. Use @cache.cached for what it is made of")
    signature = inspect.signature(function)
    mark = Mark(cache, function, signature, **how)
    condition = mark.condition
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))
    # FastAPI hands each of them to one parameter.
    known = {name: one.annotation for name, one in signature.parameters.items()} | _hints(function)
    hints = {name: hint for name, hint in known.items() if inspect.isclass(hint)}
    of_request = next((name for name, hint in hints.items() if issubclass(hint, Request)), _REQUEST)
    of_response = next((name for name, hint in hints.items() if issubclass(hint, Response) and name != "return"), _RESPONSE)

    async def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_async:
            return await function(*args, **kwargs)
        return await run_in_threadpool(function, *args, **kwargs)

    async def in_turn(exchange: Exchange, own: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        exchange.own = own
        token = word_of(exchange)
        try:
            return await call(args, kwargs)
        finally:
            forget(token)

    def stored(start: dict[str, Any], body: bytes, own: list[Any]) -> Response:
        response = Response.__new__(Response)
        response.status_code, response.body, response.background = start["status"], body, None
        response.raw_headers = [*start["headers"], *own] if own else start["headers"]
        return response

    @functools.wraps(function)
    async def routed(*args: Any, **kwargs: Any) -> Any:
        request = kwargs.pop(_REQUEST, None) if of_request == _REQUEST else kwargs.get(of_request)
        response = kwargs.pop(_RESPONSE, None) if of_response == _RESPONSE else kwargs.get(of_response)
        if not isinstance(request, Request) or cache._is_off:
            return await call(args, kwargs)
        # What the dependencies wrote into the response is for this request.
        own = list(response.headers.raw) if isinstance(response, Response) else []
        before = request.scope.get(BEFORE)
        if before is not None and before[0] is mark:
            exchange: Exchange | None = before[1]
            assert exchange is not None
            exchange.word.said.setdefault("tags", []).extend(mark.tags_of(kwargs))
            return await in_turn(exchange, own, args, kwargs)
        exchange = _routes.exchange_of(request)
        if exchange is None:
            # The first request of an application that nobody prepared: the next one finds it prepared.
            _routes.install(request.app)
            return await call(args, kwargs)
        if exchange.turn is not None:
            return await in_turn(exchange, own, args, kwargs)
        found = _routes.find(exchange.scope, None)
        if found.mark is not mark or (condition is not None and not condition(*args, **kwargs)):
            return await call(args, kwargs)
        name = mark.name(kwargs)
        if name is None:
            return await call(args, kwargs)
        if found.is_choosy:
            # Another function may stand under the same URL.
            name = f"{name}:{mark.label}"
        core = cache._core or await cache._opened_core()
        looked = mark.layer(core, found).look(exchange.scope, name)
        if isinstance(looked, tuple):
            return stored(*looked, own)
        if looked is None:
            return await call(args, kwargs)
        if isinstance(looked, Passing):
            exchange.passing = looked
            return await call(args, kwargs)
        looked.tag(mark.tags_of(kwargs))
        came = await exchange.ask(looked)
        if came is None:
            return await in_turn(exchange, own, args, kwargs)
        return stored(came[0], came[1] or b"", own)

    routed.__shelflife_route__ = mark  # type: ignore[attr-defined]
    mark.endpoint = routed
    parameters = list(signature.parameters.values())
    at = next((i for i, one in enumerate(parameters) if one.kind is inspect.Parameter.VAR_KEYWORD), len(parameters))
    for name, ours, kind in ((_REQUEST, of_request, Request), (_RESPONSE, of_response, Response)):
        if name == ours:
            parameters.insert(at, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind))
    routed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return routed
