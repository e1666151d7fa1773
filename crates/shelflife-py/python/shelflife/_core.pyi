"""The native half of shelflife: the engine, seen from Python. Not for users; the package wraps it.

How waiting works. Nothing here blocks, unless its name says so. A call that can answer at once returns
the value; else it returns a `Step`, which goes on by itself in Rust. Who wants its result attaches an
`asyncio` future to it, in the loop that is to be told, through that loop's `Mailbox`; or blocks on it.
A loader that the engine wants to be run is asked for through a mailbox as well, so that it runs on its own
loop (or thread), never on one of Rust's.
"""

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, final

__version__: Final[str]

class _Miss: ...

#: There is no value: not an error, and not `None`, which is a value.
MISS: Final[_Miss]

class ShelflifeError(Exception):
    """What the cache has to tell: of writes and invalidations. Reads never raise it."""

    kind: str

class ConfigError(ShelflifeError, ValueError):
    """A setting is unknown or can't be used."""

class Unavailable(ShelflifeError):
    """The store did not answer, or not in time: the write or the invalidation is *not confirmed*."""

class ValueNotStorable(ShelflifeError, TypeError):
    """The value can't be encoded, or is over the size limit."""

class LoadTimeout(ShelflifeError, TimeoutError):
    """The load took longer than `hard_timeout`."""

class LoadLost(ShelflifeError):
    """The load that this waited for was cancelled, or its event loop ended: whoever still wants the value asks again."""

@final
class Mailbox:
    """Where a loop, or a thread, hears what Rust has for it. One for each loop."""

    def __new__(cls) -> Mailbox: ...
    def fileno(self) -> int:
        """Readable when `drain` has work: for `loop.add_reader`. Not for the mailbox of a thread."""

    def drain(self) -> None:
        """Carries out what is there: resolves futures, calls `start` and `cancel` of loads."""

    def close(self) -> None:
        """The loop has ended: what is there is dropped, loads that wait to be started fail."""

@final
class Step:
    """Something under way. Dropped without being attached, it goes on only if the engine wants it to."""

    def attach(self, mailbox: Mailbox, future: Any) -> bool:
        """Has `future` resolved through the mailbox, with `set_result` or `set_exception`, unless it is done.

        `True`: it is resolved already, at once.
        """

    def block(self, mailbox: Mailbox) -> Any:
        """Waits with the GIL released, draining the mailbox meanwhile; returns the result or raises."""

    def cancel(self) -> None:
        """Nobody waits for it any more. Writes and invalidations are carried out all the same."""

@final
class Inside:
    """The loads inside which something runs. What is asked for there, by whatever way, needs no place of its own: a load waits for it."""

@final
class Load:
    """A load that the engine wants to be run, given to its `start`. Ends with one of the first three."""

    def done(self, payload: bytes, value: Any) -> None:
        """The encoded value, and the value itself, which `share=True` and immutable types may hand out."""

    def fail(self, error: BaseException) -> None:
        """All who wait get this very exception, unless something stale may stand in."""

    def done_many(self, found: dict[int, tuple[bytes, Any]]) -> None:
        """Of `load_many`: what exists of the wanted positions."""

    @property
    def inside(self) -> Inside | None:
        """This load and those around it, for what is asked for from within; `None` once it has ended."""

    @property
    def wanted(self) -> list[int] | None:
        """Of `load_many`: the positions that are to be loaded."""

    @property
    def payload(self) -> str | None:
        """Of a handler: what the event says, JSON."""

    def on_cancel(self, cancel: Callable[[], object]) -> None:
        """Called through the mailbox if nobody waits any more, or the load has taken too long."""

    def ttl(self, seconds: float) -> None: ...
    def stale(self, seconds: float) -> None: ...
    def tag(self, tag: str) -> None: ...
    def no_store(self) -> None: ...

