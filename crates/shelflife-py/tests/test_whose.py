"""Whose answers: whatever a route depends on, two users never get each other's."""

from typing import Annotated, Any

import fastapi.routing
import pytest
from asgi import Counter, ask, bearer, made, run
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPAuthorizationCredentials, HTTPBasic, HTTPBearer
from pydantic import BaseModel
from shelflife import Cache
from shelflife.fastapi import CacheDep, Rule, ShelflifeMiddleware, check, install
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route


def by_key(key: Annotated[str, Depends(APIKeyHeader(name="X-API-Key"))]) -> str:
    return key


def by_bearer(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    return given.credentials


def by_basic(given: Annotated[Any, Depends(HTTPBasic())]) -> str:
    return str(given.username)


def by_cookie(key: Annotated[str, Depends(APIKeyCookie(name="sid"))]) -> str:
    return key


def by_query(key: Annotated[str, Depends(APIKeyQuery(name="key"))]) -> str:
    return key


def by_header(x_user: Annotated[str, Header()]) -> str:
    return x_user


def by_request(request: Request) -> str:
    return request.headers["x-user"]


def below(found: Annotated[str, Depends(by_request)]) -> str:
    return found


class Fields(BaseModel):
    x_user: str


def by_model(fields: Annotated[Fields, Header()]) -> str:
    return fields.x_user


WAYS: list[tuple[Any, Any]] = [
    (by_key, lambda user: ("", {"X-API-Key": user})),
    (by_bearer, lambda user: ("", bearer(user))),
    (by_basic, lambda user: ("", {"Authorization": {"ann": "Basic YW5uOng=", "bob": "Basic Ym9iOng="}[user]})),
    (by_cookie, lambda user: ("", {"Cookie": f"sid={user}"})),
    (by_query, lambda user: (f"?key={user}", {})),
    (by_header, lambda user: ("", {"X-User": user})),
    (by_request, lambda user: ("", {"X-User": user})),
    (below, lambda user: ("", {"X-User": user})),
    (by_model, lambda user: ("", {"X-User": user})),
]


@pytest.mark.parametrize(("way", "headers"), WAYS, ids=lambda way: getattr(way, "__name__", "")[:12])
@pytest.mark.parametrize("how", [{}, {"vary_by": ["lang"]}, {"per_user": "me"}], ids=["unsaid", "vary", "own"])
def test_two_users_have_two_answers(way: Any, headers: Any, how: dict[str, Any]) -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.any().ttl(60))

        def language(me: Annotated[str, Depends(way)]) -> str:
            return "en"

        @app.get("/me")
        @cache.route(ttl=60, **how)
        def me(me: Annotated[str, Depends(way)], lang: Annotated[str, Depends(language)]) -> str:
            ran()
            return me

        install(app)
        for user in ("ann", "bob", "ann", "bob"):
            query, fields = headers(user)
            reply = await ask(app, "/me" + query, headers=fields)
            assert (reply.status, reply.body.decode()) == (200, f'"{user}"')
        if how.get("per_user"):
            assert ran.count == 2 and reply.is_hit

    run(work)


def test_what_comes_of_the_whole_request_is_stored_only_where_it_is_said() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = FastAPI()
        app.state.cache = cache

        @app.get("/unsaid")
        @cache.route(ttl=60)
        def unsaid(request: Request) -> int:
            assert request.headers is not None
            return ran()

        @app.get("/shared")
        @cache.route(ttl=60, shared=True)
        def shared(request: Request) -> int:
            assert request.url is not None
            return ran()

        @app.get("/gated", dependencies=[Depends(by_request)])
        @cache.route(ttl=60)
        def gated(found: CacheDep) -> int:
            return ran()

        class Wanted(BaseModel):
            q: str

        @app.get("/body")
        @cache.route(ttl=60, shared=True)
        def body(wanted: Wanted) -> str:
            return wanted.q

        def pool(request: Request) -> Any:
            return request.app.state.cache

        async def session(connection: HTTPConnection) -> Any:
            yield connection.app.state

        def tenant(request: Request) -> Any:
            return request.app.state, request.state

        @app.get("/pool")
        @cache.route(ttl=60)
        def pooled(request: Request, one: Annotated[Any, Depends(pool)], other: Annotated[Any, Depends(session)]) -> int:
            return ran() if request.app is not None else 0

        @app.get("/tenant")
        @cache.route(ttl=60)
        def by_tenant(tenant: Annotated[Any, Depends(tenant)]) -> int:
            return ran()

        install(app)
        for path, hits in (("/unsaid", False), ("/shared", True), ("/gated", True), ("/pool", True), ("/tenant", False)):
            await ask(app, path, headers={"X-User": "ann"})
            assert (await ask(app, path, headers={"X-User": "ann"})).is_hit is hits
        for q in "ab":
            reply = await ask(app, "/body", headers={"Content-Type": "application/json"}, body=b'{"q":"%s"}' % q.encode())
            assert reply.body == b'"%s"' % q.encode()
        assert [line.split(":")[0] for line in check(app)] == ["/unsaid", "/body", "/tenant"]

    run(work)


