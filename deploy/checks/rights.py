"""The ACL: these rights suffice for all of shelflife, and each of them is needed.

The product is driven as the user of users.acl; ACL LOG must be empty then. After that, one user for each right, who has all the others: each must
have been refused something.
"""

import asyncio
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from . import product
from .server import START, Server
from .told import check, left_out, title

#: What nothing of today's engine was seen to need, and why it is granted all the same.
KEPT = {"+client|setinfo": "tells Redis 7.2 and newer which library this is; nothing fails without it, but each connection would be in ACL LOG"}

#: What an application must not be able to do, whatever it is made to send.
CLOSED = (
    "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "CONFIG SET maxmemory 0", "DEBUG SLEEP 0", "SHUTDOWN NOSAVE", "SAVE", "BGSAVE", "REPLICAOF no one",
    "ACL LIST", "ACL SETUSER x on", "CLIENT KILL TYPE normal", "CLIENT LIST", "MONITOR", "SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION FLUSH", "MODULE LIST",
    "SELECT 1", "SWAPDB 0 1", "MIGRATE 127.0.0.1 1 k 0 1", "SUBSCRIBE c", "PUBLISH c m", "RENAME sl1:default:e:a sl1:default:e:b", "WAIT 0 0",
    "GET other", "SET other 1", "GET sl1:other:e:k", "UNLINK sl1:{other}:clock", "EVAL return{redis.call('get','x')} 0",
)  # fmt: skip


def prove(shelflife: str, scratch: Path) -> None:
    title("The ACL, by redis/start.sh with redis/redis.conf and redis/users.acl")
    with ExitStack() as started:
        server = Server(started, scratch)
        suffices(server, shelflife)
        closed(server)
        who_there_is(server)
        others(server, shelflife)
        is_rotated(server)
    with ExitStack() as started:
        needed(started, shelflife, scratch / "needed")


def suffices(server: Server, shelflife: str) -> None:
    server.ask("operator", "acl", "log", "reset")
    wrong = asyncio.run(product.calls(server.url()))
    check(not wrong, "every call of the Python package works as the user shelflife", wrong)
    wrong = product.command(shelflife, server.url(), server.scratch)
    check(not wrong, "get, ls, stats, members, audit, invalidate, watch and demo --tour do", wrong)
    denied = [(one["reason"], one["object"]) for one in server.denied()]
    check(not denied, "ACL LOG is empty: nothing was denied", denied)


def closed(server: Server) -> None:
    open_ = [command for command in CLOSED if not refused(server.ask("shelflife", *command.split()))]
    check(not open_, f"{len(CLOSED)} commands and keys that it must not use are refused", open_)
    check(asyncio.run(product.once(f"redis://127.0.0.1:{server.port}")), "who has no name is refused")


def who_there_is(server: Server) -> None:
    """Users for whom nobody has a password are no users: start.sh would ask for it, and not start."""
    alone = {"default", "shelflife", "onlooker", "operator", "probe"}
    places = (("alone", {}, alone), ("in a cluster", {"CLUSTER": "yes"}, alone | {"replica"}), ("with sentinels", {"SENTINELS": "s:1"}, alone | {"replica", "sentinel"}))
    for where, given, users in places:
        file = server.scratch / "who.acl"
        subprocess.run([START, "acl"], env={**server.env, **given, "ACL_FILE": str(file)}, check=True)
        there = set(re.findall(r"^user (\w+)", file.read_text(), re.M))
        check(there == users, f"users {where}: {', '.join(sorted(users))}", there)


def refused(told: object) -> bool:
    return isinstance(told, str) and any(line.startswith(("error:", "NOPERM")) for line in told.splitlines())


def others(server: Server, shelflife: str) -> None:
    """The other three users have what they are for, and no keys to write."""
    check(server.ask("probe", "ping") == "PONG" and refused(server.ask("probe", "info")), "probe may ping, and no more")
    server.ask("operator", "acl", "log", "reset")
    wrong = product.watch(shelflife, server.url("onlooker"), server.url())
    check(not wrong and not server.denied(), "shelflife watch works as onlooker", wrong or server.denied())
    check(refused(server.ask("onlooker", "set", "sl1:{default}:clock", "x")), "onlooker can't write")
    asked = ("info", "acl log", "acl whoami", "client list", "config get maxmemory", "slowlog get", "slowlog reset", "latency latest", "latency history command", "ping")
    failing = [one for one in asked if refused(server.ask("operator", *one.split()))]
    check(not failing, "operator may ask what deploy/README.md says", failing)
    check(refused(server.ask("operator", "get", "sl1:{default}:clock")), "operator can't read keys")


def is_rotated(server: Server) -> None:
    """A new password without a moment in which one that is in use is refused."""
    old = server.password("shelflife")
    server.passwords("add")
    check(server.reload() == "OK", "passwords add, start.sh reload")
    works = [not asyncio.run(product.once(server.url(password=one))) for one in (old, server.password("shelflife"))]
    check(old != server.password("shelflife") and all(works), "  the old and the new password work", works)
    server.passwords("drop")
    server.reload()
    check(not asyncio.run(product.once(server.url())), "passwords drop, start.sh reload: the new one works")
    check(asyncio.run(product.once(server.url(password=old))), "  the old one is refused")
    check(isinstance(server.ask("operator", "client", "kill", "user", "shelflife"), int), "  operator may end its connections")


def rights(server: Server) -> list[str]:
    """The rights of the user shelflife in the ACL file that start.sh made: commands and keys."""
    line = next(line for line in server.acl().splitlines() if line.startswith("user shelflife "))
    return re.findall(r" ([+~]\S+)", line)


def needed(started: ExitStack, shelflife: str, scratch: Path) -> None:
    server = Server(started, scratch, "--acllog-max-len", "10000")
    acl = server.acl()
    line = next(line for line in acl.splitlines() if line.startswith("user shelflife "))
    all_rights = rights(server)
    # And one who has them all, for whom nothing may be denied: what is denied to the others is so for want of their right.
    users = {}
    for at, right in enumerate(["nothing", *all_rights]):
        # Each in a namespace of its own: they run at the same time.
        users[f"less-{at}"] = right
        acl += line.replace(" " + right + " ", " ").removesuffix(" " + right).replace("user shelflife", f"user less-{at}").replace("default", f"n{at}") + "\n"
    (scratch / "users.acl").write_text(acl)
    server.ask("operator", "acl", "load")

    def drive(user: str) -> None:
        at = user.removeprefix("less-")
        asyncio.run(product.calls(server.url(user, server.password("shelflife")), f"n{at}"))
        product.operate(shelflife, server.url(user, server.password("shelflife")), f"n{at}")

    # EVAL only tells the server a script that it has not seen: first, while it has seen none.
    drive(next(user for user, right in users.items() if right == "+eval"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(drive, users))
    seen = {one["username"] for one in server.denied()}
    complete = [(one["reason"], one["object"]) for one in server.denied() if one["username"] == "less-0"]
    check(not complete, "with all of its rights nothing is denied, many at a time", complete)
    not_needed = [right for user, right in users.items() if user not in seen and right not in KEPT and user != "less-0"]
    check(not not_needed, f"without any one of its {len(all_rights)} rights (commands, keys) something is denied", not_needed)
    for right, why in KEPT.items():
        if right not in all_rights:
            left_out(right, f"this server is older; {why}")
