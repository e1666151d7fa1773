"""What is served, by the variable KIND: one route, `/items`, that answers with the bytes of `subject.py`; and `/calls`, how often the
endpoint was called for a value that could have been kept.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request, Response

from .subject import BODY, catalog

#: For an hour: longer than any run.
TTL = 3600
calls = 0


def made() -> dict[str, Any]:
    global calls
    calls += 1
    return catalog()


async def who(request: Request) -> str:
    """Stands for authentication."""
    return request.headers.get("user-agent", "nobody")


KNOWN = [Depends(who)]


def bare() -> Any:
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
    start = {"type": "http.response.start", "status": 200, "headers": head}
    body = {"type": "http.response.body", "body": BODY}
    zero = {"type": "http.response.body", "body": b"0"}
    zero_start = {**start, "headers": [(b"content-length", b"1")]}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["path"] == "/calls":
            await send(zero_start)
            await send(zero)
            return
        await send(start)
        await send(body)

    return app


def response() -> FastAPI:
    app = _application()

    @app.get("/items", dependencies=KNOWN)
    async def items() -> Response:
        return Response(BODY, media_type="application/json")

    return app


def public() -> Any:
    from shelflife import Cache
    from shelflife.fastapi import Rule, ShelflifeMiddleware

    cache = Cache.from_env(namespace="public")
    app = _application(cache.lifespan)

    @app.get("/items")
    async def items() -> dict[str, Any]:
        return made()

    # In front of all that FastAPI itself puts in front of a route.
    return ShelflifeMiddleware(app, cache=cache, rules=[Rule.path("/items").ttl("1h").public()])


def route() -> FastAPI:
    from shelflife import Cache
    from shelflife.fastapi import ShelflifeMiddleware

    cache = Cache.from_env(namespace="route")
    app = _application(cache.lifespan)
    app.add_middleware(ShelflifeMiddleware, cache=cache)

    @app.get("/items", dependencies=KNOWN)
    @cache.route(ttl="1h", tags=["items"])
    async def items() -> dict[str, Any]:
        return made()

    return app


def fastapi_cache2() -> FastAPI:
    from fastapi_cache.backends.redis import RedisBackend
    from redis.asyncio import from_url

    return _fastapi_cache2(lambda: RedisBackend(from_url(os.environ["REDIS_URL"])))


def fastapi_cache2_memory() -> FastAPI:
    from fastapi_cache.backends.inmemory import InMemoryBackend

    return _fastapi_cache2(InMemoryBackend)


def _fastapi_cache2(backend: Any) -> FastAPI:
    from fastapi_cache import FastAPICache
    from fastapi_cache.decorator import cache

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        FastAPICache.init(backend(), prefix="fastapi-cache2")
        yield

    app = _application(lifespan)

    @app.get("/items", dependencies=KNOWN)
    @cache(expire=TTL)
    async def items() -> dict[str, Any]:
        return made()

    return app


def fastapi_redis_sdk() -> FastAPI:
    from redis_fastapi import FastAPIRedis, cache

    app = _application()
    FastAPIRedis(app).lifespan().caching()

    @app.get("/items", dependencies=[*KNOWN, Depends(cache(ttl=TTL))])
    async def items() -> dict[str, Any]:
        return made()

    return app


def _application(lifespan: Any = None) -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.get("/calls")
    async def how_many() -> int:
        return calls

    return app


KINDS = {
    each.__name__: each
    for each in (bare, response, public, route, fastapi_cache2, fastapi_cache2_memory, fastapi_redis_sdk)
}
app = KINDS[os.environ["KIND"]]()
