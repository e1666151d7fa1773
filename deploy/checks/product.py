"""All that shelflife asks of a Redis: the Python package call by call, and the command."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shelflife import Cache


async def calls(url: str, namespace: str = "default") -> list[str]:
    """Every call of the package, with two processes' worth of caches. What is not as it should be, by name: none, if all is well.

    A step that fails does not end it: what the next one asks of the server counts as well.
    """
    wrong: list[str] = []

    async def step(name: str, work: Callable[[], Awaitable[object]]) -> None:
        try:
            if not await asyncio.wait_for(work(), 10):
                wrong.append(name)
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}"[:200])

    # No jitter, no early refresh: what is asked has to be the same each time. A short ttl with a long stale time has entries refreshed in place.
    settings: dict[str, Any] = {"namespace": namespace, "jitter": 0, "early": 0, "stale": "1m", "timeout": "2s"}
    one, other = Cache(url, **settings), Cache(url, **settings)
    from_one = asyncio.Event()

    @other.on("changed")
    async def changed(event: Any) -> dict[str, Any]:
        if event == {"from": "one"}:
            from_one.set()
        return {"tags": ["evented"]}

    async def load(value: Any, after: float = 0) -> Any:
        await asyncio.sleep(after)
        return value

    async def at_once(cache: Cache, key: str, value: Any, **more: Any) -> Any:
        return await cache.get_or_load(key, lambda: load(value), **more)

    async def opens() -> bool:
        await one.open()
        await other.open()
        await one.ping()
        return True

    async def by_hand() -> bool:
        await one.set("a:1", {"n": 1}, tags=["t"])
        found = await other.get("a:1"), await other.get("a:1", strict=True), await other.exists("a:1"), await other.ttl("a:1")
        await one.delete("a:1")
        return found[0] == found[1] == {"n": 1} and all(found[2:]) and await other.get("a:1", strict=True) is None

    async def loads() -> bool:
        # Of one load and one that waits for it, in another process; then one whose lease has to be extended while it runs.
        both = await asyncio.gather(one.get_or_load("b", lambda: load(1, 0.2), tags=["t"]), at_once(other, "b", 2, tags=["t"]))
        slow = await one.get_or_load("slow", lambda: load(3, 0.3), lease="200ms")
        return both[0] == both[1] and slow == 3

    async def fails() -> bool:
        async def broken() -> Any:
            raise KeyError("source")

        try:
            await one.get_or_load("broken", broken)
        except KeyError:
            return await at_once(other, "broken", 4) == 4
        return False

    async def refreshes() -> bool:
        await one.get_or_load("fast", lambda: load(1), ttl="50ms", tags=["t"])
        await asyncio.sleep(0.1)
        old = await one.get_or_load("fast", lambda: load(2), ttl="1m", tags=["t"])
        for _ in range(100):
            if await one.get("fast", strict=True) == 2:
                return old == 1
            await asyncio.sleep(0.02)
        return False

    async def many() -> bool:
        await one.set_many({"m:1": 1, "m:2": 2}, tags=["t"])
        return await other.get_many(["m:1", "m:2", "m:3"]) == {"m:1": 1, "m:2": 2}

    async def sets_at_once() -> bool:
        # Each finds what the others have logged since its call, and has to read the log to know that it is not named.
        await asyncio.gather(*(cache.set(f"s:{n}", n) for n in range(20) for cache in (one, other)))
        return len(await one.get_many([f"s:{n}" for n in range(20)])) == 20

    async def invalidated(name: str, **what: Any) -> bool:
        key = f"{name}:1"
        await at_once(one, key, "old", tags=["evented" if name == "event" else f"tag-{name}"])
        receipt = await other.emit("changed", {"n": 1}) if name == "event" else await other.invalidate(**what)
        if what.get("soft"):
            return await other.get(key, strict=True) is None
        return await at_once(one, key, "new", session=receipt, strict=True) == "new"

    async def announced() -> bool:
        async with one.begin_write("w", tags=["t"]) as write:
            await write.finish(5)
        async with one.begin_write("w", tags=["t"]) as write:
            write.abandon()
        try:
            async with one.begin_write("gone", tags=["t"]):
                raise KeyError
        except KeyError:
            pass
        return await other.get("gone", strict=True) is None

    async def hears() -> bool:
        await one.emit("changed", {"from": "one"})
        return await asyncio.wait_for(from_one.wait(), 8)

    async def closes() -> bool:
        await one.close()
        await other.close()
        return True

    await step("open", opens)
    await step("get, set, exists, ttl, delete", by_hand)
    await step("get_or_load", loads)
    await step("a load that fails", fails)
    await step("a refresh", refreshes)
    await step("get_many, set_many", many)
    await step("sets at once", sets_at_once)
    await step("invalidate a key", lambda: invalidated("key", keys=["key:1"]))
    await step("invalidate a tag", lambda: invalidated("tag", tags=["tag-tag"]))
    await step("invalidate softly", lambda: invalidated("soft", tags=["tag-soft"], keys=["soft:1"], soft=True))
    await step("invalidate a pattern", lambda: invalidated("glob", patterns=["gl*:1", "glob:*"]))
    await step("invalidate everywhere", lambda: invalidated("every", tags=["tag-every"], everywhere=True))
    await step("invalidate all", lambda: invalidated("all", all=True))
    await step("emit", lambda: invalidated("event"))
    await step("emit, on", hears)
    await step("begin_write", announced)
    await step("close", closes)
    return wrong


async def once(url: str) -> str:
    """Sets and gets one value; what is wrong with that."""
    try:
        async with Cache(url, namespace="default", timeout="2s") as cache:
            await cache.set("once", 1)
            return "" if await cache.get("once", strict=True) == 1 else "another value"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def run(shelflife: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([shelflife, *words], text=True, capture_output=True, timeout=60, check=False)


def command(shelflife: str, url: str, scratch: Path) -> list[str]:
    """Each command that asks a Redis. What is not as it should be."""
    wrong: list[str] = []

    def step(*words: str, holds: Callable[[str], bool] = lambda told: True) -> None:
        done = run(shelflife, words[0], "--redis", url, "--namespace", "default", *words[1:])
        if done.returncode != 0 or not holds(done.stdout):
            wrong.append(f"shelflife {words[0]}: {(done.stderr or done.stdout)[-300:]}")

    asyncio.run(some_entries(url))
    step("get", "k:1", holds=lambda told: "fresh" in told)
    step("ls", holds=lambda told: "k:1" in told)
    step("stats", holds=lambda told: "volatile-lru" in told)
    step("members")
    step("audit", "--once", "--rate", "2000")
    step("invalidate", "--key", "k:1", "--tag", "k", "--pattern", "k*2", "--everywhere")
    step("invalidate", "--all", "--soft")
    step("demo", "--tour", "--database", str(scratch / "tour.sqlite"), "--users", "500", "--orders", "20000")
    return wrong + watch(shelflife, url, url)


def operate(shelflife: str, url: str, namespace: str) -> None:
    """The commands that ask what no call does, whatever comes of it."""
    asyncio.run(some_entries(url, namespace))
    for words in (["stats"], ["audit", "--for", "300ms"]):
        try:
            subprocess.run([shelflife, *words, "--redis", url, "--namespace", namespace], capture_output=True, timeout=3, check=False)
        except subprocess.TimeoutExpired:
            continue  # an audit waits for a server that can be used


def watch(shelflife: str, url: str, writer: str) -> list[str]:
    """`shelflife watch` as one user sees what another one invalidates."""
    words = [shelflife, "watch", "--redis", url, "--namespace", "default", "--tag", "watched", "--limit", "1"]
    watching = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        # It says that it watches; not before that is the tag invalidated.
        assert watching.stderr is not None
        first = watching.stderr.readline()
        run(shelflife, "invalidate", "--tag", "watched", "--redis", writer, "--namespace", "default")
        told, _ = watching.communicate(timeout=10)
        return [] if "watched" in told else [f"shelflife watch: {first}{told}"]
    except subprocess.TimeoutExpired:
        return ["shelflife watch saw nothing"]
    finally:
        watching.kill()
        watching.wait()


async def some_entries(url: str, namespace: str = "default") -> None:
    try:
        # With patience: what a pause of the machine keeps from being set would be missed later, and nobody would know why.
        async with Cache(url, namespace=namespace, timeout="5s") as cache:
            for n in (1, 2, 3):
                await cache.set(f"k:{n}", n, tags=["k"])
    except Exception:
        # Of a user that may not: what the server has denied is looked at afterwards.
        return


if __name__ == "__main__":
    sys.exit("; ".join(asyncio.run(calls(sys.argv[1]))))
