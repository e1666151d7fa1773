"""What has been checked, what could not be, and what is wrong."""

import time

_began = time.monotonic()
_wrong: list[str] = []
_left: list[str] = []


def title(what: str) -> None:
    print(f"\n{what}  ({time.monotonic() - _began:.0f} s)", flush=True)


def check(holds: object, what: str, why: object = "") -> bool:
    """Tells one finding. What does not hold is remembered, and the check goes on: all of it is told at once."""
    print(f"  {'ok' if holds else 'WRONG':<6}{what}{'' if holds or why == '' else f': {why}'}", flush=True)
    if not holds:
        _wrong.append(what)
    return bool(holds)


def left_out(what: str, why: str) -> None:
    _left.append(what)
    print(f"  {'not':<6}{what}: {why}", flush=True)


def end() -> int:
    """The sum, and the exit code."""
    print(f"\n{len(_wrong)} wrong, {len(_left)} not checked, in {time.monotonic() - _began:.0f} s")
    for what in _wrong:
        print(f"  WRONG {what}")
    return 1 if _wrong else 0
