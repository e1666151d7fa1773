"""The dashboard, the alerts and docs/metrics.md: every metric that they name is one that a running demo tells, and the other way round."""

import json
import os
import re
import shutil
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from .server import DEPLOY, Server, free_port, until_it_listens
from .told import check, left_out, title

DOCS = DEPLOY.parent / "docs/metrics.md"
WORDS_OF_PROMETHEUS = {"le", "instance", "job"}
# What this server has none of: no replica, no limit of memory.
NOT_HERE = {"shelflife_server_replica_lag_bytes"}


def speak_of_what_there_is(shelflife: str, scratch: Path) -> None:
    title("The dashboard and the alerts, beside a demo")
    text = _exposed(shelflife, scratch)
    _by_promtool(text)
    told = _series(text)
    names = {name for name, _ in told} | NOT_HERE
    labels = {label for _, of in told for label in of} | WORDS_OF_PROMETHEUS
    for file, queries in (("grafana/shelflife.json", list(_of_panels())), ("prometheus/alerts.yaml", [rule["expr"] for rule in _rules()])):
        unknown = {name for query in queries for name in re.findall(r"shelflife_\w+", query)} - names
        check(queries and not unknown, f"{file}: {len(queries)} queries, of metrics that there are", sorted(unknown))
        strange = {label for query in queries for label in _labels(query)} - labels
        check(not strange, f"{file}: by labels that there are", sorted(strange))
    _laid_out()
    text = DOCS.read_text()
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    check(families == set(re.findall(r"`(shelflife_\w+)`", text)) - {"shelflife_proxy"}, "docs/metrics.md explains each metric, and no other",
          sorted(families ^ set(re.findall(r"`(shelflife_\w+)`", text))))  # fmt: skip
    shown = {re.sub("_(bucket|sum|count)$", "", name) for query in _of_panels() for name in re.findall(r"shelflife_\w+", query)}
    check(families <= shown, "the dashboard has each metric", sorted(families - shown))
    _alerts(text)
    _scraped()


def _laid_out() -> None:
    panels = json.loads((DEPLOY / "grafana/shelflife.json").read_text())["panels"]
    ids = [panel["id"] for panel in panels]
    places = [panel["gridPos"] for panel in panels]
    cells = [(x, y) for of in places for x in range(of["x"], of["x"] + of["w"]) for y in range(of["y"], of["y"] + of["h"])]
    apart = len(set(ids)) == len(ids) and len(set(cells)) == len(cells) and all(x < 24 for x, _ in cells)
    check(apart, f"the dashboard: {len(panels)} panels, each with an id and a place of its own", places)


def _alerts(text: str) -> None:
    sections = {heading.lower() for heading in re.findall(r"^### (\w+)$", text, re.M)}
    rules = list(_rules())
    for rule in rules:
        notes = rule.get("annotations", {})
        whole = "for" in rule and rule["labels"]["severity"] in ("info", "warning", "critical") and notes.get("summary", "").endswith(".")
        anchor = notes.get("runbook", "").removeprefix("docs/metrics.md#")
        if not whole or anchor not in sections:
            check(False, f"{rule['alert']}: for, severity, summary, runbook", rule)
    # Full, with evictions that do not outrun what expires: the state that redis.conf aims at.
    of = {rule["alert"]: rule for rule in rules}
    high, evicts = of["ShelflifeServerMemoryHigh"]["expr"], of["ShelflifeServerEvicts"]
    where_nothing_goes = r"> [\d.]+ and on \(namespace, instance\) shelflife_server_info\{eviction_policy=\"noeviction\"\}"
    bounds = [float(bound) for bound in re.findall(r"memory_ratio > ([\d.]+)", re.sub(where_nothing_goes, "", high))]
    outrun = re.fullmatch(r"increase\(shelflife_server_evicted_keys_total\[(\w+)\]\) > increase\(shelflife_server_expired_keys_total\[\1\]\)", evicts["expr"])
    calm = bounds and min(bounds) > 1 and outrun and evicts["labels"]["severity"] == "info"
    check(calm, "a cache that is full and well warns nobody", (high, evicts))
    check(len({rule["alert"] for rule in rules}) == len(rules), f"{len(rules)} alerts, each with for, severity, summary and a runbook that is there")
    check({rule["alert"].lower() for rule in rules} == sections, "no runbook without an alert")


