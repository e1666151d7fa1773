"""What has gone wrong for users of other caches, and must not here: invalidation and operation. Each test is named for the bug that it keeps out."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Redis, free_port, until
from fastapi import FastAPI
from fastapi.testclient import TestClient

import shelflife
from shelflife import Cache, Clock, ShelflifeError, Unavailable, current_entry

Run = Callable[[Callable[[], Any]], Any]

PACKAGE = Path(shelflife.__file__).parent


# Invalidation


@pytest.mark.parametrize("what", [{"keys": ["users:1"]}, {"tags": ["t"]}, {"patterns": ["users:*"]}, {"all": True}], ids=str)
def test_an_invalidation_by_another_process_is_not_lost_against_a_load_in_flight(run: Run, redis: Redis, what: Any) -> None:
    async def test() -> None:
        async with Cache(redis.url) as a, Cache(redis.url) as b:
            began, go = asyncio.Event(), asyncio.Event()

            async def old() -> str:
                began.set()
                await go.wait()
                return "old"

            reading = asyncio.create_task(a.get_or_load("users:1", old, tags=["t"]))
            await began.wait()
            receipt = await b.invalidate(**what)
            go.set()
            assert await reading == "old"  # It began before.
            for cache in (b, a):
                assert await cache.get("users:1", session=receipt) is None
                assert await cache.get("users:1", strict=True) is None

    run(test)


def test_an_invalidation_is_not_lost_against_a_background_refresh(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0, early=0.0) as cache:
            began, go, values = asyncio.Event(), asyncio.Event(), iter(["first", "refreshed", "new"])

            async def load() -> str:
                value = next(values)
                if value == "refreshed":
                    began.set()
                    await go.wait()
                return value

            async def read() -> str:
                return await cache.get_or_load("k", load, ttl=10, stale=60, tags=["t"])

            assert await read() == "first"
            clock.advance(11)
            assert await read() == "first"  # Stale; the refresh runs.
            await began.wait()
            await cache.invalidate(tags=["t"])
            go.set()
            assert await read() == "new"

    run(test)


def test_a_tag_that_a_load_adds_is_judged_by_when_the_load_began(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            began, go = asyncio.Event(), asyncio.Event()

            async def old() -> str:
                began.set()
                await go.wait()
                current_entry().tags("late")
                return "old"

            reading = asyncio.create_task(cache.get_or_load("k", old))
            await began.wait()
            await cache.invalidate(tags=["late"])
            go.set()
            assert await reading == "old"
            assert await cache.get("k") is None

    run(test)


def test_a_short_entry_does_not_shorten_the_life_of_its_tag(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as a:
            await a.set("long", 1, ttl="1h", tags=["t"])
            await a.set("short", 1, ttl=1, tags=["t"])
            (tag,) = redis.cli("KEYS", "sl1:{default}:t:t").split()
            assert int(redis.cli("PTTL", tag)) > 3_400_000
            await a.invalidate(tags=["t"])
            async with Cache(redis.url) as b:
                assert await b.get("long") is None

    run(test)


def test_a_tag_that_is_gone_is_not_one_that_was_never_invalidated(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as a:
            await a.set("k", 1, tags=["t"])
            await a.invalidate(tags=["t"])
            await a.set("k", 2, tags=["t"])
        redis.cli("DEL", "sl1:{default}:t:t")
        async with Cache(redis.url) as b:
            assert await b.get("k") is None

    run(test)


def test_what_is_kept_of_a_tag_does_not_grow_with_its_entries(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache:

            async def store(some: range) -> list[tuple[str, str]]:
                for n in some:
                    await cache.set(f"k:{n}", n, tags=["t"])
                return [(tag, redis.cli("STRLEN", tag)) for tag in sorted(redis.cli("KEYS", "sl1:{default}:t:*").split())]

            assert await store(range(1)) == await store(range(200))

    run(test)


def test_an_invalidation_does_not_scan_the_server(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache:
            for n in range(50):
                await cache.set(f"users:{n}", n, tags=["t"])
            for what in ({"keys": ["users:1"]}, {"tags": ["t"]}, {"patterns": ["users:*"]}, {"all": True}):
                await cache.invalidate(**what)
            used = redis.cli("INFO", "commandstats")
            assert not any(f"cmdstat_{name}:" in used for name in ("keys", "scan", "flushdb", "flushall"))
            # Of more than a level: in pages, outside of scripts.
            await cache.invalidate(patterns=["us?rs:1*"])
            used = redis.cli("INFO", "commandstats")
            assert "cmdstat_scan:" in used and "cmdstat_keys:" not in used

    run(test)


@pytest.mark.parametrize("name", ["a')return 1--", 'a"]]b', "a\nb", "a\x00b", "a b", "\u2028", "KEYS[1]"], ids=repr)
def test_a_name_is_never_part_of_a_script(run: Run, redis: Redis, name: str) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache:
            for what in ({"keys": [name]}, {"tags": [name]}):
                await cache.set(name, 1, tags=[name])
                await cache.set("other", 1, tags=["other"])
                assert await cache.get(name, strict=True) == 1
                await cache.invalidate(**what)
                assert await cache.get(name, strict=True) is None
                assert await cache.get("other", strict=True) == 1

    run(test)


def test_a_soft_invalidation_does_not_undo_a_hard_one(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory(early=0.0) as cache:
            values = iter(["old", "new"])

            async def read() -> str:
                return await cache.get_or_load("k", lambda: next(values), ttl=60, stale=60, tags=["t"])

            assert await read() == "old"
            await cache.invalidate(tags=["t"])
            await cache.invalidate(tags=["t"], soft=True)
            assert await read() == "new"

    run(test)


def test_what_a_route_changes_is_gone_before_its_response_is_there(redis: Redis) -> None:
    # A cache belongs to the loop that uses it; the other one stands for another process.
    ours, others = Cache(redis.url), Cache(redis.url)
    app, stored = FastAPI(), {1: "old"}

    @ours.cached(ttl=60, key="user:{n}", tags=["user:{n}"])
    async def here(n: int) -> str:
        return stored[n]

    @others.cached(ttl=60, key="user:{n}", tags=["user:{n}"])
    async def there(n: int) -> str:
        return stored[n]

    @app.get("/{n}")
    async def read(n: int) -> list[str]:
        return [await here(n), await there(n)]

    @app.put("/{n}")
    @ours.invalidates(tags=["user:{n}"], everywhere=True)
    async def change(n: int, to: str) -> None:
        stored[n] = to

    with TestClient(app) as client:
        for to in ("a", "b", "c"):
            client.get("/1")
            client.put(f"/1?to={to}")
            assert client.get("/1").json() == [to, to]


def test_an_invalidation_that_came_while_a_connection_was_lost_is_not_missed(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url, window="300ms") as a, Cache(redis.url, window="300ms") as b:
            for n in range(5):
                await a.set("k", n, tags=["t"])

                async def b_has_it(n: int = n) -> bool:
                    return bool(await b.get("k") == n)

                await until(b_has_it)
                redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                while True:
                    try:
                        await a.invalidate(tags=["t"], everywhere=True)
                        break
                    except Unavailable:
                        await asyncio.sleep(0.01)
                assert await b.get("k") is None

                async def owes_nothing() -> bool:
                    return not a.stats()["unconfirmed"]

                # What was not confirmed is asked for again behind: it would take the next value along.
                await until(owes_nothing)

    run(test)


@pytest.mark.parametrize("ahead", ["a", "b"])
def test_clocks_of_applications_need_not_agree(run: Run, redis: Redis, ahead: str) -> None:
    clock = Clock()
    clock.advance(3_600)

    async def test() -> None:
        clocks = {"a": None, "b": None, ahead: clock}
        async with Cache(redis.url, clock=clocks["a"]) as a, Cache(redis.url, clock=clocks["b"]) as b:
            await a.set("k", 1, ttl=60, tags=["t"])
            assert await b.get("k", strict=True) == 1
            assert 50 < (await b.ttl("k") or 0) <= 60
            receipt = await b.invalidate(tags=["t"])
            assert await a.get("k", session=receipt) is None
            await b.set("k", 2, ttl=60, tags=["t"])
            assert await a.get("k", strict=True) == 2

    run(test)


# Operation


def test_a_redis_that_was_never_there_is_none_of_the_api(run: Run) -> None:
    async def test() -> None:
        async with Cache(f"redis://127.0.0.1:{free_port()}") as cache:
            began = time.monotonic()
            for n in range(20):
                assert await cache.get_or_load(f"k:{n}", lambda n=n: n) == n  # type: ignore[misc]
            assert time.monotonic() - began < 5
            with pytest.raises(ShelflifeError):
                await cache.invalidate(tags=["t"])

    run(test)


def test_a_stalled_connection_does_not_cross_the_replies_of_two_users(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache:
            for n in range(10):
                await cache.set(f"k:{n}", n)

            async def all_wait() -> bool:
                return sum(node["waiting"] for node in cache.stats()["nodes"]) >= 10

            for _ in range(5):
                redis.freeze()
                asked = [asyncio.create_task(cache.get(f"k:{n}", strict=True)) for n in range(10)]
                # They have gone out, and wait for their replies.
                await until(all_wait)
                for one in asked[::2]:
                    one.cancel()
                redis.thaw()
                again = [asyncio.create_task(cache.get(f"k:{n}", strict=True)) for n in range(10)]
                assert await asyncio.gather(*asked[1::2]) == [1, 3, 5, 7, 9]
                assert await asyncio.gather(*again) == list(range(10))

    run(test)


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.trace),))


def test_no_pickle_from_a_shared_store(run: Run, redis: Redis, tmp_path: Path) -> None:
    payload = pickle.dumps(Bomb(tmp_path / "exploded"))

    async def test() -> None:
        async with Cache(redis.url) as cache:
            await cache.set("bytes", payload)
            assert await cache.get("bytes") == payload
            subprocess.run(
                ["redis-cli", "-p", str(redis.port), "-x", "SET", "sl1:default:e:k"], input=payload, check=True, capture_output=True
            )
            assert await cache.get("k") is None
            assert await cache.get_or_load("k", lambda: 1) == 1

    run(test)
    assert not (tmp_path / "exploded").exists()
    imports = ("import pickle", "import marshal", "import shelve", "import dill")
    assert not [str(file) for file in PACKAGE.rglob("*.py") if any(line.startswith(imports) for line in file.read_text().splitlines())]


def test_nothing_is_stored_for_ever(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache:

            @cache.cached
            async def of(n: int) -> int:
                return n

            await cache.set("k", 1, tags=["t"])
            await cache.get_or_load("l", lambda: 1)
            await of(1)
            for key in redis.cli("KEYS", "sl1:default:e:*").split() + redis.cli("KEYS", "sl1:{default}:t:*").split():
                assert int(redis.cli("PTTL", key)) > 0, key
            assert len(redis.cli("KEYS", "sl1:default:e:*").split()) == 3

    run(test)
