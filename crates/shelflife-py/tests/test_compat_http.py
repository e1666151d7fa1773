"""`shelflife.compat.fastapi_cache`: headers, conditions, and whose answers are kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Optional

import pytest
from compat_kit import Item, Public, anew, begin, client_of  # noqa: F401
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from shelflife import Cache, Clock
from shelflife.compat.fastapi_cache.backends.inmemory import InMemoryBackend
from shelflife.compat.fastapi_cache.decorator import cache

Run = Callable[[Callable[[], Any]], Any]


class User(BaseModel):
    id: int


def caller(token: str = "") -> str:
    if not token:
        raise HTTPException(401)
    return token


def test_headers_tell_hit_and_miss_and_how_long() -> None:
    app = FastAPI()

    @app.get("/")
    @cache(expire=100)
    async def of() -> int:
        return 1

    begin(cache_status_header="X-Mine")
    with TestClient(app) as client:
        first, second = client.get("/"), client.get("/")
    assert (first.headers["x-mine"], second.headers["x-mine"]) == ("MISS", "HIT")
    assert first.headers["cache-control"] == "max-age=100"
    assert 95 <= int(second.headers["cache-control"].removeprefix("max-age=")) <= 100
    assert first.headers["etag"] == second.headers["etag"]


def test_without_expire_an_entry_lives_for_the_ttl_of_the_cache() -> None:
    app = FastAPI()

    @app.get("/")
    @cache()
    async def of() -> int:
        return 1

    begin(InMemoryBackend(ttl="5m"), expire=None)
    with TestClient(app) as client:
        for how in ("MISS", "HIT"):
            response = client.get("/")
            assert response.headers["x-fastapi-cache"] == how
            assert 295 <= int(response.headers["cache-control"].removeprefix("max-age=")) <= 300


def test_nothing_is_served_after_it_expired_and_no_endpoint_runs_in_the_background(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        begin(Cache("memory://", clock=clock, stale="1h"), expire=10)
        calls = 0

        @cache()
        async def of() -> int:
            nonlocal calls
            calls += 1
            return calls

        assert [await of(), await of()] == [1, 1]
        clock.advance(11)
        assert [await of(), await of()] == [2, 2]

    run(test)


def test_if_none_match_takes_lists_stars_and_either_strength() -> None:
    app, value = FastAPI(), [1]

    @app.get("/")
    @cache()
    async def of() -> list[int]:
        return value

    begin()
    with TestClient(app) as client:
        etag = client.get("/").headers["etag"]
        strong = etag.removeprefix("W/")
        for said in (etag, strong, "*", f'"a", {etag}', f'W/"x,y",{strong}'):
            response = client.get("/", headers={"If-None-Match": said})
            assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
            assert response.headers["x-fastapi-cache"] == "HIT"
        for said in ('"a"', strong.strip('"'), "", f'"{etag}"'):
            assert client.get("/", headers={"If-None-Match": said}).status_code == 200
        # What is loaded anew and is still the same is not sent again; what is different is.
        anew = {"If-None-Match": etag, "Cache-Control": "no-cache"}
        assert client.get("/", headers=anew).status_code == 304
        value.append(2)
        assert client.get("/", headers=anew).json() == [1, 2]


def test_requests_that_do_not_want_what_is_kept() -> None:
    app, calls = FastAPI(), []

    @app.api_route("/", methods=["GET", "POST"])
    @cache()
    async def of() -> int:
        calls.append(1)
        return len(calls)

    begin()
    with TestClient(app) as client:
        assert client.get("/").json() == 1
        for said in ("no-store", "max-age=0, No-Store"):
            response = client.get("/", headers={"Cache-Control": said})
            assert "x-fastapi-cache" not in response.headers
        assert client.post("/").json() == 4
        assert client.get("/").json() == 1
        assert client.get("/", headers={"Cache-Control": "no-cache"}).json() == 5
        assert client.get("/").json() == 5


@pytest.mark.parametrize("off", ["enable", "cache"])
def test_switched_off_it_is_not_there(off: str) -> None:
    app, calls = FastAPI(), []

    @app.get("/")
    @cache()
    async def of() -> int:
        calls.append(1)
        return len(calls)

    begin(Cache("memory://", enabled=off != "cache"), enable=off != "enable")
    with TestClient(app) as client:
        assert [client.get("/").json() for _ in range(2)] == [1, 2]
        assert "etag" not in client.get("/").headers


def test_status_and_headers_that_an_endpoint_sets_are_kept() -> None:
    app = FastAPI()

    def dependency(response: Response) -> None:
        response.headers["X-Dependency"] = "each time"

    @app.get("/", dependencies=[Depends(dependency)])
    @cache()
    async def of(response: Response) -> int:
        response.status_code = 203
        response.headers["X-Own"] = "own"
        response.headers.append("Link", "<a>")
        response.headers.append("Link", "<b>")
        response.headers["Cache-Control"] = "max-age=1"
        response.headers["ETag"] = '"mine"'
        return 1

    begin()
    with TestClient(app) as client:
        first, second = client.get("/"), client.get("/")
        for one in (first, second):
            assert (one.status_code, one.json(), one.headers["x-own"], one.headers["link"]) == (203, 1, "own", "<a>, <b>")
            assert (one.headers["cache-control"], one.headers["etag"]) == ("max-age=1", '"mine"')
            assert one.headers["x-dependency"] == "each time"
        assert second.headers["x-fastapi-cache"] == "HIT"
        assert client.get("/", headers={"If-None-Match": 'W/"mine"'}).status_code == 304


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("set-cookie", "a=b"), ("cache-control", "no-store"), ("cache-control", "max-age=5, Private"), ("vary", "*"), ("vary", "cookie"),
    ],
)  # fmt: skip
def test_what_is_for_one_client_is_not_kept(name: str, value: str) -> None:
    app, calls = FastAPI(), []

    @app.get("/")
    @cache()
    async def of(response: Response) -> int:
        calls.append(1)
        response.headers[name] = value
        return len(calls)

    @app.get("/made")
    @cache()
    async def made() -> Response:
        calls.append(1)
        return JSONResponse(len(calls), headers={name: value})

    begin()
    with TestClient(app) as client:
        for path in ("/", "/made"):
            calls.clear()
            got = [client.get(path) for _ in range(2)]
            assert [one.json() for one in got] == [1, 2]
            assert [one.headers[name] for one in got] == [value] * 2
            assert [one.headers["x-fastapi-cache"] for one in got] == ["MISS"] * 2


def test_a_cookie_goes_to_nobody_who_waits_for_the_same(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    app, calls, go = FastAPI(), [], asyncio.Event()

    @app.get("/")
    @cache()
    async def of(response: Response) -> int:
        calls.append(1)
        mine = len(calls)
        response.set_cookie("session", str(mine))
        await go.wait()
        return mine

    async def test() -> None:
        begin()
        async with client_of(app) as one, client_of(app) as two:
            asked = [asyncio.create_task(client.get("/")) for client in (one, two)]
            for _ in range(50):
                await asyncio.sleep(0)
            go.set()
            got = await asyncio.gather(*asked)
        assert sorted(response.json() for response in got) == [1, 2]
        assert all(response.headers["set-cookie"].startswith(f"session={response.json()};") for response in got)
        # Nor was it taken for an entry that can't be read.
        assert not caplog.records

    run(test)


def test_cookies_of_a_dependency_and_of_the_endpoint_are_both_sent() -> None:
    def dependency(response: Response) -> None:
        response.set_cookie("a", "1")

    app = FastAPI()

    @app.get("/", dependencies=[Depends(dependency)])
    @cache()
    async def of(response: Response) -> int:
        response.set_cookie("b", "2")
        return 1

    begin()
    with TestClient(app) as client:
        assert dict(client.get("/").cookies) == {"a": "1", "b": "2"}


def test_an_etag_is_of_what_is_sent_and_not_only_of_what_is_kept() -> None:
    class More(BaseModel):
        id: int
        more: str = "since the last deployment"

    app = FastAPI()

    async def of():  # type: ignore[no-untyped-def]
        return {"id": 1}

    for path, model in (("/old", User), ("/new", More)):
        app.get(path, response_model=model)(cache(namespace=path)(of))
    begin()
    with TestClient(app) as client:
        assert client.get("/old").headers["etag"] != client.get("/new").headers["etag"]


def test_errors_are_not_kept() -> None:
    app, calls = FastAPI(), []

    @app.get("/raised")
    @cache()
    async def raised() -> int:
        calls.append(1)
        raise HTTPException(404)

    @app.get("/said")
    @cache()
    async def said(response: Response) -> int:
        calls.append(1)
        response.status_code = 503
        return 1

    @app.get("/made")
    @cache()
    async def made() -> Any:
        calls.append(1)
        return JSONResponse({}, status_code=500)

    begin()
    with TestClient(app, raise_server_exceptions=False) as client:
        for path, status in (("/raised", 404), ("/said", 503), ("/made", 500)):
            calls.clear()
            assert [client.get(path).status_code for _ in range(2)] == [status] * 2
            assert len(calls) == 2


def test_a_response_that_an_endpoint_makes_comes_back_as_it_was() -> None:
    app, calls, done = FastAPI(), [], []

    @app.get("/page")
    @cache()
    async def page() -> HTMLResponse:
        calls.append(1)
        return HTMLResponse(f"<p>{len(calls)} \u00fc</p>", status_code=203, headers={"X-Own": "own"})

    @app.get("/stream")
    @cache()
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            calls.append(1)
            yield b"a"
            yield b"b"

        return StreamingResponse(parts())

    @app.get("/more")
    @cache()
    async def more(tasks: BackgroundTasks) -> Response:
        tasks.add_task(done.append, 1)
        return JSONResponse(1, background=tasks)

    begin()
    with TestClient(app) as client:
        first, second = client.get("/page"), client.get("/page")
        for one in (first, second):
            assert (one.status_code, one.text, one.headers["x-own"]) == (203, "<p>1 \u00fc</p>", "own")
            assert one.headers["content-type"] == "text/html; charset=utf-8"
        assert second.headers["x-fastapi-cache"] == "HIT"
        not_modified = client.get("/page", headers={"If-None-Match": second.headers["etag"]})
        assert (not_modified.status_code, not_modified.headers["x-own"]) == (304, "own")
        assert "content-length" not in not_modified.headers
        calls.clear()
        assert [client.get("/stream").content for _ in range(2)] == [b"ab"] * 2
        assert [client.get("/more").json() for _ in range(2)] == [1, 1]
        assert (len(calls), len(done)) == (2, 2)


def test_dependencies_run_before_a_hit_and_users_do_not_share() -> None:
    app = FastAPI()

    @app.get("/")
    @cache()
    async def of(who: Annotated[str, Depends(caller)], page: Annotated[int, Query(ge=1)] = 1) -> str:
        return who

    begin()
    with TestClient(app) as client:
        for who in ("ada", "bob", "ada"):
            assert client.get(f"/?token={who}").json() == who
        assert client.get("/").status_code == 401
        assert client.get("/?token=ada&page=0").status_code == 422


def test_a_request_and_a_response_may_be_given_by_hand(run: Run) -> None:
    calls: list[int] = []

    @cache(expire="5m")
    async def of(request: Annotated[Request, "ours"], response: Response, n: int) -> int:
        calls.append(n)
        response.headers["X-Own"] = str(n)
        return n

    async def test() -> None:
        begin()
        request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
        for how in ("MISS", "HIT"):
            by_place, by_name = Response(), Response()
            assert await of(request, by_place, 1) == 1
            assert await of(n=2, request=request, response=by_name) == 2
            assert (by_place.headers["x-own"], by_name.headers["x-own"]) == ("1", "2")
            assert {one.headers["x-fastapi-cache"] for one in (by_place, by_name)} == {how}
        assert calls == [1, 2]

    run(test)


def test_openapi_is_the_same_with_and_without() -> None:
    def application(decorate: Any) -> str:
        app = FastAPI()

        @app.get("/a/{n}", tags=["a"])
        @decorate
        async def a(n: int, of: Annotated[Optional[str], Query(max_length=3)] = None, who: str = Depends(lambda: "x")) -> Item:
            """What it does."""
            return Item(id=n)

        @app.get("/b", response_model=list[Public])
        @decorate
        def b(request: Request, response: Response, q: "Optional[int]" = None):  # type: ignore[no-untyped-def]
            return []

        @app.get("/c")
        @decorate
        async def c(response: Response) -> "dict[str, Item]":
            return {}

        return json.dumps(app.openapi())

    assert application(cache(expire=9)) == application(lambda function: function)
