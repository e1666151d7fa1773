"""`@cache.cached`: a function whose results are kept."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
import weakref
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _keys, _loop, _stream
from ._core import MISS, Func, Load, Undecodable
from ._given import options, several
from ._loads import inside
from ._time import Time, seconds
from ._values import ValueCodec, codec_for

if TYPE_CHECKING:
    from ._cache import Cache, Receipt

#: Which function has which automatic name, of each cache: two of one name would take each other's results for theirs.
_named: weakref.WeakKeyDictionary[Cache, dict[str, tuple[Any, str, int]]] = weakref.WeakKeyDictionary()


class CacheInfo(NamedTuple):
    """What became of a function's calls in this process, since it was decorated; `f.cache_info()`. Those that were not cached don't
    count (`condition=`, a cache that is off).
    """

    #: Answered at once, by this process's memory.
    hits: int
    #: All others: the store, another caller's load, or one of their own.
    misses: int
    #: How often the function has been run to be kept, by a call, a refresh, or in the background.
    loads: int
    #: Of those, how often it raised.
    errors: int


def decorate(cache: Cache, function: Callable[..., Any], **how: Any) -> Any:
    """See `Cache.cached`."""
    wraps = None
    if isinstance(function, (staticmethod, classmethod)):
        wraps, function = function.__class__, function.__func__
    plan = Plan(cache, function, **how)
    asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    made = _async(plan) if asynchronous else _sync(plan)
    return wraps(made) if wraps else made


class Plan:
    """What is known of a function before it is called."""

    def __init__(
        self,
        cache: Cache,
        function: Callable[..., Any],
        *,
        ttl: Time | Callable[[Any], Time] | None = None,
        expire: Time | None = None,
        key: str | None = None,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        key_builder: Callable[..., str] | None = None,
        condition: Callable[..., bool] | None = None,
        share: bool = False,
        name: str | None = None,
        type: Any = None,
        **policy: Any,
    ) -> None:
        if key is not None and key_builder is not None:
            raise TypeError("key= and key_builder= both say what the key is: give one")
        ttl = expire if ttl is None else ttl
        self.cache, self.function, self.share = cache, function, share
        self.key_builder, self.condition = key_builder, condition
        self.signature = inspect.signature(function)
        hints = _hints(function)
        names = list(self.signature.parameters)
        #: Of a generator: of what it yields. It is kept as a list.
        self.item: ValueCodec | None = None
        if _stream.is_stream(function):
            type = _stream.item_of(function, _returned(function, hints)) if type is None else type
            self.item, type = codec_for(type), list[type]
        self.codec: ValueCodec = codec_for(_returned(function, hints) if type is None else type)
        #: Of the result.
        self.late_ttl = ttl if callable(ttl) else None
        self.late_tags = tags if callable(tags) else None
        self.policy = policy
        #: See `CacheInfo`. Each is changed by one statement, which the GIL does not interrupt.
        self.hits = self.misses = self.loads = self.errors = 0
        self.options = options(self.codec, share, ttl=None if callable(ttl) else ttl, **policy)
        if key is not None:
            pieces = _keys.template(key, names)
        elif key_builder is not None:
            pieces = []
        else:
            automatic = name or f"{function.__module__}.{function.__qualname__}"
            _claim(cache, automatic, function, named=name is not None)
            pieces = _keys.automatic(function, automatic, self.signature, hints)
        #: The parameters that its key is made of.
        self.in_key = {names[piece[0]] for piece in pieces if not isinstance(piece, str)}
        templates = () if callable(tags) else several("tags", tags)
        self.func = Func(
            self._params(),
            pieces,
            [_keys.template(tag, names) for tag in templates],
            _keys.part,
            self._bind,
            self.codec.decoder,
            self.options,
            share,
        )

    def _params(self) -> list[tuple[str, int, bool, Any]]:
        kinds: dict[Any, int] = {
            inspect.Parameter.POSITIONAL_ONLY: 0,
            inspect.Parameter.POSITIONAL_OR_KEYWORD: 1,
            inspect.Parameter.KEYWORD_ONLY: 2,
        }
        params = self.signature.parameters.values()
        if any(param.kind not in kinds for param in params):
            return []
        empty = inspect.Parameter.empty
        return [
            (p.name, kinds[p.kind], p.default is not empty, None if p.default is empty else p.default) for p in params
        ]

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return [bound.arguments[name] for name in self.signature.parameters]

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if self.key_builder is not None:
            return _keys.Name(_keys.canonical(self.key_builder(*args, **kwargs)))
        return _keys.Name(self.func.key(args, kwargs))

    def tags(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        tags: list[str] = list(map(_keys.Name, self.func.tags(args, kwargs)))
        if self.late_tags is not None and not self._asks_for_result():
            tags += [_keys.Name(_keys.canonical(tag)) for tag in self.late_tags(*args, **kwargs)]
        return tags

    def _asks_for_result(self) -> bool:
        assert self.late_tags is not None
        return "result" in inspect.signature(self.late_tags).parameters

    def adapt(self, load: Load, value: Any) -> None:
        if self.late_ttl is not None:
            load.ttl(seconds(self.late_ttl(value), "ttl"))
        if self.late_tags is not None and self._asks_for_result():
            for tag in self.late_tags(result=value):
                load.tag(tag)

    async def store(self, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Receipt | None:
        """Stores what a call is to give, as if it had given it."""
        from ._cache import Receipt

        value = value if self.item is None else list(value)
        policy, tags = self.options, self.tags(args, kwargs)
        if self.late_ttl is not None:
            policy = options(self.codec, self.share, ttl=self.late_ttl(value), **self.policy)
        if self.late_tags is not None and self._asks_for_result():
            tags += map(_keys.canonical, self.late_tags(result=value))
        item = (self.key(args, kwargs), tags, self.codec.encode(value))
        if self.off(args, kwargs):
            return None
        core = await self.cache._opened()
        return Receipt(await _loop.wait(core.set([item], policy)))

    def adapting(self) -> Callable[[Load, Any], None] | None:
        """What a load does with its value, if anything."""
        return self.adapt if self.late_ttl is not None or self.late_tags is not None else None

    def off(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call runs as if it were not decorated."""
        return not self.cache.enabled or (self.condition is not None and not self.condition(*args, **kwargs))

    def hit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        core = self.cache._near
        if core is None:
            return MISS
        try:
            if self.key_builder is None:
                return self.func.hit(core, args, kwargs)
            return core.hit(self.key(args, kwargs), self.codec.decoder, self.options, self.share)
        except Undecodable:
            return MISS

    async def load(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, refresh: bool = False) -> Any:
        return await self.cache._load(
            self.key(args, kwargs),
            self.tags(args, kwargs),
            self.codec,
            self.options,
            self.share,
            None,
            functools.partial(self._counted, args, kwargs),
            refresh=refresh,
            adapt=self.adapting(),
        )


    def _counted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.loads += 1
        try:
            value = self.function(*args, **kwargs)
        except Exception:
            self.errors += 1
            raise
        return self._counted_later(value) if inspect.isawaitable(value) else value

    async def _counted_later(self, value: Awaitable[Any]) -> Any:
        try:
            return await value
        except Exception:
            self.errors += 1
            raise


