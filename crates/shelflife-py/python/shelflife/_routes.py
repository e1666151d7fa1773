"""What an application routes where, as far as a cache has to know it: which routes have dependencies, and which are ours.

Asked of the application's own routes, in their order, by what Starlette and FastAPI publish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _whose
from ._exchange import KEY, App, Exchange, Receive, Scope, Send

if TYPE_CHECKING:
    from ._route import Mark

#: How many paths are remembered.
_MOST = 4096
#: How many applications may stand in front of one another.
_DEEP = 64


class Found:
    """What is behind a request."""

    __slots__ = ("_in_place", "_overrides", "_provider", "_route", "declared", "is_choosy", "is_guarded", "mark")

    def __init__(self, mark: Mark | None, declared: Any, is_guarded: bool, route: Any = None, *, is_choosy: bool = False) -> None:
        self._route = route
        provider = getattr(route, "dependency_overrides_provider", None)
        self._provider = provider if hasattr(provider, "dependency_overrides") else None
        #: Of `@cache.route`.
        self.mark = mark
        #: What it depends on, as it was declared.
        self.declared = declared
        #: Whether something has to run before an answer may go out, or is part of it.
        self.is_guarded = is_guarded
        #: Whether the class of the route chooses its requests itself, by whatever is in them.
        self.is_choosy = is_choosy
        self._overrides: dict[Any, Any] = {}
        self._in_place = declared

    @property
    def dependant(self) -> Any:
        """What it depends on now: an application may have put something in place of a dependency (`dependency_overrides`)."""
        provider = self._provider
        # Asked at each hit: nothing is compared unless there are some, or were.
        if provider is None or not (provider.dependency_overrides or self._overrides):
            return self._in_place
        overrides = _overrides_of(provider)
        if overrides != self._overrides:
            self._overrides = dict(overrides)
            self._in_place = _whose.in_place(self.declared, overrides)
        return self._in_place

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
        self._by_host = any(_any_below(route, lambda one: hasattr(one, "host_regex")) for route, _ in self.routes)
        #: A path says nothing where a route's class looks at more of a request than Starlette's do.
        self._by_all = any(_any_below(route, _is_choosy) for route, _ in self.routes)
        self._found: dict[tuple[str, ...], Found] = {}

    def find(self, scope: Scope) -> Found:
        """What is behind a request: searched once for each path, where that decides."""
        if scope["method"] == "HEAD":
            # What GET has is what it asks for.
            scope = {**scope, "method": "GET"}
        if self._by_all:
            return _search(self, scope)
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
        if _is_choosy(route) and not _chooses_here(route):
            return _HIDDEN
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
        is_guarded = mark is not None or _depends(dependant) or _handles_by_itself(route) or _is_choosy(route)
        return Found(mark, dependant, is_guarded, route, is_choosy=_is_choosy(route))
    if getattr(route, "endpoint", None) is not None:
        return Found(mark, None, mark is not None or _is_choosy(route))
    below = getattr(route, "app", None)
    return _OPEN if type(below).__module__.startswith("starlette.staticfiles") else None


def _depends(dependant: Any) -> bool:
    return bool(dependant.dependencies or dependant.header_params or dependant.cookie_params or dependant.body_params)


def _handles_by_itself(route: Any) -> bool:
    """Whether a class of routes of the application's own does something around its endpoints."""
    from fastapi.routing import APIRoute

    kind = type(getattr(route, "original_route", route))
    return getattr(kind, "get_route_handler", None) is not APIRoute.get_route_handler


def _is_choosy(route: Any) -> bool:
    """Whether a class of routes of the application's own decides which requests are for it."""
    matches = getattr(type(getattr(route, "original_route", route)), "matches", None)
    return matches is not None and str(getattr(matches, "__module__", "")).partition(".")[0] not in ("starlette", "fastapi")


def _chooses_here(route: Any) -> bool:
    """Whether `matches` of what stands for a route is that of its class. FastAPI asks the class of an included one with what only it can put
    into the scope.
    """
    return getattr(route, "_route_context", None) is None


def _overrides_of(provider: Any) -> dict[Any, Any]:
    """What FastAPI puts in place of dependencies, by who a route says knows it."""
    return getattr(provider, "dependency_overrides", None) or {}


def _any_below(route: Any, holds: Callable[[Any], bool], depth: int = 0) -> bool:
    if holds(route):
        return True
    below = seen_through(getattr(route, "app", None)) if getattr(route, "endpoint", None) is None else None
    return below is not None and depth < _DEEP and any(_any_below(one, holds, depth + 1) for one in routes_of(below))


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
    return _whose.mark_of(getattr(route, "endpoint", None))


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
    hidden_behind: str | None = None
    for route in routes_of(app):
        hides, behind = _is_choosy(route) and not _chooses_here(route), hidden_behind
        if hides and hidden_behind is None:
            hidden_behind = route.path
        declared = getattr(route, "dependant", None)
        if declared is None:
            continue
        dependant = _whose.in_place(declared, _overrides_of(getattr(route, "dependency_overrides_provider", None)))
        mark = mark_of(route)
        if mark is not None and hides:
            said.append(
                f"{route.path}: the class of its route chooses its requests itself, which can't be followed into an included router: "
                "it is never stored. Add it to the application itself"
            )
        elif mark is not None and behind is not None:
            said.append(
                f"{route.path}: it stands behind {behind} of an included router, whose class chooses its requests itself, which can't be "
                "followed: it is never stored. Include that router last"
            )
        elif mark is not None:
            said += mark.check(route.path, dependant, is_choosy=_is_choosy(route))
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
        if below.name is not None and _whose.knows_user(below) and below.name not in plan.in_key
    ]
    return [
        f"{route.path}: it depends on {name}, which depends on who asks, and its key does not: users get each other's answers. "
        f'Put it into the key: key="...:{{{name}.id}}"'
        for name in missing
    ]
