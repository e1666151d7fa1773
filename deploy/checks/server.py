"""Redis as deploy/redis starts it: start.sh, redis.conf and users.acl, on a free port of 127.0.0.1, in a scratch directory."""

import json
import os
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).parent.parent
START = DEPLOY / "redis/start.sh"
#: How long what has no bound may take before it is called broken: a start, on a machine that does much else.
PATIENCE = 60.0


class Server:
    """One server with its passwords. What it started ends with the stack."""

    def __init__(self, started: ExitStack, scratch: Path, *options: str, namespaces: str = "default") -> None:
        self.port, self.scratch = free_port(), scratch
        scratch.mkdir(exist_ok=True)
        self.env = {**os.environ, "SECRETS": str(scratch / "secrets"), "ACL_FILE": str(scratch / "users.acl"), "DEPLOY": str(scratch), "NAMESPACES": namespaces}
        # What is set to no is no more than what is not set.
        self.env |= {"SENTINELS": "", "CLUSTER": "no"}
        self.passwords("init")
        self.log = scratch / "redis.log"
        local = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(scratch)]
        with self.log.open("w") as log:
            process = subprocess.Popen([str(START), *local, *options], env=self.env, stdout=log, stderr=log)
        started.callback(process.wait)
        started.callback(process.kill)
        until_it_listens(process, self.port)

    def passwords(self, what: str) -> None:
        subprocess.run([DEPLOY / "passwords", what], env=self.env, check=True)

    def reload(self) -> str:
        return subprocess.run([START, "reload", "-p", str(self.port)], env=self.env, text=True, capture_output=True, check=False).stdout.strip()

    def password(self, user: str) -> str:
        """The newest one."""
        return (self.scratch / f"secrets/redis_{user}").read_text().split()[-1]

    def acl(self) -> str:
        """The ACL file that start.sh has made."""
        return (self.scratch / "users.acl").read_text()

    def url(self, user: str = "shelflife", password: str | None = None) -> str:
        return f"redis://{user}:{password or self.password(user)}@127.0.0.1:{self.port}/0"

    def ask(self, user: str, *command: str) -> Any:
        """What redis-cli gets as this user; an error as its text."""
        env = {**self.env, "REDISCLI_AUTH": "any" if user == "probe" else self.password(user)}
        words = ["redis-cli", "-p", str(self.port), "-3", "--json", "--user", user, *command]
        told = subprocess.run(words, env=env, encoding="utf-8", errors="replace", capture_output=True, timeout=PATIENCE, check=False).stdout.strip()
        try:
            return json.loads(told)
        except ValueError:
            return told

    def denied(self) -> list[dict[str, Any]]:
        """ACL LOG: what the server has refused since it was last emptied."""
        log = self.ask("operator", "acl", "log", "1000")
        assert isinstance(log, list), log
        return log


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_it_listens(process: "subprocess.Popen[Any]", port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{process.args!r} does not listen on port {port}") from None
            time.sleep(0.02)
