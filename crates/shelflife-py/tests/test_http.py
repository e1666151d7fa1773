"""The middleware and routes, over ASGI itself: every message counts."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Cookie, Depends, FastAPI, Header, HTTPException, Request, Response, WebSocket
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from asgi import Counter, Headers, Reply, ask, bearer, made, run, until
from shelflife import Cache, current_entry
from shelflife.fastapi import CacheDep, Rule, ShelflifeMiddleware, check, get_cache, install


def user_of(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    if credentials.credentials == "bad":
        raise HTTPException(401)
    return credentials.credentials


User = Annotated[str, Depends(user_of)]


# What a hit is


def test_a_hit_has_the_bytes_status_and_fields_of_the_miss() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache)

        @app.get("/x", status_code=203)
        def x(response: Response) -> dict[str, int]:
            response.headers["cache-control"] = "max-age=60"
            response.headers["x-own"] = "kept"
            return {"n": ran()}

        first, again = await ask(app, "/x"), await ask(app, "/x")
        assert (first.status, again.status) == (203, 203)
        assert first.body == again.body == b'{"n":1}'
        assert not first.is_hit and "stored" in first.said and again.is_hit
        assert again.get("x-own") == "kept" and again.get("content-type") == "application/json"
        await until(lambda: _aged(app, "/x"))

    run(work)


def test_bytes_that_are_no_text_come_back() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app = made(cache, Rule.path("/b").ttl(60))
        content = bytes(range(256)) * 40

        @app.get("/b")
        def b() -> Response:
            return Response(content, media_type="application/octet-stream")

        assert (await ask(app, "/b")).body == content
        hit = await ask(app, "/b")
        assert hit.is_hit and hit.body == content

    run(work)


def test_nothing_is_stored_without_a_word() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache)

        @app.get("/x")
        def x() -> int:
            return ran()

        assert [(await ask(app, "/x")).body for _ in range(3)] == [b"1", b"2", b"3"]

    run(work)


def test_errors_are_not_replayed() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.path("/x").ttl(60))

        @app.get("/x")
        def x() -> int:
            if ran() == 1:
                raise HTTPException(503)
            return ran.count

        assert (await ask(app, "/x")).status == 503
        assert (await ask(app, "/x")).body == b"2"
        assert (await ask(app, "/x")).is_hit

    run(work)


def test_an_exception_of_the_application_comes_through() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app = made(cache, Rule.path("/x").ttl(60))

        @app.get("/x")
        def x() -> int:
            raise ZeroDivisionError("of the endpoint")

        with pytest.raises(ZeroDivisionError, match="of the endpoint"):
            await ask(app, "/x")

    run(work)


def test_conditions_heads_and_ranges_are_answered_from_what_is_stored() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.path("/x").ttl(60))

        @app.get("/x")
        def x() -> Response:
            ran()
            return Response("0123456789", headers={"etag": '"v1"'})

        await ask(app, "/x")
        for tags in ('"v1"', 'W/"v1"', '"a", "v1"', "*"):
            same = await ask(app, "/x", headers={"If-None-Match": tags})
            assert (same.status, same.body, same.get("etag")) == (304, b"", '"v1"')
        assert (await ask(app, "/x", headers={"If-None-Match": '"v2"'})).status == 200
        head = await ask(app, "/x", "HEAD")
        assert (head.status, head.body, head.get("content-length")) == (200, b"", "10")
        part = await ask(app, "/x", headers={"Range": "bytes=2-4"})
        assert (part.status, part.body, part.get("content-range")) == (206, b"234", "bytes 2-4/10")
        assert ran.count == 1

    run(work)


def test_304_ends_with_what_it_was_for() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.path("/x").ttl(60).tags("x"))

        @app.get("/x")
        def x() -> Response:
            return Response("same length" if ran() == 1 else "other bytes", headers={"etag": f'"{ran.count}"'})

        await ask(app, "/x")
        assert (await ask(app, "/x", headers={"If-None-Match": '"1"'})).status == 304
        await cache.invalidate(tags=["x"])
        new = await ask(app, "/x", headers={"If-None-Match": '"1"'})
        assert (new.status, new.body) == (200, b"other bytes")

    run(work)


def test_vary_tells_variants_apart() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache)

        @app.get("/x")
        def x(request: Request) -> Response:
            ran()
            language = request.headers.get("accept-language", "none")
            return Response(language, headers={"vary": "accept-language", "cache-control": "max-age=60"})

        for _ in range(2):
            for language in ("de", "en"):
                assert (await ask(app, "/x", headers={"Accept-Language": language})).body == language.encode()
        assert ran.count == 2

    run(work)


@pytest.mark.parametrize(
    ("one", "other"),
    [("/x?id=1&id=2", "/x?id=2"), ("/x?a=1", "/x"), ("/x?a=b%26c=d", "/x?a=b&c=d"), ("/a%2Fb", "/a/b"), ("/x?a=1&b=2", "/x?b=2&a=1")],
)
def test_different_urls_are_different(one: str, other: str) -> None:
    async def work() -> None:
        app = made(Cache.memory(), Rule.any().ttl(60))

        @app.get("/{rest:path}")
        def x(request: Request) -> str:
            return str(request.url)

        first, second = await ask(app, one), await ask(app, other)
        assert not first.is_hit and not second.is_hit
        assert (await ask(app, one)).is_hit

    run(work)


# Whose answers


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
        ran = Counter()
        app = made(Cache.memory(), Rule.any().ttl(60))

        @app.get("/x")
        def x() -> int:
            return ran()

        await ask(app, "/x")
        await until(lambda: _aged(app, "/x"))
        for word in ("no-cache", "no-store", "max-age=0"):
            await ask(app, "/x", headers={"Cache-Control": word, "Pragma": "no-cache"})
        assert ran.count == 1

    run(work)


# What goes through


def test_streams_events_and_files_go_through_piece_by_piece() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app = made(cache, Rule.any().ttl(60), max_body="1KiB")
        more = asyncio.Event()

        @app.get("/events")
        async def events() -> StreamingResponse:
            async def pieces() -> Any:
                yield b"data: 1\n\n"
                await more.wait()
                yield b"data: 2\n\n"

            return StreamingResponse(pieces(), media_type="text/event-stream")

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            async def pieces() -> Any:
                yield b"a" * 1000
                await more.wait()
                yield b"b" * 1000

            return StreamingResponse(pieces())

        @app.get("/file")
        def file() -> FileResponse:
            return FileResponse(__file__)

        for path in ("/events", "/stream"):
            more.clear()
            came: list[dict[str, Any]] = []

            async def send(message: Any, came: list[dict[str, Any]] = came) -> None:
                came.append(dict(message))

            task = asyncio.create_task(ask_raw(app, path, send))
            await until(lambda came=came: _has(came, 2))  # type: ignore[misc]
            assert not task.done(), "the first piece is there before the second is made"
            more.set()
            await task
            assert [m.get("body") for m in came if m.get("body")] in ([b"data: 1\n\n", b"data: 2\n\n"], [b"a" * 1000, b"b" * 1000])
            assert not Reply(came).is_hit
        whole = open(__file__, "rb").read()
        for _ in range(2):
            reply = await ask(app, "/file")
            assert reply.body == whole and not reply.is_hit, "over the limit"

    run(work)


async def _aged(app: Any, path: str) -> bool:
    return (await ask(app, path)).get("age") == "0"


async def _has(came: list[dict[str, Any]], count: int) -> bool:
    return len(came) >= count


async def ask_raw(app: Any, path: str, send: Any, headers: Headers | None = None) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    fields = [(b"host", b"api.test"), *((k.lower().encode(), v.encode()) for k, v in (headers or {}).items())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": fields, "client": None, "server": None,
    }  # fmt: skip
    await app(scope, receive, send)


def test_what_is_no_content_is_passed_on_and_nothing_is_stored() -> None:
    async def work() -> None:
        calls = Counter()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            calls()
            start = {"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]}
            if scope["path"] == "/trailers":
                await send({**start, "trailers": True})
                await send({"type": "http.response.body", "body": b"x", "more_body": False})
                await send({"type": "http.response.trailers", "headers": [(b"a", b"b")], "more_trailers": False})
            else:
                await send(start)
                await send({"type": "http.response.pathsend", "path": "/etc/hostname"})

        served = ShelflifeMiddleware(app, cache=Cache.memory())
        for path, kind in (("/trailers", "http.response.trailers"), ("/file", "http.response.pathsend")):
            for _ in range(2):
                reply = await ask(served, path)
                assert reply.messages[-1]["type"] == kind and not reply.is_hit
        assert calls.count == 4

    run(work)


def test_a_body_that_breaks_off_is_not_stored() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.any().ttl(60))

        @app.get("/x")
        async def x() -> StreamingResponse:
            first = ran() == 1

            async def pieces() -> Any:
                yield b"one"
                if first:
                    raise RuntimeError("gone")
                yield b"two"

            return StreamingResponse(pieces())

        with pytest.raises(RuntimeError, match="gone"):
            await ask(app, "/x")
        assert (await ask(app, "/x")).body == b"onetwo"
        assert (await ask(app, "/x")).is_hit

    run(work)


def test_websockets_go_through() -> None:
    from fastapi.testclient import TestClient

    cache = Cache.memory()
    app = made(cache, Rule.any().ttl(60))

    @app.websocket("/ws")
    async def ws(socket: WebSocket, found: CacheDep) -> None:
        await socket.accept()
        await found.set("k", 1)
        await socket.send_json(await found.get("k"))
        await socket.close()

    app.state.cache = cache
    with TestClient(app) as client, client.websocket_connect("/ws") as socket:
        assert socket.receive_json() == 1


# One for all


def test_a_herd_runs_the_application_once() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app, gate = made(cache, Rule.path("/a").ttl(60)), asyncio.Event()

        @app.get("/a")
        async def a() -> int:
            ran()
            await gate.wait()
            return ran.count

        @app.get("/b")
        @cache.route(ttl=60)
        async def b() -> int:
            ran()
            await gate.wait()
            return ran.count

        await ask(app, "/none")
        for path in ("/a", "/b"):
            gate.clear()
            ran.count = 0
            tasks = [asyncio.create_task(ask(app, path)) for _ in range(50)]
            await until(lambda: _true(ran.count == 1))
            gate.set()
            assert {(await task).body for task in tasks} == {b"1"} and ran.count == 1

    run(work)


async def _true(holds: bool) -> bool:
    return holds


@pytest.mark.parametrize("path", ["/a", "/b"])
def test_who_is_cancelled_takes_nobody_along(path: str) -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app, gate = made(cache, Rule.path("/a").ttl(60)), asyncio.Event()

        @app.get("/a")
        async def a() -> str:
            ran()
            await gate.wait()
            return "value"

        @app.get("/b")
        @cache.route(ttl=60)
        async def b() -> str:
            ran()
            await gate.wait()
            return "value"

        await ask(app, "/none")
        leader = asyncio.create_task(ask(app, path))
        await until(lambda: _true(ran.count == 1))
        others = [asyncio.create_task(ask(app, path)) for _ in range(8)]
        await asyncio.sleep(0.05)
        leader.cancel()
        others[3].cancel()
        await until(lambda: _true(ran.count == 2))
        gate.set()
        for at, task in enumerate(others):
            if at != 3:
                assert (await task).body == b'"value"'
        assert ran.count == 2, "it is asked once more, not once for each"
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert (await ask(app, path)).is_hit

    run(work)


def test_stale_is_served_while_the_application_is_asked_behind() -> None:
    from shelflife import Clock

    async def work() -> None:
        clock = Clock()
        cache, ran = Cache("memory://", clock=clock), Counter()
        app = made(cache, Rule.path("/a").ttl(60).stale("1h"))

        @app.get("/a")
        async def a() -> int:
            return ran()

        @app.get("/b", dependencies=[Depends(lambda: None)])
        @cache.route(ttl=60, stale="1h", tags=["b"])
        async def b() -> int:
            return ran()

        await ask(app, "/none")
        for path in ("/a", "/b"):
            old = (await ask(app, path)).body
            await until(lambda path=path: _aged(app, path))  # type: ignore[misc]
            clock.advance(61)
            stale = await ask(app, path)
            assert stale.body == old and stale.is_hit
            fresh = str(int(old) + 1).encode()
            await until(lambda path=path, fresh=fresh: _is(app, path, fresh))  # type: ignore[misc]
            assert ran.count == int(fresh), "asked once, behind"

    run(work)


async def _is(app: Any, path: str, body: bytes) -> bool:
    return (await ask(app, path)).body == body


def test_a_failing_application_is_hidden_by_what_is_stale() -> None:
    from shelflife import Clock

    async def work() -> None:
        clock = Clock()
        cache, ran = Cache("memory://", clock=clock), Counter()
        app = made(cache)

        @app.get("/a")
        async def a(response: Response) -> int:
            if ran() > 1:
                raise ZeroDivisionError
            response.headers["cache-control"] = "max-age=60, stale-if-error=3600"
            return ran.count

        await ask(app, "/a")
        await until(lambda: _aged(app, "/a"))
        clock.advance(61)
        stood_in = await ask(app, "/a")
        assert (stood_in.status, stood_in.body) == (200, b"1")
        clock.advance(3700)
        with pytest.raises(ZeroDivisionError):
            await ask(app, "/a")

    run(work)


# Invalidation


def test_a_change_invalidates_its_url_before_its_response_goes_out() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.any().ttl(60))

        @app.get("/x")
        def x() -> int:
            return ran()

        @app.put("/x")
        def change(fail: bool = False) -> None:
            if fail:
                raise HTTPException(409)

        await ask(app, "/x")
        seen: list[bool] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.append((await ask(app, "/x")).is_hit)

        await ask(app, "/x?fail=1", "PUT")
        assert (await ask(app, "/x")).is_hit, "it did not succeed"
        scope_put = {"method": "PUT"}
        await ask_with(app, "/x", send, scope_put)
        assert seen == [False], "a read that began when the response was about to go out"

    run(work)


async def ask_with(app: Any, path: str, send: Any, more: dict[str, Any]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [(b"host", b"api.test")], **more,
    }  # fmt: skip
    await app(scope, receive, send)


@pytest.mark.parametrize("kind", ["rule", "route", "public"])
def test_an_invalidation_holds_against_an_answer_under_way(kind: str) -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        rules = [Rule.path("/x").ttl(60).tags("x")] if kind == "rule" else []
        app, gate = made(cache, *rules), asyncio.Event()

        async def x() -> int:
            found = ran()
            await gate.wait()
            return found

        app.get("/x")(x if kind == "rule" else cache.route(ttl=60, tags=["x"], public=kind == "public")(x))
        gate.set()
        await ask(app, "/none")
        gate.clear()
        reading = asyncio.create_task(ask(app, "/x"))
        await until(lambda: _true(ran.count == 1))
        await cache.invalidate(tags=["x"])
        late = asyncio.create_task(ask(app, "/x"))
        await until(lambda: _true(ran.count == 2))
        gate.set()
        assert (await late).body == b"2", "nothing older after the invalidation"
        assert (await reading).body == b"1"
        after = await ask(app, "/x")
        assert after.body == b"2" and after.is_hit

    run(work)


def test_the_current_entry_of_a_route() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = FastAPI()

        @app.get("/x/{kind}")
        @cache.route(ttl=60)
        def x(kind: str) -> int:
            if kind == "tagged":
                current_entry().tags("late")
            elif kind == "never":
                current_entry().no_store()
            return ran()

        await ask(app, "/x/none")
        await ask(app, "/x/tagged")
        assert (await ask(app, "/x/tagged")).is_hit
        await cache.invalidate(tags=["late"])
        assert not (await ask(app, "/x/tagged")).is_hit
        for _ in range(2):
            assert not (await ask(app, "/x/never")).is_hit

    run(work)


# FastAPI as it was


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


# Off, wrong


def test_switched_off_it_is_not_there_but_still_invalidates() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.any().ttl(60))

        @app.get("/x")
        def x() -> int:
            return ran()

        @app.post("/x")
        def change() -> None: ...

        await ask(app, "/x")
        with cache.disabled():
            assert (await ask(app, "/x")).body == b"2"
            assert (await ask(app, "/x")).said == ""
            await ask(app, "/x", "POST")
        assert (await ask(app, "/x")).body == b"4"

    run(work)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda c: ShelflifeMiddleware(None, cache=c, rules=[Rule.path("x").ttl(1)]), "x"),  # type: ignore[arg-type]
        (lambda c: ShelflifeMiddleware(None, cache=c, rules=["/x"]), "no rule"),  # type: ignore[arg-type,list-item]
        (lambda c: ShelflifeMiddleware(None, cache=c, max_bodi=1), "max_bodi"),  # type: ignore[arg-type,call-arg]
        (lambda c: Rule.path("/x").ttl("five"), "ttl"),
        (lambda c: Rule.path("/x").vary_by("tenant"), "header:NAME"),
        (lambda c: Rule.path("/x").max_body("much"), "max_body"),
        (lambda c: c.route(ttl=0)(lambda: 1), "ttl"),
        (lambda c: c.route(ttl=1, per_user="u", shared=True)(lambda u: 1), "per_user"),
        (lambda c: c.route(ttl=1, tags=["{nobody}"])(lambda u: 1), "nobody"),
    ],
)
def test_what_can_not_be_used_says_so(wrong: Callable[[Cache], Any], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        wrong(Cache.memory())
