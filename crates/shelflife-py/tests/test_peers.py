"""What has gone wrong for users of other caches, and must not here: functions and stampedes. Each test is named for the bug that it keeps out."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import LONGEST, Redis, until
from pydantic import BaseModel

import shelflife
from shelflife import Cache, LoadTimeout, current_entry

Run = Callable[[Callable[[], Any]], Any]

PACKAGE = Path(shelflife.__file__).parent


# Functions


@pytest.mark.parametrize("value", [None, [], {}, "", b"", 0, 0.0, False, (), set()], ids=repr)
def test_empty_is_not_taken_for_a_miss(run: Run, value: Any) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            calls = 0

            @cache.cached(ttl=60)
            async def of() -> Any:
                nonlocal calls
                calls += 1
                return value

            for _ in range(3):
                found = await of()
                assert (found, type(found)) == (value, type(value))
            assert calls == 1

    run(test)


_KEYS = """
import enum, uuid
from dataclasses import dataclass
from decimal import Decimal
from shelflife import Cache
cache = Cache.memory()

class Role(enum.Enum):
    ADMIN = 1

@dataclass(frozen=True)
class Filter:
    names: frozenset

@cache.cached(ttl=60)
async def of(a, b, c=None): ...

print(of.key({"x", "y", "z"}, {"b": 1, "a": Filter(frozenset("pqr"))}, c=(Role.ADMIN, Decimal("1.0"), uuid.UUID(int=7))))
"""


def test_a_key_does_not_depend_on_the_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", _KEYS],
            env={"PYTHONPATH": str(PACKAGE.parent), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    assert "0x" not in told.pop()


def test_what_can_never_be_stored_is_refused_before_any_work_is_done() -> None:
    for annotation in (io.StringIO, Iterator[int], threading.Lock().__class__, asyncio.Task):

        async def of() -> Any: ...

        of.__annotations__["return"] = annotation
        with pytest.raises(TypeError, match="can't be stored"):
            Cache.memory().cached(ttl=60)(of)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda redis, key: redis.cli("SET", key, "garbage"),
        lambda redis, key: redis.cli("SET", key, ""),
        lambda redis, key: redis.cli("SETRANGE", key, "0", "XX"),
        lambda redis, key: redis.cli("SETRANGE", key, redis.cli("STRLEN", key), "more"),
        lambda redis, key: redis.cli("EVAL", "redis.call('SET',KEYS[1],redis.call('GETRANGE',KEYS[1],0,-4))", "1", key),
        lambda redis, key: (redis.cli("DEL", key), redis.cli("SADD", key, "a")),
        lambda redis, key: (redis.cli("DEL", key), redis.cli("HSET", key, "a", "b")),
    ],
    ids=["garbage", "empty", "header", "longer", "cut", "set", "hash"],
)
def test_a_corrupt_entry_is_a_miss_and_is_replaced(run: Run, redis: Redis, spoil: Any) -> None:
    async def test() -> None:
        async with Cache(redis.url) as first:
            assert await first.get_or_load("k", lambda: [1], type=list[int]) == [1]
        spoil(redis, "sl1:default:e:k")
        async with Cache(redis.url) as second:
            assert await second.get("k") is None
            assert await second.get_or_load("k", lambda: [2], type=list[int]) == [2]
            assert await second.get("k", strict=True) == [2]
        async with Cache(redis.url) as third:
            assert await third.get_or_load("k", lambda: [3], type=list[int]) == [2]

    run(test)


def test_a_model_that_has_changed_is_a_miss_and_no_error(run: Run) -> None:
    class Old(BaseModel):
        id: int

    class New(BaseModel):
        id: int
        name: str

    async def test() -> None:
        async with Cache.memory() as cache:
            await cache.get_or_load("k", lambda: Old(id=1), type=Old)
            assert await cache.get("k", type=New) is None
            assert await cache.get_or_load("k", lambda: New(id=1, name="a"), type=New) == New(id=1, name="a")

    run(test)


# Stampede


async def _herd(cache: Cache, load: Callable[[], Any], size: int = 20) -> list[Any]:
    return await asyncio.gather(*[cache.get_or_load("k", load) for _ in range(size)], return_exceptions=True)


def test_waiters_do_not_all_run_when_the_first_fails(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads, error = 0, KeyError("gone")

            async def fails() -> int:
                nonlocal loads
                loads += 1
                await asyncio.sleep(0.05)
                raise error

            assert set(await _herd(cache, fails)) == {error}
            assert loads == 1

    run(test)


def test_waiters_do_not_all_run_when_the_answer_is_not_to_be_stored(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads = 0

            async def load() -> int:
                nonlocal loads
                loads += 1
                current_entry().no_store()
                await asyncio.sleep(0.05)
                return loads

            assert set(await _herd(cache, load)) == {1}
            assert await cache.get("k") is None

    run(test)


def test_waiters_do_not_all_run_when_the_first_is_cancelled(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads, began, go = 0, asyncio.Event(), asyncio.Event()

            async def load() -> str:
                nonlocal loads
                loads += 1
                began.set()
                await go.wait()
                return "value"

            first = asyncio.create_task(cache.get_or_load("k", load))
            await began.wait()
            others = [asyncio.create_task(cache.get_or_load("k", load)) for _ in range(10)]
            await asyncio.sleep(0.01)
            for one in (first, *others[:5]):
                one.cancel()
            go.set()
            assert set(await asyncio.gather(*others[5:])) == {"value"}
            assert loads == 1

    run(test)


def test_a_load_whose_caller_has_gone_holds_others_up_no_longer_than_a_load_may_take(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            began, go = asyncio.Event(), asyncio.Event()

            async def load() -> int:
                began.set()
                await go.wait()
                return 1

            async def called_and_left(**how: Any) -> None:
                began.clear()
                task = asyncio.create_task(cache.get_or_load("k", load, **how))
                await began.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

            await called_and_left(hard_timeout="500ms")
            with pytest.raises(LoadTimeout):
                await asyncio.wait_for(cache.get_or_load("k", lambda: 2), 10)
            assert await cache.get_or_load("k", lambda: 2) == 2

            # And what it gives in time is there for the next.
            await cache.delete("k")
            await called_and_left()
            go.set()
            assert await cache.get_or_load("k", lambda: 2) == 1

    run(test)


def test_followers_do_not_wait_without_a_bound(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url, hard_timeout="1s") as a, Cache(redis.url, hard_timeout="1s") as b:
            began = asyncio.Event()

            async def for_ever() -> int:
                began.set()
                await asyncio.Event().wait()
                return 1

            first = asyncio.create_task(a.get_or_load("k", for_ever))
            await began.wait()
            followers = [asyncio.create_task(cache.get_or_load("k", for_ever)) for cache in (a, a, b, b)]
            done = await asyncio.wait_for(asyncio.gather(first, *followers, return_exceptions=True), 10)
            assert {type(one) for one in done} == {LoadTimeout}

    run(test)


async def waits_for_a_lease(cache: Cache) -> bool:
    return cache.stats()["leases_awaited"] > 0


def test_a_wait_for_another_process_is_no_error_when_redis_goes(run: Run, redis: Redis) -> None:
    async def test() -> None:
        async with Cache(redis.url, window="50ms") as a, Cache(redis.url, window="50ms") as b:
            began, go = asyncio.Event(), asyncio.Event()

            async def slow() -> str:
                began.set()
                await go.wait()
                return "a"

            first = asyncio.create_task(a.get_or_load("k", slow))
            await began.wait()
            second = asyncio.create_task(b.get_or_load("k", lambda: "b"))
            await until(lambda: waits_for_a_lease(b))
            assert not second.done()
            redis.kill()
            assert await asyncio.wait_for(second, 10) == "b"
            go.set()
            assert await asyncio.wait_for(first, 10) == "a"

    run(test)


_OWNER = """
import asyncio, sys
from shelflife import Cache

