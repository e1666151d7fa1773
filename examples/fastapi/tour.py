"""Starts a Redis, the demo in Rust and the one in FastAPI on one database, and walks through both.

Usage: tour.py PATH-OF-SHELFLIFE [--stay]

Each step says what it expects; the first that does not hold ends the tour with code 1. Work saved is counted by the database, not by the
cache's own word. With --stay both go on running afterwards, to be played with, until Ctrl-C.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent

#: Δ: in another process nothing older is served to who asks later than this after a write has returned.
BOUND = 1.0

#: How long what has no bound may take before the tour calls it broken: a start, a refresh.
PATIENCE = 30.0


class Answer(NamedTuple):
    status: int
    said: str
    body: Any


class Api:
    """One of the two services, as anybody else would ask it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        fields = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, content, fields, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                text = response.read()
                return Answer(response.status, response.headers["Cache-Status"] or "", json.loads(text or b"null"))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers["Cache-Status"] or "", json.loads(error.read() or b"null"))

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def queries(self) -> int:
        """How often its database was asked."""
        count: int = self.get("/stats").body["database"]["queries"]
        return count


def step(what: str, holds: bool, shown: object) -> None:
    print(f"  {'ok' if holds else 'WRONG':<6}{what:<62}{shown}", flush=True)
    if not holds:
        sys.exit("the tour ends here: that was not as expected")


def within_bound(what: str, api: Api, path: str, is_new: Callable[[Answer], bool], bound: float = BOUND) -> None:
    """A write has just returned: whoever asks later than the bound from now on gets what is new."""
    returned = time.monotonic()
    while True:
        asked = time.monotonic() - returned
        holds = is_new(api.get(path))
        if holds or asked > bound:
            return step(what, holds, f"{'new' if holds else 'old'} {asked * 1000:.0f} ms after")


def hit(answer: Answer) -> bool:
    # Who asks while the answer is on its way into the store shares it: RFC 9211 §2.6.
    return "; hit" in answer.said or "; collapsed" in answer.said


def stored(answer: Answer) -> bool:
    return "; stored" in answer.said


def entries(rust: Api, python: Api) -> None:
    print("\nOne entry for both")
    first = rust.get("/users/7")
    step("Rust reads user 7: loaded, and stored", stored(first), first.said)
    before = python.queries()
    same = python.get("/users/7")
    asked = python.queries() - before
    step("Python reads it: the same, its database was not asked", same.body == first.body and asked == 0, f"{asked} queries")
    python.get("/users/8")
    again = rust.get("/users/8")
    step("Python has loaded user 8: a hit in Rust", hit(again), again.said)
    before = python.queries()
    three = python.get("/compare?id=7&id=8&id=9").body
    asked = python.queries() - before
    step("Python compares 7, 8 and 9: one query, for 9", asked == 1, f"{asked} query")
    again = rust.get("/users/9")
    step("  which Rust hits as well", hit(again) and again.body == three[2], again.said)
    python.get("/users/999999")
    nobody = rust.get("/users/999999")
    step("Nobody is a value: Rust knows from Python that there is none", nobody.status == 404 and hit(nobody), nobody.said)


def writes(rust: Api, python: Api) -> None:
    print("\nWrite in one, read in the other")
    rust.ask("PUT", "/users/7", {"name": "Ada Lovelace", "city": "London"})
    within_bound("Rust changes a name: new in Python", python, "/users/7", lambda a: a.body["name"] == "Ada Lovelace")
    rust.get("/users/7")
    python.ask("PUT", "/users/7", {"name": "Grace Hopper", "city": "Oslo"})
    within_bound("Python changes it: new in Rust", rust, "/users/7", lambda a: a.body["name"] == "Grace Hopper")
    own = python.get("/users/7").body["name"]
    step("  and in Python, where it was written, at once", own == "Grace Hopper", own)
    of = rust.get("/users/7").body["standing"]["of"]
    python.ask("DELETE", "/users/9")
    within_bound("Python removes user 9: gone in Rust", rust, "/users/9", lambda a: a.status == 404)
    within_bound("  and everybody's rank is another (tag ranks)", rust, "/users/7", lambda a: a.body["standing"]["of"] == of - 1)


