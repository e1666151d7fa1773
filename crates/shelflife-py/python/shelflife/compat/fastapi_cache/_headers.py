"""The few rules of HTTP that are needed here: what a request asks for, and what an endpoint says of its response."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

#: RFC 9110 §8.8.3: an entity tag, without its weakness.
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_OWN = ("content-length", "content-type", "content-encoding", "transfer-encoding")


def directives(text: str) -> set[str]:
    """The names in a Cache-Control field."""
    return {part.partition("=")[0].strip().lower() for part in text.split(",")}


def asks(request: Request | None, directive: str) -> bool:
    """Whether a request says `no-store` or `no-cache`."""
    return request is not None and any(directive in directives(line) for line in request.headers.getlist("cache-control"))


def matches(request: Request, etag: str) -> bool:
    """Whether the client has it already. RFC 9110 §13.1.2: weakly compared, with each of a list; `*` is whatever there is."""
    mine = _TAG.fullmatch(etag)
    lines = request.headers.getlist("if-none-match")
    if any(line.strip() == "*" for line in lines):
        return True
    return mine is not None and any(mine[1] in _TAG.findall(line) for line in lines)


def is_private(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether these headers are for one client alone, or forbid to keep the response."""
    for name, value in headers:
        if name == "set-cookie" or (name == "vary" and value.strip() == "*"):
            return True
        if name == "cache-control" and directives(value) & {"no-store", "private", "no-cache"}:
            return True
    return False


def varies(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether the response depends on more of the request than the function's arguments."""
    fine = {"accept-encoding", "origin", ""}
    return any(name == "vary" and {part.strip().lower() for part in value.split(",")} - fine for name, value in headers)


def merge(into: MutableHeaders, headers: Iterable[tuple[str, str]]) -> None:
    """Each replaces what was there before, and several of one name stay several. Cookies are added."""
    seen = {"set-cookie"}
    for name, value in headers:
        if name in seen:
            into.append(name, value)
        else:
            into[name] = value
            seen.add(name)


def without_content(headers: MutableHeaders) -> None:
    """RFC 9110 §15.4.5: a 304 says nothing of a content that it hasn't."""
    for name in _OWN:
        if name in headers:
            del headers[name]
