"""From the arguments of a call to the text that names its entry.

Equal arguments give the same text, in every process; different ones never do. Nothing here asks for `repr`, `hash` or `id` of
what it doesn't know: what can't be named is an error, with a hint.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import math
import string
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from . import _shape
from ._core import escape, escape_part

#: A piece of a key: text as it is, or (index of the parameter, what to follow from it, whether its text tells its type).
Piece = "str | tuple[int, tuple[str, ...], bool]"

#: What says nothing about the result, by the package that it comes from: an application's own `Client` may be a value.
LEFT_OUT = {
    "starlette": {"HTTPConnection", "Request", "WebSocket", "Response", "BackgroundTasks", "BackgroundTask"},
    "fastapi": {"BackgroundTasks", "SecurityScopes"},
    "sqlalchemy": {
        "Session", "AsyncSession", "scoped_session", "async_scoped_session", "sessionmaker", "async_sessionmaker", "Connection",
        "AsyncConnection", "Engine", "AsyncEngine",
    },
    "redis": {"Redis", "RedisCluster"},
    "valkey": {"Valkey", "ValkeyCluster"},
    "httpx": {"Client", "AsyncClient"},
    "aiohttp": {"ClientSession"},
    "logging": {"Logger", "LoggerAdapter"},
    "shelflife": {"Cache", "Blocking"},
}  # fmt: skip

_EMPTY = inspect.Parameter.empty


def is_left_out(annotation: Any) -> bool:
    """Whether a parameter of this type is no part of an automatic key."""
    kinds = getattr(annotation, "__mro__", None)
    if kinds is None:
        bare = _shape.bare(annotation)
        kinds = getattr(bare, "__mro__", None) or ()
    return any(kind.__name__ in LEFT_OUT.get(kind.__module__.partition(".")[0], ()) for kind in kinds)


class Name(str):
    """A name in canonical text already: what `f.key(...)` gives, to be used wherever a key is."""

    __slots__ = ()


def canonical(text: str) -> str:
    """The canonical text of a name that a user wrote."""
    if not isinstance(text, str):
        raise TypeError(f"a key or tag is text, not {text!r}")
    return text if isinstance(text, Name) else escape(text)


def fill(pieces: list[Any], values: list[Any]) -> str:
    """The text that pieces make of a call's values. (What is read often is written by Rust.)"""
    out = []
    for piece in pieces:
        if isinstance(piece, str):
            out.append(piece)
            continue
        index, path, typed = piece
        value = values[index]
        for name in path:
            try:
                value = getattr(value, name)
            except AttributeError:
                value = value[name]
        out.append(part(value, typed))
    return "".join(out)


def template(
    text: str, names: list[str], *, typed: bool = False, literal: Callable[[str], str] | None = None
) -> list[Any]:
    """The pieces of `"user:{user_id}"`, `"{user.id}"`, `"{filters[page]}"`."""
    pieces: list[Any] = []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"bad template {text!r}: {error}") from None
    for given, field, spec, conversion in parsed:
        if given:
            pieces.append((literal or escape)(given))
        if field is None:
            continue
        if spec or conversion:
            raise ValueError(f"bad template {text!r}: {{{field}}} takes no format; a part is written canonically")
        name, *path = field.replace("[", ".").replace("]", "").split(".")
        if name not in names:
            known = ", ".join(names) or "none"
            raise ValueError(f"bad template {text!r}: no parameter {name!r}; there are: {known}")
        pieces.append((names.index(name), tuple(path), typed))
    return pieces


def automatic(function: Callable[..., Any], name: str, signature: inspect.Signature, hints: dict[str, Any]) -> list[Any]:
    """`module.qualname`, and each parameter that may tell results apart, typed."""
    pieces: list[Any] = [escape(name)]
    for index, (param, detail) in enumerate(signature.parameters.items()):
        if index == 0 and param in ("self", "cls") and "." in function.__qualname__:
            owner = function.__qualname__.rpartition(".")[0]
            if not owner.endswith("<locals>"):
                pieces += [":", (index, (), True)]
                continue
        annotation = hints.get(param, detail.annotation)
        if annotation is not _EMPTY and is_left_out(annotation):
            continue
        pieces += [":", (index, (), True)]
    return pieces


