"""What is kept of a call: the value, and what the endpoint said of its response."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from typing import Any

from fastapi.encoders import jsonable_encoder
from starlette.requests import Request
from starlette.responses import Response

from ..._core import ValueNotStorable, pack, unpack
from ..._shape import schema
from ..._values import EXTENSIONS, ValueCodec, codec_for
from .coder import Coder, JsonCoder

#: `expire` is what it says. And nothing runs an endpoint in the background, when its dependencies have been closed.
POLICY = {"jitter": 0.0, "early": 0.0, "stale": 0.0}


class Form(enum.IntEnum):
    """How the body is written. Numbers are for ever."""

    #: Not to be kept, nor to be given to anybody else.
    NOTHING = 0
    CODER = 1
    TYPED = 2
    UNTYPED = 3
    #: A response that the endpoint made itself.
    RESPONSE = 4


@dataclass
class Kept:
    """All callers share it, and read the body each for himself."""

    form: Form
    body: bytes = b""
    #: Of the annotation, where that matters.
    schema: int = 0
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    etag: str = ""
    #: Until when it is fresh, by this process's clock, as far as anybody has asked.
    until: float | None = None


NOTHING = Kept(Form.NOTHING)


def _encode(kept: Kept) -> bytes:
    return pack([int(kept.form), kept.body, kept.schema, kept.status, [list(pair) for pair in kept.headers], kept.etag])


def _validate(wire: Any) -> Kept:
    form, body, number, status, headers, etag = wire
    if type(body) is not bytes:
        raise ValueError("a body is bytes")
    return Kept(Form(form), body, number, status, tuple((name, value) for name, value in headers), etag)


CODEC = ValueCodec(Kept, _encode, _validate, immutable=True)
_UNTYPED = codec_for(Any)


class Values:
    """How the values of one function are written and read."""

    def __init__(self, annotation: Any) -> None:
        #: What a coder is told.
        self.type = annotation
        try:
            self.codec = codec_for(Any if annotation is None else annotation)
        except TypeError:
            # Of responses, and of what is never stored.
            self.codec = _UNTYPED

    def write(self, value: Any, coder: type[Coder], request: Request | None) -> tuple[Form, bytes]:
        """Raises ValueNotStorable for what would come back as something else, and what the coder raises."""
        if coder is not JsonCoder:
            return Form.CODER, coder.encode(value)
        for form, codec in ((Form.TYPED, self.codec), (Form.UNTYPED, _UNTYPED)):
            try:
                return form, codec.encode(value)
            except ValueNotStorable:
                if form is Form.UNTYPED and request is None:
                    raise
        # FastAPI makes the same response of it: this is what it would send, before its response model is asked.
        return Form.UNTYPED, _UNTYPED.encode(_as_sent(value, request))

    def read(self, kept: Kept, coder: type[Coder]) -> Any:
        """Raises whatever it likes if it can't."""
        if kept.form is Form.CODER:
            return coder.decode_as_type(kept.body, type_=self.type)
        if kept.form is Form.UNTYPED:
            return _UNTYPED.decode(kept.body)
        if kept.form is not Form.TYPED or kept.schema != self.codec.schema:
            raise ValueError("it is of another type")
        return self.codec.decode(kept.body)


def etag_of(body: bytes, model: Any) -> str:
    """Weak: what is sent may still be compressed. `model`: what FastAPI makes of the body may change with the program."""
    digest = hashlib.blake2b(body, digest_size=16, key=b"" if model is None else b"%x" % schema(model))
    return f'W/"{digest.hexdigest()}"'


def coded(kept: Kept) -> bytes:
    """The body as a coder would have written it."""
    if kept.form in (Form.TYPED, Form.UNTYPED):
        value = _UNTYPED.decode(kept.body) if kept.form is Form.UNTYPED else unpack(kept.body)
        return JsonCoder.encode(value)
    return kept.body


def _as_sent(value: Any, request: Request | None) -> Any:
    route = None if request is None else request.scope.get("route")
    exact = {kind: (lambda item: item) for kind in EXTENSIONS if kind not in (int, tuple, set, frozenset)}
    # Without a response model FastAPI sends all there is.
    given_only = getattr(route, "response_model", None) is not None and bool(getattr(route, "response_model_exclude_unset", False))
    try:
        return jsonable_encoder(value, custom_encoder=exact, exclude_unset=given_only)
    except Exception as error:
        raise ValueNotStorable(f"FastAPI can't encode a {type(value).__qualname__} either: {error}") from error


def response_of(kept: Kept) -> Response:
    """The response that the endpoint made."""
    response = Response(kept.body, status_code=kept.status or 200)
    response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept.headers]
    return response
