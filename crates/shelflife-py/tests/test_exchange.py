"""Exchanges that do not go as they should: cancelled, cut, odd. Whatever happens, a reply is one answer, and nobody is left waiting."""

import asyncio
import gc
from typing import Any

import pytest
from asgi import Counter, Reply, ask, counting, gives, made, run, true, until
from fastapi import Depends, FastAPI, Response
from shelflife import Cache, current_entry
from shelflife._exchange import _behind
from shelflife.fastapi import Rule, ShelflifeMiddleware, install


def test_a_cancellation_between_head_and_body_mixes_no_two_answers() -> None:
    async def work() -> None:
        ran, tasks = Counter(), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            mine = ran()
            await asyncio.sleep(0.01)
            if mine == 1:
                asyncio.get_running_loop().call_soon(tasks[0].cancel)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"%d"' % mine)]})
            await send({"type": "http.response.body", "body": b"%d" % mine})

        served = ShelflifeMiddleware(app, cache=Cache.memory(), rules=[Rule.any().ttl(60)])
        tasks += [asyncio.create_task(ask(served, "/x")) for _ in range(5)]
        replies = [reply for reply in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(reply, Reply)]
        assert len(replies) >= 4
        for reply in (*replies, await ask(served, "/x")):
            assert reply.get("etag") == f'"{reply.body.decode()}"'

    run(work)


def test_cancelled_requests_that_nobody_shares_run_once() -> None:
    async def work() -> None:
        cache, ran, gate = Cache.memory(), Counter(), asyncio.Event()
        app = made(cache, Rule.any().ttl(60))

        @app.get("/x")
        async def x(response: Response) -> int:
            response.headers["cache-control"] = "no-store"
            ran()
            await gate.wait()
            return ran.count

        gate.set()
        await ask(app, "/x")
        gate.clear()
        ran.count = 0
        tasks = [asyncio.create_task(ask(app, "/x")) for _ in range(10)]
        await until(lambda: true(ran.count == 10))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: true(not cache.stats()["flights"]))
        assert ran.count == 10 and not _behind

    run(work)


def test_an_application_that_waits_for_its_client_to_hang_up_does_not_stay() -> None:
    from shelflife import Clock

    async def work() -> None:
        clock, ran = Clock(), Counter()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            ran()
            await receive()
            headers = [(b"cache-control", b"max-age=1, stale-while-revalidate=1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"x"})
            if ran.count > 1:
                assert (await receive())["type"] == "http.disconnect"

        cache = Cache("memory://", clock=clock)
        served = ShelflifeMiddleware(app, cache=cache)
        await ask(served, "/x")
        for n in range(2, 6):
            # It is stored behind: who asks before shares it, and it would not be stale to him.
            await until(lambda: true(not cache.stats()["flights"]))
            clock.advance(5)
            await ask(served, "/x")
            await until(lambda n=n: true(ran.count == n))  # type: ignore[misc]
        await until(lambda: true(not _behind))

    run(work)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_fields_may_be_any_pairs(method: str) -> None:
    async def work() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [[b"content-type", b"text/plain"]]})
            await send({"type": "http.response.body", "body": b"x"})

        served = ShelflifeMiddleware(app, cache=Cache.memory(), rules=[Rule.any().ttl(60)])
        reply = await ask(served, "/x", method, raw_headers=[[b"host", b"api.test"]])
        assert (reply.status, reply.get("content-type")) == (200, "text/plain")

    run(work)


def test_a_field_that_http_does_not_know_keeps_no_change_from_invalidating() -> None:
    async def work() -> None:
        app, _ = counting(Cache.memory(), Rule.any().ttl(60))

        @app.put("/x")
        def change() -> None: ...

        await ask(app, "/x")
        odd = [(b"host", b"api.test"), (b"x-a", b"a\x01b")]
        assert (await ask(app, "/x", "PUT", raw_headers=odd)).status == 200
        assert (await ask(app, "/x")).body == b"2"

    run(work)


