"""Requests a second over loopback: what shelflife answers, beside what answers without it, and beside two libraries.

    wrk (last core) ──► uvicorn (first core), one worker: served.py as one of KINDS
                            └─► redis (last core)

Every server is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import load
from .measure import compete
from .report import Report, Row, Target
from .server import Redis, free_port, listens
from .subject import BODY

SECTION = "web hit, requests a second"
ROUNDS = 7
#: How long a server may take to listen, in seconds.
PATIENCE = 30.0

#: See served.py.
KINDS = ("bare", "response", "public", "route", "fastapi_cache2", "fastapi_cache2_memory", "fastapi_redis_sdk")

ROWS = (
    ("public, beside a bare ASGI application", "public", "bare", Target("at_least", 0.85)),
    ("public, beside fastapi-cache2 on Redis", "public", "fastapi_cache2", Target("at_least", 12)),
    ("public, beside fastapi-cache2 in memory", "public", "fastapi_cache2_memory", None),
    ("public, beside fastapi-redis-sdk", "public", "fastapi_redis_sdk", Target("at_least", 12)),
    ("after dependencies, beside a route that returns the bytes", "route", "response", Target("at_least", 0.85)),
    ("after dependencies, beside fastapi-cache2 in memory", "route", "fastapi_cache2_memory", None),
)


def run(redis: Redis, report: Report) -> None:
    report.note(
        SECTION,
        "one body of 1.8 KB of JSON, 64 connections; uvicorn with uvloop and httptools, one worker, on one core, wrk on another;",
        "the bytes come out the same in every row; a dependency reads a header, but for the bare application and the public hit",
    )
    os.sched_setaffinity(redis.process.pid, {load.last_core()})
    with ExitStack() as servers:
        urls = {kind: servers.enter_context(_served(kind, redis)) for kind in KINDS}
        for kind, url in urls.items():
            _check(kind, url)
        times = compete(ROUNDS, {kind: load.turn(f"{url}/items") for kind, url in urls.items()})
        for kind, url in urls.items():
            _check(kind, url)
    for what, ours, other, target in ROWS:
        mine, beside = times[ours], times[other]
        report.row(Row(SECTION, what, 1e9 / mine.median(), "per_second", 1e9 / beside.median(), beside.over(mine), target))


@contextmanager
def _served(kind: str, redis: Redis) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "bench.served:app", "--host", "127.0.0.1", "--port", str(port)),
            *("--loop", "uvloop", "--http", "httptools", "--workers", "1", "--no-access-log", "--log-level", "warning"),
        ],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "KIND": kind, "REDIS_URL": redis.url},
        preexec_fn=load.staying(load.first_core()),
    )
    try:
        end = time.monotonic() + PATIENCE
        while not listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{kind}: the server does not listen")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _check(kind: str, url: str) -> None:
    """Everyone sends the same, and a hit is a hit: the endpoint has been called for each client (this one, and wrk) at the most once."""
    for _ in range(2):
        with urllib.request.urlopen(f"{url}/items") as answer:
            assert answer.read() == BODY, f"{kind} answers something else"
    with urllib.request.urlopen(f"{url}/calls") as answer:
        calls = json.load(answer)
    assert calls <= 2, f"{kind}: {calls} calls of the endpoint"
