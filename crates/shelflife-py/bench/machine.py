"""What the figures depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .server import Redis

PEERS = ("fastapi", "uvicorn", "redis", "cashews", "aiocache", "fastapi-cache2", "fastapi-redis-sdk")


def facts(redis: Redis) -> list[tuple[str, str]]:
    return [
        ("cores", str(len(os.sched_getaffinity(0)))),
        ("cpu", _cpu()),
        ("system", f"{platform.system()} {platform.machine()}".lower()),
        ("server", f"redis {redis.version()}"),
        ("python", platform.python_version()),
        ("build", _build()),
        *((name, version(name)) for name in PEERS),
    ]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _build() -> str:
    """tools/python-bench installs a release wheel; what was only built in the tree is no such thing."""
    try:
        return f"release wheel {version('shelflife')}" if _installed() else "of the tree (figures mean nothing)"
    except PackageNotFoundError:
        return "of the tree (figures mean nothing)"


def _installed() -> bool:
    import shelflife

    return "site-packages" in Path(shelflife.__file__).parts
