"""Coders: from a value to bytes, and back.

With `JsonCoder`, the default, values are stored as shelflife stores them, and come back as what the function's annotation says. A
coder of the application's own is asked as it always was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fastapi.encoders import jsonable_encoder
from pydantic import TypeAdapter
from starlette.responses import Response


class Coder:
    """To be derived from: `encode` and `decode`."""

    @classmethod
    def encode(cls, value: Any) -> bytes:
        raise NotImplementedError

    @classmethod
    def decode(cls, value: bytes) -> Any:
        raise NotImplementedError

    @classmethod
    def decode_as_type(cls, value: bytes, *, type_: Any) -> Any:
        """What `decode` gives, as the annotated type if it can be made one."""
        found = cls.decode(value)
        if type_ is None or type_ is Any:
            return found
        try:
            return TypeAdapter(type_).validate_python(found)
        except Exception:
            # FastAPI validates what it sends; an annotation may promise more than there is.
            return found


class JsonCoder(Coder):
    """JSON, in which dates, times and decimals are marked."""

    @classmethod
    def encode(cls, value: Any) -> bytes:
        if isinstance(value, Response):
            return bytes(value.body)
        return json.dumps(value, default=_marked).encode()

    @classmethod
    def decode(cls, value: bytes) -> Any:
        return json.loads(value, object_hook=_unmarked)


class PickleCoder(Coder):
    """Not supported: whoever can write to the store could run code in every process that reads it."""

    @classmethod
    def encode(cls, value: Any) -> bytes:
        raise TypeError(_NO_PICKLE)

    @classmethod
    def decode(cls, value: bytes) -> Any:
        raise TypeError(_NO_PICKLE)


_NO_PICKLE = (
    "PickleCoder is not supported: unpickling runs whatever a shared store holds. Leave coder= out: values come back as what the "
    "function's return annotation says (models, dataclasses, Decimal, datetime, set, tuple, bytes, ...), and a Response as it was. For "
    "anything else, write a Coder of your own"
)


def usable(coder: type[Coder]) -> type[Coder]:
    """The coder, unless it is one that can't be had."""
    if isinstance(coder, type) and issubclass(coder, PickleCoder):
        raise TypeError(_NO_PICKLE)
    return coder


_READ: dict[str, Callable[[str], Any]] = {"date": date.fromisoformat, "datetime": datetime.fromisoformat, "decimal": Decimal}


def _marked(value: Any) -> Any:
    for kind, name in ((datetime, "datetime"), (date, "date"), (Decimal, "decimal")):
        if isinstance(value, kind):
            return {"val": str(value), "_spec_type": name}
    return jsonable_encoder(value)


def _unmarked(found: dict[str, Any]) -> Any:
    read = _READ.get(found["_spec_type"]) if found.keys() == {"val", "_spec_type"} else None
    return found if read is None else read(found["val"])