def _scraped() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
    jobs = config["scrape_configs"]
    targets = {target for job in jobs for of in job["static_configs"] for target in of["targets"]}
    for file in ("local.toml", "proxy.toml"):
        address = tomllib.loads((DEPLOY / "proxy" / file).read_text())["admin"]["metrics"]
        reached = not address.startswith("127.") and f"shelflife-proxy:{address.rpartition(':')[2]}" in targets
        check(reached, f"prometheus.yaml scrapes the proxy of {file} where others reach it", (address, targets))
    check(all(job["metrics_path"] == "/metrics" for job in jobs) and config["rule_files"] == ["alerts.yaml"], "prometheus.yaml scrapes /metrics and reads the alerts")


def _rules() -> Iterator[Any]:
    document = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
    for group in document["groups"]:
        yield from group["rules"]


def _of_panels() -> Iterator[str]:
    dashboard = json.loads((DEPLOY / "grafana/shelflife.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def _labels(query: str) -> Iterator[str]:
    for of in re.findall(r"(?:by|without|ignoring|on) ?\(([^)]*)\)", query):
        yield from (label.strip() for label in of.split(","))
    yield from re.findall(r"[{,](\w+)(?:=|!=|=~|!~)\"", query)


def _by_promtool(text: str) -> None:
    """What Prometheus itself says of the files, and of what a demo tells."""
    promtool = shutil.which("promtool")
    if not promtool:
        left_out("rules, configuration and metrics as Prometheus reads them", "no promtool here: apt-get install prometheus")
        return
    files = DEPLOY / "prometheus"
    for words, given in (
        (["check", "rules", str(files / "alerts.yaml")], None),
        (["check", "config", str(files / "prometheus.yaml")], None),
        (["check", "metrics"], text),
    ):
        done = subprocess.run([promtool, *words], input=given, text=True, capture_output=True, timeout=60, check=False)
        check(done.returncode == 0, f"promtool {' '.join(words[:2])}", (done.stdout + done.stderr)[-1000:])


def _exposed(shelflife: str, scratch: Path) -> str:
    """What a demo on a real Redis tells, with the rights of an application, and behind it what a proxy tells of itself."""
    scratch.mkdir()
    with ExitStack() as started:
        server = Server(started, scratch / "redis", "--maxmemory", "64mb")
        words = [shelflife, "demo", "--listen", "127.0.0.1:0", "--database", str(scratch / "demo.sqlite"), "--users", "50", "--orders", "500"]
        env = {**os.environ, "SHELFLIFE_URL": server.url()}
        demo = started.enter_context(subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True))
        started.callback(demo.terminate)
        assert demo.stdout is not None
        base = demo.stdout.readline().split()[-1]
        for path in ("/users/1", "/users/1", "/users?page=1"):
            urllib.request.urlopen(base + path, timeout=15).read()
        text = urllib.request.urlopen(base + "/metrics", timeout=15).read().decode()
        own, of_the_proxy = free_port(), free_port()
        config = scratch / "proxy.toml"
        config.write_text(
            f'listen = "127.0.0.1:{own}"\n[upstream]\nurl = "{base}"\n[admin]\nlisten = "127.0.0.1:0"\n'
            f'token = "0123456789abcdef"\nmetrics = "127.0.0.1:{of_the_proxy}"\n'
        )
        proxy = started.enter_context(subprocess.Popen([shelflife, "proxy", "--config", str(config)], stdout=subprocess.DEVNULL))
        started.callback(proxy.terminate)
        until_it_listens(proxy, of_the_proxy)
        told = urllib.request.urlopen(f"http://127.0.0.1:{of_the_proxy}/metrics", timeout=15).read().decode()
        text += told[told.index("# HELP shelflife_proxy_") :]
        check(not server.denied(), "an application may ask for all of it by its rights", server.denied())
    return text


def _series(text: str) -> list[tuple[str, list[str]]]:
    """Name and labels of each."""
    series = [line for line in text.splitlines() if not line.startswith("#")]
    return [(re.split(r"[{ ]", line)[0], re.findall(r'(\w+)="', line)) for line in series]
