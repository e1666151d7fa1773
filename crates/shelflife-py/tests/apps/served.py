"""The application that test_servers.py has served, by several workers.

Its source is a directory, so that every worker has the same: a file for each item, `gate-*` files that loads wait for, and `events`,
to which whatever happens is appended, a line each.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from shelflife import METRICS_CONTENT_TYPE, Cache, Unavailable

SOURCE = Path(os.environ["SOURCE"])

cache = Cache.from_env(workers=SOURCE / "workers")


def tell(what: str, item: str) -> None:
    """What is appended in one write is never mixed with what others append."""
    line = f"{what} {item} {os.getpid()}\n".encode()
    log = os.open(SOURCE / "events", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(log, line)
    finally:
        os.close(log)


def stored(item: str) -> str:
    path = SOURCE / f"item-{item}"
    return path.read_text() if path.exists() else f"value of {item}"


class CancelsTheGone:
    """Cancels a request when its client has gone, as time limits do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/held/"):
            await self.app(scope, receive, send)
            return
        work = asyncio.ensure_future(self.app(scope, receive, send))

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            work.cancel()

        watching = asyncio.ensure_future(watch())
        try:
            await work
        except asyncio.CancelledError:
            tell("left", scope["path"].rsplit("/", 1)[-1])
        finally:
            watching.cancel()


app = FastAPI(lifespan=cache.lifespan)
app.add_middleware(CancelsTheGone)


@app.exception_handler(Unavailable)
async def unconfirmed(_: Request, error: Unavailable) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503)


@cache.cached(ttl="5m", key="item:{item}", tags=["item:{item}"])
async def read(item: str) -> str:
    tell("load", item)
    return stored(item)


@cache.cached(ttl="5m", key="held:{item}", tags=["item:{item}"])
async def read_held(item: str) -> str:
    """A load that takes until the test opens the gate of the item: what comes before its first dash."""
    tell("load", item)
    gate = SOURCE / f"gate-{item.split('-')[0]}"
    while not gate.exists():
        await asyncio.sleep(0.005)
    return stored(item)


def answer(value: str) -> dict[str, Any]:
    return {"pid": os.getpid(), "value": value}


@app.get("/who")
async def who() -> dict[str, Any]:
    # Keeps this worker from accepting what the others should have.
    time.sleep(0.005)
    return answer("")


@app.get("/metrics")
async def metrics() -> Response:
    return Response(await cache.scrape(), media_type=METRICS_CONTENT_TYPE)


@app.get("/items/{item}")
async def get(item: str) -> dict[str, Any]:
    return answer(await read(item))


@app.get("/held/{item}")
async def held(item: str) -> dict[str, Any]:
    tell("arrived", item)
    return answer(await read_held(item))


@app.get("/strict/{item}")
async def strict(item: str) -> dict[str, Any]:
    return answer(await cache.get(cache_key(item), strict=True))


@app.put("/strict/{item}")
async def put(item: str) -> dict[str, Any]:
    await cache.set(cache_key(item), item)
    return answer(item)


def cache_key(item: str) -> str:
    return f"strict:{item}"


@app.put("/items/{item}/everywhere")
@cache.invalidates(tags=["item:{item}"], everywhere=True)
async def change_everywhere(item: str, value: str) -> dict[str, Any]:
    return change(item, value)


@app.put("/items/{item}/here")
@cache.invalidates(tags=["item:{item}"])
async def change_here(item: str, value: str) -> dict[str, Any]:
    return change(item, value)


def change(item: str, value: str) -> dict[str, Any]:
    # In one step: who reads meanwhile gets the older or the newer.
    new = SOURCE / f"new-{os.getpid()}"
    new.write_text(value)
    new.rename(SOURCE / f"item-{item}")
    return answer(value)


if "USE_BEFORE_FORK" in os.environ:
    # gunicorn --preload imports this in the parent of its workers.
    assert cache.sync.get_or_load("before-fork", lambda: "parent", tags=["before-fork"]) == "parent"
    assert cache.sync.get("before-fork") == "parent"
    tell("used", "before-fork")


@app.get("/before-fork")
async def before_fork() -> dict[str, Any]:
    return answer(await cache.get("before-fork"))
