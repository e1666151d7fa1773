"""Checks what is in deploy/. Usage: check.py PATH-OF-SHELFLIFE [COMPOSE-FILE, which alone is checked then]

Starts each Redis and each service for real, and drives shelflife on them. Ends with 1 if anything is wrong; what could not be checked here is told.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from checks import compose, documents, eviction, formations, metrics, rights, told, topology
from checks.server import DEPLOY

COMPOSE = {
    "compose.yaml": topology.to_try,
    "compose.production.yaml": topology.production,
    "compose.sentinel.yaml": formations.sentinel,
    "compose.cluster.yaml": formations.cluster,
}


def main(shelflife: str, only: str = "") -> int:
    # Of the command and of the services: a pause of the machine is no outage.
    os.environ["SHELFLIFE_TIMEOUT"] = "2s"
    absent = [program for program in ("redis-server", "redis-cli", "openssl", "bash") if not shutil.which(program)]
    if absent:
        sys.exit(f"the check of deploy/ needs {', '.join(absent)}: apt-get install redis-server openssl bash")
    with tempfile.TemporaryDirectory(prefix="shelflife-deploy-") as name:
        scratch = Path(name)
        if not only:
            rights.prove(shelflife, scratch / "rights")
            eviction.makes_room(shelflife, scratch / "full")
            eviction.keeps_its_entries(scratch / "hangs")
            metrics.speak_of_what_there_is(shelflife, scratch / "metrics")
        for file, walk in COMPOSE.items():
            if only not in file:
                continue
            made = scratch / file
            made.mkdir()
            for words in ([DEPLOY / "passwords", "init"], [DEPLOY / "certificates", "init", "localhost", "127.0.0.1"]):
                subprocess.run(words, env={**os.environ, "DEPLOY": str(made)}, check=True)
            content = compose.look(DEPLOY / file, made)
            with ExitStack() as started:
                walk(started, content, made, shelflife)
        if not only:
            documents.dockerfiles()
            documents.kubernetes(scratch / "pod", shelflife)
            documents.systemd(scratch / "host", shelflife)
    told.left_out("the images", "they need a container engine: `docker compose -f deploy/compose.yaml up --build`")
    return told.end()


if __name__ == "__main__":
    # What was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    sys.exit(main(str(Path(sys.argv[1]).resolve()), *sys.argv[2:3]))