def _async(plan: Plan) -> Any:
    function, hit, func, cache = plan.function, plan.hit, plan.func, plan.cache
    simple = plan.condition is None and plan.key_builder is None

    @functools.wraps(function)
    async def cached(*args: Any, **kwargs: Any) -> Any:
        if simple and cache.enabled:
            core = cache._near
            if core is not None:
                try:
                    found = func.hit(core, args, kwargs)
                except Undecodable:
                    found = MISS
                if found is not MISS:
                    plan.hits += 1
                    return found
        elif plan.off(args, kwargs):
            return await function(*args, **kwargs)
        elif (found := hit(args, kwargs)) is not MISS:
            plan.hits += 1
            return found
        plan.misses += 1
        return await plan.load(args, kwargs)

    async def invalidate(*args: Any, everywhere_: bool = False, **kwargs: Any) -> Receipt:
        return await cache.invalidate(keys=[plan.key(args, kwargs)], everywhere=everywhere_)

    async def refresh(*args: Any, **kwargs: Any) -> Any:
        if plan.item is not None:
            return await _stream.whole_async(plan, args, kwargs)
        return await plan.load(args, kwargs, refresh=True)

    async def peek(*args: Any, **kwargs: Any) -> Any:
        return await cache.get(plan.key(args, kwargs), type=plan.codec.annotation)

    made = cached if plan.item is None else _stream.over_async(plan)
    async def store(value: Any, /, *args: Any, **kwargs: Any) -> Receipt | None:
        return await plan.store(value, args, kwargs)

    return _with_companions(made, plan, invalidate, refresh, peek, store)


