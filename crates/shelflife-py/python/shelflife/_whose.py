"""Whose answers: what of a request a route and its dependencies read, as far as that can be seen.

What is declared (headers, cookies, API keys) goes into the key unasked. What can't be seen keeps a route out of the cache until it says what
its answers depend on: so whatever can't be judged here counts as unseen.

Must not: guess. A function that may have the request in its hands, and is not known to leave it alone, reads it.
"""

from __future__ import annotations

import copy
import dis
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._route import Mark

#: By these a function gets at its parameters without naming them.
_ROUNDABOUT = {"locals", "vars", "dir", "eval", "exec", "_getframe", "_current_frames", "currentframe", "stack", "f_locals"}


def mark_of(endpoint: Any) -> Mark | None:
    """What `@cache.route` left on an endpoint."""
    mark: Mark | None = getattr(endpoint, "__shelflife_route__", None)
    return mark


def tree(dependant: Any) -> Iterator[Any]:
    """A dependant and all that it depends on."""
    yield dependant
    for below in dependant.dependencies:
        yield from tree(below)


def in_place(dependant: Any, overrides: dict[Any, Any]) -> Any:
    """A dependant with what an application has put in place of its dependencies, as FastAPI does it for each request."""
    if not overrides:
        return dependant
    from fastapi.dependencies.utils import get_dependant

    made = copy.copy(dependant)
    made.dependencies = []
    for below in dependant.dependencies:
        put = overrides.get(below.call)
        if put is not None:
            below = get_dependant(path=below.path, call=put, name=below.name)
        made.dependencies.append(in_place(below, overrides))
    return made


def read_of_request(dependant: Any) -> list[str]:
    """What a route declares to read of a request's head, as `vary_by` says it."""
    read: list[str] = []
    for below in tree(dependant):
        read += [f"header:{name}" for field in below.header_params for name in _names(field, "-")]
        read += [f"cookie:{name}" for field in below.cookie_params for name in _names(field, "_")]
        scheme: Any = getattr(below.call, "model", None) if _is_security(below.call) else None
        if getattr(getattr(scheme, "in_", None), "value", None) == "header":
            read.append(f"header:{scheme.name}")
    return list(dict.fromkeys(read))


def _names(field: Any, joint: str) -> list[str]:
    """Of a parameter, or of the fields of a model of parameters."""
    model = getattr(field.field_info.annotation, "model_fields", None)
    if model is None:
        return [field.alias]
    return [one.alias or name.replace("_", joint) for name, one in model.items()]


def knows_user(dependant: Any) -> bool:
    """Whether a dependency asks who makes the request, as far as can be seen: by a security scheme, or `Authorization`."""
    return any(_is_security(below.call) for below in tree(dependant)) or "header:authorization" in map(
        str.lower, read_of_request(dependant)
    )


def _is_security(call: Any) -> bool:
    return any(kind.__module__.startswith("fastapi.security") for kind in type(call).__mro__)


def _reads_as_fastapi_does(call: Any) -> bool:
    """Whether a security scheme reads what FastAPI's read, and nothing else: a class made of one may read whatever it likes."""
    return _is_security(call) and str(getattr(type(call).__call__, "__module__", "")).startswith("fastapi.security")


def unseen(dependant: Any) -> list[str]:
    """What an answer may be made of without its route saying so: the parameters of the endpoint that come of the whole request, what stands
    round `@cache.route` and is handed the request, and what is read of its content.

    Whatever the type of a dependency's value is: a session may be that of a tenant.
    """
    from .fastapi import get_cache

    mark = mark_of(dependant.call)
    own = dependant.call if mark is None else mark.function
    said = [name for name in _whole(dependant) if name != "shelflife_request" and not asks_for_application(own, name)]
    if mark is not None and dependant.call is not mark.endpoint:
        said.append("a decorator above @cache.route")
    for below in dependant.dependencies:
        if below.name is None or below.call is get_cache:
            continue
        deep = [one for one in tree(below) if not _reads_as_fastapi_does(one.call)]
        if any(not asks_for_application(one.call, name) for one in deep for name in _whole(one)):
            said.append(below.name)
    if any(below.body_params for below in tree(dependant)):
        said.append("its body")
    return said


def _whole(dependant: Any) -> list[str]:
    """Its parameters that are the whole request."""
    return [name for name in (dependant.request_param_name, dependant.http_connection_param_name) if name is not None]


def asks_for_application(call: Any, request: str) -> bool:
    """Whether all that a function asks of its request is `request.app`, as one does that fetches a pool or a session: then its result does
    not depend on who asks.

    Only of a plain function, in its own code. A decorated one has its parameters from what it wraps, and may do anything with them.
    """
    if not inspect.isfunction(call) or hasattr(call, "__wrapped__"):
        return False
    code = call.__code__
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if request not in named or not _ROUNDABOUT.isdisjoint(code.co_names):
        return False
    steps = [one for one in dis.get_instructions(code) if one.opname not in ("CACHE", "EXTENDED_ARG")]
    for at, one in enumerate(steps):
        if one.opcode in dis.hasconst or one.opcode in dis.hasname:
            # A text or an attribute that is called the same.
            continue
        if one.argval == request or (isinstance(one.argval, tuple) and request in one.argval):
            after = steps[at + 1]
            if not (one.opname.startswith("LOAD_FAST") and one.argval == request and after.opname == "LOAD_ATTR" and after.argval == "app"):
                return False
    return True
