"""The Redis of this run."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time

#: How long it may take to answer, in seconds.
PATIENCE = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Redis:
    """A redis-server of its own, killed at the end."""

    def __enter__(self) -> Redis:
        if shutil.which("redis-server") is None:
            raise SystemExit("the benches need redis-server: tools/need-redis installs it, or says how")
        self.directory, self.port = tempfile.TemporaryDirectory(), free_port()
        self.process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--dir", self.directory.name, "--loglevel", "warning"),
            ],
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + PATIENCE
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise SystemExit("redis-server does not answer")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def version(self) -> str:
        done = subprocess.run(["redis-cli", "-p", str(self.port), "INFO", "server"], capture_output=True, text=True, check=True)
        return next(line.split(":")[1].strip() for line in done.stdout.splitlines() if line.startswith("redis_version:"))