def events(rust: Api, python: Api) -> None:
    print("\nAn event of Rust, a handler in Python")
    before = python.get("/cities/Atlantis/top").body
    step("Python stores top:Atlantis:3, of which Rust knows nothing", before == [], before)
    rust.ask("PUT", "/users/7", {"name": "Grace Hopper", "city": "Atlantis"})
    what = "Rust emits user_updated: Python's handler invalidates top:*"
    # A handler runs when its process gets to it: there is no bound.
    within_bound(what, python, "/cities/Atlantis/top", lambda a: [one["id"] for one in a.body] == [7], PATIENCE)


def responses(rust: Api, python: Api) -> None:
    print("\nResponses")
    for path, by in (("/users", "a Rule of the middleware"), ("/cities", "@cache.route")):
        first, again = python.get(path), python.get(path)
        step(f"GET {path}, by {by}: a miss", stored(first), first.said)
        step("  a hit", hit(again) and again.body == first.body, again.said)
        rust.ask("PUT", "/users/7", {"name": "Grace Hopper", "city": path})
        within_bound("  Rust writes: not served any more", python, path, stored)
    mine, theirs = {"Authorization": "Bearer token-of-1"}, {"Authorization": "Bearer token-of-2"}
    python.get("/me/orders", **mine), python.get("/me/orders", **theirs)
    again, other = python.get("/me/orders", **mine), python.get("/me/orders", **theirs)
    step("GET /me/orders, per user: a hit", hit(again), again.said)
    step("  another user has another answer", hit(other) and other.body != again.body, other.said)
    stranger = python.get("/me/orders", Authorization="Bearer forged"), python.get("/me/orders")
    step("  who is nobody has none", all(one.status in (401, 403) for one in stranger), stranger[0].status)
    spent = rust.get("/users/1").body["orders"]["spent_cents"]
    order = python.ask("POST", "/me/orders?cents=500000", **mine).body
    new, other = python.get("/me/orders", **mine), python.get("/me/orders", **theirs)
    step("  an order is placed: there at once (@cache.invalidates)", new.body[0] == order, new.said)
    step("  the other user's answer has stayed", hit(other), other.said)
    within_bound("  and in Rust in the profile", rust, "/users/1", lambda a: a.body["orders"]["spent_cents"] == spent + 500000)
    python.get("/users?page=2", Host="api.test")
    again = rust.get("/users?page=2", Host="api.test")
    step("Asked under one name (Host), Rust hits responses of Python", hit(again), again.said)


def main(shelflife: str, *, stay: bool) -> None:
    found = os.environ.get("SHELFLIFE_TEST_REDIS_SERVER") or shutil.which("redis-server") or shutil.which("valkey-server")
    if not found:
        sys.exit("the tour needs a Redis or Valkey server: apt-get install redis-server")
    # Of both: a pause of the machine is no outage.
    os.environ["SHELFLIFE_TIMEOUT"] = "5s"
    with ExitStack() as started:
        scratch = started.enter_context(tempfile.TemporaryDirectory(prefix="shelflife-"))
        port, own = free_port(), free_port()
        redis = f"redis://127.0.0.1:{port}"
        server = [found, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", scratch, "--loglevel", "warning"]
        until_it_listens(start(started, *server), port)
        shared = ["--redis", redis, "--namespace", "tour", "--database", f"{scratch}/demo.sqlite"]
        # It makes the database, so it comes first.
        demo = start(started, shelflife, "demo", *shared, "--listen", "127.0.0.1:0", "--users", "2000", "--orders", "100000")
        rust = Api(listening(demo))
        app = [sys.executable, str(HERE / "app.py"), *shared, "--listen", f"127.0.0.1:{own}"]
        until_it_listens(start(started, *app), own)
        python = Api(f"http://127.0.0.1:{own}")
        for walk in (entries, writes, events, responses):
            walk(rust, python)
        if stay:
            print("\nBoth go on, till Ctrl-C. For another terminal:")
            print(f"export RUST={rust.url} PYTHON={python.url} SHELFLIFE_URL={redis} SHELFLIFE_NAMESPACE=tour", flush=True)
            signal.pause()


def start(started: ExitStack, *command: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    started.callback(process.wait)
    started.callback(process.kill)
    return process


def listening(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listening on "):
            return line.split()[-1]
    sys.exit("the demo ended before it listened")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_it_listens(process: "subprocess.Popen[str]", port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{process.args!r} does not listen on port {port}")
            time.sleep(0.02)


if __name__ == "__main__":
    # What was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        main(sys.argv[1], stay="--stay" in sys.argv)
    except KeyboardInterrupt:
        pass
