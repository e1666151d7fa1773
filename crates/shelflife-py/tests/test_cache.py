"""The cache by hand, and decorated functions, in memory."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

from shelflife import Cache, Clock, ShelflifeError, ValueNotStorable, current_entry

Run = Callable[[Callable[[], Any]], Any]


def test_get_set_delete_exists(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            assert await cache.get("users:1") is None
            await cache.set("users:1", {"id": 1}, ttl="5m", tags=["user:1"])
            assert await cache.get("users:1") == {"id": 1}
            assert await cache.exists("users:1")
            assert 280 < (await cache.ttl("users:1") or 0) <= 300
            await cache.delete("users:1")
            assert not await cache.exists("users:1")
            assert await cache.ttl("users:1") is None

    run(test)


def test_none_is_a_value(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads = 0

            async def nothing() -> None:
                nonlocal loads
                loads += 1

            missing = object()
            assert await cache.get("k", missing) is missing
            for _ in range(3):
                assert await cache.get_or_load("k", nothing) is None
            assert loads == 1
            assert await cache.get("k", missing) is None

    run(test)


def test_many_in_one_round_trip(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            await cache.set_many({"a": 1, "b": None}, tags=["all"])
            assert await cache.get_many(["a", "b", "c"]) == {"a": 1, "b": None}
            await cache.invalidate(tags=["all"])
            assert await cache.get_many(["a", "b", "c"]) == {}

    run(test)


@pytest.mark.parametrize("what", [{"keys": ["users:1"]}, {"tags": ["user:1"]}, {"patterns": ["users:*"]}, {"all": True}])
def test_an_invalidation_names_keys_tags_patterns_or_all(run: Run, what: dict[str, Any]) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            await cache.set("users:1", 1, tags=["user:1"])
            receipt = await cache.invalidate(**what)
            assert await cache.get("users:1") is None
            assert await cache.get("users:1", session=receipt) is None

    run(test)


def test_one_name_is_not_taken_for_its_letters(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            with pytest.raises(TypeError, match=r"tags=\['user:1'\]"):
                await cache.invalidate(tags="user:1")

    run(test)


def test_an_invalidation_wins_over_the_load_in_flight(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            began, go = asyncio.Event(), asyncio.Event()

            async def old() -> str:
                began.set()
                await go.wait()
                return "old"

            reading = asyncio.create_task(cache.get_or_load("k", old, tags=["t"]))
            await began.wait()
            await cache.invalidate(tags=["t"])
            go.set()
            assert await reading == "old"  # It began before.
            assert await cache.get("k") is None
            assert await cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"

    run(test)


def test_many_callers_one_load(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads = 0

            async def load() -> int:
                nonlocal loads
                loads += 1
                await asyncio.sleep(0)
                return loads

            assert set(await asyncio.gather(*[cache.get_or_load("k", load) for _ in range(50)])) == {1}
            assert loads == 1

    run(test)


def test_one_cancelled_waiter_cancels_nobody_else(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            began, go = asyncio.Event(), asyncio.Event()

            async def load() -> str:
                began.set()
                await go.wait()
                return "value"

            first = asyncio.create_task(cache.get_or_load("k", load))
            await began.wait()
            second = asyncio.create_task(cache.get_or_load("k", load))
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            go.set()
            assert await second == "value"

    run(test)


def test_the_loaders_own_exception_comes_out_and_is_not_kept(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            error = KeyError("gone")

            async def fails() -> int:
                raise error

            for _ in range(2):
                with pytest.raises(KeyError) as raised:
                    await cache.get_or_load("k", fails)
                assert raised.value is error
            assert await cache.get_or_load("k", lambda: 1) == 1

            async def ends() -> int:
                raise StopAsyncIteration

            with pytest.raises((StopAsyncIteration, RuntimeError)):
                await cache.get_or_load("l", ends)

    run(test)


def test_a_load_that_asks_for_its_own_key_does_not_wait_for_itself(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60)
            async def down(n: int, again: int = 0) -> int:
                return n if again else await cache.get_or_load(down.key(n), lambda: 7)

            assert await down(3) == 7

    run(test)


def test_a_value_that_can_not_be_stored_says_so_before_it_is_served(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            with pytest.raises(ValueNotStorable):
                await cache.set("k", object())
            with pytest.raises(ValueNotStorable):
                await cache.get_or_load("k", object)

    run(test)


def test_callers_can_not_spoil_what_is_kept(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:

            @cache.cached(ttl=60)
            async def one() -> dict[str, list[int]]:
                return {"a": [1]}

            @cache.cached(ttl=60, share=True)
            async def shared() -> dict[str, list[int]]:
                return {"a": [1]}

            await one()
            (await one())["a"].append(2)
            assert await one() == {"a": [1]}
            await shared()
            assert await shared() is await shared()

    run(test)


def test_time_passes_by_the_clock_of_the_test(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0) as cache:
            await cache.set("k", 1, ttl=60)
            clock.advance(59)
            assert await cache.get("k") == 1
            clock.advance(2)
            assert await cache.get("k") is None

    run(test)


def test_a_load_may_change_its_policy_from_inside(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0) as cache:
            loads: list[str] = []

            @cache.cached(ttl="1h", key="f:{how}")
            async def of(how: str) -> str:
                loads.append(how)
                if how == "short":
                    current_entry().ttl(1)
                elif how == "tagged":
                    current_entry().tags("late")
                elif how == "never":
                    current_entry().no_store()
                return how

            for how in ("short", "tagged", "never"):
                await of(how)
            clock.advance(2)
            await cache.invalidate(tags=["late"])
            for how in ("short", "tagged", "never"):
                await of(how)
            assert loads == ["short", "tagged", "never"] * 2
            current_entry().ttl(5)  # Outside it does nothing.

    run(test)


def test_ttl_and_tags_may_depend_on_the_result(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://", clock=clock, jitter=0.0) as cache:

            @cache.cached(ttl=lambda value: value["for"], tags=lambda result: [f"user:{result['id']}"])
            async def of(n: int) -> dict[str, int]:
                return {"for": n, "id": 7}

            await of(10)
            clock.advance(9)
            assert await of.peek(10) is not None
            clock.advance(2)
            assert await of.peek(10) is None
            await of(100)
            await cache.invalidate(tags=["user:7"])
            assert await of.peek(100) is None

    run(test)


def test_companions(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads = 0

            @cache.cached(ttl=60, key="n:{a}", tags=["of:{a}"])
            async def of(a: int) -> int:
                """What it does."""
                nonlocal loads
                loads += 1
                return loads

            assert inspect.iscoroutinefunction(of)
            assert (of.__name__, of.__doc__) == ("of", "What it does.")
            assert str(inspect.signature(of)) == "(a: 'int') -> 'int'"
            assert of.tags(1) == ["of:1"]
            assert await of.peek(1) is None
            assert [await of(1), await of(1), await of.refresh(1), await of(1)] == [1, 1, 2, 2]
            await of.invalidate(1)
            assert await of(1) == 3
            assert await of.__wrapped__(1) == 4

    run(test)


def test_a_condition_leaves_a_call_uncached(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            loads = 0

            @cache.cached(ttl=60, condition=lambda a: a > 0)
            async def of(a: int) -> int:
                nonlocal loads
                loads += 1
                return loads

            assert [await of(0), await of(0), await of(1), await of(1)] == [1, 2, 3, 3]
            with cache.disabled():
                assert await of(1) == 4
            assert await of(1) == 3

    run(test)


def test_blocking_functions_and_calls() -> None:
    cache = Cache.memory()
    loads: list[int] = []

    @cache.cached(ttl=60, key="n:{a}")
    def of(a: int) -> int:
        loads.append(a)
        return a

    threads = [threading.Thread(target=of, args=(1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (of(1), loads) == (1, [1])
    of.invalidate(1)
    assert (of(1), loads) == (1, [1, 1])
    cache.sync.set("k", "v", tags=["t"])
    assert cache.sync.get("k") == "v"
    cache.sync.invalidate(tags=["t"])
    assert cache.sync.get("k") is None
    with pytest.raises(KeyError):
        cache.sync.get_or_load("l", lambda: {}["x"])
    cache.sync.close()


def test_blocking_loads_that_wait_for_others_do_not_starve_them() -> None:
    cache = Cache("memory://", hard_timeout="10s")
    callers = 24
    all_are_in = threading.Barrier(callers)

    @cache.cached(ttl=60, key="inner:{n}")
    def inner(n: int) -> int:
        return n

    @cache.cached(ttl=60, key="outer:{n}")
    def outer(n: int) -> int:
        all_are_in.wait(10)
        return inner(n)

    got: list[int] = []
    threads = [threading.Thread(target=lambda n=n: got.append(outer(n))) for n in range(callers)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(got) == list(range(callers))


def test_a_blocking_call_in_a_loops_thread_is_refused(run: Run) -> None:
    async def test() -> None:
        with pytest.raises(RuntimeError, match="await its async twin"):
            Cache.memory().sync.get("k")

    run(test)


def test_several_loops_in_several_threads() -> None:
    cache = Cache.memory()
    loads: list[int] = []

    @cache.cached(ttl=60)
    async def of(a: int) -> int:
        loads.append(a)
        await asyncio.sleep(0.01)
        return a

    got: list[int] = []

    def thread() -> None:
        async def all_of_them() -> list[int]:
            return await asyncio.gather(*[of(n) for n in range(10)])

        got.extend(asyncio.run(all_of_them()))

    threads = [threading.Thread(target=thread) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert sorted(got) == sorted(list(range(10)) * 4)


def test_a_load_whose_loop_ended_does_not_hold_others_up() -> None:
    cache = Cache("memory://", lease="1s")

    async def first() -> None:
        began = asyncio.Event()

        async def for_ever() -> int:
            began.set()
            await asyncio.Event().wait()
            return 1

        task = asyncio.create_task(cache.get_or_load("k", for_ever))
        await began.wait()
        task.cancel()

    async def second() -> int:
        return await asyncio.wait_for(cache.get_or_load("k", lambda: 2), 10)

    asyncio.run(first())
    assert asyncio.run(second()) == 2


def test_events_reach_their_handlers(run: Run) -> None:
    async def test() -> None:
        async with Cache.memory() as cache:
            seen: list[Any] = []

            @cache.on("user_updated")
            async def on_update(payload: Any) -> dict[str, list[str]]:
                seen.append(payload)
                return {"tags": [f"user:{payload['id']}"]}

            @cache.on("odd")
            def odd(payload: Any) -> str:
                return "not what is expected"

            await cache.set("users:1", 1, tags=["user:1"])
            await cache.emit("user_updated", {"id": 1})
            assert (await cache.get("users:1"), seen) == (None, [{"id": 1}])
            with pytest.raises(ShelflifeError, match="keywords of invalidate"):
                await cache.emit("odd")

    run(test)


def test_a_handler_needs_no_loop(run: Run) -> None:
    cache = Cache.memory()
    cache.sync.set("k", 1)

    @cache.on("happened")
    def handler(_: Any) -> dict[str, list[str]]:
        return {"keys": ["k"]}

    @cache.on("odd")
    async def odd(_: Any) -> None: ...

    cache.sync.emit("happened")
    assert cache.sync.get("k") is None
    with pytest.raises(ShelflifeError, match="no event loop here"):
        cache.sync.emit("odd")


def test_what_others_are_told_to_write_changes_nothing(run: Run) -> None:
    async def test() -> None:
        for codec in ("json", "raw"):
            async with Cache("memory://", codec=codec) as cache:
                await cache.set("k", {"a": b"\xff", "b": (1, 2)})
                assert await cache.get("k") == {"a": b"\xff", "b": (1, 2)}

    run(test)


def test_a_wrong_setting_names_itself(run: Run) -> None:
    async def test() -> None:
        with pytest.raises(ValueError, match="ttl"):
            await Cache("memory://", ttl="soon").open()
        with pytest.raises(ValueError, match="namespac"):
            await Cache("memory://", namespac="x").open()
        with pytest.raises(ValueError, match="namespace"):
            await Cache("memory://", namespace="a b").open()

    run(test)
