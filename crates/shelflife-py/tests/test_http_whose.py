"""Whose answers the middleware and routes give to whom."""

from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from asgi import Counter, aged, ask, bearer, counting, made, run, until
from shelflife import Cache
from shelflife.fastapi import Rule, install


def user_of(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    if credentials.credentials == "bad":
        raise HTTPException(401)
    return credentials.credentials


User = Annotated[str, Depends(user_of)]


def test_answers_to_credentials_are_not_shared() -> None:
    async def work() -> None:
        app = made(Cache.memory(), Rule.any().ttl(60))

        @app.get("/x")
        def x(request: Request) -> str:
            return request.headers.get("authorization", "") + request.headers.get("cookie", "")

        for headers in (bearer("a"), bearer("b"), {"Cookie": "sid=1"}, {"Cookie": "sid=2"}):
            reply = await ask(app, "/x", headers=headers)
            assert reply.body.decode().strip('"') == "".join(headers.values())

    run(work)


def test_authentication_runs_before_a_hit_of_a_route() -> None:
    async def work() -> None:
        cache, ran, asked = Cache.memory(), Counter(), Counter()
        app = made(cache, Rule.any().ttl(60))

        def gate(key: Annotated[str, Header(alias="x-api-key")]) -> None:
            asked()
            if key != "good":
                raise HTTPException(403)

        @app.get("/x", dependencies=[Depends(gate)])
        @cache.route(ttl=60)
        def x() -> int:
            return ran()

        assert (await ask(app, "/x", headers={"X-Api-Key": "good"})).body == b"1"
        hit = await ask(app, "/x", headers={"X-Api-Key": "good"})
        assert hit.is_hit and hit.body == b"1"
        assert (await ask(app, "/x", headers={"X-Api-Key": "bad"})).status == 403
        assert (await ask(app, "/x")).status == 422
        assert asked.count == 3 and ran.count == 1

    run(work)


def test_a_rule_does_not_answer_before_the_dependencies_of_a_route() -> None:
    async def work() -> None:
        ran = Counter()
        app = made(Cache.memory(), Rule.any().ttl(60))

        def gate(request: Request) -> None:
            if request.headers.get("x-token") != "good":
                raise HTTPException(403)

        @app.get("/x", dependencies=[Depends(gate)])
        def x(response: Response) -> int:
            response.headers["cache-control"] = "max-age=60"
            return ran()

        for _ in range(2):
            assert (await ask(app, "/x", headers={"X-Token": "good"})).status == 200
        assert (await ask(app, "/x")).status == 403
        assert ran.count == 2, "it is not looked up either"

    run(work)


def test_a_public_rule_does() -> None:
    async def work() -> None:
        ran, asked = Counter(), Counter()
        app = made(Cache.memory(), Rule.path("/x").ttl(60).public(), Rule.any().ttl(60))

        @app.get("/x", dependencies=[Depends(asked)])
        def x() -> int:
            return ran()

        @app.get("/y", dependencies=[Depends(asked)])
        def y() -> int:
            return ran()

        assert [(await ask(app, "/x", headers=bearer(u))).body for u in "abc"] == [b"1"] * 3
        assert asked.count == 1
        assert [(await ask(app, "/y")).body for _ in range(2)] == [b"2", b"3"]

    run(work)


def test_a_public_route_is_answered_before_routing_and_named_by_its_path() -> None:
    async def work() -> None:
        cache, ran, asked = Cache.memory(), Counter(), Counter()
        app = made(cache)

        @app.get("/x/{item_id}", dependencies=[Depends(asked)])
        @cache.route(ttl=60, tags=["item:{item_id}"], public=True)
        async def x(item_id: int) -> int:
            return ran()

        for token in "ab":
            assert (await ask(app, "/x/1", headers=bearer(token))).body == b"1"
        assert (await ask(app, "/x/2")).body == b"2" and asked.count == 2
        await cache.invalidate(tags=["item:1"])
        assert (await ask(app, "/x/1")).body == b"3" and (await ask(app, "/x/2")).is_hit

    run(work)


def test_a_route_keeps_no_answer_to_credentials_unless_it_says_whose() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app, ran = FastAPI(), Counter()

        @app.get("/me")
        @cache.route(ttl=60)
        def me(user: User) -> str:
            return f"{user} {ran()}"

        for token in ("ann", "bob", "ann"):
            assert token in (await ask(app, "/me", headers=bearer(token))).body.decode()
        assert ran.count == 3
        assert "fwd=bypass" in (await ask(app, "/me", headers=bearer("ann"))).said or ran.count == 4

    run(work)


def test_users_have_answers_of_their_own() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app, ran = FastAPI(), Counter()
        cache_of = cache.route(ttl=60, per_user="user", tags=["user:{user}"])

        @app.get("/me")
        @cache_of
        def me(user: User) -> str:
            ran()
            return user

        await ask(app, "/me", headers=bearer("first"))
        for _ in range(2):
            for token in ("ann", "bob", "an:n", "%_"):
                reply = await ask(app, "/me", headers=bearer(token))
                assert reply.body.decode() == f'"{token}"'
        assert reply.is_hit and ran.count == 5
        assert (await ask(app, "/me", headers=bearer("bad"))).status == 401
        await cache.invalidate(tags=["user:ann"])
        assert not (await ask(app, "/me", headers=bearer("ann"))).is_hit
        assert (await ask(app, "/me", headers=bearer("bob"))).is_hit

    run(work)


def test_varying_by_something_else_tells_no_users_apart() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = FastAPI()

        def language(request: Request) -> str:
            return request.headers.get("accept-language", "en")

        @app.get("/x")
        @cache.route(ttl=60, vary_by=["lang", "header:accept-language"])
        def x(request: Request, lang: Annotated[str, Depends(language)]) -> str:
            return f"{lang} {request.headers.get('authorization')} {ran()}"

        install(app)
        await ask(app, "/x")
        bodies = {(await ask(app, "/x", headers=bearer(user))).body for user in "abab"}
        assert len(bodies) == 4
        assert (await ask(app, "/x")).is_hit
        assert b"de" in (await ask(app, "/x", headers={"Accept-Language": "de"})).body

    run(work)


def test_declared_headers_and_cookies_tell_answers_apart_unasked() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = FastAPI()

        def tenant(x_tenant: Annotated[str, Header()] = "none") -> str:
            return x_tenant

        @app.get("/x")
        @cache.route(ttl=60)
        def x(tenant: Annotated[str, Depends(tenant)], theme: Annotated[str, Cookie()] = "light") -> str:
            ran()
            return tenant + theme

        await ask(app, "/x")
        for _ in range(2):
            assert (await ask(app, "/x", headers={"X-Tenant": "a"})).body == b'"alight"'
            assert (await ask(app, "/x", headers={"X-Tenant": "b"})).body == b'"blight"'
            dark = await ask(app, "/x", headers={"X-Tenant": "a", "Cookie": "theme=dark"})
            assert dark.body == b'"adark"'
        assert dark.is_hit and ran.count == 4

    run(work)


def test_set_cookie_is_not_replayed() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app = made(cache, Rule.path("/x").ttl(60), Rule.path("/p").ttl(60).public())

        @app.get("/x")
        @app.get("/p")
        def x() -> Response:
            return Response("x", headers={"set-cookie": "sid=secret"})

        for path in ("/x", "/p"):
            assert (await ask(app, path)).get("set-cookie") == "sid=secret"
        assert not (await ask(app, "/x")).is_hit
        shared = await ask(app, "/p")
        assert shared.is_hit and shared.get("set-cookie") is None

    run(work)


def test_a_client_can_not_drive_the_application() -> None:
    async def work() -> None:
        app, ran = counting(Cache.memory(), Rule.any().ttl(60))

        await ask(app, "/x")
        await until(lambda: aged(app, "/x"))
        for word in ("no-cache", "no-store", "max-age=0"):
            await ask(app, "/x", headers={"Cache-Control": word, "Pragma": "no-cache"})
        assert ran.count == 1

    run(work)


def test_a_public_route_hears_of_overrides_after_its_first_request() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app = made(cache)

        def tenant() -> str:
            return "nobody"

        def by_header(x_tenant: Annotated[str, Header()]) -> str:
            return x_tenant

        @app.get("/x")
        @cache.route(ttl=60, public=True)
        def x(found: Annotated[str, Depends(tenant)]) -> str:
            return found

        async def asked(name: str) -> bytes:
            return (await ask(app, "/x", headers={"X-Tenant": name})).body

        assert [await asked(name) for name in "ab"] == [b'"nobody"'] * 2
        app.dependency_overrides[tenant] = by_header
        assert [await asked(name) for name in "abab"] == [b'"a"', b'"b"'] * 2
        app.dependency_overrides = {tenant: lambda: "stub"}
        await ask(app, "/x")
        app.dependency_overrides.clear()
        assert [await asked(name) for name in "ab"] == [b'"nobody"'] * 2
        assert (await ask(app, "/x")).is_hit

    run(work)
