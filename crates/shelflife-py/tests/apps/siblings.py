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


async def child(number: int, loads: int) -> None:
    async def slow() -> int:
        os.write(loads, b"x")
        # Long enough for the others to have asked.
        await asyncio.sleep(0.3)
        return number

    async with cache:
        assert await cache.get_or_load(f"siblings:{number}", slow) == number


def loads_of(number: int) -> int:
    """How many loads it took them."""
    count, loads = os.pipe()
    children = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            signal.alarm(LONGEST)
            try:
                asyncio.run(child(number, loads))
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    os.close(loads)
    with os.fdopen(count, "rb") as told:
        return len(told.read())


if __name__ == "__main__":
    cache.sync.get_or_load("before", lambda: 1)
    print(*(loads_of(number) for number in range(ROUNDS)))
