"""`@cache.cached_many`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from shelflife import Cache

Run = Callable[[Callable[[], Any]], Any]


class User(BaseModel):
    id: int


def test_only_what_is_missing_is_asked_for(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            asked: list[list[int]] = []

            @cache.cached_many(ids="ids", key="user:{id}:{lang}", tags=["user:{id}"], ttl="5m")
            async def users(ids: list[int], lang: str = "en") -> dict[int, User]:
                asked.append(sorted(ids))
                return {one: User(id=one) for one in ids if one != 404}

            assert await users([1, 2, 2, 404]) == {1: User(id=1), 2: User(id=2)}
            assert await users([2, 3]) == {2: User(id=2), 3: User(id=3)}
            assert asked == [[1, 2, 404], [3]]
            await users([1], lang="de")
            assert await users([]) == {}
            await cache.invalidate(tags=["user:1"])
            await users(ids=[1, 2])
            assert asked[2:] == [[1], [1]]
            with cache.disabled():
                await users([1, 2])
            assert asked[-1] == [1, 2]

    run(test)


def test_callers_at_once_share_the_call(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            asked: list[int] = []

            @cache.cached_many(ids="ids", key="n:{id}")
            async def of(ids: list[int]) -> dict[int, int]:
                asked.extend(ids)
                await asyncio.sleep(0)
                return {one: one for one in ids}

            await asyncio.gather(*[of([1, 2, 3]) for _ in range(20)])
            assert sorted(asked) == [1, 2, 3]

    run(test)


def test_what_is_of_another_type_is_replaced(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            calls = 0

            @cache.cached_many(ids="ids", key="n:{id}")
            async def of(ids: list[int]) -> dict[int, int]:
                nonlocal calls
                calls += 1
                return {one: one for one in ids}

            await cache.set("n:1", "not a number")
            assert await cache.get("n:1") == "not a number"
            assert [await of([1]), await of([1])] == [{1: 1}, {1: 1}]
            assert calls == 1

    run(test)


def test_a_call_that_asks_for_its_own_ids_does_not_wait_for_itself(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached_many(ids="ids", key="n:{id}")
            async def of(ids: list[int]) -> dict[int, int]:
                return {one: one for one in ids} if len(ids) == 1 else {**await of(ids[:1]), **await of(ids[1:])}

            assert await of([1, 2]) == {1: 1, 2: 2}

    run(test)


def test_its_own_exception_comes_out(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached_many(ids="ids", key="n:{id}")
            async def of(ids: list[int]) -> dict[int, int]:
                raise KeyError("gone")

            with pytest.raises(KeyError):
                await of([1])

    run(test)


def test_what_can_not_work_is_refused_when_it_is_written() -> None:
    cache = Cache.memory()

    async def of(ids: list[int]) -> dict[int, int]:
        return {}

    async def listed(ids: list[int]) -> list[int]:
        return []

    with pytest.raises(ValueError, match="no such parameter"):
        cache.cached_many(ids="user_ids", key="n:{id}")(of)
    with pytest.raises(ValueError, match="share one entry"):
        cache.cached_many(ids="ids", key="all")(of)
    with pytest.raises(TypeError, match="dict by id"):
        cache.cached_many(ids="ids", key="n:{id}")(listed)
