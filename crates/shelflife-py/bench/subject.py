"""What is cached: a dict of 30 dicts, 1.8 KB as JSON."""

from __future__ import annotations

import json
from typing import Any


def catalog() -> dict[str, Any]:
    return {f"item-{n:02}": {"id": n, "name": f"name {n:02}", "price": n + 0.5, "in": n % 2 == 0} for n in range(30)}


BODY = json.dumps(catalog(), separators=(",", ":")).encode()
