"""What an application routes where, as far as a cache has to know it: which routes have dependencies, which are ours, what tells their
answers apart.

Asked of the application's own routes, in their order, by what Starlette and FastAPI publish.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import _keys
from ._exchange import KEY, App, Exchange, Receive, Scope, Send

if TYPE_CHECKING:
    from ._route import Mark

#: How many paths are remembered.
_MOST = 4096
#: How many applications may stand in front of one another.
_DEEP = 64


class Found:
    """What is behind a request."""

    __slots__ = ("_route", "dependant", "is_guarded", "mark")

    def __init__(self, mark: Mark | None, dependant: Any, is_guarded: bool, route: Any = None) -> None:
        self._route = route
        #: Of `@cache.route`.
        self.mark = mark
        self.dependant = dependant
        #: Whether something has to run before an answer may go out, or is part of it.
        self.is_guarded = is_guarded

    def path_params(self, scope: Scope) -> dict[str, Any]:
        """What the route's path takes of a request; nothing where that takes more than the route to know."""
        _, child = self._route.matches(dict(scope))
        return dict(child.get("path_params", ()))


#: An application that is not of FastAPI or Starlette: no dependencies.
_OPEN = Found(None, None, False)
#: One that is, or may be, but can't be seen through; and what no route was known for when it was looked for: one may have been added to an
#: included router since.
_HIDDEN = Found(None, None, True)


class _Table:
    """The routes of an application, and what was found by path."""

    def __init__(self, app: Any) -> None:
        self.count = len(app.routes)
        self.routes = [(route, _found(route)) for route in routes_of(app)]
        self._by_host = any(_is_of_hosts(route) for route, _ in self.routes)
        self._found: dict[tuple[str, ...], Found] = {}

    def find(self, scope: Scope) -> Found:
        """What is behind a request: searched once for each path."""
        if scope["method"] == "HEAD":
            # What GET has is what it asks for.
            scope = {**scope, "method": "GET"}
        name: tuple[str, ...] = (scope["method"], scope["path"], scope.get("root_path", ""))
        if self._by_host:
            name += tuple(str(value) for field, value in scope["headers"] if field == b"host")
        found = self._found.get(name)
        if found is None:
            if len(self._found) >= _MOST:
                self._found.clear()
            found = self._found[name] = _search(self, scope)
        return found


def table_of(app: Any) -> _Table:
    """The routes of an application, or router, that has some."""
    table: _Table | None = vars(app).get("_shelflife_table")
    if table is None or table.count != len(app.routes):
        table = app._shelflife_table = _Table(app)
        if any(mark_of(route) is not None for route, _ in table.routes):
            _stand_within(app)
    return table


def find(scope: Scope, front: Any) -> Found:
    """What is behind a request, for who stands in front of `front`."""
    app = seen_through(front)
    if app is None:
        app = seen_through(scope.get("app"))
    return _OPEN if app is None else table_of(app).find(scope)


def _search(table: _Table, scope: Scope) -> Found:
    for route, found in table.routes:
        matches = getattr(route, "matches", None)
        if matches is None:
            continue
        matched, child = matches(dict(scope))
        if matched.name != "FULL":
            continue
        if found is not None:
            return found
        below = seen_through(getattr(route, "app", None))
        if below is None:
            return _HIDDEN
        return _search(table_of(below), {**scope, **child})
    return _HIDDEN


def _found(route: Any) -> Found | None:
    """What is known of a route; None for what has routes of its own."""
    mark, dependant = mark_of(route), getattr(route, "dependant", None)
    if dependant is not None:
        return Found(mark, dependant, mark is not None or _depends(dependant) or _handles_by_itself(route), route)
    if getattr(route, "endpoint", None) is not None:
        return Found(mark, None, mark is not None)
    below = getattr(route, "app", None)
    return _OPEN if type(below).__module__.startswith("starlette.staticfiles") else None


def _depends(dependant: Any) -> bool:
    return bool(dependant.dependencies or dependant.header_params or dependant.cookie_params or dependant.body_params)


def _handles_by_itself(route: Any) -> bool:
    """Whether a class of routes of the application's own does something around its endpoints."""
    from fastapi.routing import APIRoute

    kind = type(getattr(route, "original_route", route))
    return getattr(kind, "get_route_handler", None) is not APIRoute.get_route_handler


def _is_of_hosts(route: Any, depth: int = 0) -> bool:
    if hasattr(route, "host_regex"):
        return True
    below = seen_through(getattr(route, "app", None)) if getattr(route, "endpoint", None) is None else None
    return below is not None and depth < _DEEP and any(_is_of_hosts(one, depth + 1) for one in below.routes)


def seen_through(app: Any) -> Any:
    """The application with routes that stands behind middlewares, as far as they say what is behind them."""
    for _ in range(_DEEP):
        routed = isinstance(getattr(app, "routes", None), list) and hasattr(app, "url_path_for")
        if app is None or routed:
            return app
        app = getattr(app, "app", None)
    return None


def routes_of(app: Any) -> Iterator[Any]:
    """The routes of an application in their order, those of included routers among them."""
    try:
        from fastapi.routing import iter_route_contexts
    except ImportError:
        # Before FastAPI kept included routers as they are, these were routes of the application itself.
        yield from app.routes
    else:
        yield from iter_route_contexts(app.routes)


def mounted(app: Any) -> Iterator[tuple[Any, Any]]:
    """The applications below, each with its route."""
    for route in routes_of(app):
        if getattr(route, "endpoint", None) is None:
            below = seen_through(getattr(route, "app", None))
            if below is not None:
                yield route, below


def mark_of(route: Any) -> Mark | None:
    """What `@cache.route` left on the endpoint of a route."""
    return mark_of_call(getattr(route, "endpoint", None))


