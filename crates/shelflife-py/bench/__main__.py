"""One table, every ratio from this one run.

    function.py     a decorated function's hit in the process, beside the plain call, cashews and aiocache
    l2.py           a hit in Redis, beside cashews over redis-py
    web.py          requests a second of a served route, beside bare ASGI, FastAPI and two libraries; `served.py` is served

Contenders take turns within a round, and a ratio is the median of the rounds' ratios: what else the machine does in the meantime
meets both sides.

Must not: use anything of shelflife that an application could not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from . import function, l2, load, machine, web
from .server import Redis
from .report import Report

PARTS = {"function": function.run, "l2": l2.run, "web": web.run}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file, as JSON")
    parser.add_argument("--only", metavar="PART,...", help=f"run only these parts: {', '.join(PARTS)}")
    args = parser.parse_args()
    wanted = args.only.split(",") if args.only else list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    without_load = "web" in wanted and not load.is_there()
    if without_load:
        wanted.remove("web")
    began = time.monotonic()
    with Redis() as redis:
        report = Report(machine.facts(redis))
        for name in wanted:
            PARTS[name](redis, report)
    report.seconds = time.monotonic() - began
    print(report)
    if args.json:
        report.write(args.json)
    if without_load:
        print("web: not measured, for wrk is not installed and could not be: apt-get install wrk", file=sys.stderr)
    return int(without_load)


if __name__ == "__main__":
    sys.exit(main())
