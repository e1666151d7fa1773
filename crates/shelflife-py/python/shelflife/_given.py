"""What a caller gives, as the engine takes it: settings, policies, names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from ._core import Options
from ._keys import canonical
from ._time import Time, seconds
from ._values import ValueCodec

#: Of a policy.
_TIMES = ("ttl", "stale", "negative_ttl", "soft_timeout", "hard_timeout", "throttle", "lease", "settle")
#: Of the cache.
_MORE_TIMES = ("window", "timeout", "connect_timeout", "keepalive", "close_timeout", "handler_timeout")
_SIZE = re.compile(r"([0-9]+)\s*([BKMGk]?)(?:iB)?")


class Policy(TypedDict, total=False):
    """What a policy may say beside its `ttl`, by the names in docs/settings.md, for type checkers. What is `None` is not said."""

    stale: Time | None
    stale_on_error: bool | None
    negative_ttl: Time | None
    soft_timeout: Time | None
    hard_timeout: Time | None
    jitter: float | None
    early: float | None
    throttle: Time | None
    lease: Time | None
    settle: Time | None


def setting(name: str, value: Any) -> str:
    """A setting as the engine reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in _TIMES or name in _MORE_TIMES:
        return f"{seconds(value, name):.6f}s"
    return str(value)


def size(text: str) -> int | None:
    """Bytes, of text such as `64MiB`; `None` if it is none."""
    found = _SIZE.fullmatch(text)
    return int(found[1]) << 10 * "BKMG".index((found[2] or "B").upper()) if found else None


def several(name: str, given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise TypeError(f"{name}={given!r}: expected several names, such as {name}=[{given!r}]")
    return list(given)


def asked_for(asked: Any) -> dict[str, Any]:
    if asked is None:
        return {}
    if not isinstance(asked, Mapping):
        raise TypeError(f"a handler returns keywords of invalidate(), or None; not {type(asked).__name__}")
    names = {name: several(name, asked[name]) for name in ("keys", "tags", "patterns") if name in asked}
    names = {name: given if name == "patterns" else list(map(canonical, given)) for name, given in names.items()}
    flags = {name: bool(asked[name]) for name in ("all", "soft") if name in asked}
    odd = set(asked) - set(names) - set(flags)
    if odd:
        raise TypeError(f"a handler returned {sorted(odd)}: expected keys, tags, patterns, all, soft")
    return {**names, **flags}


def options(codec: ValueCodec, share: bool = False, /, **policy: Any) -> Options:
    """A policy for values of this type, which callers may share: what is given of it, and else the cache's own."""
    given = {"schema": codec.schema, **{name: value for name, value in policy.items() if value is not None}}
    for name in _TIMES:
        if name in given:
            given[name] = seconds(given[name], name)
    return Options(**given, objects=share or codec.is_kept)
