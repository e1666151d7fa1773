"""Real ASGI servers with several workers, and clients that know which worker answers them.

A connection stays with the worker that has accepted it, so a test opens connections until it has some to every worker, and then
says exactly who is asked what.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import LONGEST, Redis, free_port

WORKERS = 4
#: How many connections are opened at once, and how often, before it is said that a worker never answers.
OPENED_AT_ONCE, ATTEMPTS = 32, 30
APPS = Path(__file__).parent / "apps"
#: What no server may ever print.
ALARMS = ("Traceback", "Task was destroyed", "never retrieved", "never awaited", "panicked", "Exception ignored", "Fatal")

Command = Callable[[int], list[str]]


def uvicorn(port: int) -> list[str]:
    return [
        *("uvicorn", "served:app", "--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS)),
        *("--loop", "uvloop", "--http", "httptools", "--log-level", "warning"),
        *("--timeout-keep-alive", "600", "--timeout-worker-healthcheck", "60"),
    ]


def granian(port: int) -> list[str]:
    return [
        *("granian", "--interface", "asgi", "served:app", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", str(WORKERS), "--loop", "uvloop", "--log-level", "warning"),
        *("--respawn-failed-workers", "--respawn-interval", "0.2"),
    ]


def gunicorn(port: int) -> list[str]:
    return [
        *("gunicorn", "served:app", "-b", f"127.0.0.1:{port}", "-w", str(WORKERS), "-k", "uvicorn_worker.UvicornWorker"),
        *("--log-level", "warning", "--keep-alive", "600", "--graceful-timeout", "60", "--no-control-socket"),
    ]


def gunicorn_preload(port: int) -> list[str]:
    return [*gunicorn(port), "--preload"]


class Server:
    """A server of the test's own, its Redis and the source of its application."""

    def __init__(self, command: Command, directory: Path) -> None:
        self.command, self.source, self.port = command, directory / "source", free_port()
        self.output = directory / "output"
        self.source.mkdir()
        (directory / "redis").mkdir()
        self.redis = Redis(directory / "redis")
        self.process: subprocess.Popen[bytes] | None = None
        #: How much of the output and of the events belongs to earlier tests.
        self._read, self._told = 0, 0

    def ensure(self) -> None:
        """Starts what doesn't run."""
        self.redis.thaw()
        if self.redis.process.poll() is not None:
            self.redis.start()
        self._read = self.output.stat().st_size if self.output.exists() else 0
        self._told = len(self._events())
        if self.process is None or self.process.poll() is not None:
            self._start()

    def _start(self) -> None:
        program, *words = self.command(self.port)
        environment = {
            **os.environ,
            "PYTHONPATH": str(APPS),
            "PYTHONUNBUFFERED": "1",
            "SOURCE": str(self.source),
            "SHELFLIFE_URL": self.redis.address,
            # Load alone, on a machine that is busy, must not look like an outage.
            "SHELFLIFE_TIMEOUT": "2s",
        }
        if self.command is gunicorn_preload:
            environment["USE_BEFORE_FORK"] = "1"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name(program)), *words],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def terminate(self) -> int:
        """Asks it to end, and waits for its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONGEST)

    def kill(self) -> None:
        """The server with its workers, which are of its group, and the Redis."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        self.redis.thaw()
        self.redis.kill()

    def said(self) -> str:
        """What it has printed in this test."""
        return self.output.read_bytes()[self._read :].decode(errors="replace") if self.output.exists() else ""

    def alarms(self) -> list[str]:
        return [line for line in self.said().splitlines() if any(alarm in line for alarm in ALARMS)]

    def _events(self) -> list[str]:
        events = self.source / "events"
        return events.read_text().splitlines() if events.exists() else []

    def events(self, what: str, item: str = "") -> list[tuple[str, int]]:
        """Item and pid of what the application has told in this test, of items that begin so."""
        told = [line.split() for line in self._events()[self._told :]]
        return [(of, int(pid)) for kind, of, pid in told if kind == what and of.startswith(item)]

    def loads(self, item: str = "") -> int:
        return len(self.events("load", item))

    def open_gate(self, item: str) -> None:
        """Lets the loads of an item, and of all that are named `item-...`, come to their end."""
        (self.source / f"gate-{item.split('-')[0]}").touch()

    async def connect(self) -> Connection:
        """A connection to some worker, when one listens."""
        end = time.monotonic() + LONGEST
        while True:
            try:
                return Connection(*await asyncio.open_connection("127.0.0.1", self.port))
            except OSError:
                assert self.process is not None and self.process.poll() is None, "the server has ended"
                assert time.monotonic() < end, "the server does not listen"
                await asyncio.sleep(0.02)

    async def workers(self, each: int = 1) -> dict[int, list[Connection]]:
        """So many connections to each of the workers, by pid. All of them must answer before it gives up."""
        found: dict[int, list[Connection]] = {}
        for _ in range(ATTEMPTS):
            opened = [await self.connect() for _ in range(OPENED_AT_ONCE)]
            told = await asyncio.gather(*(connection.get("/who") for connection in opened), return_exceptions=True)
            for connection, reply in zip(opened, told):
                # A worker that is about to end may close what it has accepted.
                if isinstance(reply, BaseException):
                    assert isinstance(reply, OSError | EOFError), reply
                    connection.close()
                elif len(mine := found.setdefault(reply.pid, [])) < each:
                    mine.append(connection)
                else:
                    connection.close()
            if Counter(len(mine) for mine in found.values())[each] >= WORKERS:
                return found
        raise AssertionError(f"after {ATTEMPTS * OPENED_AT_ONCE} connections: {found}")


class Reply:
    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body

    @property
    def pid(self) -> int:
        return int(self._json()["pid"])

    @property
    def value(self) -> Any:
        return self._json()["value"]

    def _json(self) -> Any:
        assert self.status == 200, (self.status, self.body)
        return json.loads(self.body)


class Connection:
    """HTTP/1.1 as far as it is needed: one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def get(self, path: str) -> Reply:
        return await self.ask("GET", path)

    async def put(self, path: str) -> Reply:
        return await self.ask("PUT", path)

    async def ask(self, method: str, path: str) -> Reply:
        self.send(method, path)
        return await self.reply()

    def send(self, method: str, path: str) -> None:
        self.writer.write(f"{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n".encode())

    async def reply(self) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = head.split("content-length: ")[1].split("\r\n")[0]
        return Reply(int(head.split()[1]), await self.reader.readexactly(int(length)))

    def close(self) -> None:
        """As a client that does not wait for its reply."""
        self.writer.close()
