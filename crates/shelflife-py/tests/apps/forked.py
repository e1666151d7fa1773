"""Forks while a thread of it reads all the time: each child uses the cache that its parent has used, by threads and in a loop.

Prints how many children did what they should.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Any

from shelflife import Cache

CHILDREN = 12
#: After so many seconds a child hangs.
LONGEST = 10

cache = Cache.from_env()


@cache.cached(ttl="5m", key="cold:{n}", tags=["cold"])
async def cold(n: int) -> dict[str, Any]:
    return {"n": n, "by": os.getpid()}


def child(n: int) -> None:
    assert cache.sync.get("k", strict=True) == "parent"
    assert cache.sync.get_or_load(f"sync:{n}", lambda: n) == n

    async def in_a_loop() -> None:
        async with cache:
            assert await cold(n) == {"n": n, "by": os.getpid()}
            # What the parent loaded is not loaded again.
            assert await cold(-1) == {"n": -1, "by": os.getppid()}
            # The parent waits for the children's invalidations, and they for its.
            await cache.invalidate(tags=[f"child:{n}"], everywhere=True)

    asyncio.run(in_a_loop())


def main() -> int:
    cache.sync.set("k", "parent")
    asyncio.run(warm())
    stop = threading.Event()

    def read() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            cache.sync.get_or_load(f"busy:{n % 50}", lambda: n, tags=[f"child:{n % CHILDREN}"])

    reader = threading.Thread(target=read)
    reader.start()
    children = []
    for n in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            signal.alarm(LONGEST)
            status = 1
            try:
                child(n)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        children.append(pid)
    good = sum(os.waitpid(pid, 0)[1] == 0 for pid in children)
    stop.set()
    reader.join()
    # The parent's is as it was.
    assert cache.sync.get("k") == "parent"
    cache.sync.close()
    print(f"{good} of {CHILDREN}")
    return 0


async def warm() -> None:
    assert (await cold(-1))["by"] == os.getpid()


if __name__ == "__main__":
    sys.exit(main())
