"""Rust and Python on one Redis: the demo of the command `shelflife`, and its operators' commands."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import LONGEST, Redis
from pydantic import BaseModel

from shelflife import Cache

Run = Callable[[Callable[[], Any]], Any]


class Profile(BaseModel):
    """As the demo's `Profile`, as far as it is of interest."""

    id: int
    name: str


def command() -> str:
    found = os.environ.get("RUST_COMMAND", "")
    assert Path(found).is_file(), "RUST_COMMAND has to name the command, which `make python` builds"
    return found


def shelflife(redis: Redis, *words: str) -> Any:
    done = subprocess.run(
        [command(), *words, "--redis", redis.url, "--json"], capture_output=True, text=True, check=True, timeout=LONGEST
    )
    return json.loads(done.stdout)


@pytest.fixture
def demo(redis: Redis, tmp_path: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [
            *(command(), "demo", "--redis", redis.url, "--listen", "127.0.0.1:0"),
            *("--database", str(tmp_path / "demo.sqlite"), "--users", "20", "--orders", "200"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("listening on "):
                yield line.split()[-1]
                break
        else:
            raise AssertionError("the demo ended before it listened")
    finally:
        process.kill()
        process.wait()


def test_what_rust_stored_is_read_and_invalidated_by_python(run: Run, redis: Redis, demo: str) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache, httpx.AsyncClient(base_url=demo) as api:
            heard: asyncio.Queue[Any] = asyncio.Queue()

            @cache.on("user_updated")
            async def updated(payload: Any) -> None:
                await heard.put(payload)

            said = (await api.get("/users/7")).json()
            assert await cache.get("user:7") == said
            assert await cache.get("user:7", type=Profile) == Profile(id=7, name=said["name"])
            # What is not there cannot be read as something else.
            assert await cache.get("user:7", type=list[int]) is None

            assert "hit" in (await api.get("/users/7")).headers["cache-status"]
            await cache.invalidate(tags=["user:7"], everywhere=True)
            assert "fwd=miss" in (await api.get("/users/7")).headers["cache-status"]

            assert await cache.get("user:7") == said
            await api.put("/users/7", json={"name": "Ada", "city": "London"})
            assert await heard.get() == {"id": 7}
            # The log that brought the event brought its invalidation.
            assert await cache.get("user:7") is None

    run(test)


def test_what_python_stored_is_read_and_invalidated_by_rust(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url) as cache:
            await cache.set("users:a:b 1", {"id": 1, "name": "Ada"}, tags=["user:1"])
            assert await cache.get("users:a:b 1") == {"id": 1, "name": "Ada"}
            seen = await asyncio.to_thread(shelflife, redis, "get", "users:a:b 1")
            assert (seen["state"], seen["value"]) == ("fresh", {"id": 1, "name": "Ada"})
            await asyncio.to_thread(shelflife, redis, "invalidate", "--tag", "user:1", "--everywhere")
            assert await cache.get("users:a:b 1") is None

    run(test)
