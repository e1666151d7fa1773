"""What an application routes where, as far as a cache has to know it: which routes have dependencies, which are ours.

Asked of the application's own routes, in their order, by what Starlette and FastAPI publish; what is unknown is an application without
dependencies, as a mounted one of another framework is.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._exchange import KEY, App, Exchange, Receive, Scope, Send

if TYPE_CHECKING:
    from ._route import Mark

#: How many paths are remembered.
_MOST = 4096


class Found:
    """What is behind a request."""

    __slots__ = ("dependant", "is_guarded", "is_public", "mark", "path_params")

    def __init__(self, mark: Mark | None, dependant: Any, path_params: dict[str, Any]) -> None:
        #: Of `@cache.route`.
        self.mark = mark
        self.dependant, self.path_params = dependant, path_params
        self.is_public = mark is not None and mark.public
        #: Whether something has to run before an answer may go out, or is part of it.
        self.is_guarded = mark is not None or _depends(dependant)



def _depends(dependant: Any) -> bool:
    return dependant is not None and bool(dependant.dependencies or dependant.header_params or dependant.cookie_params)


_UNKNOWN = Found(None, None, {})


class _Table:
    """The routes of an application, and what was found by path."""

    def __init__(self, app: Any) -> None:
        self.count = len(app.routes)
        self.routes = list(routes_of(app))
        self.found: dict[tuple[str, str], Found] = {}


_tables: weakref.WeakKeyDictionary[Any, _Table] = weakref.WeakKeyDictionary()


def find(scope: Scope) -> Found:
    """What is behind a request, for who stands in front of the application."""
    app = scope.get("app")
    if app is None or getattr(app, "routes", None) is None:
        return _UNKNOWN
    table = _tables.get(app)
    if table is None or table.count != len(app.routes):
        table = _tables[app] = _Table(app)
        if any(mark_of(route) is not None for route in table.routes):
            install(app)
    name = (scope["method"], scope["path"])
    found = table.found.get(name)
    if found is None:
        if len(table.found) >= _MOST:
            table.found.clear()
        found = table.found[name] = _search(table.routes, scope)
    return found


def _search(routes: list[Any], scope: Scope) -> Found:
    for route in routes:
        matched, child = route.matches(dict(scope))
        if matched.name != "FULL":
            continue
        mounted = getattr(route, "app", None)
        if mounted is not None and getattr(mounted, "routes", None) is not None and getattr(route, "endpoint", None) is None:
            return _search(list(routes_of(mounted)), {**scope, **child})
        return Found(mark_of(route), getattr(route, "dependant", None), dict(child.get("path_params", {})))
    return _UNKNOWN


def routes_of(app: Any) -> Iterator[Any]:
    """The routes of an application in their order, those of included routers among them."""
    try:
        from fastapi.routing import iter_route_contexts
    except ImportError:
        # Before FastAPI kept included routers as they are, these were routes of the application itself.
        yield from app.routes
    else:
        yield from iter_route_contexts(app.routes)


def mark_of(route: Any) -> Mark | None:
    """What `@cache.route` left on an endpoint."""
    mark: Mark | None = getattr(getattr(route, "endpoint", None), "__shelflife_route__", None)
    return mark


def tree(dependant: Any) -> Iterator[Any]:
    """A dependant and all that it depends on."""
    yield dependant
    for below in dependant.dependencies:
        yield from tree(below)


def knows_user(dependant: Any) -> bool:
    """Whether a dependency asks who makes the request, as far as can be seen: by a security scheme, or `Authorization`."""
    return any(
        _is_security(below.call) or any(field.alias.lower() == "authorization" for field in below.header_params)
        for below in tree(dependant)
    )


def _is_security(call: Any) -> bool:
    return any(kind.__module__.startswith("fastapi.security") for kind in type(call).__mro__)


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
    """Lets the routes of an application find their exchange. Once is enough."""
    router = getattr(app, "router", app)
    stack = getattr(router, "middleware_stack", None)
    if stack is None:
        raise TypeError(f"@cache.route needs the router of FastAPI or Starlette; {type(app).__name__} has none")
    if not isinstance(stack, Within):
        router.middleware_stack = Within(stack)


def exchange_of(request: Any) -> Exchange | None:
    """The exchange that an endpoint's request is a part of."""
    exchange: Exchange | None = request.scope.get(KEY)
    return exchange


def check(app: Any) -> list[str]:
    """See `shelflife.fastapi.check`."""
    said: list[str] = []
    for route in routes_of(app):
        mounted = getattr(route, "app", None)
        if getattr(route, "endpoint", None) is None and getattr(mounted, "routes", None) is not None:
            said += check(mounted)
            continue
        dependant = getattr(route, "dependant", None)
        if dependant is None:
            continue
        mark = mark_of(route)
        if mark is not None:
            said += mark.check(route.path, dependant)
        said += _check_function(route, dependant)
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
