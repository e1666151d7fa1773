"""What a type annotation says: whether it is plain, whether it can be shared, its shape as a number."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import hashlib
import inspect
import types
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Union
from uuid import UUID

_SCALARS: tuple[type, ...] = (types.NoneType, bool, int, float, str, bytes)
_IMMUTABLE: tuple[type, ...] = (*_SCALARS, Decimal, UUID, datetime, date, time, timedelta)
_UNIONS = (Union, types.UnionType)

#: What names the types that can't be stored: package and class, found in the bases of an annotation.
_NEVER = {
    ("starlette", "Response"): "use `@cache.route(...)`, which keeps status and headers, or return the data",
    ("starlette", "Request"): "return the data",
    ("sqlalchemy", "Session"): "return the rows, as a pydantic model or dataclass",
    ("sqlalchemy", "AsyncSession"): "return the rows, as a pydantic model or dataclass",
    ("sqlalchemy", "Connection"): "return the rows, as a pydantic model or dataclass",
    ("sqlalchemy", "Result"): "return the rows, as a pydantic model or dataclass",
    ("sqlalchemy", "DeclarativeBase"): "return a pydantic model (`model_validate(row, from_attributes=True)`)",
    ("httpx", "Response"): "return what you read of it, such as `response.json()`",
    ("httpx", "AsyncClient"): "return the data",
    ("httpx", "Client"): "return the data",
    ("requests", "Response"): "return what you read of it, such as `response.json()`",
    ("_io", "_IOBase"): "return what you read of it",
    ("io", "IOBase"): "return what you read of it",
    ("_thread", "lock"): "a lock belongs to this process",
    ("asyncio", "Lock"): "a lock belongs to this process",
    ("asyncio", "Task"): "await it, and return the result",
    ("_asyncio", "Task"): "await it, and return the result",
    ("asyncio", "Future"): "await it, and return the result",
    ("_asyncio", "Future"): "await it, and return the result",
}
_STREAMS = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
    collections.abc.Awaitable,
    collections.abc.Coroutine,
    collections.abc.Callable,
)


def text(annotation: Any) -> str:
    """How an annotation reads in a message."""
    return getattr(annotation, "__qualname__", None) if isinstance(annotation, type) and not typing.get_args(annotation) else repr(annotation)  # type: ignore[return-value]


def bare(annotation: Any) -> Any:
    """Without `Annotated`, `NewType` and named aliases."""
    while True:
        if typing.get_origin(annotation) is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return types.NoneType if annotation is None else annotation


def is_model(kind: Any) -> bool:
    """A pydantic model. Told without importing pydantic."""
    return isinstance(kind, type) and hasattr(kind, "__pydantic_fields__") and hasattr(kind, "model_fields")


def is_scalar(value: object) -> bool:
    return type(value) in _SCALARS or isinstance(value, enum.Enum)


def plain(annotation: Any) -> tuple[type, ...] | None:
    """The types of the value itself if MessagePack has all of it; else `None`."""
    if typing.get_origin(annotation) is Annotated:
        return None  # Pydantic's validators may stand in it.
    annotation = bare(annotation)
    if annotation in _SCALARS:
        return (annotation,)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _UNIONS:
        parts = [plain(arg) for arg in args]
        return None if None in parts else tuple(kind for part in parts if part for kind in part)
    if origin is list and plain(args[0]):
        return (list,)
    if origin is dict and bare(args[0]) in _SCALARS and plain(args[1]):
        return (dict,)
    return None


def untyped(annotation: Any) -> bool:
    """A bare container, or one of `Any`: what is in it is stored as it is."""
    if annotation in (list, dict, tuple, set, frozenset):
        return True
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.List or origin is list:
        return _loose(args[0])
    return origin is dict and bare(args[0]) in (*_SCALARS, Any) and _loose(args[1])


def _loose(annotation: Any) -> bool:
    return annotation is Any or annotation is object or untyped(annotation)


def immutable(annotation: Any) -> bool:
    """Whether all callers may have the same object."""
    return _immutable(annotation, ())


def _immutable(annotation: Any, inside: tuple[Any, ...]) -> bool:
    annotation = bare(annotation)
    if annotation in inside:
        return True
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    deeper = (*inside, annotation)
    if origin is Literal:
        return True
    if origin in _UNIONS or origin is frozenset or origin is tuple:
        return all(arg is Ellipsis or _immutable(arg, deeper) for arg in args)
    if not isinstance(annotation, type) or origin is not None:
        return False
    if annotation in _IMMUTABLE or issubclass(annotation, enum.Enum):
        return True
    try:
        if _is_frozen(annotation):
            return all(_immutable(kind, deeper) for kind in fields(annotation).values())
    except NameError:
        return False
    return False


def is_copied(annotation: Any) -> bool:
    """Whether its values may be made of dicts, lists, sets and what can't be changed alone: such a value is copied for each caller, a model is
    made anew.
    """
    return _is_copied(annotation, ())


def _is_copied(annotation: Any, inside: tuple[Any, ...]) -> bool:
    annotation = bare(annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    deeper = (*inside, annotation)
    if annotation in inside or annotation is Any or annotation is object or origin is Literal:
        return True
    if origin in _UNIONS:
        return any(_is_copied(arg, deeper) for arg in args)
    if origin in (list, dict, set, tuple) or getattr(origin, "_name", None) in ("Required", "NotRequired", "ReadOnly"):
        return all(arg is Ellipsis or _is_copied(arg, deeper) for arg in args)
    if typing.is_typeddict(annotation) or hasattr(annotation, "__required_keys__"):
        try:
            return all(_is_copied(kind, deeper) for kind in fields(annotation).values())
        except NameError:
            return True
    return annotation in (list, dict, set, tuple) or annotation in _IMMUTABLE


def _is_frozen(kind: type) -> bool:
    if is_model(kind):
        config = kind.model_config  # type: ignore[attr-defined]
        return bool(config.get("frozen")) and config.get("extra") != "allow"
    if dataclasses.is_dataclass(kind):
        return bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def fields(kind: Any) -> dict[str, Any]:
    """Names and types of what a class is made of."""
    if is_model(kind):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    hints = typing.get_type_hints(kind, include_extras=True)
    if dataclasses.is_dataclass(kind):
        return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(kind)}
    if hasattr(kind, "_fields"):
        return {name: hints.get(name, Any) for name in kind._fields}
    return hints


def schema(annotation: Any) -> int:
    """The shape of a type as 32 bits: names of classes and fields, types, plain defaults. The same in every
    process and with every Python; never 0, which stands for no schema."""
    shape = _describe(annotation, [])
    digest = hashlib.blake2b(shape.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") or 1


def _describe(annotation: Any, seen: list[Any]) -> str:
    annotation = bare(annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return f"literal({','.join(map(repr, args))})"
    if origin is not None:
        inner = ",".join("..." if arg is Ellipsis else _describe(arg, seen) for arg in args)
        name = "union" if origin in _UNIONS else getattr(origin, "__name__", str(origin))
        own = _describe_class(origin, seen) if _is_made_of_fields(origin) else name
        return f"{own}[{inner}]"
    if isinstance(annotation, type):
        return _describe_class(annotation, seen)
    return getattr(annotation, "__name__", str(annotation))


def _is_made_of_fields(kind: Any) -> bool:
    return (
        is_model(kind)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or hasattr(kind, "__required_keys__")
        or (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def _describe_class(kind: Any, seen: list[Any]) -> str:
    name = str(kind.__name__)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"enum {name}({','.join(f'{m.name}={m.value!r}' if is_scalar(m.value) else m.name for m in kind)})"
    if not _is_made_of_fields(kind):
        return name
    if kind in seen:
        return f"again {name}"
    seen.append(kind)
    parts = []
    for field, annotation in fields(kind).items():
        default = _default(kind, field)
        parts.append(f"{field}:{_describe(annotation, seen)}{default}")
    return f"{name}({','.join(parts)})"


def _default(kind: Any, field: str) -> str:
    default = default_of(kind.model_fields[field]) if is_model(kind) else VARIES
    if isinstance(default, enum.Enum):
        return f"={default.name}"
    return "" if default is VARIES else f"={default!r}"


#: Of a field without a default, or with one that may be another next time.
VARIES = object()
_CONTAINERS = (list, dict, set, frozenset, tuple)


def default_of(field: Any) -> Any:
    """What a field of a model is when it is not given, if that is the same each time, in each process: a plain value, or an empty
    container. A time or a UUID may have been made when the module was loaded.
    """
    factory = field.default_factory
    if factory is not None:
        return factory() if factory in _CONTAINERS else VARIES
    default = field.default
    if is_scalar(default) or type(default) in (Decimal, timedelta) or (type(default) in _CONTAINERS and not default):
        return default
    return VARIES


def refuse_unstorable(annotation: Any) -> None:
    """TypeError for what can never be stored, as far as the annotation tells."""
    annotation = bare(annotation)
    origin = typing.get_origin(annotation) or annotation
    if origin in _STREAMS:
        raise TypeError(
            f"{text(annotation)} can't be stored; return a list, or make the function a generator (`yield`) to stream"
        )
    if isinstance(origin, type):
        for base in inspect.getmro(origin):
            hint = _NEVER.get((base.__module__.partition(".")[0], base.__name__))
            if hint:
                raise TypeError(f"{text(annotation)} can't be stored; {hint}")
    for arg in typing.get_args(annotation):
        if origin is not Literal and arg is not Ellipsis and not isinstance(arg, list):
            refuse_unstorable(arg)