def test_dependencies_of_an_inclusion_and_of_another_path_count() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app, router = FastAPI(), APIRouter()

        def tenant(x_tenant: Annotated[str, Header()] = "none") -> None: ...

        @router.get("/x")
        @cache.route(ttl=60)
        async def x(cache: CacheDep) -> str:
            return "x"

        @app.get("/open")
        @app.get("/t", dependencies=[Depends(tenant)])
        @cache.route(ttl=60)
        async def both() -> str:
            return "y"

        app.state.cache = cache
        app.include_router(router, prefix="/in", dependencies=[Depends(tenant)])
        install(app)
        await ask(app, "/open")
        for path in ("/in/x", "/t"):
            await ask(app, path, headers={"X-Tenant": "a"})
            assert not (await ask(app, path, headers={"X-Tenant": "b"})).is_hit
            assert (await ask(app, path, headers={"X-Tenant": "a"})).is_hit

    run(work)


@pytest.mark.parametrize("none", ["user", "user.id"])
def test_without_a_user_nothing_is_looked_up(none: str) -> None:
    class Account(BaseModel):
        id: str

    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = FastAPI()

        def optional(x_user: Annotated[str, Header()] = "") -> Any:
            return (Account(id=x_user) if none == "user.id" else x_user) if x_user else None

        @app.get("/me")
        @cache.route(ttl=60, per_user=none)
        def me(user: Annotated[Any, Depends(optional)]) -> int:
            return ran()

        install(app)
        for _ in range(2):
            assert not (await ask(app, "/me")).is_hit
            await ask(app, "/me", headers={"X-User": "ann"})
        assert (await ask(app, "/me", headers={"X-User": "ann"})).is_hit and ran.count == 3

    run(work)


def guarded(ran: Counter) -> FastAPI:
    app = FastAPI()

    def gate(request: Request) -> None:
        if request.headers.get("x-k") != "good":
            raise HTTPException(403)

    @app.get("/x", dependencies=[Depends(gate)])
    def x() -> int:
        return ran()

    return app


class Checking(APIRoute):
    def get_route_handler(self) -> Any:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Any:
            if request.headers.get("x-k") != "good":
                raise HTTPException(403)
            return await inner(request)

        return handle


def _by_class(ran: Counter) -> FastAPI:
    app = FastAPI()
    app.router.route_class = Checking

    @app.get("/x")
    def x() -> int:
        return ran()

    return app


def _outer(app: Any, path: str) -> Any:
    outer = FastAPI()
    outer.mount(path, app)
    return outer


@pytest.mark.parametrize(
    ("build", "path"),
    [
        (lambda ran: guarded(ran), "/x"),
        (lambda ran: GZipMiddleware(guarded(ran)), "/x"),
        (lambda ran: _outer(guarded(ran), "/s"), "/s/x"),
        (lambda ran: _outer(GZipMiddleware(guarded(ran)), "/s"), "/s/x"),
        (lambda ran: Starlette(routes=[Mount("/s", guarded(ran), middleware=[Middleware(GZipMiddleware)])]), "/s/x"),
        (lambda ran: _outer(_outer(guarded(ran), "/b"), "/a"), "/a/b/x"),
        (_by_class, "/x"),
    ],
)
def test_a_rule_never_answers_before_dependencies_wherever_they_are(build: Any, path: str) -> None:
    async def work() -> None:
        ran = Counter()
        app = ShelflifeMiddleware(build(ran), cache=Cache.memory(), rules=[Rule.any().ttl(60)])
        statuses = [(await ask(app, path, headers={"X-K": key})).status for key in ("good", "good", "bad")]
        assert statuses == [200, 200, 403]

    run(work)


