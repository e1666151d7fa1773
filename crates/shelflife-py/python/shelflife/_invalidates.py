"""`@cache.invalidates`: what a function that writes makes outdated."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _keys, _loop
from ._given import several

if TYPE_CHECKING:
    from ._cache import Cache


def decorate(
    cache: Cache,
    function: Callable[..., Any],
    *,
    keys: Iterable[str] = (),
    tags: Iterable[str] = (),
    patterns: Iterable[str] = (),
    all: bool = False,
    soft: bool = False,
    everywhere: bool = False,
) -> Any:
    """See `Cache.invalidates`."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator, which has done nothing yet when it returns: invalidate at its end")
    signature = inspect.signature(function)
    names = list(signature.parameters)
    templates = {
        kind: [_pieces(text, names, pattern=kind == "patterns") for text in several(kind, given)]
        for kind, given in (("keys", keys), ("tags", tags), ("patterns", patterns))
    }

    def what(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = [bound.arguments[name] for name in names]
        named = {kind: [_keys.Name(_keys.fill(pieces, values)) for pieces in all_of] for kind, all_of in templates.items()}
        return {**named, "all": all, "soft": soft, "everywhere": everywhere}

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def invalidating(*args: Any, **kwargs: Any) -> Any:
            # Before it is called: afterwards its arguments may have changed.
            outdated = what(args, kwargs)
            result = await function(*args, **kwargs)
            await cache.invalidate(**outdated)
            return result

        return invalidating

    @functools.wraps(function)
    def invalidating_here(*args: Any, **kwargs: Any) -> Any:
        _loop.refuse_in_a_loop(f"{function.__qualname__}(), which is not async,")
        outdated = what(args, kwargs)
        result = function(*args, **kwargs)
        cache.sync.invalidate(**outdated)
        return result

    return invalidating_here


def _pieces(text: str, names: list[str], *, pattern: bool) -> list[Any]:
    """A star in the text of a pattern is one; in an argument it never is."""
    return _keys.template(text, names, literal=(lambda part: part) if pattern else None)
