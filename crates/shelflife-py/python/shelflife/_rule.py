"""Rules: what an application says of the responses of some paths."""

from __future__ import annotations

from collections.abc import Iterable

from ._core import Rule as Native
from ._given import several, size
from ._time import Time, positive, seconds


class Rule:
    """What is done with the responses of a path. Each setter gives a new rule; the first rule that is for a request counts, alone.

    `Rule.path("/users/{id}").ttl("5m").stale("1h").tags("user:{id}")`. A response's own freshness (`Cache-Control: max-age`) counts
    before the rule's; `no-store` and `private` always hold. Answers to requests with `Authorization` or cookies are shared only if the
    rule says `public()`, or tells their users apart (`vary_by`).

    In front of FastAPI a rule answers before the route's dependencies have run; where a route has any, only a rule that says
    `public()` does.
    """

    __slots__ = ("_is_public", "_native", "_path")

    def __init__(self, native: Native, path: str | None, is_public: bool) -> None:
        self._native, self._path, self._is_public = native, path, is_public

    @classmethod
    def path(cls, pattern: str) -> Rule:
        """For paths of this pattern: `/users/{id}` takes one segment, `/files/{*rest}` the rest."""
        return cls(Native(pattern), pattern, False)

    @classmethod
    def any(cls) -> Rule:
        """For every path."""
        return cls(Native(), None, False)

    def _with(self, native: Native) -> Rule:
        return Rule(native, self._path, self._is_public)

    def methods(self, *methods: str) -> Rule:
        """For requests of these methods only: `GET`, and `POST` or `QUERY` together with `by_body`. Default `GET`."""
        return self._with(self._native.methods(list(methods)))

    def statuses(self, *statuses: int) -> Rule:
        """Keeps responses of these statuses only. Default: the `ttl` is for 200, 203, 204, 300, 301, 308."""
        return self._with(self._native.statuses(list(statuses)))

    def ttl(self, ttl: Time) -> Rule:
        """How long responses are fresh that don't say it themselves. Default: they aren't kept."""
        return self._with(self._native.ttl(_text(positive(ttl, "ttl"))))

    def override_ttl(self, ttl: Time) -> Rule:
        """How long responses are fresh whatever their `max-age` says."""
        return self._with(self._native.override_ttl(_text(positive(ttl, "override_ttl"))))

    def stale(self, stale: Time) -> Rule:
        """How long after that they may be served while they are refreshed, or when that fails."""
        return self._with(self._native.stale(_text(seconds(stale, "stale"))))

    def tags(self, *tags: str) -> Rule:
        """Names to invalidate by; `{id}` is what the path's placeholder took."""
        return self._with(self._native.tags(list(tags)))

    def vary_by(self, *by: str) -> Rule:
        """What else tells answers apart: `"header:NAME"`, `"cookie:NAME"`, `"query:NAME"`."""
        return self._with(self._native.vary_by(list(by)))

    def ignore_cookies(self, *names: str) -> Rule:
        """Cookies that answers don't depend on; `_ga*` stands for all that begin so."""
        return self._with(self._native.ignore_cookies(list(names)))

    def sort_query(self) -> Rule:
        """`?b=2&a=1` is `?a=1&b=2`."""
        return self._with(self._native.sort_query())

    def drop_query(self, *names: str) -> Rule:
        """Parameters that answers don't depend on."""
        return self._with(self._native.drop_query(list(names)))

    def only_query(self, *names: str) -> Rule:
        """The only parameters that answers depend on."""
        return self._with(self._native.only_query(list(names)))

    def public(self) -> Rule:
        """The answers are the same for everybody, whoever asks."""
        return Rule(self._native.public(), self._path, True)

    def private(self) -> Rule:
        """Nothing is kept: each answer is for the one who asked."""
        return self._with(self._native.private())

    def no_store(self) -> Rule:
        """Nothing is looked up or kept."""
        return self._with(self._native.no_store())

    def honour_client(self, honour: bool = True) -> Rule:
        """Whether clients' `Cache-Control: no-cache` and the like make the application work. Default: no."""
        return self._with(self._native.honour_client(honour))

    def max_body(self, limit: int | str) -> Rule:
        """Larger responses are passed on and not kept: bytes, or text such as `"256KiB"`."""
        return self._with(self._native.max_body(_bytes(limit, "max_body")))

    def collapse_wait(self, wait: Time) -> Rule:
        """How long a request waits for another that fetches the same."""
        return self._with(self._native.collapse_wait(_text(seconds(wait, "collapse_wait"))))

    def by_body(self, limit: int | str) -> Rule:
        """Keeps answers to `POST` or `QUERY` by the digest of the request's content, up to so many bytes."""
        return self._with(self._native.by_body(_bytes(limit, "by_body")))


def _text(time: float) -> str:
    return f"{time:.6f}s"


def _bytes(given: int | str, name: str) -> int:
    found = size(given) if isinstance(given, str) else given
    if found is None or found < 0:
        raise ValueError(f'{name}={given!r}: expected bytes, or text such as "256KiB"')
    return found


def natives(rules: Iterable[Rule]) -> list[Native]:
    """As a layer takes them, each of them checked."""
    made = []
    for rule in rules:
        if not isinstance(rule, Rule):
            raise TypeError(f'{rule!r} is no rule: Rule.path("/users/{{id}}").ttl("5m")')
        rule._native.check()
        made.append(rule._native)
    return made


def parts_of(by: Iterable[str]) -> tuple[list[str], list[str]]:
    """What `vary_by=` of a route names: of the request, and of the endpoint's parameters."""
    of_request: list[str] = []
    of_call: list[str] = []
    for one in several("vary_by", by):
        (of_request if one.partition(":")[0] in ("header", "cookie", "query") else of_call).append(one)
    return of_request, of_call
