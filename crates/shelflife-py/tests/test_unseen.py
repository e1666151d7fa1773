"""What a route reads of a request without declaring it: nothing is shared, and `check` says so."""

import functools
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from asgi import Counter, ask, run
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from shelflife import Cache
from shelflife._whose import asks_for_application
from shelflife.fastapi import Rule, ShelflifeMiddleware, check, install
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection
from starlette.routing import Match


def user_of(request: Request) -> str:
    return str(request.headers["x-user"])


def logged(function: Any) -> Any:
    """As rate limiters and loggers are written."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def signed(function: Any) -> Any:
    """The same, with a signature and nothing that leads to what is wrapped."""

    def wrapper(**kwargs: Any) -> Any:
        return function(**kwargs)

    wrapper.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return wrapper


def pool_for(request: Request) -> Any:
    return request.app.state


def with_user(function: Any) -> Any:
    """Takes what it adds from a request that its function does not even read."""

    @functools.wraps(function)
    def wrapper(*args: Any, request: Request, **kwargs: Any) -> Any:
        return function(*args, request=request, **kwargs), user_of(request)

    return wrapper


class Reader:
    def __call__(self, request: Request) -> str:
        return user_of(request)

    def read(self, request: Request) -> str:
        return user_of(request)


class Page:
    def __init__(self, request: Request) -> None:
        self.user = user_of(request)


def page(page: Annotated[Page, Depends()]) -> str:
    return page.user


def generating(request: Request) -> Iterator[str]:
    yield user_of(request)


def of_locals(request: Request) -> str:
    return user_of(next(iter(locals().values())))


def of_closure(request: Request) -> str:
    return (lambda: user_of(request))()


def of_connection(connection: HTTPConnection) -> str:
    return str(connection.headers["x-user"])


def reading(other: str, request: Request) -> str:
    return other + user_of(request)


class OwnScheme(HTTPBearer):
    async def __call__(self, request: Request) -> Any:
        return request.headers["x-user"]


WAYS: dict[str, Any] = {
    "plain": user_of,
    "decorated": logged(user_of),
    "twice": logged(logged(user_of)),
    "signed": signed(user_of),
    "decorated above request.app": with_user(pool_for),
    "partial": functools.partial(reading, ""),
    "object": Reader(),
    "method": Reader().read,
    "class": page,
    "generator": generating,
    "locals": of_locals,
    "closure": of_closure,
    "connection": of_connection,
    "scheme of one's own": OwnScheme(auto_error=False),
}


async def is_never_shared(app: Any, *, header: str = "X-User", path: str = "/me") -> None:
    install(app)
    for user in ("ann", "bob", "ann", "bob"):
        reply = await ask(app, path, headers={header: user})
        assert reply.status == 200 and user in reply.body.decode() and not reply.is_hit, (user, reply.body)
    assert {line.split(":")[0] for line in check(app)} == {path}


@pytest.mark.parametrize("way", WAYS)
def test_a_dependency_that_may_read_the_whole_request(way: str) -> None:
    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()

        @app.get("/me", response_model=None)
        @cache.route(ttl=60)
        def me(found: Annotated[Any, Depends(WAYS[way])]) -> Any:
            return str(found)

        await is_never_shared(app)

    run(work)


@pytest.mark.parametrize("way", ["decorated", "twice", "signed"])
def test_an_endpoint_that_is_decorated(way: str) -> None:
    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()
        app.get("/me")(cache.route(ttl=60)(WAYS[way]))
        await is_never_shared(app)

    run(work)


def _by_name(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return [user_of(kwargs["request"]), await function(*args, **kwargs)]

    return wrapper


def _by_type(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        request = next(one for one in kwargs.values() if isinstance(one, Request))
        return [user_of(request), await function(*args, **kwargs)]

    return wrapper


@pytest.mark.parametrize("above", [_by_name, _by_type])
def test_a_decorator_above_the_routes_own(above: Any) -> None:
    """It is handed the request, for the endpoint's sake or for ours."""

    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()

        if above is _by_name:

            @cache.route(ttl=60)
            def me(request: Request) -> Any:
                return request.app.title
        else:

            @cache.route(ttl=60)
            def me() -> Any:
                return "x"

        app.get("/me", response_model=None)(above(me))
        await is_never_shared(app)

    run(work)


