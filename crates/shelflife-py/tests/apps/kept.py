"""Fills a cache and reads all of it; says by how much the process has grown, and how much of that its memory knows of."""

import asyncio
import gc
import json
import resource
import sys
from pathlib import Path
from typing import Any, TypedDict

from pydantic import BaseModel
from shelflife import Cache


class Row(TypedDict):
    id: int
    name: str


class User(BaseModel):
    id: int
    name: str


def nested(n: int) -> Any:
    return {"id": 10_000 + n, "name": f"a name {n}", "rows": [{"id": 10_000 + m, "name": f"row {n} {m}"} for m in range(40)]}


KINDS: dict[str, tuple[Any, Any]] = {
    "any": (Any, nested),
    "texts": (str, lambda n: f"{n} " * 1000),
    "rows": (list[Row], lambda n: nested(n)["rows"]),
    "models": (list[User], lambda n: [User(**row) for row in nested(n)["rows"]]),
}


def resident() -> int:
    """Bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def main(kind: str, entries: int, *, share: bool) -> None:
    annotation, make = KINDS[kind]
    async with Cache.memory(memory="1GiB") as cache:

        @cache.cached(ttl="1h", type=annotation, share=share)
        async def load(n: int) -> Any:
            return make(n)

        await load(entries)
        gc.collect()
        before = resident()
        for n in range(entries):
            await load(n)
            await load(n)
        gc.collect()
        stats = cache.stats()
        assert stats["l1_evictions"] == 0 and stats["loads"] == entries + 1
        print(json.dumps({"grown": resident() - before, "known": stats["l1_bytes"], "entries": stats["l1_entries"]}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), share=sys.argv[3] == "share"))
