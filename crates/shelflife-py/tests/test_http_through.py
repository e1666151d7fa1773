"""What the middleware passes on as it comes: streams, files, what breaks off, WebSockets."""

import asyncio
from typing import Any

import pytest
from fastapi import WebSocket
from fastapi.responses import FileResponse, StreamingResponse
from asgi import Counter, Reply, ask, ask_raw, has, made, run, until
from shelflife import Cache
from shelflife.fastapi import CacheDep, Rule, ShelflifeMiddleware


def test_streams_events_and_files_go_through_piece_by_piece() -> None:
    async def work() -> None:
        cache = Cache.memory()
        app = made(cache, Rule.any().ttl(60), max_body="1KiB")
        more = asyncio.Event()

        @app.get("/events")
        async def events() -> StreamingResponse:
            async def pieces() -> Any:
                yield b"data: 1\n\n"
                await more.wait()
                yield b"data: 2\n\n"

            return StreamingResponse(pieces(), media_type="text/event-stream")

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            async def pieces() -> Any:
                yield b"a" * 1000
                await more.wait()
                yield b"b" * 1000

            return StreamingResponse(pieces())

        @app.get("/file")
        def file() -> FileResponse:
            return FileResponse(__file__)

        for path in ("/events", "/stream"):
            more.clear()
            came: list[dict[str, Any]] = []

            async def send(message: Any, came: list[dict[str, Any]] = came) -> None:
                came.append(dict(message))

            task = asyncio.create_task(ask_raw(app, path, send))
            await until(lambda came=came: has(came, 2))  # type: ignore[misc]
            assert not task.done(), "the first piece is there before the second is made"
            more.set()
            await task
            assert [m.get("body") for m in came if m.get("body")] in ([b"data: 1\n\n", b"data: 2\n\n"], [b"a" * 1000, b"b" * 1000])
            assert not Reply(came).is_hit
        whole = open(__file__, "rb").read()
        for _ in range(2):
            reply = await ask(app, "/file")
            assert reply.body == whole and not reply.is_hit, "over the limit"

    run(work)


def test_what_is_no_content_is_passed_on_and_nothing_is_stored() -> None:
    async def work() -> None:
        calls = Counter()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            calls()
            start = {"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]}
            if scope["path"] == "/trailers":
                await send({**start, "trailers": True})
                await send({"type": "http.response.body", "body": b"x", "more_body": False})
                await send({"type": "http.response.trailers", "headers": [(b"a", b"b")], "more_trailers": False})
            else:
                await send(start)
                await send({"type": "http.response.pathsend", "path": "/etc/hostname"})

        served = ShelflifeMiddleware(app, cache=Cache.memory())
        for path, kind in (("/trailers", "http.response.trailers"), ("/file", "http.response.pathsend")):
            for _ in range(2):
                reply = await ask(served, path)
                assert reply.messages[-1]["type"] == kind and not reply.is_hit
        assert calls.count == 4

    run(work)


def test_a_body_that_breaks_off_is_not_stored() -> None:
    async def work() -> None:
        cache, ran = Cache.memory(), Counter()
        app = made(cache, Rule.any().ttl(60))

        @app.get("/x")
        async def x() -> StreamingResponse:
            first = ran() == 1

            async def pieces() -> Any:
                yield b"one"
                if first:
                    raise RuntimeError("gone")
                yield b"two"

            return StreamingResponse(pieces())

        with pytest.raises(RuntimeError, match="gone"):
            await ask(app, "/x")
        assert (await ask(app, "/x")).body == b"onetwo"
        assert (await ask(app, "/x")).is_hit

    run(work)


def test_websockets_go_through() -> None:
    from fastapi.testclient import TestClient

    cache = Cache.memory()
    app = made(cache, Rule.any().ttl(60))

    @app.websocket("/ws")
    async def ws(socket: WebSocket, found: CacheDep) -> None:
        await socket.accept()
        await found.set("k", 1)
        await socket.send_json(await found.get("k"))
        await socket.close()

    app.state.cache = cache
    with TestClient(app) as client, client.websocket_connect("/ws") as socket:
        assert socket.receive_json() == 1