def test_hosts_are_told_apart() -> None:
    async def work() -> None:
        ran = Counter()

        async def free(request: Any) -> Any:
            return PlainTextResponse("free")

        inner = Starlette(routes=[Host("b.test", Starlette(routes=[Route("/x", free)])), Host("a.test", guarded(ran))])
        app = ShelflifeMiddleware(inner, cache=Cache.memory(), rules=[Rule.any().ttl(60)])

        async def status(host: str, key: str) -> int:
            reply = await ask(app, "/x", raw_headers=[(b"host", host.encode()), (b"x-k", key.encode())])
            return reply.status

        assert [await status("b.test", ""), await status("a.test", "good"), await status("a.test", "bad")] == [200, 200, 403]

    run(work)


def test_what_the_middleware_of_a_mounted_application_adds_is_not_stored() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app, sub = FastAPI(), FastAPI()

        @sub.middleware("http")
        async def who(request: Request, go_on: Any) -> Any:
            response = await go_on(request)
            response.headers.append("x-user", request.headers["x-user"])
            return response

        @sub.get("/x")
        @cache.route(ttl=60)
        def x() -> str:
            return "x"

        app.mount("/s", sub)
        install(app)
        for user in ("ann", "bob", "cid"):
            reply = await ask(app, "/s/x", headers={"X-User": user})
            assert reply.get("x-user") == user
        assert reply.is_hit

    run(work)


def test_what_dependencies_write_into_the_response_is_each_requests_own() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache)

        def writes(response: Response, x_id: Annotated[str, Header()] = "0") -> None:
            response.headers["x-request-id"] = str(ran())
            response.set_cookie("seen", str(ran.count))

        @app.get("/a", dependencies=[Depends(writes)])
        @cache.route(ttl=60)
        def a(response: Response) -> str:
            response.headers["x-kept"] = "yes"
            return "a"

        install(app)
        for n in ("1", "2", "3"):
            reply = await ask(app, "/a")
            assert (reply.get("x-request-id"), reply.get("x-kept")) == (n, "yes")
            assert reply.get("set-cookie") == f"seen={n}; Path=/; SameSite=lax"
        assert reply.is_hit

    run(work)


def test_paths_that_were_rewritten_and_schemes_are_told_apart() -> None:
    async def work() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            text = f"{scope['scheme']} {scope['path']}".encode()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]})
            await send({"type": "http.response.body", "body": text})

        served = ShelflifeMiddleware(app, cache=Cache.memory())
        for more in ({"path": "/a/x"}, {"path": "/b/x"}, {"scheme": "https"}, {"path": "/ä%", "raw_path": b"/%C3%A4%25"}):
            for _ in range(2):
                reply = await ask(served, "/x", **more)
                assert reply.body.decode() == f"{more.get('scheme', 'http')} {more.get('path', '/x')}"
            assert reply.is_hit

    run(work)


def test_a_route_that_came_later_is_not_answered_before_its_dependencies() -> None:
    async def work() -> None:
        app, router, ran = FastAPI(), APIRouter(), Counter()
        served = ShelflifeMiddleware(app, cache=Cache.memory(), rules=[Rule.any().ttl(60)])

        @router.get("/first")
        def first() -> int:
            return 1

        app.include_router(router)
        await ask(served, "/first")

        def gate(request: Request) -> None:
            if request.headers.get("x-k") != "good":
                raise HTTPException(403)

        @router.get("/late", dependencies=[Depends(gate)])
        def late() -> int:
            return ran()

        statuses = [(await ask(served, "/late", headers={"X-K": key})).status for key in ("good", "good", "bad")]
        # Before FastAPI kept included routers as they are, what came later was not included.
        assert statuses == ([200, 200, 403] if hasattr(fastapi.routing, "iter_route_contexts") else [404] * 3)

    run(work)


def test_an_application_of_another_kind_has_routes_that_say_nothing() -> None:
    class Foreign:
        __slots__ = ("routes",)

        def __init__(self) -> None:
            self.routes = [object()]

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["app"] = self
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

    async def work() -> None:
        app, cache = Foreign(), Cache.memory()
        served = ShelflifeMiddleware(app, cache=cache, rules=[Rule.any().ttl(60)])
        async with cache.lifespan(app):
            assert (await ask(served, "/x")).status == 200
            assert (await ask(served, "/x", of=app)).is_hit

    run(work)
