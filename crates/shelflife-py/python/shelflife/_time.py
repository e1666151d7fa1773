"""Times as people write them: `300`, `0.3`, `timedelta(minutes=5)`, `"300ms"`, `"5m"`, `"1h30m"`."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Union

from ._core import ConfigError

#: A length of time: seconds, a `timedelta`, or text such as `"5m"`.
Time = Union[int, float, timedelta, str]

#: A century: nothing is kept longer.
LONGEST = 36_525 * 86_400.0

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_BARE = re.compile(_NUMBER)
_PART = re.compile(rf"({_NUMBER})(ms|[smhdw])")
_VALID = 'seconds, a timedelta, or text such as "300ms", "5m", "1h30m" or "2d"'


def seconds(time: Time, name: str = "a time") -> float:
    """Seconds. `name` is what an error calls the setting.

    Raises `ConfigError` (a `ValueError`) for anything that is not a time, is negative, or is over a century.
    """
    found = _seconds(time)
    if found is None or not 0 <= found <= LONGEST:
        raise ConfigError(f"{name} can't be {time!r}; expected {_VALID}, from 0 to a century")
    return found


def positive(time: Time, name: str) -> float:
    """The same for a time that can't be zero, such as a ttl."""
    found = seconds(time, name)
    if found == 0:
        raise ConfigError(f"{name} can't be {time!r}; expected more than zero: {_VALID}")
    return found


def _seconds(time: object) -> float | None:
    if isinstance(time, bool):
        return None
    if isinstance(time, (int, float)):
        try:
            number = float(time)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    if isinstance(time, timedelta):
        return time.total_seconds()
    return _parse(time.strip()) if isinstance(time, str) else None


def _parse(text: str) -> float | None:
    if _BARE.fullmatch(text):
        return float(text)
    total, at = 0.0, 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            return None
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    return total if text else None
