"""`@cache.invalidates`, and names that have to be escaped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shelflife import Cache

Run = Callable[[Callable[[], Any]], Any]

ODD = ["a:b", "50%", "x y", "*", "{z}", "ünï", "[a]"]


@pytest.mark.parametrize("name", ODD)
def test_names_that_are_escaped_are_found_again_in_every_way(run: Run, name: str) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads = 0

            @cache.cached(ttl=60, key="of:{name}", tags=["tag:{name}"])
            async def of(name: str) -> int:
                nonlocal loads
                loads += 1
                return loads

            assert [await of(name), await of(name)] == [1, 1]
            assert cache.stats()["l1_hits"] == 1
            # Its key is a key, everywhere.
            assert await cache.get(of.key(name)) == 1
            assert await of.peek(name) == 1
            await cache.invalidate(keys=[of.key(name)])
            assert await of(name) == 2
            await of.invalidate(name)
            assert await of(name) == 3
            await cache.invalidate(tags=of.tags(name))
            assert await of(name) == 4
            # By hand, as it is written.
            await cache.set(name, "value", tags=[name])
            assert (await cache.get(name), await cache.get_many([name])) == ("value", {name: "value"})
            await cache.invalidate(tags=[name])
            assert not await cache.exists(name)

    run(test)


@pytest.mark.parametrize("name", ODD)
def test_what_a_function_changes_is_invalidated_before_its_result_is_there(run: Run, name: str) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60, key="of:{name}", tags=["tag:{name}"])
            async def of(name: str) -> str:
                return name

            @cache.invalidates(tags=["tag:{name}"])
            async def by_tag(name: str) -> str:
                return "done"

            @cache.invalidates(keys=["of:{name}"])
            async def by_key(name: str) -> str:
                return "done"

            @cache.invalidates(patterns=["o?:{name}*"])
            async def by_pattern(name: str) -> str:
                return "done"

            for change in (by_tag, by_key, by_pattern):
                await of(name)
                await of("other")
                assert await change(name=name) == "done"
                assert await of.peek(name) is None
                assert await of.peek("other") == "other"

    run(test)


def test_a_function_that_fails_invalidates_nothing(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            await cache.set("k", 1, tags=["t"])

            @cache.invalidates(tags=["t"])
            async def fails() -> None:
                raise KeyError

            with pytest.raises(KeyError):
                await fails()
            assert await cache.get("k") == 1

    run(test)


def test_a_function_that_blocks_invalidates_too() -> None:
    cache = Cache.memory()

    @cache.invalidates(keys=["k:{n}"])
    def change(n: int = 7) -> int:
        return n

    cache.sync.set("k:7", 1)
    assert change() == 7
    assert cache.sync.get("k:7") is None


def test_a_template_that_names_nothing_is_refused_when_it_is_written() -> None:
    with pytest.raises(ValueError, match="no parameter 'id'"):

        @Cache.memory().invalidates(tags=["user:{id}"])
        def change(user_id: int) -> None: ...

    with pytest.raises(TypeError, match="expected several"):
        Cache.memory().invalidates(tags="user")(lambda: None)
