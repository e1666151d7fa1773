"""What a function takes, as FastAPI reads it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..._shape import bare


def resolved(function: Callable[..., Any]) -> inspect.Signature:
    """The signature with annotations that were written as text looked up where the function stands: FastAPI would look where the
    decorator stands.
    """
    signature = inspect.signature(function)
    known = getattr(inspect.unwrap(function), "__globals__", {})
    params = [param.replace(annotation=_looked_up(param.annotation, known)) for param in signature.parameters.values()]
    return signature.replace(parameters=params, return_annotation=_looked_up(signature.return_annotation, known))


def _looked_up(annotation: Any, known: dict[str, Any]) -> Any:
    # Quoted, in a module that imports annotations from __future__, it is text of text.
    for _ in range(2):
        if not isinstance(annotation, str):
            break
        try:
            annotation = eval(annotation, known)
        except Exception:
            break
    return annotation


def is_request(annotation: Any) -> bool:
    """Whether FastAPI gives the request for it."""
    return _is_a(annotation, Request)


def is_response(annotation: Any) -> bool:
    """Whether FastAPI gives the response that it will send."""
    return _is_a(annotation, Response)


def _is_a(annotation: Any, kind: type) -> bool:
    found = bare(annotation)
    return isinstance(found, type) and issubclass(found, kind)


def with_injected(signature: inspect.Signature, *more: inspect.Parameter) -> inspect.Signature:
    """With parameters that only FastAPI sees. They are no part of OpenAPI."""
    params = list(signature.parameters.values())
    rest = [param for param in params if param.kind is inspect.Parameter.VAR_KEYWORD]
    return signature.replace(parameters=[*(param for param in params if param not in rest), *more, *rest])
