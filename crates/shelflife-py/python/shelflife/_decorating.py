"""What a cache makes of functions: its decorators, as an application calls them.

Each only hands on what it was told; what it does is in a room of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, cast, overload

from ._time import Time
from ._typed import AsyncCached, AsyncStream, Cached, Caching, F, P, Routing, T

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._cache import Cache
    from ._given import Policy


class Decorating:
    """The part of a `Cache` that decorates."""

    @property
    def _cache(self) -> Cache:
        return cast("Cache", self)

    @overload
    def cached(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> AsyncCached[P, T]: ...  # type: ignore[overload-overlap]
    @overload
    def cached(self, function: Callable[P, AsyncIterator[T]], /) -> AsyncStream[P, T]: ...  # type: ignore[overload-overlap]
    @overload
    def cached(self, function: Callable[P, T], /) -> Cached[P, T]: ...
    @overload
    def cached(
        self,
        /,
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
        **policy: Unpack[Policy],
    ) -> Caching: ...
    def cached(self, function: Any = None, /, **how: Any) -> Any:
        """Caches what a function returns: docs/python.md lists what it can be told."""
        from ._decorator import decorate

        if function is not None:
            return decorate(self._cache, function, **how)
        return lambda function: decorate(self._cache, function, **how)

    def route(
        self,
        *,
        ttl: Time | None = None,
        expire: Time | None = None,
        tags: Iterable[str] = (),
        vary_by: Iterable[str] = (),
        per_user: str | None = None,
        public: bool = False,
        shared: bool = False,
        stale: Time | None = None,
        statuses: Iterable[int] = (),
        ignore_cookies: Iterable[str] = (),
        condition: Callable[..., bool] | None = None,
        **settings: Any,
    ) -> Routing:
        """Under `@app.get`: the response is stored, and sent from there after the route's dependencies have run, so that nobody gets it who
        would not have got it from the endpoint.

            @app.get("/users/{user_id}")
            @cache.route(ttl="5m", tags=["user:{user_id}"])
            async def read_user(user_id: int, me: CurrentUser) -> User: ...

        `ttl`, `stale`, `tags` (of the endpoint's parameters), `statuses`, `ignore_cookies`, `condition`, `max_body`, `collapse_wait`, ...

        Whose answers: the URL is in the key, as are header and cookie parameters that the route declares. Answers to requests with
        `Authorization` or cookies are stored only if it is said whose they are: `per_user="user.id"`, a parameter of the endpoint by which
        users have answers of their own; or `shared=True`, when all who get past the dependencies have the same. `public=True` is more:
        ShelflifeMiddleware answers before the dependencies have run. `vary_by=["tenant.id", "header:accept-language"]` adds to the key.
        """
        from ._route import decorate

        how: dict[str, Any] = {
            "ttl": ttl,
            "expire": expire,
            "tags": tags,
            "vary_by": vary_by,
            "per_user": per_user,
            "public": public,
            "shared": shared,
            "stale": stale,
            "statuses": statuses,
            "ignore_cookies": ignore_cookies,
            "condition": condition,
            **settings,
        }

        def routing(function: Any) -> Any:
            return decorate(self._cache, function, **how)

        return routing

    def cached_many(self, **how: Any) -> Callable[[F], F]:
        """Caches what a function of ids returns, a dict by id: it is called once for all ids that are not there.

        `@cache.cached_many(ids="user_ids", key="user:{id}", tags=["user:{id}"], ttl="5m")`. An id that the function leaves out is
        absent from the result, and nothing is stored for it.
        """
        from ._many import decorate

        def caching(function: F) -> F:
            made: F = decorate(self._cache, function, **how)
            return made

        return caching

    def invalidates(
        self,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        patterns: Iterable[str] = (),
        all: bool = False,
        soft: bool = False,
        everywhere: bool = False,
    ) -> Callable[[F], F]:
        """Invalidates what a function makes outdated: after it has returned, before its result is given on; not if it raises.

        `keys`, `tags` and `patterns` are templates of its parameters: `@cache.invalidates(tags=["user:{user_id}"])`. Raises Unavailable
        when the invalidation could not be confirmed, although the function has done its work.
        """
        from ._invalidates import decorate

        what = {"keys": keys, "tags": tags, "patterns": patterns, "all": all, "soft": soft, "everywhere": everywhere}

        def invalidating(function: F) -> F:
            made: F = decorate(self._cache, function, **what)  # type: ignore[arg-type]
            return made

        return invalidating