def test_a_session_may_be_that_of_a_tenant() -> None:
    """Its type is left out of the keys of functions: that says nothing about where it comes from."""

    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()

        def session(request: Request) -> Iterator[Session]:
            with Session(info={"tenant": request.headers["x-tenant"]}) as made:
                yield made

        @app.get("/me")
        @cache.route(ttl=60)
        def me(db: Annotated[Session, Depends(session)]) -> str:
            return str(db.info["tenant"])

        await is_never_shared(app, header="X-Tenant")

    run(work)


def test_a_text_that_is_called_like_the_request_is_not_the_request() -> None:
    def last(request: Request) -> Any:
        if request.app.state.request is None:
            raise LookupError("request")
        return "request"

    def handed_on(request: Request, other: Any) -> Any:
        return other("request", request)

    assert asks_for_application(last, "request")
    assert not asks_for_application(handed_on, "request")


def test_a_session_that_is_the_applications_or_by_a_declared_header_is_stored() -> None:
    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()

        def common(request: Request) -> Session:
            return Session(info={"of": request.app.title})

        def by_header(x_tenant: Annotated[str, Header()]) -> Session:
            return Session(info={"tenant": x_tenant})

        @app.get("/common")
        @cache.route(ttl=60)
        def common_one(db: Annotated[Session, Depends(common)]) -> str:
            return "x"

        @app.get("/tenant")
        @cache.route(ttl=60)
        def tenant_one(db: Annotated[Session, Depends(by_header)]) -> str:
            return str(db.info["tenant"])

        install(app)
        assert check(app) == []
        for tenant in "aabb":
            reply = await ask(app, "/tenant", headers={"X-Tenant": tenant})
            assert reply.body == f'"{tenant}"'.encode()
        assert reply.is_hit
        await ask(app, "/common")
        assert (await ask(app, "/common", headers={"X-Tenant": "b"})).is_hit

    run(work)


@pytest.mark.parametrize("when", ["before", "later"])
def test_what_is_put_in_place_of_a_dependency_is_what_counts(when: str) -> None:
    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()

        def port() -> str:
            return "nobody"

        def below(found: Annotated[str, Depends(port)]) -> str:
            return found

        @app.get("/me")
        @cache.route(ttl=60)
        def me(found: Annotated[str, Depends(below)]) -> str:
            return found

        install(app)
        if when == "later":
            assert check(app) == []
            await ask(app, "/me")
            assert (await ask(app, "/me")).is_hit
        app.dependency_overrides[port] = user_of
        await is_never_shared(app)

        def by_header(x_user: Annotated[str, Header()]) -> str:
            return x_user

        app.dependency_overrides[port] = by_header
        assert check(app) == []
        for user in ("ann", "bob", "ann", "bob"):
            reply = await ask(app, "/me", headers={"X-User": user})
            assert reply.body == f'"{user}"'.encode()
        assert reply.is_hit

    run(work)


# Routes whose class chooses its requests itself


def versioned(version: str) -> type[APIRoute]:
    class Versioned(APIRoute):
        def matches(self, scope: Any) -> Any:
            match, child = super().matches(scope)
            wanted = dict(scope["headers"]).get(b"accept", b"")
            return (match, child) if wanted == version.encode() else (Match.NONE, {})

    return Versioned


async def versions(app: Any, times: int = 2) -> list[bool]:
    """Asks for both, in turns; whether each came from what is stored."""
    hits = []
    for _ in range(times):
        for version in ("v1", "v2"):
            reply = await ask(app, "/x", headers={"Accept": version})
            assert json.loads(reply.body) == version, reply.body
            hits.append(reply.is_hit)
    return hits


