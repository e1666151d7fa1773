"""What this process keeps is bounded by `memory`: objects that are kept beside their encoding count."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shelflife._shape import is_copied

KEPT = Path(__file__).parent / "apps" / "kept.py"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="how large a process is, is Linux's to say")
@pytest.mark.parametrize(
    ("kind", "share", "part"), [("any", "own", 2), ("any", "share", 2), ("texts", "own", 2), ("rows", "own", 2), ("models", "share", 3)]
)
def test_at_least_half_of_what_a_process_grows_by_is_known(kind: str, share: str, part: int) -> None:
    """Models that callers share take more than the dicts that they are counted as."""
    done = subprocess.run([sys.executable, str(KEPT), kind, "4000", share], check=True, capture_output=True, timeout=120)
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["known"] * part > said["grown"], said


@pytest.mark.parametrize(
    ("annotation", "copied"),
    [("Any", True), ("dict[str, list[int]]", True), ("Row", True), ("list[User]", False), ("User | None", True), ("dict[str, User]", False)],
)
def test_what_is_made_anew_for_each_caller_is_not_counted_twice(annotation: str, copied: bool) -> None:
    from typing import TypedDict

    from pydantic import BaseModel

    Row = TypedDict("Row", {"id": int})

    class User(BaseModel):
        id: int

    assert is_copied(eval(annotation, {"Any": Any, "Row": Row, "User": User})) is copied
