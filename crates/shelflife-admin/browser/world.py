"""What the page is tested against: a Redis, two demos on it, and clients that read and write.

Everything here ends with the value that started it. Load is bounded: a few clients, a pause between requests.
"""

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: How long what has no bound may take before a test calls it broken.
PATIENCE = 30.0

#: The users that clients read.
READ = 400


def until(what: str, holds: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Looks until it holds, and gives what it then is."""
    end = time.monotonic() + patience
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


class Process:
    """A program of our own, ended when we are."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SHELFLIFE_") and k != "REDIS_URL"}
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)

    def said(self, text: str) -> str:
        """The first line that holds a text, once there is one."""

        def line() -> str | None:
            assert self.process.poll() is None, f"{self.process.args} has ended:\n{self.log.read_text()}"
            return next((line for line in self.log.read_text().splitlines() if text in line), None)

        found: str = until(f"{text!r} in {self.log}", line)
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Redis(Process):
    def __init__(self, directory: Path) -> None:
        named = os.environ.get("SHELFLIFE_TEST_REDIS_SERVER")
        binary = named or shutil.which("redis-server") or shutil.which("valkey-server")
        assert binary, "no redis-server: tools/need-redis installs one, or says how"
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}"
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        super().__init__([binary, *options, "--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru", "--dir", str(directory)], directory / "redis.log")
        self.said("Ready to accept connections")


class Demo(Process):
    """A demo, and where its API and its page are."""

    def __init__(self, command: str, directory: Path, name: str, *more: str) -> None:
        database = directory / "demo.sqlite"
        # The last of them are nobody's: what a test does to them, no client undoes.
        size = ["--users", str(READ + 20), "--orders", "20000"]
        addresses = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        super().__init__([command, "demo", "--database", str(database), *size, *addresses, *more], directory / f"{name}.log")
        self.api = self.said("listening on ").split("//")[1]
        self.page = self.said("/_shelflife/").split()[1]

    def ask(self, method: str, path: str, body: Any = None) -> int:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.api}{path}", content, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            response.read()
            status: int = response.status
            return status

    def now(self) -> Any:
        with urllib.request.urlopen(f"{self.page}api/now", timeout=PATIENCE) as response:
            return json.load(response)


class Clients:
    """A few clients of the demos, who read what is popular and write now and then, until they are told to end."""

    def __init__(self, demos: list[Demo], each: int = 2) -> None:
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(demo, seed), daemon=True) for demo in demos for seed in range(each)]
        for thread in self.threads:
            thread.start()

    def _run(self, demo: Demo, seed: int) -> None:
        dice = random.Random(seed)
        connection = http.client.HTTPConnection(demo.api, timeout=PATIENCE)
        while not self.ended.wait(0.01):
            user = min(READ, int(dice.paretovariate(0.8)))
            try:
                if dice.random() < 0.008:
                    body = json.dumps({"name": f"Ada {dice.randrange(99)}", "city": "London"})
                    connection.request("PUT", f"/users/{user}", body)
                elif dice.random() < 0.1:
                    connection.request("GET", f"/users?page={dice.randrange(1, 9)}")
                else:
                    connection.request("GET", f"/users/{user}")
                connection.getresponse().read()
            except OSError:
                connection.close()

    def end(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join(PATIENCE)
