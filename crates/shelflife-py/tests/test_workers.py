"""The workers of one server: whichever is scraped tells of all of them. With real servers: test_servers.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from conftest import LONGEST
from fastapi import FastAPI
from shelflife import Cache
from shelflife._workers import join

Run = Callable[[Callable[[], Awaitable[object]]], None]


def worker(directory: Path) -> tuple[Cache, contextlib.AbstractAsyncContextManager[object]]:
    cache = Cache.memory(workers=directory)
    return cache, cache.lifespan(FastAPI())


def loads(text: str) -> dict[str, str]:
    """By worker."""
    return dict(re.findall(r'shelflife_load_duration_seconds_count\{worker="(\d+)",namespace="default"\} (\d+)\n', text))


def test_whichever_is_scraped_tells_of_all(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        (one, first), (two, second) = worker(tmp_path / "m"), worker(tmp_path / "m")
        async with first, second:
            for n in range(3):
                await two.get_or_load(f"k{n}", lambda: 1)
            for text in (await one.scrape(), await two.scrape()):
                assert loads(text) == {"0": "0", "1": "3"}
                assert text.count("# TYPE shelflife_load_duration_seconds histogram\n") == 1
            assert loads(one.prometheus()) == {}  # Its own, as ever.
        assert "worker=" not in await one.scrape()
        assert not list(tmp_path.glob("m/*.sock"))

    run(test)


def test_one_that_comes_later_takes_the_place_of_one_that_has_gone(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        (one, first), (_, second), (three, third) = (worker(tmp_path) for _ in range(3))
        async with first:
            async with second:
                pass
            assert set(loads(await one.scrape())) == {"0"}
            async with third:
                assert set(loads(await three.scrape())) == {"0", "1"}

    run(test)


def test_a_dead_workers_socket_is_removed_and_a_silent_worker_is_left_out(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        cache, lifespan = worker(tmp_path)
        dead, silent = tmp_path / "7.sock", tmp_path / "8.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(dead))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(silent))
            listener.listen()
            async with lifespan:
                assert set(loads(await cache.scrape())) == {"0"}
        assert not dead.exists() and silent.exists()
        assert "does not give its figures" in caplog.text

    run(test)


class Child:
    """Forked in the midst of a worker: it loads twice, tells what it is scraped for, and lives on until it is told to end."""

    def __init__(self, cache: Cache, *, closes: bool = True) -> None:
        self._told, telling = os.pipe()
        ending, self._end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            # Nothing of the test's may run here.
            try:
                signal.alarm(int(LONGEST))
                os.close(self._end)
                if closes:
                    asyncio.run(self._work(cache, telling, ending))
                else:
                    told = asyncio.run(self._loaded(cache))
                    os.write(telling, told)
                    os.close(telling)
                    os.read(ending, 1)
            finally:
                os._exit(0)
        os.close(telling)
        os.close(ending)

    async def _work(self, cache: Cache, telling: int, ending: int) -> None:
        async with cache:
            os.write(telling, await self._loaded(cache))
            os.close(telling)
            await asyncio.to_thread(os.read, ending, 1)

    async def _loaded(self, cache: Cache) -> bytes:
        for n in range(2):
            await cache.get_or_load(f"k{n}", lambda: 1)
        return repr(loads(await cache.scrape())).encode()

    async def scraped(self) -> str:
        with os.fdopen(self._told) as told:
            return await asyncio.to_thread(told.read)

    async def end(self) -> None:
        os.close(self._end)
        await asyncio.to_thread(os.waitpid, self._pid, 0)


def test_a_forked_child_has_a_place_of_its_own_and_its_parent_keeps_its(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        cache, lifespan = worker(tmp_path)
        async with lifespan:
            await cache.get_or_load("k", lambda: 1)
            child = Child(cache)
            both = {"0": "1", "1": "2"}
            assert await child.scraped() == repr(both)
            assert loads(await cache.scrape()) == both
            await child.end()
            assert loads(await cache.scrape()) == {"0": "1"}
        assert not list(tmp_path.glob("*.sock"))

    run(test)


def test_a_parents_place_is_free_when_it_has_left_it_and_not_when_its_child_ends(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        (one, first), (two, second) = worker(tmp_path), worker(tmp_path)
        async with first:
            child = Child(one)
            await child.scraped()
        async with second:
            assert loads(await two.scrape()) == {"0": "0", "1": "2"}
        await child.end()

    run(test)


def test_a_child_whose_loop_has_ended_gives_its_place_up(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        cache, lifespan = worker(tmp_path)
        async with lifespan:
            await cache.get_or_load("k", lambda: 1)
            child = Child(cache, closes=False)
            assert await child.scraped() == repr({"0": "1", "1": "2"})
            # Nobody would answer there, and each scrape wait for it.
            assert not (tmp_path / "1.sock").exists()
            assert loads(await cache.scrape()) == {"0": "1"}
            await child.end()

    run(test)


def test_a_directory_that_can_not_be_used_is_an_error_that_names_it(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        directory = tmp_path / ("long" * 30)
        with pytest.raises(OSError, match="workers=.*longlong"):
            async with worker(directory)[1]:
                pass

    run(test)


def test_one_text_has_each_metric_once() -> None:
    first = '# HELP a What.\n# TYPE a counter\na{x="1"} 1\na 2\n# TYPE b histogram\nb_bucket{le="+Inf"} 3\n'
    second = "# HELP a What.\n# TYPE a counter\na{} 4\n# TYPE c gauge\nc 5\n"
    assert join({"0": first, "1": second}) == (
        "# HELP a What.\n# TYPE a counter\n"
        'a{worker="0",x="1"} 1\na{worker="0"} 2\na{worker="1"} 4\n'
        '# TYPE b histogram\nb_bucket{worker="0",le="+Inf"} 3\n'
        '# TYPE c gauge\nc{worker="1"} 5\n'
    )