def mark_of_call(endpoint: Any) -> Mark | None:
    """The same, of the endpoint itself."""
    mark: Mark | None = getattr(endpoint, "__shelflife_route__", None)
    return mark


# What tells answers apart


def tree(dependant: Any) -> Iterator[Any]:
    """A dependant and all that it depends on."""
    yield dependant
    for below in dependant.dependencies:
        yield from tree(below)


def read_of_request(dependant: Any) -> list[str]:
    """What a route declares to read of a request's head, as `vary_by` says it."""
    read: list[str] = []
    for below in tree(dependant):
        read += [f"header:{name}" for field in below.header_params for name in _names(field, "-")]
        read += [f"cookie:{name}" for field in below.cookie_params for name in _names(field, "_")]
        scheme: Any = getattr(below.call, "model", None) if _is_security(below.call) else None
        if getattr(getattr(scheme, "in_", None), "value", None) == "header":
            read.append(f"header:{scheme.name}")
    return list(dict.fromkeys(read))


def _names(field: Any, joint: str) -> list[str]:
    """Of a parameter, or of the fields of a model of parameters."""
    model = getattr(field.field_info.annotation, "model_fields", None)
    if model is None:
        return [field.alias]
    return [one.alias or name.replace("_", joint) for name, one in model.items()]


def knows_user(dependant: Any) -> bool:
    """Whether a dependency asks who makes the request, as far as can be seen: by a security scheme, or `Authorization`."""
    return any(_is_security(below.call) for below in tree(dependant)) or "header:authorization" in map(
        str.lower, read_of_request(dependant)
    )


def _is_security(call: Any) -> bool:
    return any(kind.__module__.startswith("fastapi.security") for kind in type(call).__mro__)


def unseen(dependant: Any) -> list[str]:
    """What an answer may be made of without its route saying so: the parameters of the endpoint that come of the whole request, and what is
    read of its content.
    """
    from .fastapi import get_cache

    own = getattr(mark_of_call(dependant.call), "function", dependant.call)
    said = [name for name in _whole(dependant) if name != "shelflife_request" and not _asks_for_application(own, name)]
    hints = inspect.signature(dependant.call).parameters if dependant.call is not None else {}
    for below in dependant.dependencies:
        if below.name is None or below.call is get_cache:
            continue
        kind = hints[below.name].annotation if below.name in hints else None
        if kind is not None and _keys.is_left_out(kind):
            continue
        deep = [one for one in tree(below) if not _is_security(one.call)]
        if any(not _asks_for_application(one.call, name) for one in deep for name in _whole(one)):
            said.append(below.name)
    if any(below.body_params for below in tree(dependant)):
        said.append("its body")
    return said


def _whole(dependant: Any) -> list[str]:
    """Its parameters that are the whole request."""
    return [name for name in (dependant.request_param_name, dependant.http_connection_param_name) if name is not None]


def _asks_for_application(call: Any, request: str) -> bool:
    """Whether all that a function asks of its request is `request.app`, as one does that fetches a pool or a session: then its result does
    not depend on who asks. What can't be seen does.
    """
    if not inspect.isfunction(call):
        return False
    code = [one for one in dis.get_instructions(call) if one.opname not in ("CACHE", "EXTENDED_ARG")]
    for at, one in enumerate(code):
        if one.argval == request or (isinstance(one.argval, tuple) and request in one.argval):
            after = code[at + 1]
            if not (one.opname.startswith("LOAD_FAST") and one.argval == request and after.opname == "LOAD_ATTR" and after.argval == "app"):
                return False
    return True


# The entrance of an application


class Within:
    """Stands at the entrance of an application's router, and keeps hold of the exchange for its routes: what an endpoint has made of a
    response is seen only where it goes out.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            await Exchange(self.app, scope, receive, send, within=True).run()
        else:
            await self.app(scope, receive, send)


def install(app: Any) -> None:
    """Lets the routes of an application, and of those mounted in it, find their exchange. Once is enough."""
    _stand_within(app)
    for _, below in mounted(app):
        install(below)


def _stand_within(app: Any) -> None:
    router = getattr(app, "router", app)
    stack = getattr(router, "middleware_stack", None)
    if stack is None:
        raise TypeError(f"@cache.route needs the router of FastAPI or Starlette; {type(app).__name__} has none")
    if not isinstance(stack, Within):
        router.middleware_stack = Within(stack)


def exchange_of(request: Any) -> Exchange | None:
    """The exchange that an endpoint's request is a part of: of its own application, not of one that this is mounted in, whose middleware
    is yet to see the response.
    """
    exchange: Exchange | None = request.scope.get(KEY)
    if exchange is None or exchange.scope.get("app") is not request.scope.get("app"):
        return None
    return exchange


# What is not as it should be


def check(app: Any) -> list[str]:
    """See `shelflife.fastapi.check`."""
    said: list[str] = []
    for route in routes_of(app):
        dependant = getattr(route, "dependant", None)
        if dependant is None:
            continue
        mark = mark_of(route)
        if mark is not None:
            said += mark.check(route.path, dependant)
        said += _check_function(route, dependant)
    for _, below in mounted(app):
        said += check(below)
    return said


def _check_function(route: Any, dependant: Any) -> list[str]:
    """Of an endpoint under `@cache.cached`: its key has to name whoever its result depends on."""
    plan = getattr(route.endpoint, "__shelflife_plan__", None)
    if plan is None or plan.key_builder is not None:
        return []
    missing = [
        below.name
        for below in dependant.dependencies
        if below.name is not None and knows_user(below) and below.name not in plan.in_key
    ]
    return [
        f"{route.path}: it depends on {name}, which depends on who asks, and its key does not: users get each other's answers. "
        f'Put it into the key: key="...:{{{name}.id}}"'
        for name in missing
    ]
