"""The workers of one server: whichever is scraped tells of all of them. With real servers: test_servers.py."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
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
