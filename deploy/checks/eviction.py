"""redis.conf under pressure: entries and records of tags make room, and the clock stays; without it all that is stored would be dead."""

import asyncio
import json
import socket
from contextlib import ExitStack
from pathlib import Path

from shelflife import Cache

from .product import run
from .server import Server
from .told import check, title
from .topology import until

LIMIT = 4 * 1024 * 1024


def makes_room(shelflife: str, scratch: Path) -> None:
    title("redis.conf, with maxmemory 4mb and 9 MB to store")
    with ExitStack() as started:
        server = Server(started, scratch, "--maxmemory", str(LIMIT))

        def stats() -> dict[str, object]:
            told: dict[str, object] = json.loads(run(shelflife, "stats", "--json", "--redis", server.url(), "--namespace", "default").stdout)
            return told

        before, refused = stats(), asyncio.run(store(server.url()))
        after = stats()
        check(int(str(after["evicted_keys"])) > 1000, f"{after['evicted_keys']} keys were evicted")
        check(int(str(after["used_memory"])) < LIMIT * 1.1, f"it stays within its limit: {after['used_memory']} B")
        same = str(before["clock"]).split(":")[0] == str(after["clock"]).split(":")[0]
        check(same and int(str(after["log"])) > 0, "the incarnation is the same, and the log is there", (before, after))
        check(not refused, "no write was refused", refused)


async def store(url: str) -> list[str]:
    """More than there is room for. How writes were refused, if any were."""
    wrong: list[str] = []
    async with Cache(url, namespace="default", compression="none", timeout="5s") as cache:
        for page in range(40):
            try:
                await cache.set_many({f"k:{page}:{n}": b"x" * 1000 for n in range(200)}, ttl="10m", tags=[f"page:{page}"])
            except Exception as error:
                wrong.append(str(error))
    return wrong


def keeps_its_entries(scratch: Path) -> None:
    title("redis.conf, with a client that does not read its answers")
    with ExitStack() as started:
        server = Server(started, scratch, "--maxmemory", "64mb")
        asyncio.run(large(server.url()))
        asks = [b"*3\r\n$4\r\nAUTH\r\n$9\r\nshelflife\r\n" + bulk(server.password("shelflife"))]
        # 200 MB of answers.
        asks += [b"*2\r\n$3\r\nGET\r\n" + bulk(f"sl1:default:e:large:{n % 200}") for n in range(2000)]
        reader = started.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        address = "addr=" + ":".join(map(str, reader.getsockname()[:2])) + " "
        there = address in str(server.ask("operator", "client", "list"))
        try:
            reader.sendall(b"".join(asks))
        except ConnectionError:
            pass  # it was quicker
        gone = until(lambda: address not in str(server.ask("operator", "client", "list")))
        check(there and gone, "the server closes it")
        stats = str(server.ask("operator", "info", "stats"))
        evicted = next(line for line in stats.splitlines() if line.startswith("evicted_keys:"))
        check(evicted == "evicted_keys:0", "no entry has made room for it", evicted)


def bulk(word: str) -> bytes:
    return f"${len(word)}\r\n{word}\r\n".encode()


async def large(url: str) -> None:
    """20 MB in 200 entries."""
    async with Cache(url, namespace="default", compression="none", timeout="5s") as cache:
        for page in range(20):
            await cache.set_many({f"large:{page * 10 + n}": b"x" * 100_000 for n in range(10)}, ttl="10m")
