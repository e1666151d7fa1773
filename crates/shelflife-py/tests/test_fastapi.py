"""Decorated functions as endpoints of FastAPI, through its own test client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel

from shelflife import Cache


class User(BaseModel):
    id: int
    name: str


def caller(token: str = "") -> str:
    """Who asks: refused without a token."""
    if not token:
        raise HTTPException(401)
    return token


def application(decorate: Any) -> FastAPI:
    app = FastAPI()
    app.state.loads = 0

    @app.get("/users/{user_id}", response_model=User)
    @decorate(ttl="5m", key="user:{user_id}:{who}:{page}", tags=["user:{user_id}"])
    async def read(user_id: int, who: Annotated[str, Depends(caller)], page: Annotated[int, Query(ge=1)] = 1) -> User:
        """One user."""
        if user_id == 404:
            raise HTTPException(404)
        app.state.loads += 1
        return User(id=user_id, name=who)

    @app.get("/blocking/{user_id}")
    @decorate(ttl="5m", key="blocking:{user_id}")
    def blocking(user_id: int) -> dict[str, int]:
        app.state.loads += 1
        return {"loads": app.state.loads}

    return app


def test_openapi_is_the_same_with_and_without() -> None:
    plain = application(lambda **_: lambda function: function)
    assert application(Cache.memory().cached).openapi() == plain.openapi()


def test_dependencies_run_before_a_hit_and_users_do_not_share() -> None:
    app = application(Cache.memory().cached)
    with TestClient(app) as client:
        for _ in range(2):
            assert client.get("/users/1?token=ada").json() == {"id": 1, "name": "ada"}
        assert client.get("/users/1?token=bob").json() == {"id": 1, "name": "bob"}
        assert app.state.loads == 2
        assert client.get("/users/1").status_code == 401
        assert client.get("/users/1?token=ada&page=0").status_code == 422


def test_errors_of_the_endpoint_stay_what_they_are_and_are_not_kept() -> None:
    app = application(Cache.memory().cached)
    with TestClient(app) as client:
        assert [client.get("/users/404?token=ada").status_code for _ in range(2)] == [404, 404]


def test_an_endpoint_that_blocks_is_cached_in_its_thread() -> None:
    with TestClient(application(Cache.memory().cached)) as client:
        assert [client.get("/blocking/1").json()["loads"] for _ in range(3)] == [1, 1, 1]


def test_the_lifespan_opens_and_closes_round_another() -> None:
    cache, seen = Cache.memory(), []

    @asynccontextmanager
    async def mine(_: FastAPI) -> AsyncIterator[dict[str, int]]:
        seen.append(cache._core is not None)
        yield {"given": 7}
        seen.append(cache._core is not None)

    with TestClient(FastAPI(lifespan=cache.lifespan(mine))) as client:
        assert client.app_state["given"] == 7
    assert (seen, cache._core) == ([True, True], None)
    with TestClient(FastAPI(lifespan=cache.lifespan)):
        assert cache._core is not None


def test_annotations_that_are_text() -> None:
    from apps import annotated
    from asgi import ask, run
    from shelflife.fastapi import check, install

    async def work() -> None:
        install(annotated.app)
        for path in ("routed", "cached"):
            for _ in range(2):
                for tenant in ("a", "b"):
                    reply = await ask(annotated.app, f"/{path}/7", headers={"X-Tenant": tenant})
                    assert reply.body == b'{"id":7,"name":"%s"}' % tenant.encode()
        assert [one for one in annotated.ran if one != "behind"] == ["routed", "routed", "cached", "cached"]
        assert check(annotated.app) == []
        await annotated.cache.close()

    run(work)


def test_anyio_cancels_and_waits_as_asyncio_does() -> None:
    import anyio
    from shelflife import Cache

    async def main() -> None:
        async with Cache.memory() as cache:
            gate, ran = anyio.Event(), 0

            async def load() -> int:
                nonlocal ran
                ran += 1
                await gate.wait()
                return ran

            found: list[int] = []

            async def reader() -> None:
                found.append(await cache.get_or_load("k", load))

            async with anyio.create_task_group() as group:
                with anyio.move_on_after(0.05) as scope:
                    await cache.get_or_load("k", load)
                assert scope.cancelled_caught
                group.start_soon(reader)
                group.start_soon(reader)
                # Both have asked.
                await anyio.wait_all_tasks_blocked()
                gate.set()
            assert found == [1, 1] and ran == 1

    anyio.run(main)
