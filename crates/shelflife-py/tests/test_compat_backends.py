"""`shelflife.compat.fastapi_cache`: where the entries are; a server that is gone."""

from __future__ import annotations

import asyncio
import json
import logging
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from compat_kit import Item, anew, begin, client_of  # noqa: F401
from conftest import Redis, until
from fastapi import FastAPI

from shelflife import Cache, Unavailable
from shelflife.compat.fastapi_cache import FastAPICache, JsonCoder
from shelflife.compat.fastapi_cache.backends.inmemory import InMemoryBackend
from shelflife.compat.fastapi_cache.backends.redis import RedisBackend
from shelflife.compat.fastapi_cache.decorator import cache
from shelflife.compat.fastapi_cache.types import Backend

Run = Callable[[Callable[[], Any]], Any]


class _Pool:
    def __init__(self, secure: bool = False, **how: Any) -> None:
        self.connection_kwargs = how
        self.connection_class = type("SSLConnection" if secure else "Connection", (), {})


def client(**how: Any) -> Any:
    """What is asked of a client of redis-py."""
    return types.SimpleNamespace(connection_pool=_Pool(**how))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (client(), "redis://localhost:6379/0"),
        (client(host="h", port=7, db=3), "redis://h:7/3"),
        (client(host="h", port=7, username="a:b", password="p@/s"), "redis://a%3Ab:p%40%2Fs@h:7/0"),
        (client(host="::1", password="p", secure=True), "rediss://:p@[::1]:6379/0"),
        (client(path="/run/r s.sock", db=2, username="u", password="p&"), "unix:///run/r%20s.sock?db=2&user=u&pass=p%26"),
    ],
)
def test_the_address_of_a_client_is_taken_over(given: Any, url: str) -> None:
    assert RedisBackend(given).cache._url == url
    assert RedisBackend(url).cache._url == url
    assert RedisBackend(given).redis is given


def test_a_client_without_one_address_is_refused() -> None:
    sentinel = client(host="h")
    sentinel.connection_pool.sentinel_manager = object()
    for given in (sentinel, types.SimpleNamespace(nodes_manager=1), client(host="h", ssl_ca_certs="/ca.pem"), client(ssl_cert_reqs="none")):
        with pytest.raises(TypeError, match="give a URL"):
            RedisBackend(given)
    with pytest.raises(TypeError, match="namespace"):
        RedisBackend(Cache.memory(), namespace="x")


def test_a_backend_by_hand(run: Run) -> None:
    async def test() -> None:
        backend = InMemoryBackend()
        begin(backend)
        assert isinstance(backend, Backend)
        assert (await backend.get("k"), await backend.get_with_ttl("k")) == (None, (0, None))
        await backend.set("k", b"bytes", 100)
        left, value = await backend.get_with_ttl("k")
        assert (95 <= left <= 100, value) == (True, b"bytes")

        # What is set by hand is what a function finds, and the other way round.
        @cache(key_builder=lambda *_, **__: "mine")
        async def of() -> Item:
            # A field that is left at its default is not written.
            return Item(id=2, price=Decimal("1.10"))

        await backend.set("mine", JsonCoder.encode(Item(id=1)))
        assert await of() == Item(id=1)
        await backend.clear(key="mine")
        assert await of() == Item(id=2)
        assert json.loads(await backend.get("mine") or b"")["id"] == 2
        await backend.clear(namespace="p:")
        assert await backend.get("mine") is None
        assert await backend.clear() == 0

    run(test)


def test_two_processes_share_entries_and_clear(run: Run, redis: Redis) -> None:
    async def test() -> None:
        calls = 0

        @cache(namespace="ns")
        async def of() -> Item:
            nonlocal calls
            calls += 1
            return Item(id=calls)

        one, two = RedisBackend(client(host="127.0.0.1", port=redis.port)), RedisBackend(redis.url)

        async def by(backend: Any) -> Item:
            FastAPICache.reset()
            begin(backend)
            return await of()

        assert [await by(one), await by(two)] == [Item(id=1)] * 2
        await FastAPICache.clear(namespace="ns")

        async def is_new() -> bool:
            return (await by(one)).id == 2

        await until(is_new)
        assert await by(two) == Item(id=2)
        for backend in (one, two):
            await backend.cache.close()

    run(test)


def test_an_outage_of_redis_is_none_of_the_endpoint(run: Run, redis: Redis) -> None:
    app = FastAPI()

    @app.get("/{n}")
    @cache()
    async def of(n: int) -> int:
        return n

    async def test() -> None:
        backend = RedisBackend(redis.address, window="50ms", timeout="200ms")
        begin(backend)
        async with client_of(app) as client:
            assert (await client.get("/0")).json() == 0
            redis.freeze()
            response = await asyncio.wait_for(client.get("/1"), 5)
            assert (response.status_code, response.json()) == (200, 1)
            redis.thaw()
            redis.kill()
            for n in range(3):
                assert (await client.get(f"/{n}")).json() == n
            with pytest.raises(Unavailable):
                await FastAPICache.clear(namespace="ns")
        await backend.cache.close()

    run(test)


def test_a_redis_that_refuses_is_none_of_the_endpoint_either(run: Run, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        redis.cli("CONFIG", "SET", "requirepass", "secret")
        begin(RedisBackend(redis.url))

        @cache()
        async def of() -> int:
            return 1

        assert [await of(), await of()] == [1, 1]

    with caplog.at_level(logging.WARNING):
        run(test)
    assert "of is not cached" in caplog.text
