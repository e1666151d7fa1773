"""What is stored of a response, and what a hit gives. Over ASGI itself: every message counts."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException, Request, Response
from asgi import Counter, aged, ask, counting, made, run, true, until
from shelflife import Cache
from shelflife.fastapi import Rule, ShelflifeMiddleware


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
        await until(lambda: aged(app, "/x"))

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
        # Whoever comes before its flight has ended is answered beside it, and that is not stored.
        await until(lambda: true(not cache.stats()["flights"]))
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


def test_switched_off_it_is_not_there_but_still_invalidates() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app, _ = counting(cache, Rule.any().ttl(60))

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