def part(value: Any, typed: bool) -> str:
    """The canonical text of a value that Rust does not write itself."""
    try:
        return _typed(value) if typed else _plain(value)
    except RecursionError:
        raise TypeError("a value that holds itself can't be part of a key") from None


def _plain(value: Any) -> str:
    """In a template the author says what is meant: no marks of types."""
    kind = type(value)
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if value is None:
        return "%_"
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, str):
        return escape_part(str.__str__(value))
    if isinstance(value, int):
        return int.__str__(value)
    if isinstance(value, (list, tuple)):
        return "%(" + "".join(_plain(item) + "%," for item in value) + "%)"
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (float, Decimal, date, time, timedelta, bytes)):
        return escape_part(_scalar(value))
    return _typed(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        return repr(float(value) + 0.0)  # -0.0 is 0.0
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, timedelta):
        return f"{value // timedelta(microseconds=1)}us"
    return str(value.isoformat())


def _decimal(value: Decimal) -> str:
    """Equal values, one text; exactly, whatever the context's precision is."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return "nan" if value.is_nan() else ("-inf" if sign else "inf")
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    if not stripped:
        return "0"
    exponent += len(text) - len(stripped)
    minus = "-" if sign else ""
    if exponent >= 0 and exponent + len(stripped) <= 40:
        return minus + stripped + "0" * exponent
    if -40 <= exponent < 0:
        whole = stripped.rjust(1 - exponent, "0")
        return f"{minus}{whole[:exponent]}.{whole[exponent:]}"
    return f"{minus}{stripped}E{exponent}"


def _typed(value: Any) -> str:
    kind = type(value)
    if value is None:
        return "%_"
    if kind is bool:
        return "%t" if value else "%f"
    if kind is int:
        return str(value)
    if kind is str:
        return "'" + escape_part(value)
    if isinstance(value, enum.Enum):
        # A flag may have no name of its own.
        said = escape_part(value.name) if value.name else _typed(value.value)
        return f"%e{_class(kind)}%.{said}"
    for base, mark in _MARKS:
        if isinstance(value, base):
            return mark + escape_part(_scalar(value))
    if isinstance(value, UUID):
        return f"%u{value}"
    if kind is list or kind is tuple:
        return f"%{'l' if kind is list else '('}" + "".join(_typed(item) + "%," for item in value) + "%)"
    if kind is set or kind is frozenset:
        return "%s" + "".join(text + "%," for text in sorted(map(_typed, value))) + "%)"
    if kind is dict:
        items = sorted((_typed(key), _typed(item)) for key, item in value.items())
        return "%m" + "".join(f"{key}%={item}%," for key, item in items) + "%)"
    own = getattr(value, "__cache_key__", None)
    if own is not None:
        return f"%k{_class(kind)}%.{_typed(own())}"
    fields = _fields(value)
    if fields is not None:
        items = sorted((escape_part(key), _typed(item)) for key, item in fields.items())
        return f"%o{_class(kind)}%." + "".join(f"{key}%={item}%," for key, item in items) + "%)"
    raise TypeError(
        f"a {_class(kind)} can't be part of a key: name what identifies it in key=\"...{{argument.id}}\", give key_builder=, "
        "or give its class a method __cache_key__()"
    )


_MARKS: list[tuple[type, str]] = [
    (bytes, "%b"),
    (float, "%d"),
    (Decimal, "%c"),
    (datetime, "%i"),
    (date, "%y"),
    (time, "%h"),
    (timedelta, "%p"),
]


def _class(kind: type) -> str:
    return escape_part(f"{kind.__module__}.{kind.__qualname__}")


def _fields(value: Any) -> dict[str, Any] | None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if _shape.is_model(type(value)):
        kind: Any = type(value)
        return {name: getattr(value, name) for name in kind.model_fields}
    return None
