"""FastAPI stays as it is under `@cache.route`."""

from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from asgi import Counter, ask, made, run, true
from shelflife import Cache
from shelflife.fastapi import CacheDep, Rule, check, get_cache


def user_of(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    if credentials.credentials == "bad":
        raise HTTPException(401)
    return credentials.credentials


User = Annotated[str, Depends(user_of)]


def build(cache: Cache | None) -> FastAPI:
    """One application, with and without us."""
    app = FastAPI(title="t", version="1")

    def route(**how: Any) -> Any:
        return cache.route(**how) if cache is not None else lambda function: function

    def tenant(x_tenant: Annotated[str, Header()] = "t") -> str:
        return x_tenant

    @app.get("/items/{item_id}", tags=["i"], summary="An item", response_model=dict[str, int], responses={404: {"description": "no"}})
    @route(ttl="5m", tags=["item:{item_id}"])
    async def item(
        item_id: int, user: User, tenant: Annotated[str, Depends(tenant)], background: BackgroundTasks, q: str | None = None
    ) -> dict[str, int]:
        """Reads it."""
        return {"id": item_id}

    @app.get("/plain")
    @route(ttl=1, public=True)
    def plain(request: Request, response: Response) -> list[str]:
        return []

    return app


def test_openapi_is_the_same_byte_for_byte() -> None:
    import json

    assert json.dumps(build(None).openapi()) == json.dumps(build(Cache.memory()).openapi())


def test_background_tasks_run_for_hits_too_and_validation_stays() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app, ran, behind = FastAPI(), Counter(), Counter()

        def later(background: BackgroundTasks) -> None:
            background.add_task(behind)

        @app.get("/x/{item_id}", dependencies=[Depends(later)])
        @cache.route(ttl=60)
        def x(item_id: int) -> int:
            return ran()

        for _ in range(4):
            await ask(app, "/x/1")
        assert behind.count == 4 and ran.count == 2, "the first request prepares the application"
        assert (await ask(app, "/x/one")).status == 422

    run(work)


def test_dependency_overrides_and_direct_calls() -> None:
    async def work() -> None:
        cache, other = Cache.memory(), Cache.memory()
        app = FastAPI()
        app.state.cache = cache

        @app.get("/x")
        async def x(found: CacheDep) -> bool:
            return found is other

        @app.get("/y")
        @cache.route(ttl=60)
        async def y(n: int = 3) -> int:
            return n

        assert (await ask(app, "/x")).body == b"false"
        app.dependency_overrides[get_cache] = lambda: other
        assert (await ask(app, "/x")).body == b"true"
        assert await y() == 3 and await y(n=4) == 4

    run(work)


def test_routes_of_included_routers_and_mounted_applications() -> None:
    from fastapi import APIRouter

    async def work() -> None:
        cache, ran, asked = Cache.memory(), Counter(), Counter()
        app, below, router = made(cache, Rule.any().ttl(60)), FastAPI(), APIRouter(prefix="/r", dependencies=[Depends(asked)])

        @router.get("/x")
        @cache.route(ttl=60)
        def x() -> int:
            return ran()

        @below.get("/x", dependencies=[Depends(asked)])
        @cache.route(ttl=60)
        def y() -> int:
            return ran()

        app.include_router(router, prefix="/v1")
        app.mount("/below", below)
        await ask(app, "/none")
        await ask(app, "/below/x")
        for path in ("/v1/r/x", "/below/x"):
            asked.count = 0
            first, hit = await ask(app, path), await ask(app, path)
            assert hit.is_hit and first.body == hit.body
            assert asked.count == 2, "dependencies run before a hit"

    run(work)


def test_the_check_names_routes_that_depend_on_the_user_and_whose_key_does_not() -> None:
    cache = Cache.memory()
    app = FastAPI()

    @app.get("/unsaid")
    @cache.route(ttl=60)
    def unsaid(user: User) -> str:
        return user

    @app.get("/shared")
    @cache.route(ttl=60, shared=True)
    def shared(user: User) -> str:
        return user

    @app.get("/gated", dependencies=[Depends(user_of)])
    @cache.route(ttl=60, shared=True)
    def gated() -> str:
        return ""

    @app.get("/own")
    @cache.route(ttl=60, per_user="user")
    def own(user: User) -> str:
        return user

    @app.get("/function")
    @cache.cached(ttl=60, key="everybody")
    def function(user: User) -> str:
        return user

    @app.get("/keyed")
    @cache.cached(ttl=60, key="keyed:{user}")
    def keyed(user: User) -> str:
        return user

    said = check(app)
    assert [line.partition(":")[0] for line in said] == ["/unsaid", "/shared", "/function"]
    assert 'per_user="user.id"' in said[0] and "{user.id}" in said[2]


def test_the_lifespan_prepares_the_application_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    from fastapi.testclient import TestClient

    cache, ran = Cache.memory(), Counter()
    app = FastAPI(lifespan=cache.lifespan)

    @app.get("/x")
    @cache.route(ttl=60)
    def x() -> int:
        return ran()

    @app.get("/me")
    @cache.route(ttl=60)
    def me(user: User) -> str:
        return user

    with TestClient(app) as client:
        assert client.get("/x").json() == client.get("/x").json() == 1
    assert "/me: it depends on who asks" in caplog.text
