"""The load: wrk, on the last core; what is loaded stays on the first."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from .measure import Turn

CONNECTIONS = 64
#: How long a turn is, in seconds, and how long a request may take on a machine that is busy.
TURN, PATIENCE = 2, 10


def first_core() -> int:
    """Where servers stay."""
    return min(os.sched_getaffinity(0))


def last_core() -> int:
    """Where the load stays."""
    return max(os.sched_getaffinity(0))


def staying(core: int) -> Callable[[], None]:
    """What a new process does first, so that it stays on one core."""
    return lambda: os.sched_setaffinity(0, {core})


def is_there() -> bool:
    """Whether there is wrk; it is installed where that is possible without asking."""
    if shutil.which("wrk") is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "wrk"], stdout=subprocess.DEVNULL)
    return shutil.which("wrk") is not None


def turn(url: str) -> Turn:
    """A turn against this URL: the time of one request in ns."""
    return lambda: 1e9 / _a_second(url)


def _a_second(url: str) -> float:
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{TURN}s", f"--timeout={PATIENCE}s", url],
        capture_output=True,
        text=True,
        preexec_fn=staying(last_core()),
    )
    # Answers that are errors are fast, too.
    if done.returncode != 0 or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"the load failed on {url}: {done.stdout}{done.stderr}")
    rates = [line.split(":")[1] for line in done.stdout.splitlines() if line.startswith("Requests/sec:")]
    if not rates:
        raise SystemExit(f"wrk printed no rate: {done.stdout}")
    return float(rates[0])
