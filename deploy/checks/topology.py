"""The services of a compose file as plain processes: its own commands, environment, files and health checks, with paths, names and ports put in the place of those in
containers. What is checked is what compose would start, but for the images."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from .product import run
from .server import DEPLOY, PATIENCE, free_port
from .told import check, title

REPOSITORY = DEPLOY.parent


class Answer(NamedTuple):
    status: int
    #: Cache-Status, of the cache that is nearest.
    said: str
    body: str

    @property
    def is_hit(self) -> bool:
        # Who asks while the answer is on its way into the store shares it: RFC 9211 §2.6.
        return "; hit" in self.said or "; collapsed" in self.said


class Topology:
    def __init__(self, started: ExitStack, content: dict[str, Any], scratch: Path, shelflife: str, one_host: bool = False) -> None:
        self.one_host = one_host
        self.started, self.scratch, self.shelflife, self.services = started, scratch, shelflife, content["services"]
        self.files = {name: Path(given["file"]).name for name, given in content.get("secrets", {}).items()}
        self.paths = {"/run/redis": scratch, "/data": scratch / "data", "/app": REPOSITORY / "examples/fastapi"}
        (scratch / "data").mkdir(exist_ok=True)
        self.ports: dict[tuple[str, str], int] = {}
        self.processes: dict[str, "subprocess.Popen[Any]"] = {}
        env = scratch / ".env"
        self.variables = dict(line.split("=", 1) for line in env.read_text().splitlines())

    def up(self) -> bool:
        """Starts all, each when what it depends on is healthy by its own health check."""
        left = dict(self.services)
        while left:
            name = next(name for name in left if not set(left[name].get("depends_on", {})) & set(left))
            if not self.start(name, left.pop(name)):
                return False
        return True

    def start(self, name: str, service: dict[str, Any]) -> bool:
        for source, path in (volume.split(":")[:2] for volume in service.get("volumes", []) if volume.startswith(".")):
            self.paths[path] = DEPLOY / source
        for port in service.get("ports", []):
            self.port(name, port.split(":")[-1])
        command = [self.here(name, word) for word in self.entrypoint(service) + service.get("command", [])]
        environment = {key: self.here(name, value) for key, value in service.get("environment", {}).items()}
        if service["image"].startswith("redis:"):
            command, environment = self.as_redis(name, command, environment)
        log = (self.scratch / f"{name}.log").open("w")
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log, cwd=self.scratch, start_new_session=True)
        self.started.callback(process.wait)
        self.started.callback(lambda: os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None)
        self.processes[name] = process
        if "healthcheck" not in service:
            ended = until(lambda: process.poll() is not None, 90)
            return check(ended and process.returncode == 0, f"{name} does what it is for, and ends", (self.scratch / f"{name}.log").read_text()[-500:])
        healthy = until(lambda: process.poll() is None and self.is_healthy(name, service))
        return check(healthy, f"{name} starts, and is healthy by its own health check", (self.scratch / f"{name}.log").read_text()[-500:])

    def as_redis(self, name: str, command: list[str], environment: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        """A server, a sentinel or a command for them, with a directory and a port of its own."""
        home = self.scratch / name
        home.mkdir(exist_ok=True)
        environment |= {"SECRETS": str(self.secrets_of(name)), "ACL_FILE": str(home / "users.acl"), "SENTINEL_FILE": str(home / "sentinel.conf")}
        if command[0].endswith("form.sh"):
            return command, environment
        environment["PORT"] = str(self.port(name, "26379" if command[0].endswith("sentinel.sh") else "6379"))
        plain = [] if environment.get("TLS") == "yes" else ["--port", environment["PORT"]]
        bus = ["--cluster-port", str(free_port())] if environment.get("CLUSTER") == "yes" else []
        return [*command, *plain, *bus, "--bind", "127.0.0.1", "--dir", str(home)], environment

    def secrets_of(self, name: str) -> Path:
        """What compose would mount for it, and no more: a script that asks for another one fails here, too."""
        mounted = self.scratch / f"{name}.secrets"
        mounted.mkdir(exist_ok=True)
        for secret in self.services[name].get("secrets", []):
            link = mounted / secret
            if not link.is_symlink():
                link.symlink_to(self.scratch / "secrets" / self.files[secret])
        return mounted

    def entrypoint(self, service: dict[str, Any]) -> list[str]:
        if "entrypoint" in service:
            return list(service["entrypoint"])
        of_image = [other["build"]["dockerfile"] for other in self.services.values() if other["image"] == service["image"] and "build" in other]
        if not of_image:
            return []
        said = re.findall(r"^ENTRYPOINT (.*)$", (REPOSITORY / of_image[0]).read_text(), re.M)[-1]
        program, *words = json.loads(said)
        return [{"python": sys.executable, "shelflife": self.shelflife}[program], *words]

    def is_healthy(self, name: str, service: dict[str, Any]) -> bool:
        how, *words = service["healthcheck"]["test"]
        words = [self.here(name, word) for word in words]
        environment = {**os.environ, "SECRETS": str(self.secrets_of(name)), **service.get("environment", {})}
        redis_cli = f"redis-cli -p {self.port(name, '6379')}" if service["image"].startswith("redis:") else "redis-cli"
        if how == "CMD-SHELL":
            words = ["sh", "-c", words[0].replace("redis-cli", redis_cli)]
        else:
            programs = {"healthy": [str(DEPLOY / "docker/healthy")], "python": [sys.executable], "redis-cli": redis_cli.split()}
            words[:1] = programs.get(words[0], words[:1])
        return subprocess.run(words, env=environment, capture_output=True, timeout=PATIENCE, check=False).returncode == 0

    def port(self, name: str, port: str) -> int:
        # In a pod, or on a host, all have one loopback.
        return self.ports.setdefault(("" if self.one_host else name, port), free_port())

    def here(self, name: str, text: str) -> str:
        """What a text in a container is here. A file of the configuration is written anew."""
        text = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: self.variables[found[1]], text)
        names = "|".join(map(re.escape, self.services))
        text = re.sub(rf"\b(0\.0\.0\.0|127\.0\.0\.1|{names}):(\d+)", lambda at: f"127.0.0.1:{self.port(at[1] if at[1] in self.services else name, at[2])}", text)
        known = self.ports.get(("" if self.one_host else name, text))
        if known:
            return str(known)
        for there, path in {"/run/secrets": self.secrets_of(name), **self.paths}.items():
            text = re.sub(rf"(?<![\w/.]){there}(?=/|$)", str(path), text)
        text = "127.0.0.1" if text == "0.0.0.0" else text
        if text.endswith(".toml"):
            # Its paths stand after a quotation mark.
            lines = (self.here(name, line) for line in Path(text).read_text().splitlines())
            (self.scratch / f"{name}.toml").write_text("\n".join(lines) + "\n")
            return str(self.scratch / f"{name}.toml")
        return text

    def ask(self, name: str, port: str, path: str, method: str = "GET", body: Any = None, scheme: str = "http", **fields: str) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{scheme}://localhost:{self.port(name, port)}{path}", content, fields, method=method)
        trusted = ssl.create_default_context(cafile=str(self.scratch / "secrets/certificate.pem")) if scheme == "https" else None
        try:
            with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:
                return Answer(answer.status, (answer.headers.get_all("Cache-Status") or [""])[-1], answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, "", error.read().decode())


def until(holds: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Whether it holds for who asks no later than that, or is the first who asks later."""
    end = time.monotonic() + patience
    while True:
        asked = time.monotonic()
        if holds():
            return True
        if asked > end:
            return False
        time.sleep(0.05)


