"""How a value becomes bytes, and the same value again.

A *typed* value (its annotation is known) is written as MessagePack with named fields, so that Rust's serde reads it,
and comes back through pydantic. An *untyped* one is written as it is; what MessagePack has no type for is an
extension value (the table `EXTENSIONS`). Either way a value that would come back as something else is refused:
what is typed is decoded once before it is stored, and compared.

No pickle, and nothing that a store could make this process run.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Callable, Hashable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Union
from uuid import UUID
from zoneinfo import ZoneInfo

from . import _shape
from ._core import Decoder, Ext, ValueNotStorable, pack, unpack

#: The extension types of what has no type of its own in MessagePack. Codes are for ever.
EXTENSIONS: dict[type, int] = {
    tuple: 1,
    set: 2,
    frozenset: 3,
    Decimal: 4,
    UUID: 5,
    datetime: 6,
    date: 7,
    time: 8,
    timedelta: 9,
    int: 10,  # over 64 bits
}
_ANNOTATE = "annotate the function's return type, or give `type=`"


class ValueCodec:
    """Encodes and decodes the values of one annotation. Made by `codec_for`."""

    __slots__ = ("_expected", "_validate", "annotation", "decoder", "encode", "immutable", "is_kept", "schema")

    def __init__(
        self,
        annotation: Any,
        encode: Callable[[Any], bytes],
        validate: Callable[[Any], Any] | None,
        *,
        schema: int = 0,
        expected: Sequence[type] | None = None,
        only_ext: bool = False,
        immutable: bool = False,
        is_kept: bool = True,
    ) -> None:
        self.annotation = annotation
        #: Raises `ValueNotStorable`.
        self.encode = encode
        #: All callers may have the same object.
        self.immutable = immutable
        #: Whether a value may be kept beside its encoding, to be shared or copied: its entry weighs more then.
        self.is_kept = is_kept
        self.schema = schema
        self._validate, self._expected = validate, expected
        self.decoder = Decoder(validate, expected=expected, only_ext=only_ext, immutable=immutable)

    def decode(self, payload: bytes) -> Any:
        """What `decoder` gives, for what is a part of another value. Raises what validation raises."""
        wire = unpack(payload)
        if self._expected is not None and type(wire) not in self._expected:
            raise ValueError(f"stored is {type(wire).__name__}")
        return wire if self._validate is None else self._validate(wire)


def codec_for(annotation: Any) -> ValueCodec:
    """The codec of a type. Raises TypeError for a type that can never be stored."""
    if isinstance(annotation, Hashable):
        try:
            return _cached(annotation)
        except TypeError as error:
            if "unhashable" not in str(error):
                raise
    return _build(annotation)


@lru_cache(maxsize=1024, typed=True)
def _cached(annotation: Any) -> ValueCodec:
    return _build(annotation)


def _build(annotation: Any) -> ValueCodec:
    if annotation is Any or annotation is object:
        return ValueCodec(annotation, _encode_untyped, _from_wire, only_ext=True)
    _shape.refuse_unstorable(annotation)
    kind = _shape.plain(annotation)
    if kind is not None:
        return _plain(annotation, kind)
    if _shape.untyped(annotation):
        top = typing.get_origin(annotation) or annotation
        return ValueCodec(annotation, _encode_untyped, _from_wire, expected=(top,), only_ext=True)
    return _typed(annotation)


# Plain: MessagePack has it, no validation.


def _plain(annotation: Any, kind: tuple[type, ...]) -> ValueCodec:
    def encode(value: Any) -> bytes:
        if type(value) not in kind and not (type(value) is int and float in kind):
            raise _lies(value, annotation)
        if not _is_plain(value):
            raise _lies(value, annotation)
        return _pack(value)

    # A whole number is a float to Python's type checkers, and to JSON.
    accepted = (*kind, int) if float in kind else kind
    return ValueCodec(
        annotation,
        encode,
        None,
        expected=accepted,
        immutable=_shape.immutable(annotation),
    )


def _lies(value: Any, annotation: Any) -> ValueNotStorable:
    return ValueNotStorable(
        f"{_name(value)} is not what the annotation says, {_shape.text(annotation)}, or holds something that is not: "
        "it would come back as something else; mend the annotation, or give `type=`"
    )


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return bool(-(1 << 63) <= value < 1 << 64)
    if kind in (str, float, bool, bytes, types.NoneType):
        return True
    if kind is list:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(map(_is_plain_key, value)) and all(map(_is_plain, value.values()))
    return False


def _is_plain_key(key: Any) -> bool:
    return type(key) in (str, int, float, bool, bytes, types.NoneType) and _is_plain(key)


# Untyped: as it is, with extension types.


def _encode_untyped(value: Any) -> bytes:
    return _pack(_to_wire(value, exact=True))


def _pack(value: Any) -> bytes:
    try:
        return pack(value)
    except RecursionError:
        raise ValueNotStorable("the value holds itself, or is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise ValueNotStorable(str(error)) from error


def _from_wire(value: Any) -> Any:
    """What `unpack` gave, with extension values as what they stand for."""
    kind = type(value)
    if kind is dict:
        return {
            (_from_wire(key) if type(key) is Ext else key): _from_wire(item)
            for key, item in value.items()
        }
    if kind is list:
        return [_from_wire(item) for item in value]
    return _from_ext(value) if kind is Ext else value


def _from_ext(ext: Ext) -> Any:
    read = _READ.get(ext.code)
    if read is None:
        raise ValueError(f"extension type {ext.code} is not known")
    return read(ext.data)


def _read_datetime(data: bytes) -> datetime:
    text, _, zone = data.decode().partition("[")
    found = datetime.fromisoformat(text)
    return found.astimezone(ZoneInfo(zone.rstrip("]"))) if zone else found


def _read_items(data: bytes) -> list[Any]:
    items = _from_wire(unpack(data))
    if type(items) is not list:
        raise ValueError("not an array")
    return items


def _read_timedelta(data: bytes) -> timedelta:
    return timedelta(microseconds=int(data))


_READ: dict[int, Callable[[bytes], Any]] = {
    1: lambda data: tuple(_read_items(data)),
    2: lambda data: set(_read_items(data)),
    3: lambda data: frozenset(_read_items(data)),
    4: lambda data: Decimal(data.decode()),
    5: lambda data: UUID(bytes=data),
    6: _read_datetime,
    7: lambda data: date.fromisoformat(data.decode()),
    8: lambda data: time.fromisoformat(data.decode()),
    9: _read_timedelta,
    10: lambda data: int.from_bytes(data, "big", signed=True),
}


def _to_ext(value: Any, kind: type) -> Ext | None:
    code = EXTENSIONS.get(kind)
    if code is None:
        return None
    if kind is datetime:
        return Ext(code, _write_datetime(value).encode())
    if kind in (tuple, set, frozenset):
        return Ext(code, _pack([_to_wire(item, exact=True) for item in value]))
    if kind is UUID:
        return Ext(code, value.bytes)
    if kind is int:
        return Ext(code, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if kind is timedelta:
        return Ext(code, str(value // timedelta(microseconds=1)).encode())
    if kind is time and value.tzinfo is not None and value.utcoffset() is None:
        raise ValueNotStorable(f"{_name(value)} has a zone without an offset, which a time alone can't keep: store a datetime")
    text = value.isoformat() if kind in (date, time) else str(value)
    return Ext(code, text.encode())


def _write_datetime(value: datetime) -> str:
    zone = value.tzinfo
    return f"{value.isoformat()}[{zone.key}]" if _named(zone) else value.isoformat()


def _named(zone: object) -> typing.TypeGuard[ZoneInfo]:
    """Whether a zone is more than an offset."""
    return isinstance(zone, ZoneInfo) and zone.key not in ("UTC", "Etc/UTC")


# From objects to what `pack` takes.


def _to_wire(value: Any, *, exact: bool) -> Any:
    """`exact`: what has no type of its own becomes an extension value, and what has none of those is refused."""
    try:
        return _wire(value, exact)
    except RecursionError:
        raise ValueNotStorable("the value holds itself, or is nested too deeply") from None


def _wire(value: Any, exact: bool) -> Any:
    kind = type(value)
    if kind in (str, bool, float, bytes, types.NoneType):
        return value
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 64 else _to_ext(value, int)
    if kind is dict:
        return {_wire_key(key, exact): _wire(item, exact) for key, item in value.items()}
    if kind is list:
        return [_wire(item, exact) for item in value]
    if exact:
        ext = _to_ext(value, kind)
        if ext is not None:
            return ext
        raise ValueNotStorable(
            f"{_name(value)} has no form of its own in the cache: {_ANNOTATE}"
        )
    return _wire_object(value, kind, _wire)


def _wire_key(key: Any, exact: bool) -> Any:
    wire = _wire(key, exact)
    if not _is_plain_key(wire):
        raise ValueNotStorable(
            f"{_name(key)} can't be the key of a stored dict; use text or numbers, or a list of pairs"
        )
    return wire


def _wire_object(value: Any, kind: type, go_on: Callable[[Any, bool], Any]) -> Any:
    """An object of a known type by its annotation; `go_on` writes what is in it."""
    if isinstance(value, enum.Enum):
        return go_on(value.value, False)
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _iso_timedelta(value)
    if isinstance(value, (tuple, set, frozenset, list)):
        return [go_on(item, False) for item in value]
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if _shape.is_model(kind):
        return {name: go_on(item, False) for name, item in _model_items(value)}
    if dataclasses.is_dataclass(kind):
        return {
            field.name: go_on(getattr(value, field.name), False)
            for field in dataclasses.fields(kind)
        }
    if isinstance(value, typing.Mapping):
        return {_wire_key(key, False): go_on(item, False) for key, item in value.items()}
    raise ValueNotStorable(f"{_name(value)} has no form in the cache")


def _model_items(model: Any) -> typing.Iterator[tuple[str, Any]]:
    """The fields of a model, by their names. One that was not set and is its default is left out, so that `exclude_unset` says the same of
    what comes back; the default is a part of the schema. What a factory made that may make something else next time has to be
    written, and comes back as if it had been set."""
    fields, given = type(model).model_fields, model.model_fields_set
    for name, item in model.__dict__.items():
        if name not in fields:
            continue  # A cached property.
        left_out = name not in given and same(item, _shape.default_of(fields[name]))
        if not left_out:
            yield name, item
    yield from (model.__pydantic_extra__ or {}).items()


def _iso_timedelta(value: timedelta) -> str:
    sign, size = ("-", -value) if value < timedelta(0) else ("", value)
    return f"{sign}P{size.days}DT{size.seconds}.{size.microseconds:06}S"


# Typed: through pydantic.


def _typed(annotation: Any) -> ValueCodec:
    schema, immutable = _shape.schema(annotation), _shape.immutable(annotation)
    adapter = _adapter(annotation)
    if adapter is None:
        return ValueCodec(annotation, _encode_untyped, _from_wire, schema=schema, only_ext=True)

    by_name: dict[str, Any] = {"by_alias": False, "by_name": True} if _by_name() else {}

    def validate(wire: Any) -> Any:
        try:
            return adapter.validate_python(wire, **by_name)
        except ValueError:
            plain = _from_wire(wire)  # What was stored with extension types.
            return adapter.validate_python(plain, **by_name)

    def encode(value: Any) -> bytes:
        trouble: Exception | None = None
        for write in (_typed_wire, _typed_ext, lambda v: adapter.dump_python(v, mode="json", round_trip=True, warnings=False)):
            try:
                payload = pack(write(value))
                back = validate(unpack(payload))
            except RecursionError:
                raise ValueNotStorable("the value holds itself, or is nested too deeply") from None
            except Exception as error:
                trouble = trouble or error
                continue
            if same(value, back):
                return payload
        raise ValueNotStorable(
            f"{_name(value)} would not come back the same as {_shape.text(annotation)}; annotate the type that is "
            "returned, with a discriminator where it is one of several, or store a plain form of it"
        ) from trouble

    is_kept = immutable or _shape.is_copied(annotation)
    return ValueCodec(annotation, encode, validate, schema=schema, immutable=immutable, is_kept=is_kept)


def _typed_wire(value: Any) -> Any:
    return _wire(value, False)


def _typed_ext(value: Any, _: bool = False) -> Any:
    """The same with extension types inside: where text could be one of several types, or a zone has a name."""
    kind = type(value)
    if kind in (tuple, set, frozenset):
        return [_typed_ext(item) for item in value]
    if kind is list:
        return [_typed_ext(item) for item in value]
    if kind is dict:
        return {_wire_key(key, False): _typed_ext(item) for key, item in value.items()}
    if kind in EXTENSIONS and kind is not int:
        return _to_ext(value, kind)
    if kind in (str, bool, float, bytes, int, types.NoneType):
        return _wire(value, False)
    return _wire_object(value, kind, _typed_ext)


def _adapter(annotation: Any) -> Any:
    """Pydantic's adapter; `None` for what pydantic can't take on this Python but untyped storing can."""
    try:
        import pydantic
    except ImportError:
        raise TypeError(
            f"to store {_shape.text(annotation)}, shelflife needs pydantic: `pip install pydantic`"
        ) from None
    try:
        return pydantic.TypeAdapter(annotation)
    except pydantic.errors.PydanticUserError as error:
        if error.code == "typed-dict-version":
            return None
        raise TypeError(_never(annotation)) from error


@lru_cache(maxsize=1)
def _by_name() -> bool:
    import pydantic

    return tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 11)


def _never(annotation: Any) -> str:
    return (
        f"{_shape.text(annotation)} can't be stored; return plain values, a pydantic model, a dataclass or a TypedDict, "
        "or say with `type=` what it is"
    )


def _name(value: Any) -> str:
    kind = type(value)
    return f"a value of type {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")


# Whether what came back is what was given.


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down."""
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is float:
        return a == b and math.copysign(1, a) == math.copysign(1, b) or (a != a and b != b)
    if kind is Decimal:
        return str(a) == str(b)
    if kind in (datetime, time):
        return a == b and _same_zone(a, b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (set, frozenset)):
        return a == b and sorted(map(_type_name, a)) == sorted(map(_type_name, b))
    if isinstance(a, dict):
        return _same_dict(a, b)
    if _shape.is_model(kind):
        return (
            _same_dict(_own(a), _own(b))
            and same(a.__pydantic_extra__, b.__pydantic_extra__)
            and a.__pydantic_private__ == b.__pydantic_private__
        )
    if dataclasses.is_dataclass(kind):
        return all(
            same(getattr(a, field.name), getattr(b, field.name))
            for field in dataclasses.fields(kind)
        )
    return bool(a == b)


def _own(model: Any) -> dict[str, Any]:
    fields = type(model).model_fields
    return {name: item for name, item in model.__dict__.items() if name in fields}


def _same_dict(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
    if len(a) != len(b):
        return False
    return all(
        same(left, right) and same(a[left], b[right])
        for left, right in zip(a, b, strict=True)
    ) or all(key in b and same(a[key], b[key]) for key in a) and sorted(
        map(_type_name, a)
    ) == sorted(map(_type_name, b))


def _same_zone(a: Union[datetime, time], b: Union[datetime, time]) -> bool:
    if (a.tzinfo is None) != (b.tzinfo is None) or a.utcoffset() != b.utcoffset():
        return False
    if _named(a.tzinfo):
        return _named(b.tzinfo) and a.tzinfo.key == b.tzinfo.key
    return True


def _type_name(value: Any) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


__all__ = ["EXTENSIONS", "ValueCodec", "codec_for", "same"]
