"""Real servers, and loops of the test's own."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

T = TypeVar("T")

#: Nothing here takes longer, unless it hangs: not on a machine that does much else either.
LONGEST = 60.0

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Redis:
    """A redis-server of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory, free_port()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--dir", str(self.directory), "--loglevel", "warning"),
            ]
        )
        end = time.monotonic() + LONGEST
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < end, "redis-server does not answer"
                time.sleep(0.02)

    @property
    def address(self) -> str:
        """For who says himself how long to wait for an answer."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """With patience, which in a URL wins over what stands beside it: a pause of the machine is no outage. One whose server was
        killed is refused at once all the same.
        """
        return f"{self.address}?timeout=5s"

    def cli(self, *words: str) -> str:
        command = ["redis-cli", "-p", str(self.port), *words]
        done = subprocess.run(command, check=True, capture_output=True, timeout=LONGEST)
        return done.stdout.decode(errors="replace").strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    assert shutil.which("redis-server"), "the tests need redis-server: apt-get install redis-server"
    server = Redis(tmp_path)
    try:
        yield server
    finally:
        server.thaw()
        server.kill()


@pytest.fixture
def run() -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Runs an async test in a loop of its own, with an end."""

    def run(test: Callable[[], Awaitable[T]]) -> T:
        async def limited() -> T:
            return await asyncio.wait_for(test(), LONGEST)

        return asyncio.run(limited())

    return run


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Waits until something holds: what other processes do has no barrier here."""
    end = time.monotonic() + LONGEST
    while not await holds():
        assert time.monotonic() < end, "it never came to hold"
        await asyncio.sleep(0.01)
