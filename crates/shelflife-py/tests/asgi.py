"""Requests to an application as a server would make them: every message counts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from shelflife import Cache
from shelflife.fastapi import Rule, ShelflifeMiddleware


class Reply:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages
        starts = [message for message in messages if message["type"] == "http.response.start"]
        assert len(starts) == 1, messages
        self.status: int = starts[0]["status"]
        self.fields: list[tuple[bytes, bytes]] = list(starts[0]["headers"])
        self.body = b"".join(m.get("body", b"") for m in messages if m["type"] == "http.response.body")

    def get(self, name: str) -> str | None:
        found = [value.decode() for field, value in self.fields if field.decode().lower() == name]
        return ", ".join(found) if found else None

    @property
    def said(self) -> str:
        return self.get("cache-status") or ""

    @property
    def is_hit(self) -> bool:
        # Whoever comes while the answer is being stored gets that.
        return "; hit" in self.said or "; collapsed" in self.said


Headers = dict[str, str]


async def ask(
    app: Any,
    target: str,
    method: str = "GET",
    headers: Headers | None = None,
    body: bytes = b"",
    raw_headers: Any = None,
    of: Any = None,
    **more: Any,
) -> Reply:
    """One request, as a server would make it."""
    path, _, query = target.partition("?")
    messages: list[dict[str, Any]] = []
    asked = [{"type": "http.request", "body": body, "more_body": False}]
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(dict(message))

    fields = [(b"host", b"api.test"), *((k.lower().encode(), v.encode()) for k, v in (headers or {}).items())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": fields if raw_headers is None else raw_headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        **({} if of is None else {"app": of}),
        **more,
    }
    await app(scope, receive, send)
    return Reply(messages)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async def wait() -> None:
        while not await holds():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), 30)


class Counter:
    """How often an endpoint ran."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))  # type: ignore[arg-type]


def made(cache: Cache, *rules: Rule, **settings: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(ShelflifeMiddleware, cache=cache, rules=rules, **settings)
    return app


def counting(cache: Cache, *rules: Rule) -> tuple[FastAPI, Counter]:
    """With one route, `/x`: its answer is how often it has run."""
    app, ran = made(cache, *rules), Counter()

    @app.get("/x")
    def x() -> int:
        return ran()

    return app, ran


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


async def aged(app: Any, path: str) -> bool:
    # However old: a machine may pause.
    return (await ask(app, path)).get("age") is not None


async def has(came: list[dict[str, Any]], count: int) -> bool:
    return len(came) >= count


async def ask_raw(app: Any, path: str, send: Any, headers: Headers | None = None) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    fields = [(b"host", b"api.test"), *((k.lower().encode(), v.encode()) for k, v in (headers or {}).items())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": fields, "client": None, "server": None,
    }  # fmt: skip
    await app(scope, receive, send)


async def true(holds: bool) -> bool:
    return holds


async def gives(app: Any, path: str, body: bytes) -> bool:
    return (await ask(app, path)).body == body


async def ask_with(app: Any, path: str, send: Any, more: dict[str, Any]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [(b"host", b"api.test")], **more,
    }  # fmt: skip
    await app(scope, receive, send)
