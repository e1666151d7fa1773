"""Four children of a parent that has used the cache ask for the same at once, five times. Prints how many loads that took, each time."""

from __future__ import annotations

import asyncio
import os
import signal

from shelflife import Cache

CHILDREN, ROUNDS = 4, 5
#: After so many seconds a child hangs.
LONGEST = 10

cache = Cache.from_env()


async def child(number: int, loads: int, waits: tuple[int, int]) -> None:
    others, waiting = waits

    async def slow() -> int:
        os.write(loads, b"x")
        # Until all others wait for this one's lease. Were it anybody's, too, they would load in its place, and this would hang.
        for _ in range(CHILDREN - 1):
            await asyncio.to_thread(os.read, others, 1)
        return number

    async with cache:
        asking = asyncio.ensure_future(cache.get_or_load(f"siblings:{number}", slow))
        while not asking.done() and not cache.stats()["leases_awaited"]:
            await asyncio.sleep(0.001)
        os.write(waiting, b"x")
        assert await asking == number


def loads_of(number: int) -> int:
    """How many loads it took them."""
    count, loads = os.pipe()
    waits = os.pipe()
    children = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            signal.alarm(LONGEST)
            try:
                asyncio.run(child(number, loads, waits))
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    for end in (loads, *waits):
        os.close(end)
    with os.fdopen(count, "rb") as told:
        return len(told.read())


if __name__ == "__main__":
    cache.sync.get_or_load("before", lambda: 1)
    print(*(loads_of(number) for number in range(ROUNDS)))
