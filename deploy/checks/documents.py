"""The Dockerfiles, the Kubernetes manifest and the systemd unit: their form, and what they run, as processes."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from .compose import is_pinned
from .product import run
from .server import DEPLOY, Server
from .told import check, left_out, title
from .topology import Topology

REPOSITORY = DEPLOY.parent
IMAGE = {"dockerfile": "deploy/docker/shelflife.Dockerfile"}


def dockerfiles() -> None:
    title("The Dockerfiles, as documents")
    for path in sorted((DEPLOY / "docker").glob("*.Dockerfile")):
        text = path.read_text().replace("\\\n", " ")
        wrong = [f"FROM {image} is not pinned" for image in re.findall(r"^FROM (\S+)", text, re.M) if not is_pinned(image)]
        sources = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.*)$", text, re.M)]
        kept = [line[1:] for line in path.with_name(path.name + ".dockerignore").read_text().splitlines() if line.startswith("!")]
        for source in (source for line in sources for source in line):
            wrong += [f"COPY {source}: not there"] * (not (REPOSITORY / source).exists())
            wrong += [f"COPY {source}: .dockerignore leaves it out"] * (not any(source == one or source.startswith(one + "/") for one in kept))
        user = re.findall(r"^USER (\S+)", text, re.M)
        wrong += ["it runs as root"] * (not user or user[-1].startswith("0"))
        wrong += ["more than one stage is needed"] * (len(re.findall("^FROM ", text, re.M)) < 2)
        wrong += ["ENTRYPOINT is no list"] * (not isinstance(json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.M)[-1]), list))
        check(not wrong, f"{path.name}: stages, tags, what it copies, not root", wrong)


def kubernetes(scratch: Path, shelflife: str) -> None:
    title("kubernetes/proxy-sidecar.yaml")
    path = DEPLOY / "kubernetes/proxy-sidecar.yaml"
    deployment, service, budget = list(yaml.safe_load_all(path.read_text()))
    read_as_known([deployment, service, budget])
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selected = deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]
    check(all(one == labels for one in selected), "Deployment, Service and budget select the pod")
    pod = deployment["spec"]["template"]["spec"]
    containers = {one["name"]: one for one in pod["containers"]}
    named = [port["name"] for one in containers.values() for port in one.get("ports", [])]
    check(service["spec"]["ports"][0]["targetPort"] in named, "the Service leads to a port of the proxy")
    mounted = {mount["name"] for one in containers.values() for mount in one["volumeMounts"]}
    check(mounted == {volume["name"] for volume in pod["volumes"]}, "volumes and mounts are the same")
    hard = all(one["securityContext"]["readOnlyRootFilesystem"] and "readinessProbe" in one and "limits" in one["resources"] for one in containers.values())
    check(hard and pod["securityContext"]["runAsNonRoot"] and all(is_pinned(one["image"].split("/")[-1]) for one in containers.values()), "containers: tags, limits, probes, not root")
    ends(pod, containers)
    services = {
        name: {
            "image": "shelflife:0.1.0",
            "build": IMAGE,
            "command": one["args"],
            "environment": {env["name"]: env.get("value", "@url@") for env in one.get("env", [])},
            "ports": [f"x:{port['containerPort']}" for port in one.get("ports", [])],
            "healthcheck": {"test": ["CMD", *one["readinessProbe"]["exec"]["command"]]},
        }
        for name, one in containers.items()
    }
    beside(services, scratch, shelflife)


def ends(pod: dict[str, Any], containers: dict[str, Any]) -> None:
    """All containers of a pod are told to end at once, each after its preStop: the application has to outlast who still sends it requests."""
    sleeps = {name: int(one["lifecycle"]["preStop"]["exec"]["command"][1]) if "lifecycle" in one else 0 for name, one in containers.items()}
    grace = tomllib.loads((DEPLOY / "proxy/local.toml").read_text())["shutdown"]["grace"]
    proxy = sleeps["proxy"] + int(grace.removesuffix("s"))
    whole = pod["terminationGracePeriodSeconds"]
    check(sleeps["proxy"] > 0 and proxy < sleeps["app"] < whole, f"at the end the application outlasts the proxy: {proxy} s, {sleeps['app']} s, of {whole} s", sleeps)


def systemd(scratch: Path, shelflife: str) -> None:
    title("systemd/shelflife-proxy.service")
    path = DEPLOY / "systemd/shelflife-proxy.service"
    unit = path.read_text()
    if shutil.which("systemd-analyze"):
        # With what is there instead of what will be installed.
        here = scratch / "unit/shelflife-proxy.service"
        here.parent.mkdir(parents=True)
        here.write_text(unit.replace("/usr/local/bin/shelflife", shelflife))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", here], text=True, capture_output=True, timeout=30, check=False)
        check(done.returncode == 0 and not done.stderr.strip(), "systemd-analyze verify has nothing to say", done.stderr)
    else:
        left_out("the unit's directives", "no systemd-analyze here")
    _, *command = shlex.split(re.findall(r"^ExecStart=(.*)$", unit, re.M)[0])
    health = ["CMD", "healthy", "8081", "/_shelflife/health/ready"]
    upstream = ["demo", "--listen", "127.0.0.1:9000", "--admin", "127.0.0.1:0", "--database", "/data/demo.sqlite", "--users", "500", "--orders", "20000"]
    of_image: dict[str, Any] = {"image": "shelflife:0.1.0", "build": IMAGE, "environment": {}}
    app = of_image | {"command": upstream, "healthcheck": {"test": ["CMD", "healthy", "9000", "/users/1"]}}
    proxy = of_image | {"command": command, "environment": {"SHELFLIFE_URL": "@url@", "SHELFLIFE_NAMESPACE": "proxy"}, "ports": ["x:8080"], "healthcheck": {"test": health}}
    beside({"app": app, "proxy": proxy}, scratch, shelflife)


def beside(services: dict[str, Any], scratch: Path, shelflife: str) -> None:
    """An application and the proxy before it on one loopback, with proxy/local.toml and a Redis with users."""
    with ExitStack() as started:
        redis = Server(started, scratch, namespaces="default proxy")
        pod = Topology(started, {"services": services}, scratch, shelflife, one_host=True)
        pod.ports["", str(redis.port)] = redis.port
        config = scratch / "etc/proxy.toml"
        config.parent.mkdir()
        config.write_text((DEPLOY / "proxy/local.toml").read_text().replace("@token@", redis.password("operator")))
        pod.paths["/etc/shelflife"] = config.parent
        for service in services.values():
            service["environment"] = {name: value.replace("@url@", redis.url()) for name, value in service["environment"].items()}
        if pod.up():
            answers = [pod.ask("proxy", "8080", "/users/7") for _ in range(2)]
            check(answers[1].is_hit and answers[0].body == answers[1].body, "  asked twice: the second answer is a hit", answers[1].said)
            metrics, other = pod.ask("proxy", "9100", "/metrics"), pod.ask("proxy", "9100", "/_shelflife/health")
            check("shelflife_reads_total" in metrics.body and other.status == 404, "  Prometheus gets the metrics on a port of their own, and nothing else", (metrics.status, other))
            listed = run(shelflife, "members", "--json", "--redis", redis.url(), "--namespace", "proxy").stdout
            check(len(json.loads(listed)) == 1 and not redis.denied(), "  Redis lists the proxy as a member, and has denied nothing", (listed, redis.denied()))


def read_as_known(documents: list[dict[str, Any]]) -> None:
    """kubectl, which knows the types, reads each and writes it anew: a field that it does not know is lost. It can do so alone where it changes something."""
    changes = {"Deployment": ["env", "ADDED=1"], "Service": ["selector", "app=api"]}
    if not shutil.which("kubectl"):
        return left_out("the manifest's fields", "no kubectl here")
    for one in documents:
        kind = one["kind"]
        if kind not in changes:
            left_out(f"the fields of {kind}", "kubectl needs a cluster for that: kubectl apply --dry-run=server")
            continue
        what, change = changes[kind]
        words = ["kubectl", "set", what, "--local", "-f", "-", "-o", "yaml", *([change] if what == "env" else ["--", change])]
        done = subprocess.run(words, input=yaml.dump(one), text=True, capture_output=True, timeout=30, check=False)
        lost = missing(one, yaml.safe_load(done.stdout) or {}, kind)
        check(done.returncode == 0 and not lost, f"kubectl knows every field of {kind}", lost or done.stderr)


def missing(one: Any, other: Any, where: str) -> list[str]:
    if isinstance(one, dict):
        return [lost for key, value in one.items() for lost in (missing(value, other[key], f"{where}.{key}") if isinstance(other, dict) and key in other else [f"{where}.{key}"] * (value not in ({}, None)))]
    if isinstance(one, list) and isinstance(other, list) and len(one) <= len(other):
        return [lost for at, value in enumerate(one) for lost in missing(value, other[at], f"{where}[{at}]")]
    return [] if str(one) == str(other) else [where]
