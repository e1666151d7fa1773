"""The compose files whose store is more than one server, as processes: they are used, a server is lost, and they are used again."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shelflife import Cache

from . import product
from .product import run
from .rights import KEPT
from .server import DEPLOY, PATIENCE
from .told import check, title
from .topology import Topology, until

#: What an application must not do to the store's machinery, whatever it is made to send.
SENTINEL_CLOSED = ("SENTINEL FAILOVER mymaster", "SENTINEL RESET *", "SENTINEL MASTERS", "SENTINEL SET mymaster quorum 1", "INFO", "PUBLISH __sentinel__:hello x", "SUBSCRIBE __sentinel__:hello", "ACL LIST", "SHUTDOWN")
CLUSTER_CLOSED = ("CLUSTER RESET", "CLUSTER FORGET x", "CLUSTER FAILOVER", "CLUSTER MEET 127.0.0.1 1", "CLUSTER SETSLOT 1 STABLE", "CLUSTER INFO", "FLUSHALL", "READONLY")
#: The rights that users.acl has for clusters alone: without any one of them something is denied.
CLUSTER_RIGHTS = ("+asking", "+cluster|nodes")


class Formation(Topology):
    """A topology whose redis can be asked, by TLS and with a user."""

    def secret(self, name: str) -> Path:
        return self.scratch / "secrets" / name

    def cli(self, service: str, port: str, user: str, *words: str, password: str = "") -> Any:
        """What redis-cli gets; an error as its text."""
        own = self.secret(f"redis_{user}")
        env = {**os.environ, "REDISCLI_AUTH": password or (own.read_text().split()[-1] if own.exists() else "any")}
        tls = ["--tls", "--cacert", self.secret("ca.pem"), "--cert", self.secret("redis.pem"), "--key", self.secret("redis.key")]
        command = ["redis-cli", *tls, "-p", str(self.port(service, port)), "-3", "--json", "--user", user, *words]
        told = subprocess.run(command, env=env, text=True, capture_output=True, timeout=PATIENCE, check=False)
        try:
            return json.loads(told.stdout)
        except ValueError:
            return told.stdout.strip() or told.stderr.strip()

    def url(self) -> str:
        """As the application has it, with the certificates as settings of the URL."""
        environment = self.services["app"]["environment"]
        url = self.here("app", environment["SHELFLIFE_URL"])
        files = [f"{name.lower()}={quote(self.here('app', environment['SHELFLIFE_' + name]), safe='')}" for name in ("TLS_CA", "TLS_CERT", "TLS_KEY")]
        return url + ("&" if "?" in url else "?") + "&".join(files)

    def denied(self, services: list[str], port: str, user: str) -> list[Any]:
        found = []
        for service in services:
            log = self.cli(service, port, user, "acl", "log", "100")
            found += [(service, one["username"], one["reason"], one["object"]) for one in log] if isinstance(log, list) else [(service, log)]
        return found

    def refused(self, service: str, port: str, words: str) -> bool:
        told = self.cli(service, port, "shelflife", *words.split())
        return isinstance(told, str) and told.startswith(("error:", "NOPERM", "ERR")) and "NOPERM" in told or "no permissions" in str(told)

    def is_used(self, shelflife: str, whole: bool = True) -> None:
        """By each call of the package, and by the command; at the end, the application that compose started answers from the store."""
        wrong = asyncio.run(product.calls(self.url())) if whole else []
        check(not wrong, "every call of the Python package works", wrong)
        words = ["--redis", self.url(), "--namespace", "default"]
        asyncio.run(product.some_entries(self.url()))
        for command, says in ((["get", "k:1"], "fresh"), (["ls"], "k:1"), (["members"], ""), (["stats"], ""), (["invalidate", "--key", "k:1", "--pattern", "k*2", "--everywhere"], "")):
            done = run(shelflife, *command, *words)
            check(done.returncode == 0 and says in done.stdout, f"shelflife {command[0]}", (done.stdout + done.stderr)[-300:])

    def serves(self) -> bool:
        """Whether what the application answers is stored, and found again."""
        first, again = (self.ask("app", "8080", "/users/7") for _ in range(2))
        return first.status == again.status == 200 and again.is_hit

    def lose(self, service: str) -> None:
        self.processes[service].kill()
        self.processes[service].wait()

    def come_back(self, service: str) -> None:
        check(self.start(service, self.services[service]), f"{service} is back")


def cluster_rights(all_: Formation, nodes: list[str]) -> None:
    """While a slot is on its way, as a user who has all rights, and as one for each right who lacks it."""
    users = {"less-0": "nothing"} | {f"less-{at}": right for at, right in enumerate(CLUSTER_RIGHTS, 1)}
    for node in nodes:
        file = all_.scratch / node / "users.acl"
        acl = file.read_text()
        line = next(line for line in acl.splitlines() if line.startswith("user shelflife "))
        more = [line.replace("user shelflife", f"user {user}").replace(f" {right}", "") for user, right in users.items()]
        file.write_text(acl + "\n".join(more) + "\n")
        all_.cli(node, "6379", "operator", "acl", "load")
        all_.cli(node, "6379", "operator", "acl", "log", "reset")
    slot = str(all_.cli("node-1", "6379", "operator", "cluster", "keyslot", "sl1:default:e:once"))
    lines = [line.split() for line in str(all_.cli("node-1", "6379", "operator", "cluster", "nodes")).splitlines()]
    at_port = {str(all_.port(node, "6379")): node for node in nodes}
    primaries = {at_port[words[1].split("@")[0].rsplit(":", 1)[1]]: words for words in lines if "master" in words[2] and len(words) > 8}

    def serves(words: list[str]) -> bool:
        ranges = [part.split("-") for part in words[8:] if part[0] != "["]
        return any(int(one[0]) <= int(slot) <= int(one[-1]) for one in ranges)

    source = next(node for node, words in primaries.items() if serves(words))
    target = next(node for node in primaries if node != source)
    all_.cli(target, "6379", "operator", "cluster", "setslot", slot, "importing", primaries[source][0])
    all_.cli(source, "6379", "operator", "cluster", "setslot", slot, "migrating", primaries[target][0])
    told = {user: asyncio.run(product.once(all_.url().replace("//shelflife:", f"//{user}:"))) for user in users}
    for node in (source, target):
        all_.cli(node, "6379", "operator", "cluster", "setslot", slot, "stable")
    denied = {one[1] for one in all_.denied(nodes, "6379", "operator")}
    check(not told["less-0"] and "less-0" not in denied, "with all of its rights a slot may be on its way, and nothing is denied", (told, denied))
    check(denied >= set(users) - {"less-0"}, f"without any one of {', '.join(CLUSTER_RIGHTS)} something is denied", (told, denied))


def auditor(all_: Formation) -> dict[str, str]:
    """One more sentinel, whose ACL LOG can be read, with one user for each right of an application, who lacks it. Gives these users and rights."""
    made = all_.scratch / "auditor-etc"
    shutil.copytree(DEPLOY / "redis", made)
    file = made / "sentinel.conf"
    lines = file.read_text().splitlines()
    line = next(line for line in lines if line.startswith("user shelflife "))
    rights = ["nothing", *re.findall(r" ([+&]\S+)", line)]
    users = {f"less-{at}": right for at, right in enumerate(rights)}
    more = [line.replace("user shelflife", f"user {user}").replace(f" {right} ", " ").removesuffix(f" {right}") for user, right in users.items()]
    file.write_text("\n".join([*lines, *more, "user auditor on nopass resetchannels resetkeys -@all +acl|log", ""]))
    service = all_.services["sentinel-3"]
    service = {**service, "entrypoint": [str(made / "sentinel.sh")], "environment": {**service["environment"], "ANNOUNCE": "auditor:26379"}}
    all_.services["auditor"] = service
    check(all_.start("auditor", service), "one more sentinel, to look at what is denied, with users who lack a right each")
    return users


async def follows(url: str) -> None:
    """Uses the cache for so long that it has begun to listen to a sentinel."""
    try:
        async with Cache(url, namespace="default", timeout="1s") as cache:
            await cache.set("once", 1)
            await asyncio.sleep(1)
    except Exception:
        # Of a user that may not: what the sentinel has denied is looked at afterwards.
        return


def sentinel_rights(all_: Formation, users: dict[str, str]) -> None:
    async def each() -> None:
        at = f"127.0.0.1:{all_.port('auditor', '26379')}"
        urls = [re.sub(r"@[^/]*/", f"@{at}/", all_.url()).replace("sentinel_user=shelflife", f"sentinel_user={user}") for user in users]
        await asyncio.gather(*(follows(url) for url in urls))

    def denied() -> set[str]:
        return {one[1] for one in all_.denied(["auditor"], "26379", "auditor")}

    def not_needed() -> list[str]:
        return [right for user, right in users.items() if user not in denied() and user != "less-0" and right not in KEPT]

    def seen() -> bool:
        asyncio.run(each())
        return not not_needed()

    # Again on a machine so busy that not all of them listened in time.
    until(seen, 30)
    check("less-0" not in denied(), "with all of its rights nothing is denied by a sentinel", denied())
    check(not not_needed(), f"without any one of its {len(users) - 1} rights (commands, channels) something is", not_needed())


def sentinel_is_told(all_: Formation, primary: Callable[[str], str]) -> None:
    """A new password: one sentinel after the other is started anew, and keeps what it has learned."""
    before, old = primary("sentinel-2"), all_.secret("redis_shelflife").read_text().split()[-1]
    for step, is_valid in (("add", True), ("drop", False)):
        subprocess.run([DEPLOY / "passwords", step], env={**os.environ, "DEPLOY": str(all_.scratch)}, check=True)
        all_.lose("sentinel-2")
        all_.come_back("sentinel-2")
        check(primary("sentinel-2") == before, f"  passwords {step}: the new one works, and it knows the primary", primary("sentinel-2"))
        told = all_.cli("sentinel-2", "26379", "shelflife", "sentinel", "get-master-addr-by-name", "mymaster", password=old)
        check(isinstance(told, list) == is_valid, f"  the old one {'works, too' if is_valid else 'is refused'}", told)


@contextmanager
def frozen(all_: Formation, service: str) -> Iterator[None]:
    """Its port accepts, and it says nothing."""
    process = all_.processes[service]
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def sentinel(started: ExitStack, content: dict[str, Any], scratch: Path, shelflife: str) -> None:
    title("compose.sentinel.yaml, as processes: TLS, users of the ACL, a failover")
    all_ = Formation(started, content, scratch, shelflife)
    if not all_.up():
        return
    servers = [f"redis-{n}" for n in (1, 2, 3)]

    def primary(by: str = "sentinel-1") -> str:
        told = all_.cli(by, "26379", "shelflife", "sentinel", "get-master-addr-by-name", "mymaster")
        ports = {str(all_.port(name, "6379")): name for name in servers}
        return ports.get(str(told[1]), "another") if isinstance(told, list) and len(told) == 2 else str(told)

    def copies(name: str) -> bool:
        return "master_link_status:up" in str(all_.cli(name, "6379", "operator", "info", "replication"))

    check(primary() == "redis-1" and until(lambda: copies("redis-2") and copies("redis-3")), "redis-1 is the primary, and the others have its copy")
    all_.is_used(shelflife)
    check(all_.serves(), "the application serves from it")
    open_ = [words for words in SENTINEL_CLOSED if not all_.refused("sentinel-1", "26379", words)]
    check(not open_, f"{len(SENTINEL_CLOSED)} commands are refused to applications by sentinels", open_)
    denied = all_.denied(servers, "6379", "operator")
    check(not denied, "ACL LOG of the servers is empty: applications, replicas and sentinels were denied nothing", denied)
    users = auditor(all_)
    sentinel_rights(all_, users)
    all_.lose("redis-1")
    check(until(lambda: primary() in ("redis-2", "redis-3"), 90), "redis-1 is lost: another is the primary", primary())
    check(until(all_.serves, 30), "  the application serves from that")
    with frozen(all_, "sentinel-1"):
        all_.come_back("redis-1")
        check(until(lambda: copies("redis-1"), 40), "  redis-1 asks who it is, not waiting for a sentinel that is frozen, and copies")
    check(primary("sentinel-3") == primary(), "  the sentinels agree", primary("sentinel-3"))
    restarted_at_once(all_, primary, copies)
    all_.is_used(shelflife, whole=False)
    denied = all_.denied(servers, "6379", "operator") + [one for one in all_.denied(["auditor"], "26379", "auditor") if one[1] not in users]
    check(not denied, "  nothing was denied, sentinels by each other neither", denied)
    sentinel_is_told(all_, primary)


def restarted_at_once(all_: Formation, primary: Callable[[str], str], copies: Callable[[str], bool]) -> None:
    """A primary that is back before anybody has missed it has nothing, and must not be what it was."""
    asyncio.run(product.some_entries(all_.url()))
    lost = primary("sentinel-1")
    all_.lose(lost)
    all_.come_back(lost)
    check(primary("sentinel-1") != lost and until(lambda: copies(lost), 90), f"{lost} is restarted at once: another is the primary, and it copies that", primary("sentinel-1"))
    found = until(lambda: "fresh" in run(all_.shelflife, "get", "k:1", "--redis", all_.url(), "--namespace", "default").stdout, 30)
    check(found, "  what was stored is there")


def cluster(started: ExitStack, content: dict[str, Any], scratch: Path, shelflife: str) -> None:
    title("compose.cluster.yaml, as processes: TLS, users of the ACL, a node lost")
    all_ = Formation(started, content, scratch, shelflife)
    if not all_.up():
        return
    nodes = [f"node-{n}" for n in range(1, 7)]
    left = [name for name in nodes if (scratch / name / "dump.rdb").exists()]
    check(not left, "no replica keeps on its disk the copy that it began with", left)
    all_.is_used(shelflife)
    check(all_.serves(), "the application serves from it")
    denied = all_.denied(nodes, "6379", "operator")
    check(not denied, "ACL LOG of the nodes is empty: applications and replicas were denied nothing", denied)
    cluster_rights(all_, nodes)
    open_ = [words for words in CLUSTER_CLOSED if not all_.refused("node-1", "6379", words)]
    check(not open_, f"{len(CLUSTER_CLOSED)} commands are refused to applications", open_)

    def role(name: str) -> str:
        told = str(all_.cli(name, "6379", "operator", "info", "replication"))
        return "master" if "role:master" in told else "slave" if "role:slave" in told else told[:200]

    lost = next(name for name in nodes if role(name) == "master")
    before = [name for name in nodes if role(name) == "master"]
    all_.lose(lost)

    def replaced() -> bool:
        now = [name for name in nodes if name != lost and role(name) == "master"]
        return len(now) == len(before)

    check(until(replaced, 90), f"{lost} is lost: its replica takes over")
    check(until(all_.serves, 30), "  the application serves")
    all_.come_back(lost)
    check(until(lambda: role(lost) == "slave", 30), f"  {lost} is back, as a replica", role(lost))
    all_.is_used(shelflife, whole=False)
