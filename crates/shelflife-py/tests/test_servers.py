"""Behind real servers, with four workers each, on a real Redis that also fails."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from conftest import LONGEST, Redis, until
from servers import APPS, WORKERS, Connection, Reply, Server, granian, gunicorn, gunicorn_preload, uvicorn

Run = Callable[[Callable[[], Awaitable[object]]], None]

#: For how long others may serve what was invalidated without `everywhere`, and for how long a lease holds, in seconds: the defaults.
WINDOW, LEASE = 1.0, 2.0
#: What a busy machine may add to it.
SLACK = 2.0


@pytest.fixture(scope="module", params=[uvicorn, granian, gunicorn, gunicorn_preload], ids=lambda command: command.__name__)
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(request.param, tmp_path_factory.mktemp("server"))
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(run: Run, started: Server) -> Iterator[Server]:
    """A server whose workers all run, whatever an earlier test did to it; what it prints is shown with a failure, and may not be
    an alarm.
    """
    started.ensure()
    run(started.workers)
    yield started
    # A test that failed may have left loads that wait.
    for item, _ in started.events("arrived"):
        started.open_gate(item)
    print(started.said())
    assert not started.alarms()


#: The forked copies of a thread go on with the same random numbers, and what one of them draws for its lease is another's, too.


async def all_workers(server: Server) -> list[Connection]:
    """A connection to each worker."""
    return [connections[0] for connections in (await server.workers()).values()]


async def values(connections: list[Connection], path: str) -> list[str]:
    return [reply.value for reply in await asyncio.gather(*(connection.get(path) for connection in connections))]


def test_every_worker_answers_and_keeps_its_connections(run: Run, server: Server) -> None:
    async def test() -> None:
        for pid, [connection] in (await server.workers()).items():
            assert (await connection.get("/items/1")).pid == pid
        assert server.loads("1") == 1

    run(test)


def test_whichever_worker_is_scraped_tells_of_all(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await all_workers(server)

        async def scraped(connection: Connection) -> str:
            reply = await connection.get("/metrics")
            assert reply.status == 200, reply.body
            return reply.body.decode()

        before = hits(await scraped(workers[0]))
        assert len(before) == WORKERS
        for times, connection in enumerate(workers):
            for _ in range(1 + 10 * times):
                await connection.get("/items/scraped")
        for text in await asyncio.gather(*map(scraped, workers)):
            grown = [count - before[worker] for worker, count in hits(text).items()]
            # The first one of each is a miss, or answered by Redis; which of the two answers the others, the machine's pauses say, too.
            assert sorted(count // 10 for count in grown) == list(range(WORKERS))

    run(test)


def hits(text: str) -> dict[str, int]:
    """In L1 and in Redis, by worker."""
    counts: dict[str, int] = {}
    for worker, count in re.findall(r'shelflife_reads_total\{worker="(\d+)",namespace="[^"]*",tier="l[12]",outcome="hit"\} (\d+)', text):
        counts[worker] = counts.get(worker, 0) + int(count)
    return counts


def test_nothing_older_is_served_by_any_worker_after_everywhere(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await all_workers(server)
        now = "value of everywhere"
        for n in range(20):
            assert await values(workers, "/items/everywhere") == [now] * WORKERS
            now = f"changed-{n}"
            assert (await workers[n % WORKERS].put(f"/items/everywhere/everywhere?value={now}")).value == now
            assert await values(workers, "/items/everywhere") == [now] * WORKERS

    run(test)


def test_workers_that_were_suspended_meanwhile_serve_nothing_older_after_everywhere(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await server.workers()
        [awake, *asleep] = workers
        connections = [connection for [connection] in workers.values()]
        assert await values(connections, "/items/asleep") == ["value of asleep"] * WORKERS
        for pid in asleep:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert (await workers[awake][0].put("/items/asleep/everywhere?value=newer")).value == "newer"
            # They are asked before they can have heard of it.
            replies = [asyncio.ensure_future(workers[pid][0].get("/items/asleep")) for pid in asleep]
            await asyncio.sleep(0)
        finally:
            for pid in asleep:
                os.kill(pid, signal.SIGCONT)
        assert {(await reply).value for reply in replies} == {"newer"}

    run(test)


def test_nothing_older_is_served_by_other_workers_after_the_window(run: Run, server: Server) -> None:
    async def read_until(newer: str, changed: float, connection: Connection) -> None:
        while True:
            asked = time.monotonic()
            if (await connection.get("/items/here")).value == newer:
                return
            assert asked - changed < WINDOW, "an older value, asked for after the window"

    async def test() -> None:
        workers = await all_workers(server)
        for n in range(20):
            await values(workers, "/items/here")
            first, *others = workers[n % WORKERS :] + workers[: n % WORKERS]
            await first.put(f"/items/here/here?value=changed-{n}")
            changed = time.monotonic()
            # Where it was invalidated it holds at once.
            assert (await first.get("/items/here")).value == f"changed-{n}"
            await asyncio.gather(*(read_until(f"changed-{n}", changed, connection) for connection in others))

    run(test)


def test_a_herd_of_all_workers_loads_once(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await server.workers(each=6)
        herd = [connection for connections in workers.values() for connection in connections]
        for n in range(5):
            item = f"herd{n}"
            replies = [asyncio.ensure_future(connection.get(f"/held/{item}")) for connection in herd]
            await arrived(server, item, len(herd))
            assert {pid for _, pid in server.events("arrived", item)} == set(workers)
            server.open_gate(item)
            assert {(await reply).value for reply in replies} == {f"value of {item}"}
            assert server.loads(item) == 1

    run(test)


def test_others_take_over_from_a_worker_that_was_killed(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await server.workers(each=2)
        waiting = {pid: [asyncio.ensure_future(c.get("/held/lost")) for c in mine] for pid, mine in workers.items()}
        await arrived(server, "lost", 2 * len(workers))
        await happened(lambda: server.loads("lost") > 0)
        [(_, owner)] = server.events("load", "lost")
        os.kill(owner, signal.SIGKILL)
        killed = time.monotonic()
        await happened(lambda: server.loads("lost") == 2)
        assert time.monotonic() - killed < LEASE + SLACK
        server.open_gate("lost")
        for reply in waiting.pop(owner):
            with pytest.raises((EOFError, OSError)):
                await reply
        for pid, replies in waiting.items():
            assert [((await reply).pid, reply.result().value) for reply in replies] == [(pid, "value of lost")] * 2
        assert server.loads("lost") == 2
        # The server has another one in its place.
        assert owner not in await server.workers()

    run(test)


def test_a_frozen_redis_fails_no_request_and_caching_resumes(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await all_workers(server)
        async with requests_go_on(server) as gone_on:
            await gone_on()
            server.redis.freeze()
            await gone_on()
            server.redis.thaw()
            await caching_resumes(server, workers, "frozen")
            await gone_on()

    run(test)


def test_a_redis_that_is_killed_and_comes_back_fails_no_request_and_caching_resumes(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await all_workers(server)
        async with requests_go_on(server) as gone_on:
            await gone_on()
            server.redis.kill()
            await gone_on()
            server.redis.start()
            await caching_resumes(server, workers, "killed")
            await gone_on()

    run(test)


def test_clients_that_leave_lose_no_load_of_others_and_cross_no_replies(run: Run, server: Server) -> None:
    ids = 10

    async def test() -> None:
        workers = await server.workers(each=2 * ids)
        stay: dict[str, Connection] = {}
        leave: list[Connection] = []
        for pid, connections in workers.items():
            for n in range(ids):
                item = f"gone-{pid}-{n}"
                # Who leaves came first: the load was begun for him.
                first, second = connections[2 * n : 2 * n + 2]
                first.send("GET", f"/held/{item}")
                leave.append(first)
                stay[item] = second
        await arrived(server, "gone", len(leave))
        for item, connection in stay.items():
            connection.send("GET", f"/held/{item}")
        await arrived(server, "gone", 2 * len(leave))
        for connection in leave:
            connection.close()
        await happened(lambda: len(server.events("left", "gone")) == len(leave))
        server.open_gate("gone")
        for item, connection in stay.items():
            assert (await connection.reply()).value == f"value of {item}"
        assert sorted(item for item, _ in server.events("load", "gone")) == sorted(stay)

    run(test)


def test_clients_that_leave_cross_no_replies_of_redis(run: Run, server: Server) -> None:
    async def test() -> None:
        async def stays(n: int, connection: Connection) -> None:
            assert (await connection.get(f"/strict/{n}")).value == str(n)

        for _ in range(3):
            workers = [c for connections in (await server.workers(each=8)).values() for c in connections]
            for n, connection in enumerate(workers):
                await connection.put(f"/strict/{n}")
            for n, connection in enumerate(workers):
                if n % 2:
                    connection.send("GET", f"/strict/{n}")
            staying = [asyncio.ensure_future(stays(n, c)) for n, c in enumerate(workers) if n % 2 == 0]
            for connection in workers[1::2]:
                connection.close()
            await asyncio.gather(*staying)

    run(test)


def test_it_ends_cleanly_in_mid_load(run: Run, server: Server) -> None:
    async def test() -> None:
        workers = await server.workers(each=2)
        connections = [c for connections in workers.values() for c in connections]
        await values(connections, "/items/last")
        replies = [asyncio.ensure_future(connection.get("/held/last")) for connection in connections]
        await arrived(server, "last", len(replies))
        asked = time.monotonic()
        ended = asyncio.create_task(asyncio.to_thread(server.terminate))
        server.open_gate("last")
        assert {(await reply).value for reply in replies} == {"value of last"}
        for connection in connections:
            connection.close()
        assert await ended == 0
        assert time.monotonic() - asked < LONGEST / 2

    run(test)


@pytest.mark.parametrize("started", [gunicorn_preload], indirect=True)
def test_workers_begin_anew_where_their_parent_has_used_the_cache(run: Run, server: Server) -> None:
    async def test() -> None:
        assert set(await values(await all_workers(server), "/before-fork")) == {"parent"}

    run(test)


def test_children_of_plain_forks_in_the_middle_of_reads_begin_anew(redis: Redis) -> None:
    assert script("forked.py", redis) == "12 of 12"


def test_children_of_one_parent_that_ask_at_once_load_once(redis: Redis) -> None:
    assert script("siblings.py", redis) == "1 1 1 1 1"


def script(name: str, redis: Redis) -> str:
    """What it prints."""
    done = subprocess.run(
        [sys.executable, str(APPS / name)],
        env={**os.environ, "SHELFLIFE_URL": redis.url},
        capture_output=True,
        text=True,
        timeout=2 * LONGEST,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


async def happened(holds: Callable[[], bool]) -> None:
    async def asked() -> bool:
        return holds()

    await until(asked)


async def arrived(server: Server, item: str, count: int) -> None:
    """Waits until so many callers are inside the application."""
    await happened(lambda: len(server.events("arrived", item)) == count)


@asynccontextmanager
async def requests_go_on(server: Server) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Requests for warm and cold items, at every worker all the time: each is answered, whatever happens meanwhile.

    Gives what waits until each worker has answered a few more.
    """
    workers = await all_workers(server)
    answered = [0] * len(workers)
    over = asyncio.Event()

    async def ask(at: int) -> None:
        while not over.is_set():
            for item in ("warm", f"cold-{at}-{answered[at]}"):
                reply: Reply = await asyncio.wait_for(workers[at].get(f"/items/{item}"), LONGEST / 2)
                assert reply.value == f"value of {item}"
            answered[at] += 1

    asking = [asyncio.ensure_future(ask(at)) for at in range(len(workers))]

    async def gone_on() -> None:
        before = list(answered)
        for at, task in enumerate(asking):
            while answered[at] < before[at] + 5:
                if task.done():
                    await task
                await asyncio.sleep(0.01)

    try:
        yield gone_on
    finally:
        over.set()
        await asyncio.gather(*asking)


async def caching_resumes(server: Server, workers: list[Connection], word: str) -> None:
    """Waits until what one worker loads is a hit at all of them; an invalidation holds at all of them then, too."""
    tries = 0

    async def is_shared() -> bool:
        nonlocal tries
        tries += 1
        item = f"{word}{tries}."
        for connection in (*workers, *workers):
            await connection.get(f"/items/{item}")
        return server.loads(item) == 1

    await until(is_shared)

    async def is_changed() -> bool:
        return (await workers[0].put(f"/items/{word}/everywhere?value=newer")).status == 200

    await values(workers, f"/items/{word}")
    await until(is_changed)
    assert await values(workers, f"/items/{word}") == ["newer"] * WORKERS
