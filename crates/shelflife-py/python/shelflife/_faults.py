"""Faults, for tests: a store that is away or slow, and sources that fail. `shelflife.testing.faults`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from . import _loop
from ._core import MISS, Core, Decoder, Guard, Inside, Load, Mailbox, Options, ShelflifeError, Step, Unavailable
from ._core import Faults as _EngineFaults
from ._loop import Later
from ._settings import known
from ._time import Time, seconds

if TYPE_CHECKING:
    from ._cache import Cache

#: What a fault of the engine strikes.
Target = Literal["reads", "writes", "log", "loads"]

_of: weakref.WeakKeyDictionary[Cache, Faults] = weakref.WeakKeyDictionary()
#: What is asked for while the store is away has names of its own: nothing is stored under them. No name of an application's ends so.
_APART = "%away"


def faults(cache: Cache) -> Faults:
    """The faults of a cache: none, until one is asked for.

        with faults(cache).down():
            assert await profile(1) == ...      # the loader ran, nothing was stored
            with pytest.raises(Unavailable):
                await cache.invalidate(tags=["user:1"])

    Works with any cache, opened or not, with a server or without; it stands between `Cache` and the engine, and simulates there what the
    engine does by itself in a real outage. For the outage itself, stop a server of your test's own.
    """
    found = _of.get(cache)
    if found is None:
        found = _of[cache] = Faults(cache)
    return found


class Faults:
    """See `faults`. Each fault is a context manager, and they may be combined."""

    def __init__(self, cache: Cache) -> None:
        self._cache = weakref.proxy(cache)
        self._away = 0
        self._delay = 0.0
        self._failing = 0
        self._error: BaseException | None = None
        #: What could not be confirmed: the engine would try it again by itself.
        self._owed: list[Callable[[Core], Any]] = []
        cache._between = self._stand

    def _stand(self, core: Core) -> _Between:
        if not self._away:
            self._cache._near = core
        return _Between(core, self)

    @contextmanager
    def down(self) -> Iterator[None]:
        """The store does not answer, and has not for longer than `window`.

        As in a real outage: `get`, `exists` and the like find nothing; loaders run, once for all who ask meanwhile in this process, and what
        they give is not stored, nor what loads give that had begun before; `set`, `delete`, `invalidate`, `begin_write`, `emit` and
        `ping` raise Unavailable. When it is over, what had been stored is there again, and what could not be confirmed is made up for: invalidations
        are carried out before this returns, a value that could not be set is invalidated, events are emitted. Routes and the middleware
        let requests through.

        What it does not show: the first moments, in which this process's memory still answers (up to `window`); a stale value standing in
        for a loader that fails; that who asks while a load runs may begin a second, for nobody can tell him that nothing was invalidated since;
        handlers of an event, which would run at once; `store_errors` in `stats()`; that the end of a `begin_write` from before, and what a
        middleware invalidates after an unsafe request, could not be confirmed.
        """
        cache = self._cache
        self._away += 1
        cache._near, cache._away = None, True
        try:
            yield
        finally:
            self._away -= 1
            if not self._away:
                cache._near, cache._away = cache._core, False
                self._make_up()

    @contextmanager
    def slow(self, delay: Time) -> Iterator[None]:
        """Each call of the store takes so long; from `timeout` on it counts as not answered, as in `down`.

        Real time: clocks of tests don't move it. What this process's memory answers is not slower, which in an outage ends with `window`.
        """
        before, self._delay = self._delay, seconds(delay, "delay")
        try:
            yield
        finally:
            self._delay = before
            self._make_up()

    @contextmanager
    def failing_loads(self, times: int | None = None, error: BaseException | None = None) -> Iterator[None]:
        """The next loads (all of them, or so many) raise `error`, a `RuntimeError` unless another is given, instead of calling the loader.

        To the engine these are failures like any other: a stale value may stand in, and `throttle` holds.
        """
        before = self._failing, self._error
        self._failing = -1 if times is None else times
        self._error = error or RuntimeError("a load that fails for a test")
        try:
            yield
        finally:
            self._failing, self._error = before

    def on(self, target: Target) -> Fault:
        """Faults of the engine's own steps, beneath everything: of `reads` and `writes` of the store, of the `log` and its beats, of `loads`.

            with faults(cache).on("writes").next(3).error() as fault:
                ...
            assert fault.struck == 3

        The same as `shelflife::chaos` in Rust; docs/chaos.md has what each does. Unlike `down` and `slow`, which are made up above the engine, these are
        what it really does about them: a stale value stands in, an answer is lost that was given, memory answers until `window` has passed.
        """
        return Fault(self._cache._faults, target)

    def seed(self, seed: int) -> None:
        """Lets faults by `chance` fall as they do for this seed; without, they fall the same way in every run."""
        self._cache._faults.reseed(seed)

    def heal(self) -> None:
        """Ends every fault that was made by `on`."""
        self._cache._faults.heal()

    def _fails(self) -> BaseException | None:
        if self._failing == 0:
            return None
        self._failing -= self._failing > 0
        return self._error

    def _make_up(self) -> None:
        core = self._cache._core
        if core is None or self._away or not self._owed:
            return
        owed, self._owed = self._owed, []
        for one in owed:
            try:
                one(core)
            except ShelflifeError:
                # Away in earnest: the engine tries again.
                continue

    def _timeout(self) -> float:
        return seconds(known(self._cache, "timeout") or 0.5, "timeout")


class Fault:
    """A fault about to be made. See `Faults.on`."""

    def __init__(self, faults: _EngineFaults, target: Target, times: int | None = None, chance: float = 1.0) -> None:
        self._faults, self._times, self._chance = faults, times, chance
        self._target: Target = target

    def next(self, times: int) -> Fault:
        """Strikes so many steps, and then no more."""
        return Fault(self._faults, self._target, times, self._chance)

    def chance(self, chance: float) -> Fault:
        """Strikes each step with this probability, from 0 to 1."""
        return Fault(self._faults, self._target, self._times, chance)

    def error(self) -> AbstractContextManager[Guard]:
        """They fail at once, and don't happen."""
        return self._make("error")

    def delay(self, delay: Time) -> AbstractContextManager[Guard]:
        """They happen so much later; in the store, from `timeout` on they count as not answered. Real time."""
        return self._make("delay", seconds(delay, "delay"))

    def freeze(self) -> AbstractContextManager[Guard]:
        """They wait until the fault ends; in the store no longer than `timeout`."""
        return self._make("freeze")

    def lose(self) -> AbstractContextManager[Guard]:
        """They happen, and what they answer is lost."""
        return self._make("lose")

    @contextmanager
    def _make(self, what: str, delay: float | None = None) -> Iterator[Guard]:
        guard = self._faults.make(self._target, what, delay, self._times, self._chance)
        try:
            yield guard
        finally:
            guard.end()


