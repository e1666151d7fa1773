"""`shelflife.compat.fastapi_cache`: an application written for fastapi-cache2, keys, `clear`."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from compat_kit import THEIRS, anew, begin, client_of  # noqa: F401
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.testclient import TestClient

from shelflife import Cache
from shelflife.compat.fastapi_cache import FastAPICache, JsonCoder, default_key_builder
from shelflife.compat.fastapi_cache.backends.inmemory import InMemoryBackend
from shelflife.compat.fastapi_cache.decorator import cache

Run = Callable[[Callable[[], Any]], Any]


def test_an_application_of_theirs_needs_another_import_and_nothing_else() -> None:
    module = types.ModuleType("theirs")
    sys.modules["theirs"] = module
    try:
        exec(THEIRS.replace("from fastapi_cache", "from shelflife.compat.fastapi_cache"), module.__dict__)
        with TestClient(module.app) as client:
            first, second = client.get("/"), client.get("/")
            assert (first.json(), first.headers["x-fastapi-cache"]) == ({"hello": "world", "calls": 1, "again": 1}, "MISS")
            assert (second.json(), second.headers["x-fastapi-cache"]) == (first.json(), "HIT")
            assert second.headers["x-own"] == "kept"
            assert first.headers["cache-control"] == "max-age=10"
            assert client.get("/", headers={"If-None-Match": second.headers["etag"]}).status_code == 304
            assert [client.get("/sync/1").json()["calls"] for _ in range(3)] == [1, 1, 1]
            assert client.get("/sync/1?q=a").json() == {"n": 1, "q": "a", "calls": 1}
            assert [client.get("/coded?a=1").json() for _ in range(2)] == [[1, 1], [1, 1]]
            assert client.get("/coded?a=2").json() == [2, 1]
            client.get("/clear/coded")
            assert client.get("/coded?a=1").json() == [1, 2]
            assert client.get("/sync/1").json()["calls"] == 1
    finally:
        del sys.modules["theirs"]


def test_init_once_and_reset() -> None:
    for read in (FastAPICache.get_backend, FastAPICache.get_prefix, FastAPICache.get_coder, FastAPICache.get_key_builder):
        with pytest.raises(AssertionError, match="init first"):
            read()
    assert (FastAPICache.get_expire(), FastAPICache.get_enable()) == (None, True)
    backend = InMemoryBackend()
    begin(backend, cache_status_header="X-Mine")
    begin(InMemoryBackend(), prefix="other")
    assert FastAPICache.get_backend() is backend
    assert (FastAPICache.get_prefix(), FastAPICache.get_expire(), FastAPICache.get_coder()) == ("p", 60, JsonCoder)
    assert (FastAPICache.get_key_builder(), FastAPICache.get_cache_status_header()) == (default_key_builder, "X-Mine")
    FastAPICache.reset()
    with pytest.raises(AssertionError, match="init first"):
        FastAPICache.get_cache_status_header()


def test_a_cache_is_a_backend_and_what_is_none_is_refused() -> None:
    mine = Cache.memory()
    begin(mine)
    assert FastAPICache.get_backend().cache is mine
    FastAPICache.reset()
    with pytest.raises(TypeError, match="no backend here"):
        begin(object())
    with pytest.raises(ValueError, match="expire"):
        begin(expire="soon")
    with pytest.raises(ValueError, match="expire"):
        cache(expire=-1)


class Service:
    """What nobody can name."""


# Keys


def test_one_call_however_it_is_written_is_one_entry(run: Run) -> None:
    async def test() -> None:
        begin()
        calls = 0

        @cache()
        async def of(a: int, b: int = 2) -> int:
            nonlocal calls
            calls += 1
            return calls

        assert {await of(1), await of(a=1), await of(1, 2), await of(b=2, a=1)} == {1}
        assert await of("1") == 2  # type: ignore[arg-type]

    run(test)


def test_two_functions_of_one_name_do_not_share(run: Run) -> None:
    def twice() -> list[Any]:
        made = []

        @cache()
        async def same() -> str:
            return "one"

        made.append(same)

        @cache()
        async def same() -> str:  # noqa: F811
            return "two"

        return [*made, same]

    async def test() -> None:
        begin()
        one, two = twice()
        for _ in range(2):
            assert (await one(), await two()) == ("one", "two")

    run(test)


def test_what_a_factory_makes_is_told_apart_by_its_path_or_not_kept(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def crud(name: str) -> tuple[APIRouter, Any]:
        router, calls = APIRouter(), []

        @router.get("/all")
        @cache()
        async def every() -> list[str]:
            calls.append(name)
            return [name, str(len(calls))]

        return router, every

    (users, every_user), (items, every_item) = crud("users"), crud("items")
    app = FastAPI()
    app.include_router(users, prefix="/users")
    app.include_router(items, prefix="/items")
    begin()
    with TestClient(app) as client:
        for _ in range(2):
            assert client.get("/users/all").json() == ["users", "1"]
            assert client.get("/items/all").json() == ["items", "1"]

    async def test() -> None:
        assert [await every_user(), await every_user()] == [["users", "2"]] * 2
        assert [await every_item(), await every_item()] == [["items", "2"], ["items", "3"]]
        # Another application, such as the next test's, begins anew.
        FastAPICache.reset()
        begin()
        assert [await every_item(), await every_item()] == [["items", "4"]] * 2

    with caplog.at_level(logging.WARNING):
        run(test)
    assert "namespace=" in caplog.text


def test_an_argument_that_nobody_can_name_is_not_kept_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    app, calls = FastAPI(), []

    @app.get("/")
    @cache()
    async def of(service: Annotated[Any, Depends(Service)]) -> int:
        calls.append(service)
        return len(calls)

    begin()
    with TestClient(app) as client, caplog.at_level(logging.WARNING):
        assert [client.get("/").json() for _ in range(3)] == [1, 2, 3]
    assert [record.getMessage().count("is not cached") for record in caplog.records] == [1]
    assert "__cache_key__" in caplog.text


def test_an_endpoint_that_takes_the_request_does_not_share_across_queries() -> None:
    app = FastAPI()

    @app.get("/")
    @cache()
    async def of(request: Request) -> str:
        return str(request.url.query)

    begin()
    with TestClient(app) as client:
        for query in ("id=1&id=2", "id=2", "id=2"):
            assert client.get(f"/?{query}").json() == query


def test_a_key_builder_is_told_what_it_always_was(run: Run) -> None:
    told: list[Any] = []

    def mine(func: Any, namespace: str = "", *, request: Any = None, response: Any = None, args: Any, kwargs: Any) -> str:
        told.append((func.__name__, namespace, type(request), type(response), args, kwargs))
        return f"{namespace}:{kwargs.get('q')}:*%"

    async def later(*args: Any, **kwargs: Any) -> str:
        await asyncio.sleep(0)
        return "later:" + mine(*args, **kwargs)

    app = FastAPI()

    @app.get("/a")
    @cache(namespace="ns", key_builder=mine)
    async def a(request: Request, q: int) -> int:
        return q

    @cache(key_builder=later)
    async def b(*args: int, **kwargs: int) -> int:
        return len(told)

    async def test() -> None:
        begin()
        async with client_of(app) as client:
            assert (await client.get("/a?q=1")).json() == 1
            assert (await client.get("/a?q=1")).headers["x-fastapi-cache"] == "HIT"
            assert told[0] == ("a", "p:ns", Request, Response, (), {"q": 1})
            assert await FastAPICache.clear(key="p:ns:1:*%") == 1
            assert (await client.get("/a?q=1")).headers["x-fastapi-cache"] == "MISS"
        assert await b(1, q=2) == await b(1, q=2)
        assert told[-1] == ("b", "p:", type(None), type(None), (1,), {"q": 2})

    run(test)


_PROCESS = """
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from shelflife.compat.fastapi_cache import FastAPICache
from shelflife.compat.fastapi_cache.backends.inmemory import InMemoryBackend
from shelflife.compat.fastapi_cache.decorator import cache
from shelflife.compat.fastapi_cache.key_builder import default_key_builder