async def for_ever():
    print("began", flush=True)
    await asyncio.Event().wait()

asyncio.run(Cache(sys.argv[1]).get_or_load("k", for_ever))
"""


def test_the_lease_of_a_process_that_was_killed_passes_on(run: Run, redis: Redis) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, redis.url], env={"PYTHONPATH": str(PACKAGE.parent)}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None and owner.stdout.readline() == "began\n"

        async def test() -> None:
            async with Cache(redis.url) as cache:
                waiting = asyncio.create_task(cache.get_or_load("k", lambda: 1))
                await until(lambda: waits_for_a_lease(cache))
                assert not waiting.done()
                owner.send_signal(signal.SIGKILL)
                assert await asyncio.wait_for(waiting, 10) == 1

        run(test)
    finally:
        owner.kill()
        owner.wait()


def test_recursion_does_not_deadlock(run: Run) -> None:
    cache = Cache.memory()

    @cache.cached(ttl=60)
    async def fib(n: int) -> int:
        return n if n < 2 else sum(await asyncio.gather(fib(n - 1), fib(n - 2)))

    @cache.cached(ttl=60)
    async def there(n: int, back_again: int = 1) -> int:
        return await back(n) if back_again else n

    @cache.cached(ttl=60)
    async def back(n: int) -> int:
        return await there(n)

    @cache.cached(ttl=60)
    def blocking(n: int) -> int:
        return n if n < 2 else blocking(n - 1) + blocking(n - 2)

    async def test() -> None:
        assert await fib(30) == 832_040
        # They would ask for each other for ever, as without a cache: an error of the application's, and no hang.
        with pytest.raises(RecursionError):
            await there(1)

    run(test)
    assert blocking(20) == 6_765