def _invalidate(core: Core, **what: Any) -> None:
    step = core.invalidate(**what)
    if isinstance(step, Step):
        # It needs nothing of a loop that may run in this thread.
        step.block(Mailbox())


class _Between:
    """The core, with the faults in front of it. What is not here needs no store."""

    def __init__(self, core: Core, faults: Faults) -> None:
        self._core, self._faults = core, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def _ask(self, answer: Callable[[], Any], away: Callable[[], Any]) -> Any:
        faults = self._faults
        if faults._away:
            return away()
        if not faults._delay:
            return answer()
        timeout = faults._timeout()
        return Later(faults._delay, answer) if faults._delay < timeout else Later(timeout, away)

    def _confirm(self, answer: Callable[[], Any], later: Callable[[Core], Any] | None) -> Any:
        """Of what can't be said to have been done when it can't be confirmed."""

        def away() -> Any:
            if later is not None:
                self._faults._owed.append(later)
            error = Unavailable("the store is away, for a test")
            error.kind = "unavailable"
            raise error

        return self._ask(answer, away)

    # Reads.

    def get(self, key: str, decoder: Decoder, options: Options, share: bool, level: str | None) -> Any:
        def answer() -> Any:
            return self._core.get(key, decoder, options, share, level)

        near = self._hit(key, decoder, options, share, level)
        return self._ask(answer, lambda: MISS) if near is MISS else near

    def _hit(self, key: str, decoder: Decoder, options: Options, share: bool, level: str | None) -> Any:
        """What needs no call of the store."""
        return MISS if level is not None or self._faults._away else self._core.hit(key, decoder, options, share)

    def get_many(self, keys: Sequence[str], decoder: Decoder, options: Options, share: bool) -> Any:
        return self._ask(lambda: self._core.get_many(keys, decoder, options, share), lambda: [MISS] * len(keys))

    def exists(self, key: str) -> Any:
        return self._ask(lambda: self._core.exists(key), lambda: False)

    def ttl(self, key: str) -> Any:
        return self._ask(lambda: self._core.ttl(key), lambda: None)

    # Loads.

    def load(
        self,
        key: str,
        tags: Sequence[str],
        decoder: Decoder,
        options: Options,
        share: bool,
        level: str | None,
        mailbox: Mailbox,
        start: Callable[[Any], object],
        refresh: bool,
        inside: Inside | None = None,
    ) -> Any:
        def ask(key: str, level: str | None) -> Any:
            begin = self._starting(start)
            return self._core.load(key, tags, decoder, options, share, level, mailbox, begin, refresh, inside)

        near = MISS if refresh else self._hit(key, decoder, options, share, level)
        return self._ask(lambda: ask(key, level), lambda: ask(key + _APART, None)) if near is MISS else near

    def load_many(
        self,
        keys: Sequence[str],
        tags: Sequence[Sequence[str]],
        decoder: Decoder,
        options: Options,
        share: bool,
        mailbox: Mailbox,
        start: Callable[[Any], object],
        inside: Inside | None = None,
    ) -> Any:
        def ask(keys: Sequence[str]) -> Any:
            return self._core.load_many(keys, tags, decoder, options, share, mailbox, self._starting(start), inside)

        return self._ask(lambda: ask(keys), lambda: ask([key + _APART for key in keys]))

    def _starting(self, start: Callable[[Any], object]) -> Callable[[Load], object]:
        def begin(load: Load) -> None:
            error = self._faults._fails()
            if error is None:
                start(_Watched(load, self._faults))
            else:
                load.fail(error)

        return begin

    # Writes.

    def set(self, items: Sequence[tuple[str, Sequence[str], bytes]], options: Options) -> Any:
        keys = [key for key, _, _ in items]
        return self._confirm(lambda: self._core.set(items, options), lambda core: _invalidate(core, keys=keys))

    def begin_write(self, key: str, tags: list[str], options: Options) -> Any:
        """An announcement that can't be confirmed is none. Of one that was, the end goes to the store itself."""
        return self._confirm(lambda: self._core.begin_write(key, tags, options), None)

    def invalidate(self, **what: Any) -> Any:
        return self._confirm(lambda: self._core.invalidate(**what), lambda core: _invalidate(core, **what))

    def emit(self, name: str, payload: str) -> Any:
        # Handlers may need the loop of this thread: nobody waits for them here.
        return self._confirm(lambda: self._core.emit(name, payload), lambda core: core.emit(name, payload))

    def ping(self) -> Any:
        return self._confirm(self._core.ping, None)


class _Watched:
    """A load whose value is not stored if the store is away at its end."""

    def __init__(self, load: Load, faults: Faults) -> None:
        self._load, self._faults = load, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load, name)

    def _ends(self) -> None:
        if self._faults._away or self._faults._delay >= self._faults._timeout():
            self._load.no_store()

    def done(self, payload: bytes, value: Any) -> None:
        self._ends()
        self._load.done(payload, value)

    def done_many(self, found: dict[int, tuple[bytes, Any]]) -> None:
        self._ends()
        self._load.done_many(found)
