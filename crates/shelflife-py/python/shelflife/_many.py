"""`@cache.cached_many`: a function of ids that gives a dict, with one call for all ids that are not there."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, get_args, get_origin

from . import _keys, _loop, _shape
from ._core import MISS, Load, LoadLost, Options, ShelflifeError, Undecodable
from ._decorator import _hints, _returned
from ._given import options, several
from ._loads import TRIES, begin_load, context_of, entered, inside, within
from ._values import ValueCodec, codec_for

if TYPE_CHECKING:
    from ._cache import Cache


def decorate(
    cache: Cache,
    function: Callable[..., Any],
    *,
    ids: str,
    key: str,
    tags: Iterable[str] = (),
    ttl: Any = None,
    type: Any = None,
    share: bool = False,
    **policy: Any,
) -> Any:
    """See `Cache.cached_many`."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} has to be async: def -> async def")
    signature = inspect.signature(function)
    if ids not in signature.parameters:
        known = ", ".join(signature.parameters) or "none"
        raise ValueError(f"ids={ids!r}: no such parameter; there are: {known}")
    codec = codec_for(_item(function) if type is None else type)
    how = options(codec, share, ttl=ttl, **policy)
    # `{id}` is one of the ids; the other parameters are the same for all.
    names = ["id", *(name for name in signature.parameters if name != ids)]
    pieces, tagged = _keys.template(key, names), [_keys.template(tag, names) for tag in several("tags", tags)]
    if not any(not isinstance(piece, str) and piece[0] == 0 for piece in pieces):
        raise ValueError(f"key={key!r} has no {{id}}: all ids would share one entry")

    @functools.wraps(function)
    async def cached(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        wanted = list(dict.fromkeys(bound.arguments[ids]))
        if not wanted:
            return {}

        async def call(some: list[Any]) -> dict[Any, Any]:
            again = signature.bind(*args, **kwargs)
            again.arguments[ids] = some
            found = await function(*again.args, **again.kwargs)
            if not isinstance(found, dict):
                raise TypeError(f"{function.__qualname__} gave a {found.__class__.__qualname__}; a dict by id was expected")
            return found

        if not cache.enabled:
            return await call(wanted)
        others = [bound.arguments[name] for name in names[1:]]
        keys = [_keys.fill(pieces, [one, *others]) for one in wanted]
        of = [[_keys.fill(tag, [one, *others]) for tag in tagged] for one in wanted]
        values = await _load(cache, keys, of, codec, how, share, wanted, call)
        return {one: value for one, value in zip(wanted, values) if value is not MISS}

    return cached


async def _load(
    cache: Cache,
    keys: list[str],
    tags: list[list[str]],
    codec: ValueCodec,
    policy: Options,
    share: bool,
    ids: list[Any],
    call: Callable[[list[Any]], Any],
) -> list[Any]:
    # Whoever loads one of them, and asks for it meanwhile, would wait for himself.
    if any(inside(cache, key) for key in keys):
        return _in_order(ids, await call(ids))
    core = await cache._opened()
    loop = asyncio.get_running_loop()
    context = context_of(cache, keys)

    def start(load: Load) -> None:
        positions = load.wanted or []

        async def run() -> dict[int, tuple[bytes, Any]]:
            entered(load)
            found = await call([ids[at] for at in positions])
            return {at: (codec.encode(found[ids[at]]), found[ids[at]]) for at in positions if ids[at] in found}

        begin_load(loop, run, load.done_many, load, context)

    box = _loop.mailbox_of(loop)
    for _ in range(TRIES):
        try:
            values: list[Any] = await _loop.wait(core.load_many(keys, tags, codec.decoder, policy, share, box, start, within()))
        except LoadLost:
            # It was another caller's, who has gone.
            continue
        except Undecodable:
            break
        else:
            return values
    # Somebody else's values are among them: they are replaced.
    found = await call(ids)
    items = [(key, of, codec.encode(found[one])) for one, key, of in zip(ids, keys, tags) if one in found]
    if items:
        try:
            await _loop.wait(core.set(items, policy))
        except ShelflifeError:
            # A read does not fail because of the cache.
            pass
    return _in_order(ids, found)


def _in_order(ids: list[Any], found: dict[Any, Any]) -> list[Any]:
    return [found.get(one, MISS) for one in ids]


def _item(function: Callable[..., Any]) -> Any:
    """What the dict holds, as far as it is annotated."""
    said = _returned(function, _hints(function))
    if said is Any:
        return Any
    said = _shape.bare(said)
    if get_origin(said) is not dict:
        raise TypeError(f"{function.__qualname__} has to return a dict by id, such as dict[int, User]; or give type=")
    return get_args(said)[1]
