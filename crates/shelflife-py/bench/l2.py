"""A hit in Redis, by one caller and by several at once.

L1 has no room to remember an entry until it is asked for again, or is not asked at all (`strict=True`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import cashews
import uvloop

from shelflife import Cache

from .function import SETTLED
from .measure import Turn, calls, compete
from .report import Report, Row, Target
from .server import Redis
from .subject import catalog

SECTION = "L2 hit, µs per hit; the ratio is of throughputs"
ROUNDS = 7
KEYS = 1_000
#: For about thirty entries.
L1 = "64KiB"
#: Callers, and how many reads a turn has.
CALLERS = ((1, 1_000), (64, 3_000))


def run(redis: Redis, report: Report) -> None:
    report.note(
        SECTION,
        f"{KEYS} keys in turn, each a dict of 30 dicts, 1.8 KB as JSON; L1 has room for 3 % of them;",
        "beside cashews over redis-py with hiredis, the same call: `get`, or a decorated function",
    )
    loop = uvloop.new_event_loop()
    value, loads = catalog(), 0

    async def source(number: int) -> dict[str, Any]:
        nonlocal loads
        loads += 1
        return value

    cache = Cache(redis.url, namespace="l2", memory=L1, **SETTLED)
    peer = cashews.Cache()
    peer.setup(redis.url)
    ours: Any = cache.cached(ttl="1h", key="item:{number}")(source)
    theirs: Any = peer(ttl="1h", key="item:{number}")(source)

    async def warm() -> None:
        for number in range(KEYS):
            await ours(number)
            await theirs(number)
        # A decorator of cashews keeps more than the value: `get` reads what was set by `set`.
        await asyncio.gather(*(peer.set(f"plain:{number}", value, expire="1h") for number in range(KEYS)))

    async def get(number: int) -> None:
        assert await cache.get(f"item:{number % KEYS}", strict=True)

    async def get_theirs(number: int) -> None:
        assert await peer.get(f"plain:{number % KEYS}")

    pairs = {
        "get, strict": (get, get_theirs),
        "a decorated function": (lambda n: ours(n % KEYS), lambda n: theirs(n % KEYS)),
    }
    try:
        loop.run_until_complete(warm())
        for callers, count in CALLERS:
            contenders: dict[str, Turn] = {}
            for name, (mine, other) in pairs.items():
                contenders[name] = calls(loop, mine, count, callers)
                contenders[f"{name}, cashews"] = calls(loop, other, count, callers)
            times = compete(ROUNDS, contenders)
            for name in pairs:
                took, beside = times[name], times[f"{name}, cashews"]
                what, ratio = f"{callers:2} callers  {name}", beside.over(took)
                at_least = Target("at_least", 2)
                figures = (took.median() / 1e3, "microseconds", beside.median() / 1e3)
                report.row(Row(SECTION, what, *figures, ratio, at_least))
        assert loads == 2 * KEYS, f"{loads} loads: not all of it were hits"
        _of_redis(cache.stats())
    finally:
        loop.run_until_complete(cache.close())
        loop.run_until_complete(peer.close())
        loop.close()


def _of_redis(stats: Any) -> None:
    """What L1 answered was not measured in vain only if it was next to nothing."""
    hits = stats["l1_hits"] + stats["l2_hits"]
    assert stats["l1_hits"] < 0.05 * hits, f"{stats['l1_hits']} of {hits} hits were answered by L1"