def add(router: Any, version: str, function: Callable[..., Any]) -> None:
    router.add_api_route("/x", function, route_class_override=versioned(version))


@pytest.mark.parametrize(
    ("how", "stored"), [({}, False), ({"shared": True}, True), ({"public": True}, True), ({"vary_by": ["header:accept"]}, True)]
)
def test_a_class_that_chooses_by_a_header_gets_its_own_answers(how: dict[str, Any], stored: bool) -> None:
    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()

        @cache.route(ttl=60, **how)
        def one() -> str:
            return "v1"

        @cache.route(ttl=60, **how)
        def two() -> str:
            return "v2"

        add(app.router, "v1", one)
        add(app.router, "v2", two)
        app.add_middleware(ShelflifeMiddleware, cache=cache)
        install(app)
        assert await versions(app) == [False, False, stored, stored]
        assert len(check(app)) == (0 if stored else 2)

    run(work)


def test_who_stands_behind_such_a_class_of_an_included_router_is_told() -> None:
    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()
        chosen, plain = APIRouter(), APIRouter()

        @cache.route(ttl=60, public=True)
        def behind() -> str:
            return "y"

        add(chosen, "v1", lambda: "v1")
        plain.add_api_route("/y", behind)
        app.include_router(chosen)
        app.include_router(plain)
        install(app)
        hits = [(await ask(app, "/y")).is_hit for _ in range(2)]
        # It depends on FastAPI's version whether what is included can be followed.
        assert check(app) == [] if hits == [False, True] else "stands behind /x" in check(app)[0]

    run(work)


def test_a_path_that_such_a_class_fills_from_a_header_is_not_shared() -> None:
    class Filled(APIRoute):
        def matches(self, scope: Any) -> Any:
            match, child = super().matches(scope)
            child.get("path_params", {})["version"] = dict(scope["headers"]).get(b"accept", b"").decode()
            return match, child

    async def work() -> None:
        app, cache = FastAPI(), Cache.memory()

        @cache.route(ttl=60)
        def filled(version: str) -> str:
            return version

        app.router.add_api_route("/x/{version}", filled, route_class_override=Filled)
        install(app)
        for version in ("v1", "v2"):
            assert (await ask(app, "/x/latest", headers={"Accept": version})).body == f'"{version}"'.encode()
        assert len(check(app)) == 1

    run(work)


@pytest.mark.parametrize("mounted", [False, True])
def test_a_rule_leaves_such_a_class_alone(mounted: bool) -> None:
    async def work() -> None:
        inner, ran = FastAPI(), Counter()
        add(inner.router, "v1", lambda: "v1" if ran() else "")
        add(inner.router, "v2", lambda: "v2" if ran() else "")

        @inner.get("/x")
        def neither() -> str:
            return "neither"

        @inner.get("/y")
        def open_to_all() -> int:
            return ran()

        app: Any = FastAPI() if mounted else inner
        if mounted:
            app.mount("", inner)
        served = ShelflifeMiddleware(app, cache=Cache.memory(), rules=[Rule.any().ttl(60)])
        assert await versions(served) == [False] * 4 and ran.count == 4
        await ask(served, "/y")
        assert (await ask(served, "/y")).is_hit

    run(work)


def test_such_a_class_in_an_included_router_is_never_stored_and_never_mistaken() -> None:
    async def work() -> None:
        app, router, cache = FastAPI(), APIRouter(), Cache.memory()

        @cache.route(ttl=60, shared=True)
        def one() -> str:
            return "v1"

        @cache.route(ttl=60, shared=True)
        def two() -> str:
            return "v2"

        add(router, "v1", one)
        add(router, "v2", two)
        app.include_router(router)
        served = ShelflifeMiddleware(app, cache=cache, rules=[Rule.any().ttl(60)])
        install(app)
        hits = await versions(served)
        # Before FastAPI kept included routers as they are, these were routes of the application itself.
        assert hits == ([False] * 4 if check(app) else [False, False, True, True])
        assert len(check(app)) in (0, 2)

    run(work)