app, keys = FastAPI(), []

def builder(*args, **kwargs):
    keys.append(default_key_builder(*args, **kwargs))
    return keys[-1]

@app.get("/{n}")
@cache(expire=9, key_builder=builder)
async def of(n: int, q: str = "z") -> dict[str, int]:
    return {"n": n} if q in {"x", "y", "z", "w"} else {}

FastAPICache.init(InMemoryBackend())
with TestClient(app) as client:
    print(client.get("/1").headers["etag"], keys[0])
"""


def test_keys_and_etags_are_the_same_in_all_processes(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(_PROCESS)
    here = Path(__file__).parent.parent / "python"
    told = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "app.py"],
            env={"PYTHONPATH": str(here), "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert told.pop().startswith('W/"')


# Invalidation


def test_clear_takes_exactly_what_it_names(run: Run) -> None:
    async def test() -> None:
        begin(prefix="shop")
        calls: list[str] = []

        def of(namespace: str) -> Any:
            @cache(namespace=namespace)
            async def one() -> int:
                calls.append(namespace)
                return len(calls)

            return one

        spaces = ["a", "a:b", "ab", "*", "", "a')return 1"]
        made = {name: of(name) for name in spaces}

        async def who_runs() -> list[str]:
            before = len(calls)
            for one in made.values():
                await one()
            return calls[before:]

        assert await who_runs() == spaces
        assert await who_runs() == []
        for name in ("a", "*", "a')return 1"):
            assert await FastAPICache.clear(namespace=name) == 1
            assert await who_runs() == [name]
        assert await FastAPICache.clear(namespace="nothing") == 1
        assert await who_runs() == []
        await FastAPICache.clear()
        assert await who_runs() == spaces

    run(test)


def test_clear_holds_against_the_load_in_flight(run: Run) -> None:
    async def test() -> None:
        begin()
        began, go = asyncio.Event(), asyncio.Event()
        values = iter(["old", "new"])

        @cache(namespace="ns")
        async def of() -> str:
            value = next(values)
            began.set()
            await go.wait()
            return value

        reading = asyncio.create_task(of())
        await began.wait()
        await FastAPICache.clear(namespace="ns")
        go.set()
        assert await reading == "old"  # It began before.
        assert await of() == "new"

    run(test)


def test_a_herd_runs_the_endpoint_once(run: Run) -> None:
    app, calls, go = FastAPI(), [], asyncio.Event()

    @app.get("/")
    @cache()
    async def of() -> int:
        calls.append(1)
        await go.wait()
        return len(calls)

    async def test() -> None:
        begin()
        async with client_of(app) as client:
            asked = [asyncio.create_task(client.get("/")) for _ in range(20)]
            while not calls:
                await asyncio.sleep(0)
            go.set()
            got = await asyncio.gather(*asked)
        assert {one.json() for one in got} == {1}
        assert len(calls) == 1

    run(test)