@final
class Options:
    """A policy: the cache's own, with what is given changed. Times in seconds. `objects`: they are kept beside what is stored, for the next
    reader, and weigh in memory.
    """

    def __new__(
        cls,
        *,
        ttl: float | None = None,
        stale: float | None = None,
        stale_on_error: bool | None = None,
        negative_ttl: float | None = None,
        soft_timeout: float | None = None,
        hard_timeout: float | None = None,
        jitter: float | None = None,
        early: float | None = None,
        throttle: float | None = None,
        lease: float | None = None,
        settle: float | None = None,
        schema: int | None = None,
        objects: bool = False,
    ) -> Options: ...

@final
class Decoder:
    """How an encoded value becomes an object again.

    `validate`: called with what `unpack` gives; `None` where that is the value. `only_ext`: only if an extension type is in it.
    `expected`: of which types it may be, before. `immutable`: all callers may have the same object. A decoder that raises makes the
    read raise `Undecodable`.
    """

    def __new__(
        cls,
        validate: Callable[[Any], Any] | None = None,
        *,
        only_ext: bool = False,
        expected: Sequence[type] | None = None,
        immutable: bool = False,
    ) -> Decoder: ...

class Undecodable(Exception):
    """What is stored is not of this type. The caller loads it anew."""

def pack(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """MessagePack of None, bool, int (64 bits), float, str, bytes, list, tuple (as a list), dict with str, int or
    other scalar keys, and `Ext`. Anything else is given to `default`, whose result is packed in its place.

    Raises TypeError for what can't be packed, with the path to it; ValueError for cycles and for ints that don't fit.
    """

def unpack(payload: bytes) -> Any:
    """The way back; extension types come back as `Ext`. ValueError if it is not MessagePack."""

@final
class Ext:
    """A MessagePack extension value."""

    def __new__(cls, code: int, data: bytes) -> Ext: ...
    code: int
    data: bytes

def escape(text: str) -> str:
    """Canonical text of a key: what is ambiguous in it is written as %XX. A colon stays."""

def escape_part(text: str) -> str:
    """The same for an interpolated part: a colon is escaped too."""

@final
class Func:
    """A decorated function: from its arguments to its key, and to what L1 has."""

    def __new__(
        cls,
        params: Sequence[tuple[str, int, bool, Any]],
        key: Sequence[str | tuple[int, tuple[str, ...], bool]],
        tags: Sequence[Sequence[str | tuple[int, tuple[str, ...], bool]]],
        part: Callable[[Any, bool], str],
        bind: Callable[[tuple[Any, ...], dict[str, Any]], list[Any]],
        decoder: Decoder,
        options: Options,
        share: bool,
    ) -> Func:
        """`params`: name, kind (0 positional only, 1 either, 2 keyword only), whether there is a default, the default. A
        function with `*args` or `**kwargs` has `params=()` and is bound by `bind` each time: one value for each
        parameter, in their order. `bind` is also asked when a call does not fit, to raise the error of the language.

        `key` and each of `tags`: literal text (canonical, written as it is), or a part: (index of the parameter, attributes or
        items to follow from it, whether its text tells its type). `part(value, typed)` gives the canonical, escaped
        text of a value that Rust does not write itself. Rust writes exact `int`, `str`, `bool`, `None`:

                       plain              typed
            42         42                 42
            "a:b"      a%3Ab              'a%3Ab
            True       true               %t
            None       %_                 %_
        """

    def hit(self, core: Core, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What L1 has, or MISS. Nothing waits."""

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str: ...
    def tags(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]: ...

@final
class Faults:
    """The engine's faults on purpose, for tests; none until one is made."""

    def __new__(cls) -> Faults: ...
    def reseed(self, seed: int) -> None: ...
    def heal(self) -> None: ...
    def make(
        self, target: str, what: str, delay: float | None = None, times: int | None = None, chance: float = 1.0
    ) -> Guard:
        """`target`: reads, writes, log or loads. `what`: error, freeze, lose, or delay. Raises ValueError for any other."""

@final
class Guard:
    """A fault that holds until it is ended, or nobody has this any more."""

    @property
    def struck(self) -> int: ...
    def end(self) -> None: ...

@final
class Core:
    """A cache of this process: engine, connections, threads. Not to be used in a forked child: open another."""

    @staticmethod
    def open(
        url: str | None,
        settings: dict[str, str],
        environment: bool,
        clock: Clock | None,
        faults: Faults | None = None,
    ) -> Core | Step:
        """`environment`: read SHELFLIFE_* and REDIS_URL first. Settings by their names, as in a URL's query.

        Raises ConfigError at once; the Step raises what the server says (too old, refused). A server that
        can't be reached yet is no error.
        """

    # Keys and tags are canonical text everywhere (`escape`); patterns are globs over it.

    # Reads. `level`: None (bounded), "strict", or a receipt (session).
    def hit(self, key: str, decoder: Decoder, options: Options, share: bool) -> Any: ...
    def get(
        self, key: str, decoder: Decoder, options: Options, share: bool, level: str | None = None
    ) -> Any | _Miss | Step: ...
    def get_many(
        self, keys: Sequence[str], decoder: Decoder, options: Options, share: bool
    ) -> list[Any] | Step: ...
    def exists(self, key: str) -> bool | Step: ...
    def ttl(self, key: str) -> float | None | Step: ...

    # Loads. `start(load)` is called through the mailbox in which the load is to run.
    def load(
        self,
        key: str,
        tags: Sequence[str],
        decoder: Decoder,
        options: Options,
        share: bool,
        level: str | None,
        mailbox: Mailbox,
        start: Callable[[Load], object],
        refresh: bool,
        inside: Inside | None = None,
    ) -> Any | Step:
        """`inside`: of the load that asks for it."""
    def load_many(
        self,
        keys: Sequence[str],
        tags: Sequence[Sequence[str]],
        decoder: Decoder,
        options: Options,
        share: bool,
        mailbox: Mailbox,
        start: Callable[[Load], object],
        inside: Inside | None = None,
    ) -> list[Any] | Step:
        """In the order of the keys; MISS for what does not exist."""

    # Writes. Steps give a receipt: text.
    def set(
        self, items: Sequence[tuple[str, Sequence[str], bytes]], options: Options
    ) -> str | Step:
        """(key, tags, encoded value), in one round trip."""

    def begin_write(self, key: str, tags: list[str], options: Options) -> Write | Step:
        """No load that began before can fill the entry any more."""

    def invalidate(
        self,
        *,
        keys: Sequence[str] = ...,
        tags: Sequence[str] = ...,
        patterns: Sequence[str] = ...,
        all: bool = False,
        soft: bool = False,
        everywhere: bool = False,
    ) -> str | Step: ...

    # Events.
    def emit(self, name: str, payload: str) -> str | Step:
        """`payload` is JSON. Runs the handlers of this process, carries out what they ask for, and logs the event."""

    def on(self, name: str, mailbox: Mailbox, start: Callable[[Load], object]) -> None:
        """`start(load)`, with its `payload`; the handler ends with `load.done(pack({"keys": [...], "tags": [...], "patterns": [...],
        "all": bool, "soft": bool}), None)` or `load.fail(error)`."""

    def stats(self) -> dict[str, Any]: ...
    def prometheus(self) -> str:
        """The metrics, as Prometheus reads them; of the server what was found last."""

    def scrape(self) -> str | Step:
        """The same, after asking the server how it is."""

    def ping(self) -> None | Step: ...
    def close(self) -> None | Step: ...
    @staticmethod
    def reseed(seed: int) -> None:
        """After a fork, in the child: other random numbers than its parent's and its siblings'."""

    def leak(self) -> None:
        """After a fork, in the child: forgets everything without touching it."""

@final
class Clock:
    """A clock that a test moves by hand."""

    def __new__(cls) -> Clock: ...
    def advance(self, seconds: float) -> None: ...

@final
class Write:
    """A write of the source that was announced. Dropped without an end, its key is invalidated behind."""

    def finish(self, payload: bytes) -> Step:
        """Stores the value that the source has now. Whether it stays stored: not when another write came between."""

    def abandon(self) -> None:
        """The source is as it was."""

# HTTP

@final
class Rule:
    """A rule of the layer; each setter gives a new one. Times are text (`"300.000000s"`). See `_rule.py`."""

    def __new__(cls, path: str | None = None) -> Rule: ...
    def methods(self, methods: list[str]) -> Rule: ...
    def statuses(self, statuses: list[int]) -> Rule: ...
    def ttl(self, ttl: str) -> Rule: ...
    def override_ttl(self, ttl: str) -> Rule: ...
    def stale(self, stale: str) -> Rule: ...
    def tags(self, tags: list[str]) -> Rule: ...
    def vary_by(self, by: list[str]) -> Rule: ...
    def by_name(self, tells_apart: bool) -> Rule:
        """By the name that `look` is given. `tells_apart`: no two users have the same."""

    def ignore_cookies(self, names: list[str]) -> Rule: ...
    def sort_query(self) -> Rule: ...
    def drop_query(self, names: list[str]) -> Rule: ...
    def only_query(self, names: list[str]) -> Rule: ...
    def public(self) -> Rule: ...
    def private(self) -> Rule: ...
    def no_store(self) -> Rule: ...
    def honour_client(self, honour: bool) -> Rule: ...
    def max_body(self, bytes: int) -> Rule: ...
    def collapse_wait(self, wait: str) -> Rule: ...
    def by_body(self, bytes: int) -> Rule: ...
    def check(self) -> None:
        """Raises ConfigError for one that can't be used."""

@final
class Layer:
    """The rules of HTTP around an application, over one cache."""

    def __new__(cls, core: Core, rules: list[Rule], settings: dict[str, Any]) -> Layer: ...
    def look(
        self, scope: MutableMapping[str, Any], name: str | None = None
    ) -> tuple[dict[str, Any], bytes] | Passing | Asking | None:
        """What is done about the request of an `http` scope: the messages that answer it (`http.response.start`, and the whole content);
        or it goes to the application, for itself or for others. `None`: it is none that HTTP knows.
        """

@final
class Passing:
    """A request that the application answers for itself."""

    @property
    def said(self) -> bytes | None:
        """To be added to the response, as `Cache-Status`."""

    @property
    def changes(self) -> bool:
        """Whether `answered` is to be awaited before the response goes out. Dropped without it, the URL is invalidated."""

    def answered(self, status: int, headers: Iterable[Iterable[bytes]]) -> Step | None: ...
    def give_up(self) -> None:
        """There is no answer: the URL is invalidated behind, if this `changes` something."""

@final
class Asking:
    """A request whose answer may be stored, or be another's."""

    @property
    def wants_body(self) -> int | None:
        """Up to how many bytes of its content are to be read, and given to `ask`."""

    def tag(self, tags: list[str]) -> None:
        """Canonical text."""

    def ask(
        self, mailbox: Mailbox, start: Callable[[Turn], None], body: bytes | None = None, inside: Inside | None = None
    ) -> tuple[dict[str, Any], bytes | None, Storing | None] | Step:
        """Gives, at once or by a step, what goes out: the head, the content (`None`: what the application sends), and what is to be held,
        and told, while it is being stored.

        `start` is called in the loop of the mailbox when the engine wants the application to answer: at once, or when the step has
        ended already, for those who come after.
        """

@final
class Turn:
    """An application's turn to answer, for all who ask for the same. Dropped without an end, it has failed."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the application is to see: without the client's conditions, with ours."""

    @property
    def inside(self) -> Inside | None:
        """The load that it is, and those around it; `None` when it is none, or has ended."""

    @property
    def is_alone(self) -> bool:
        """Whether nobody but the request itself waits for the answer."""

    def head(self, status: int, headers: Iterable[Iterable[bytes]], store: dict[str, Any] | None = None) -> None:
        """Its response has begun. `store`: ttl, stale, tags, no_store, said by the application itself."""

    def push(self, data: bytes) -> bool:
        """Some of its content; false when no more is wanted."""

    def end(self) -> None: ...
    def fail(self, error: BaseException | None = None) -> None:
        """It broke off. After its end this does nothing."""

    def on_cancel(self, cancel: Callable[[], object]) -> None:
        """Called when nobody wants it any more."""

@final
class Storing:
    """A response that is being stored while it is sent."""

    def go_on(self) -> bool:
        """Called after each push; false when it is not to be stored any more."""