def test_a_change_that_raised_may_have_happened() -> None:
    async def work() -> None:
        app, _ = counting(Cache.memory(), Rule.any().ttl(60))

        @app.put("/x")
        def change() -> None:
            raise ZeroDivisionError

        await ask(app, "/x")
        with pytest.raises(ZeroDivisionError) as held:
            await ask(app, "/x", "PUT")
        assert held is not None, "it is not waited for until the exception is forgotten"
        await until(lambda: gives(app, "/x", b"2"))

    run(work)


def test_a_public_route_keeps_its_words_in_front_too() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache)

        def tenant(x_tenant: str = "t") -> str:
            return x_tenant

        @app.get("/word/{kind}")
        @cache.route(ttl=60, public=True, tags=["kind:{kind}"])
        def word(kind: int, q: str = "") -> int:
            current_entry().tags("late:%") if kind == 1 else current_entry().no_store()
            return ran()

        @app.get("/unless")
        @cache.route(ttl=60, public=True, condition=lambda on=True: on)
        def unless(on: bool = True) -> int:
            return ran()

        @app.get("/by")
        @cache.route(ttl=60, public=True, vary_by=["tenant"], tags=["t:{tenant}"])
        def by(tenant: str = Depends(tenant)) -> int:
            return ran()

        await ask(app, "/word/1")
        assert (await ask(app, "/word/1")).is_hit
        await cache.invalidate(tags=["late:%"])
        assert not (await ask(app, "/word/1")).is_hit
        await ask(app, "/word/01")
        await cache.invalidate(tags=["kind:1"])
        assert not (await ask(app, "/word/01")).is_hit, "its tag is the argument, however the path writes it"
        for _ in range(2):
            assert not (await ask(app, "/word/2")).is_hit
            assert not (await ask(app, "/unless?on=0")).is_hit
            by_tenant = [await ask(app, f"/by?x_tenant={name}") for name in "ab"]
        assert (await ask(app, "/unless")).is_hit or (await ask(app, "/unless")).is_hit
        assert all(reply.is_hit for reply in by_tenant)
        await cache.invalidate(tags=["t:a"])
        assert not (await ask(app, "/by?x_tenant=a")).is_hit and (await ask(app, "/by?x_tenant=b")).is_hit

    run(work)


def test_a_route_of_another_cache_is_left_to_it() -> None:
    async def work() -> None:
        one, other, ran = Cache.memory(), Cache.memory(), Counter()
        app = made(one, Rule.any().ttl(60).public())

        @app.get("/x")
        @other.route(ttl=60, tags=["x"], public=True)
        def x() -> int:
            return ran()

        await ask(app, "/x")
        assert (await ask(app, "/x")).is_hit
        await other.invalidate(tags=["x"])
        assert not (await ask(app, "/x")).is_hit

    run(work)


def test_the_same_cache_twice_asks_once() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app, ran = counting(cache, Rule.any().ttl(60))
        app.add_middleware(ShelflifeMiddleware, cache=cache, rules=[Rule.any().ttl(60)])

        first = await asyncio.wait_for(ask(app, "/x"), 3)
        assert first.said.count("shelflife") == 1
        assert (await ask(app, "/x")).is_hit and ran.count == 1

    run(work)


def test_an_endpoint_that_is_an_object() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()

        class Endpoint:
            async def __call__(self, n: int = 1) -> int:
                return ran()

        app = FastAPI()
        app.get("/x")(cache.route(ttl=60)(Endpoint()))
        install(app)
        await ask(app, "/x")
        assert (await ask(app, "/x")).is_hit

    run(work)


def test_nothing_stays_of_many_exchanges() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.path("/a/{n}").ttl(60))

        @app.get("/a/{n}")
        async def a(n: int) -> int:
            return ran()

        @app.get("/b/{n}")
        @cache.route(ttl=60)
        async def b(n: int) -> int:
            return ran()

        async def many(first: int) -> None:
            for n in range(first, first + 200):
                await ask(app, f"/a/{n}")
                await ask(app, f"/b/{n}")

        await many(0)
        gc.collect()
        before = _count()
        await many(1000)
        await until(lambda: true(_count() <= before + 5))

    run(work)


def _count() -> int:
    gc.collect()
    names = ("Exchange", "Turn", "Storing", "Asking", "Passing")
    return sum(type(one).__name__ in names for one in gc.get_objects())