def to_try(started: ExitStack, content: dict[str, Any], scratch: Path, shelflife: str) -> None:
    title("compose.yaml, as processes")
    all_ = Topology(started, content, scratch, shelflife)
    if not all_.up():
        return
    at = ["--redis", f"redis://127.0.0.1:{all_.port('redis', '6379')}", "--namespace", "default"]

    def epoch() -> object:
        return json.loads(run(shelflife, "get", "user:7", "--json", *at).stdout)["epoch"]

    first, loaded = all_.ask("demo", "8080", "/users/7"), epoch()
    same = all_.ask("fastapi", "8000", "/users/7")
    check("stored" in first.said and same.body == first.body and epoch() == loaded, "FastAPI has what the demo has stored: nothing was loaded anew", (first, same))
    began = time.monotonic()
    answers = [all_.ask("proxy", "8090", path) for path in ("/users?page=2", "/users/7", "/users/7")]
    check(answers[-1].is_hit and answers[-1].body == same.body, "the proxy before FastAPI: the second answer is a hit", answers[-1].said)
    check(time.monotonic() - began < 4, "  and does not wait for itself, whatever the application caches", f"{time.monotonic() - began:.1f} s")
    written = all_.ask("demo", "8080", "/users/7", "PUT", {"name": "Ada Lovelace", "city": "London"}, **{"Content-Type": "application/json"})
    new = until(lambda: "Ada Lovelace" in all_.ask("fastapi", "8000", "/users/7").body, 1.0)
    check(written.status == 200 and new, "what the demo writes is new in FastAPI within 1 s", written)


def production(started: ExitStack, content: dict[str, Any], scratch: Path, shelflife: str) -> None:
    title("compose.production.yaml, as processes: TLS everywhere, users of the ACL")
    secrets = scratch / "secrets"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*words, "-keyout", secrets / "key.pem", "-out", secrets / "certificate.pem"], check=True, capture_output=True)
    all_ = Topology(started, content, scratch, shelflife)
    if not all_.up():
        return
    check("ports" not in content["services"]["redis"], "Redis has no port on the host")
    plain = subprocess.run(["redis-cli", "-p", str(all_.port("redis", "6379")), "ping"], text=True, capture_output=True, timeout=10, check=False)
    check("PONG" not in plain.stdout, "  and answers nobody without TLS", plain.stdout)
    first, again = (all_.ask("proxy", "8443", "/users/7", scheme="https") for _ in range(2))
    check(again.is_hit and first.body == again.body, "over TLS: the second answer is a hit", (first.said, again.said))
    token = (secrets / "proxy_token").read_text().strip()
    done = all_.ask("proxy", "8081", "/_shelflife/invalidate", "POST", {"tags": ["user:7"], "everywhere": True}, Authorization=f"Bearer {token}")
    after = all_.ask("proxy", "8443", "/users/7", scheme="https")
    check(done.status == 200 and "stored" in after.said, "operators invalidate a tag with the token: it is loaded anew", (done, after))
    stranger = all_.ask("proxy", "8081", "/_shelflife/invalidate", "POST", {"all": True}, Authorization="Bearer guess")
    check(stranger.status in (401, 403), "not without it", stranger)
    proxy = all_.processes["proxy"]
    proxy.terminate()
    check(until(lambda: proxy.poll() is not None) and proxy.returncode == 0, "SIGTERM ends the proxy in good order", proxy.returncode)
