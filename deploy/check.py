"""Checks what is in deploy/. Usage: check.py PATH-OF-SHELFLIFE

Starts each Redis for real, and drives shelflife on it. Ends with 1 if anything is wrong; what could not be checked here is told.
"""

import sys
import tempfile
from pathlib import Path

from checks import rights, told


def main(shelflife: str) -> int:
    with tempfile.TemporaryDirectory(prefix="shelflife-deploy-") as name:
        scratch = Path(name)
        rights.prove(shelflife, scratch / "rights")
    return told.end()


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve())))
