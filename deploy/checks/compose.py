"""The compose files as documents: their form, what they refer to, and the rules of the house (pinned, on the loopback, healthy, restarted)."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from .told import check, title

#: What of the compose specification is used here: another key is a mistake, or has to be added with a look at what it does.
TOP = {"name", "services", "networks", "volumes", "secrets"}
SERVICE = {
    "image", "build", "command", "entrypoint", "environment", "volumes", "ports", "depends_on", "healthcheck", "restart", "stop_grace_period", "user", "tmpfs",
    "secrets", "networks", "mem_limit", "read_only", "cap_drop", "security_opt", "logging",
}  # fmt: skip
HEALTH = {"test", "interval", "timeout", "start_period", "retries"}
RESTART = {"no", "always", "on-failure", "unless-stopped"}
#: Made by those who deploy, as the file says at its top.
THEIRS = {"certificate.pem", "key.pem"}
ONCE = "service_completed_successfully"


def look(path: Path, made: Path) -> dict[str, Any]:
    """Checks a file; `made` is where `passwords init` and `certificates init` have made secrets/ and .env. Gives its content."""
    title(f"{path.name}, as a document")
    text = path.read_text()
    content: dict[str, Any] = yaml.safe_load(text)
    unknown = [key for key in content if key not in TOP and not key.startswith("x-")]
    check(not unknown, "no unknown key at the top", unknown)
    schema(path)
    before = len(content["services"])
    wrong = [f"{name}: {what}" for name, service in content["services"].items() for what in mistakes(content, service, path.parent)]
    check(not wrong, f"{before} services: form, references, image by tag, ports on 127.0.0.1, health check, restart", wrong)
    env = set(re.findall(r"^(\w+)=", (made / ".env").read_text(), re.M))
    asked = set(re.findall(r"\$\{(\w+)", text))
    check(asked <= env, f"what it takes from the environment is in .env: {', '.join(sorted(asked)) or 'nothing'}", asked - env)
    files = {name: path.parent / given["file"] for name, given in content.get("secrets", {}).items()}
    lost = [name for name, file in files.items() if name not in THEIRS and not (made / "secrets" / file.name).is_file()]
    check(not lost, f"{len(files)} secrets: `passwords init` and `certificates init` make them, or the file says who does", lost)
    return content


def schema(path: Path) -> None:
    """By the compose specification's own schema, which check-jsonschema brings along."""
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    done = subprocess.run(words, text=True, capture_output=True, timeout=60, check=False)
    check(done.returncode == 0, "it keeps to the schema of the compose specification", (done.stdout + done.stderr)[-500:])


def mistakes(content: dict[str, Any], service: dict[str, Any], home: Path) -> list[str]:
    wrong = [f"unknown key {key}" for key in service if key not in SERVICE]
    wrong += [f"image {service.get('image')} is not pinned by a tag"] * (not is_pinned(service.get("image", "")))
    wrong += [f"port {port} is not on 127.0.0.1" for port in service.get("ports", []) if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", str(port))]
    wrong += ["no restart"] * (service.get("restart") not in RESTART)
    health = service.get("healthcheck", {})
    # Who ends when it is done has no health.
    once = [name for name, other in content["services"].items() if other is service and any(one.get("depends_on", {}).get(name) == {"condition": ONCE} for one in content["services"].values())]
    form = health.get("test", [""])[0] in ("CMD", "CMD-SHELL") and set(health) <= HEALTH
    wrong += ["no health check, or of another form"] * (not form and not once)
    wrong += ["it ends, and would be started again for ever"] * (bool(once) and service.get("restart") != "on-failure")
    times = [health.get(key) for key in HEALTH - {"test", "retries"}] + [service.get("stop_grace_period")]
    wrong += [f"{time} is no time" for time in times if time is not None and not re.fullmatch(r"(\d+m)?(\d+s)?", time)]
    for key in ("command", "entrypoint"):
        wrong += [f"{key} has {word!r}, which is no text" for word in service.get(key, []) if not isinstance(word, str)]
    wrong += [f"{name}={value!r} is no text" for name, value in service.get("environment", {}).items() if not isinstance(value, str)]
    if build := service.get("build"):
        wrong += ["no such Dockerfile"] * (not (home / build["context"] / build["dockerfile"]).is_file())
    else:
        built = [other.get("image") for other in content["services"].values() if "build" in other]
        wrong += ["nobody builds its image"] * (service.get("image", "").startswith("shelflife") and service["image"] not in built)
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        there = (home / source).exists() if source.startswith(".") else source in content.get("volumes", {})
        wrong += [f"no volume {source}"] * (not there)
    for kind in ("networks", "secrets"):
        wrong += [f"{kind}: no {name}" for name in service.get(kind, []) if name not in content.get(kind, {})]
    for other, how in service.get("depends_on", {}).items():
        wrong += [f"depends on {other}: {how}"] * (other not in content["services"] or how not in ({"condition": "service_healthy"}, {"condition": ONCE}))
    return wrong


def is_pinned(image: str) -> bool:
    """By a tag that names a version."""
    name, _, tag = image.rpartition(":")
    return bool(name) and bool(re.match(r"\d", tag)) and "/" not in tag
