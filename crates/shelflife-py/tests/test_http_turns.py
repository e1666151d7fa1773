"""One request is answered for all who ask the same: in turns, stale meanwhile, and not older than an invalidation."""

import asyncio
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Response
from asgi import Counter, aged, ask, ask_with, counting, gives, made, run, true, until
from shelflife import Cache, current_entry
from shelflife.fastapi import Rule


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
            await until(lambda: true(ran.count == 1))
            gate.set()
            assert {(await task).body for task in tasks} == {b"1"} and ran.count == 1

    run(work)


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
        await until(lambda: true(ran.count == 1))
        others = [asyncio.create_task(ask(app, path)) for _ in range(8)]
        await asyncio.sleep(0.05)
        leader.cancel()
        others[3].cancel()
        await until(lambda: true(ran.count == 2))
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
            await until(lambda path=path: aged(app, path))  # type: ignore[misc]
            clock.advance(61)
            stale = await ask(app, path)
            assert stale.body == old and stale.is_hit
            fresh = str(int(old) + 1).encode()
            await until(lambda path=path, fresh=fresh: gives(app, path, fresh))  # type: ignore[misc]
            assert ran.count == int(fresh), "asked once, behind"

    run(work)


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
        await until(lambda: aged(app, "/a"))
        clock.advance(61)
        stood_in = await ask(app, "/a")
        assert (stood_in.status, stood_in.body) == (200, b"1")
        clock.advance(3700)
        with pytest.raises(ZeroDivisionError):
            await ask(app, "/a")

    run(work)


def test_a_change_invalidates_its_url_before_its_response_goes_out() -> None:
    async def work() -> None:
        app, _ = counting(Cache.memory(), Rule.any().ttl(60))

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
        await until(lambda: true(ran.count == 1))
        await cache.invalidate(tags=["x"])
        late = asyncio.create_task(ask(app, "/x"))
        await until(lambda: true(ran.count == 2))
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
