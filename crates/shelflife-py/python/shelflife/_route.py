"""`@cache.route`: the response of a FastAPI route, sent from what is stored after the route's dependencies have run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _exchange, _keys, _routes
from ._asgi import layer_settings
from ._core import Core, Layer, Passing
from ._decorator import _hints
from ._given import several
from ._rule import Rule, parts_of
from ._time import Time

if TYPE_CHECKING:
    from ._cache import Cache

#: The parameter by which FastAPI hands us the request. It is not in the documentation that FastAPI makes.
_REQUEST = "shelflife_request"


class Mark:
    """What a route was told, and the layers that are made of it."""

    def __init__(
        self,
        cache: Cache,
        function: Callable[..., Any],
        signature: inspect.Signature,
        *,
        ttl: Time | None,
        tags: Iterable[str],
        vary_by: Iterable[str],
        per_user: str | None,
        public: bool,
        shared: bool,
        stale: Time | None,
        statuses: Iterable[int],
        ignore_cookies: Iterable[str],
        settings: dict[str, Any],
    ) -> None:
        self.cache, self.function, self.public, self.shared = cache, function, public, shared or public
        self.names = list(signature.parameters)
        self.signature = signature
        self.of_request, self.of_call = parts_of(vary_by)
        if per_user is not None:
            self.of_call.append(per_user)
        self.per_user = per_user is not None
        if self.shared and self.per_user:
            raise TypeError("per_user= says that each user has an answer of their own, public= or shared= that all have the same: give one")
        self.tags = [_keys.template(tag, self.names) for tag in several("tags", tags)]
        self.by = [_keys.template(_braced(by), self.names) for by in self.of_call]
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
        self._layer: tuple[Core, Layer] | None = None

    def rule(self, dependant: Any, *, before: bool) -> Rule:
        """For requests of this route: what its parameters read of the request tells answers apart, whether anybody said so or not."""
        by, tells_apart = list(self.of_request), self.per_user
        if dependant is not None:
            by += [f"header:{field.alias}" for below in _routes.tree(dependant) for field in below.header_params]
            by += [f"cookie:{field.alias}" for below in _routes.tree(dependant) for field in below.cookie_params]
            tells_apart = tells_apart or any(
                below.name in self._called() and _routes.knows_user(below) for below in dependant.dependencies
            )
        rule = self._rule.vary_by(*dict.fromkeys(by)) if by else self._rule
        if before:
            return rule
        return rule._with(rule._native.by_name(tells_apart and not self.shared))

    def _called(self) -> set[str]:
        return {self.names[piece[0]] for pieces in self.by for piece in pieces if not isinstance(piece, str)}

    def layer(self, core: Core, dependant: Any) -> Layer:
        """By which its requests are looked up."""
        made = self._layer
        if made is None or made[0] is not core:
            rule = self.rule(dependant, before=False)
            made = self._layer = (core, Layer(core, [rule._native], self._settings))
        return made[1]

    def name(self, values: dict[str, Any]) -> str:
        """What tells this call from others of the same URL."""
        if not self.by:
            return ""
        given = [values.get(name) for name in self.names]
        return ":".join(_keys.fill(pieces, given) for pieces in self.by)

    def tags_of(self, values: dict[str, Any]) -> list[str]:
        given = [values.get(name) for name in self.names]
        return [_keys.fill(pieces, given) for pieces in self.tags]

    def tags_of_path(self, path_params: dict[str, Any]) -> list[str]:
        """For who stands in front of the route, and knows its path alone."""
        return self.tags_of(path_params)

    def check(self, path: str, dependant: Any) -> list[str]:
        """What is not as it should be, for who starts the application."""
        said: list[str] = []
        users = [below.name for below in dependant.dependencies if _routes.knows_user(below)]
        named = [name for name in users if name is not None]
        if self.shared:
            if named:
                said.append(
                    f"{path}: its answer is made of {', '.join(named)}, which depends on who asks, and is shared with everybody: "
                    f'say per_user="{named[0]}.id" in place of public= or shared=, or take {named[0]} out of the endpoint'
                )
        elif users and not self.per_user and not any(name in self._called() for name in named):
            hint = f'per_user="{named[0]}.id"' if named else 'per_user="{user.id}"'
            said.append(
                f"{path}: it depends on who asks, and its key does not: answers to requests with credentials are not stored. "
                f"Say {hint} if each user has an answer of their own, or shared=True if all who get there have the same"
            )
        if self.public:
            known = set(_in_path(path))
            unknown = sorted({self.names[p[0]] for pieces in self.tags for p in pieces if not isinstance(p, str)} - known)
            if unknown:
                said.append(f"{path}: public, its tags are made of the path alone, which has no {', '.join(unknown)}")
        return said


def _braced(by: str) -> str:
    return by if "{" in by else f"{{{by}}}"


def _in_path(path: str) -> list[str]:
    return [piece.partition("}")[0].partition(":")[0] for piece in path.split("{")[1:]]


def decorate(
    cache: Cache,
    function: Callable[..., Any],
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
) -> Any:
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
    mark = Mark(
        cache,
        function,
        signature,
        ttl=ttl if ttl is not None else expire,
        tags=tags,
        vary_by=vary_by,
        per_user=per_user,
        public=public,
        shared=shared,
        stale=stale,
        statuses=statuses,
        ignore_cookies=ignore_cookies,
        settings=settings,
    )
    is_async = inspect.iscoroutinefunction(function)
    # FastAPI hands the request to one parameter.
    own = next((name for name, hint in _hints(function).items() if inspect.isclass(hint) and issubclass(hint, Request)), None)

    async def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_async:
            return await function(*args, **kwargs)
        return await run_in_threadpool(function, *args, **kwargs)

    async def in_turn(exchange: _exchange.Exchange, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        token = _exchange.word_of(exchange)
        try:
            return await call(args, kwargs)
        finally:
            _exchange.forget(token)

    def stored(start: dict[str, Any], body: bytes) -> Response:
        response = Response.__new__(Response)
        response.status_code, response.body, response.background = start["status"], body, None
        response.raw_headers = start["headers"]
        return response

    @functools.wraps(function)
    async def routed(*args: Any, **kwargs: Any) -> Any:
        request = kwargs.pop(_REQUEST, None) if own is None else kwargs.get(own)
        if not isinstance(request, Request) or cache._is_off or request.scope.get(_exchange.BEFORE) is mark:
            return await call(args, kwargs)
        exchange = _routes.exchange_of(request)
        if exchange is None:
            # The first request of an application that nobody prepared: the next one finds it prepared.
            _routes.install(request.app)
            return await call(args, kwargs)
        if exchange.turn is not None:
            return await in_turn(exchange, args, kwargs)
        if condition is not None and not condition(*args, **kwargs):
            return await call(args, kwargs)
        core = cache._core or await cache._opened_core()
        layer = mark.layer(core, getattr(request.scope.get("route"), "dependant", None))
        looked = layer.look(exchange.scope, mark.name(kwargs))
        if isinstance(looked, tuple):
            return stored(*looked)
        if looked is None:
            return await call(args, kwargs)
        if isinstance(looked, Passing):
            exchange.passing = looked
            return await call(args, kwargs)
        looked.tag(mark.tags_of(kwargs))
        came = await exchange.ask(looked)
        if came is None:
            return await in_turn(exchange, args, kwargs)
        return stored(came[0], came[1] or b"")

    routed.__shelflife_route__ = mark  # type: ignore[attr-defined]
    if own is not None:
        return routed
    parameters = list(signature.parameters.values())
    ours = inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    at = next((i for i, one in enumerate(parameters) if one.kind is inspect.Parameter.VAR_KEYWORD), len(parameters))
    parameters.insert(at, ours)
    routed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return routed