def _sync(plan: Plan) -> Any:
    function, cache = plan.function, plan.cache

    def loaded(args: tuple[Any, ...], kwargs: dict[str, Any], refresh: bool) -> Any:
        _loop.refuse_in_a_loop(f"{function.__qualname__}(), which is not async and not in L1,")
        return _loop.block(plan.load(args, kwargs, refresh=refresh))

    @functools.wraps(function)
    def cached(*args: Any, **kwargs: Any) -> Any:
        if plan.off(args, kwargs):
            return function(*args, **kwargs)
        found = plan.hit(args, kwargs)
        if found is not MISS:
            plan.hits += 1
            return found
        if inside(cache, plan.key(args, kwargs)):
            return function(*args, **kwargs)
        plan.misses += 1
        return loaded(args, kwargs, False)

    def invalidate(*args: Any, everywhere_: bool = False, **kwargs: Any) -> Receipt:
        return cache.sync.invalidate(keys=[plan.key(args, kwargs)], everywhere=everywhere_)

    def refresh(*args: Any, **kwargs: Any) -> Any:
        if plan.item is not None:
            _loop.refuse_in_a_loop(f"{function.__qualname__}.refresh()")
            return _stream.whole_blocking(plan, args, kwargs)
        return loaded(args, kwargs, True)

    def peek(*args: Any, **kwargs: Any) -> Any:
        return cache.sync.get(plan.key(args, kwargs), type=plan.codec.annotation)

    made = cached if plan.item is None else _stream.over_blocking(plan)
    def store(value: Any, /, *args: Any, **kwargs: Any) -> Receipt | None:
        _loop.refuse_in_a_loop(f"{function.__qualname__}.set()")
        return _loop.block(plan.store(value, args, kwargs))

    return _with_companions(made, plan, invalidate, refresh, peek, store)


def _with_companions(cached: Any, plan: Plan, invalidate: Any, refresh: Any, peek: Any, store: Any) -> Any:
    cached.invalidate, cached.refresh, cached.peek, cached.set = invalidate, refresh, peek, store
    cached.cache_info = lambda: CacheInfo(plan.hits, plan.misses, plan.loads, plan.errors)
    cached.key = lambda *args, **kwargs: plan.key(args, kwargs)
    cached.tags = lambda *args, **kwargs: plan.tags(args, kwargs)
    cached.original, cached.__shelflife_plan__ = plan.function, plan
    return cached


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations, as far as they can be found: a name that is only there for type checkers stays text."""
    try:
        return typing.get_type_hints(function)
    except Exception:
        hints = dict(getattr(function, "__annotations__", {}))
    for name, hint in hints.items():
        if isinstance(hint, str):
            try:
                hints[name] = eval(hint, function.__globals__)
            except Exception:
                continue
    return hints


def _returned(function: Callable[..., Any], hints: dict[str, Any]) -> Any:
    said = hints.get("return", Any)
    if isinstance(said, str):
        raise TypeError(f"{function.__qualname__}: its return type {said!r} can't be found; give type=")
    return said


def _claim(cache: Cache, name: str, function: Callable[..., Any], *, named: bool) -> None:
    """Refuses an automatic name that another function has. A module that is loaded again has its own functions again."""
    module = sys.modules.get(function.__module__)
    code = function.__code__
    place = (getattr(module, "__spec__", None), code.co_filename, code.co_firstlineno)
    names = _named.setdefault(cache, {})
    taken = names.get(name)
    names[name] = place
    if named or taken is None or taken[0] is not place[0] or taken[1] != place[1]:
        return
    hint = "give one of them key= or name="
    if taken[2] != place[2]:
        raise ValueError(f"{name} is the name of two cached functions (lines {taken[2]} and {place[2]} of one file): {hint}")
    if function.__closure__:
        raise ValueError(f"{name} is made anew, round other variables ({', '.join(code.co_freevars)}): {hint}")
