"""Keys, from a call."""

from __future__ import annotations

import hashlib
import inspect
import types
import weakref
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..._core import Func, escape, escape_part
from ..._given import options
from ..._keys import Name, automatic, part
from ..._values import codec_for
from ._signature import is_request, is_response, resolved


def default_key_builder(
    func: Callable[..., Any],
    namespace: str = "",
    *,
    request: Request | None = None,
    response: Response | None = None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> str:
    """The function, the path and the arguments: however a call is written it is one key, and different ones have different keys.

    A function that takes the request itself may read anything of its URL: the query is a part then. Raises TypeError, with a hint, for
    arguments that can't be named.
    """
    plan = _plan_of(func)
    where = "" if request is None else _where(request, whole=plan.takes_request)
    if request is None:
        _refuse_twins(func, f"{namespace} {plan.name}")
    return Name(f"{escape(namespace)}:{escape_part(where)}:{plan.key(args, kwargs)}")


class _Plan:
    """What is known of a function before it is called."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.signature = resolved(func)
        hints = {name: param.annotation for name, param in self.signature.parameters.items()}
        self.takes_request = any(map(is_request, hints.values()))
        # The code tells two functions of one name apart, and is the same in all processes.
        code = getattr(inspect.unwrap(func), "__code__", None)
        name = getattr(func, "__qualname__", type(func).__qualname__)
        self.name = f"{func.__module__}.{name}~{'' if code is None else _digest(code)}"
        pieces = automatic(_Named(name), self.name, self.signature, hints)
        codec = codec_for(Any)
        self._func = Func(self._params(), pieces, [], part, self._bind, codec.decoder, options(codec), False)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return self._func.key(args, kwargs)

    def _params(self) -> list[tuple[str, int, bool, Any]]:
        """As `Func` wants them. Requests and responses are not among the arguments: they stand there as if they had a default."""
        found = []
        for param in self.signature.parameters.values():
            if param.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                return []
            missing = param.default is inspect.Parameter.empty
            absent = is_request(param.annotation) or is_response(param.annotation)
            found.append((param.name, _KINDS[param.kind], absent or not missing, None if missing else param.default))
        return found

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        bound = self.signature.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        return [bound.arguments.get(name) for name in self.signature.parameters]


_KINDS: dict[Any, int] = {
    inspect.Parameter.POSITIONAL_ONLY: 0,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: 1,
    inspect.Parameter.KEYWORD_ONLY: 2,
}


class _Named:
    """What `automatic` asks of a function, for callables that have no name."""

    def __init__(self, name: str) -> None:
        self.__qualname__ = name

    def __call__(self) -> None: ...


_plans: weakref.WeakKeyDictionary[Callable[..., Any], _Plan] = weakref.WeakKeyDictionary()
#: Functions that were called without a request, by their names.
_called: dict[str, weakref.ref[Callable[..., Any]]] = {}


def forget() -> None:
    """Which functions have been called."""
    _called.clear()


def _plan_of(func: Callable[..., Any]) -> _Plan:
    plan = _plans.get(func)
    if plan is None:
        plan = _plans[func] = _Plan(func)
    return plan


def _where(request: Request, *, whole: bool) -> str:
    """The path tells endpoints of one name apart, and what one factory made for several routers."""
    path = str(request.scope["path"])
    return f"{path}?{request.scope['query_string'].decode('latin-1')}" if whole else path


def _refuse_twins(func: Callable[..., Any], name: str) -> None:
    """One place that makes functions round different variables: a path tells them apart; without one, nothing does."""
    known = _called.get(name)
    other = known() if known is not None else None
    if other is None:
        _called[name] = weakref.ref(func)
    elif other is not func and _variables(other) != _variables(func):
        raise TypeError(f"{func.__qualname__} is made anew, round other variables: give each its namespace= or a key_builder=")


def _variables(func: Callable[..., Any]) -> list[int]:
    cells = getattr(inspect.unwrap(func), "__closure__", None) or ()
    # Those of both functions are alive: the same object is the same value.
    return [id(cell.cell_contents) if _is_full(cell) else 0 for cell in cells]


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _digest(code: types.CodeType) -> str:
    return hashlib.blake2b(_text(code).encode(), digest_size=6).hexdigest()


def _text(constant: Any) -> str:
    """A constant of a code object. Never by what differs from process to process: addresses, the order of sets, lines."""
    if isinstance(constant, types.CodeType):
        return _text((constant.co_code, constant.co_names, constant.co_varnames, constant.co_freevars, constant.co_consts))
    if isinstance(constant, tuple):
        return f"({','.join(map(_text, constant))})"
    if isinstance(constant, frozenset):
        return f"{{{','.join(sorted(map(_text, constant)))}}}"
    return repr(constant)
