"""A hit of a decorated function, in the process.

What is returned is the dict of `subject.py`: shared, or a copy of the caller's own. Hits by shelflife are of a cache on Redis, answered
by L1.
"""

from __future__ import annotations

from typing import Any

import aiocache
import cashews
import uvloop

from shelflife import Cache

from .measure import calls, compete
from .report import Report, Row, Target
from .server import Redis
from .subject import catalog

SECTION = "function hit, ns per call; the ratio says how many times as long the other takes"
ROUNDS = 9
#: Functions are called with so many different arguments.
KEYS = 100
#: Calls of a turn, of what is fast and of what is not.
FAST, SLOW = 100_000, 10_000

#: Longer than any run: nothing expires, is refreshed, or waits for a beat, while it is measured.
SETTLED: dict[str, Any] = {"ttl": "1h", "jitter": 0, "early": 0, "window": "1h"}


def run(redis: Redis, report: Report) -> None:
    report.note(
        SECTION,
        f"a dict of 30 dicts, 1.8 KB as JSON; {KEYS} keys in turn; every function is async, and has one argument;",
        "cashews and aiocache in memory, as their decorators do it; aiocache hands the same object to everyone",
    )
    loop = uvloop.new_event_loop()
    value, loads = catalog(), 0

    async def plain(number: int) -> dict[str, Any]:
        return value

    async def source(number: int) -> dict[str, Any]:
        nonlocal loads
        loads += 1
        return value

    cache = Cache(redis.url, namespace="function", **SETTLED)
    peer = cashews.Cache()
    peer.setup("mem://")
    functions = {
        "plain": (plain, FAST),
        "shared": (cache.cached(ttl="1h", key="shared:{number}", share=True)(source), FAST),
        "copied": (cache.cached(ttl="1h", key="copied:{number}")(source), SLOW),
        "cashews": (peer(ttl="1h", key="copied:{number}")(source), SLOW),
        "aiocache": (aiocache.cached(ttl=3600, cache=aiocache.Cache.MEMORY)(source), SLOW),
    }

    def turn(function: Any, count: int) -> Any:
        return calls(loop, lambda n: function(n % KEYS), count)

    try:
        times = compete(ROUNDS, {name: turn(*what) for name, what in functions.items()})
        # Each of the four has loaded each key once, in the round that warms up.
        assert loads == 4 * KEYS, f"{loads} loads: not all of it were hits"
    finally:
        loop.run_until_complete(cache.close())
        loop.close()

    plain_took, shared, copied = times["plain"], times["shared"], times["copied"]
    over = shared.above(plain_took)
    report.row(Row(SECTION, "share=True, beside the plain call", shared.median(), "nanoseconds", plain_took.median()))
    report.row(Row(SECTION, "share=True, over the plain call", over, "nanoseconds", target=Target("at_most", 1500)))
    for name, target in (("cashews", Target("at_least", 3)), ("aiocache", None)):
        beside, ratio = times[name].median(), times[name].over(copied)
        what = f"a copy of one's own, beside {name}"
        report.row(Row(SECTION, what, copied.median(), "nanoseconds", beside, ratio, target))
