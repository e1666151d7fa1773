"""What decorators make of a function, for type checkers: its parameters and its result stay, its companions come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from ._cache import Receipt
    from ._decorator import CacheInfo

P = ParamSpec("P")
T = TypeVar("T")
#: A decorated function that stays what it is.
F = TypeVar("F", bound=Callable[..., Any])


class Cached(Protocol[P, T]):
    """A function whose results are kept."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """Nothing older than now for these arguments."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function, and keeps what it returns."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What is kept and fresh; the function is not called."""
        ...

    def set(self, value: T, /, *args: P.args, **kwargs: P.kwargs) -> Receipt | None:
        """Keeps a value for these arguments."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Its key, to be used wherever a key is."""
        ...

    def tags(self, *args: P.args, **kwargs: P.kwargs) -> list[str]:
        """Its tags."""
        ...

    def cache_info(self) -> CacheInfo:
        """How it was called so far, in this process."""
        ...

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> Cached[P, T]: ...
    @overload
    def __get__(self, instance: object, owner: Any = None, /) -> Callable[..., T]: ...


class AsyncCached(Protocol[P, T]):
    """A coroutine function whose results are kept."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Receipt]:
        """Nothing older than now for these arguments."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """Calls the function, and keeps what it returns."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T | None]:
        """What is kept and fresh; the function is not called."""
        ...

    def set(self, value: T, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Receipt | None]:
        """Keeps a value for these arguments."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Its key, to be used wherever a key is."""
        ...

    def tags(self, *args: P.args, **kwargs: P.kwargs) -> list[str]:
        """Its tags."""
        ...

    def cache_info(self) -> CacheInfo:
        """How it was called so far, in this process."""
        ...

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> AsyncCached[P, T]: ...
    @overload
    def __get__(self, instance: object, owner: Any = None, /) -> Callable[..., Coroutine[Any, Any, T]]: ...


class AsyncStream(Protocol[P, T]):
    """An asynchronous generator function whose items are kept."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Receipt]:
        """Nothing older than now for these arguments."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, list[T]]:
        """Runs the generator to its end, and keeps its items."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, list[T] | None]:
        """The items that are kept and fresh; the generator is not run."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Its key, to be used wherever a key is."""
        ...

    def tags(self, *args: P.args, **kwargs: P.kwargs) -> list[str]:
        """Its tags."""
        ...

    def cache_info(self) -> CacheInfo:
        """How it was called so far, in this process."""
        ...

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> AsyncStream[P, T]: ...
    @overload
    def __get__(self, instance: object, owner: Any = None, /) -> Callable[..., AsyncIterator[T]]: ...


class Caching(Protocol):
    """What `@cache.cached(...)` makes of a function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> AsyncCached[P, T]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /) -> AsyncStream[P, T]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, T], /) -> Cached[P, T]: ...


class Routing(Protocol):
    """What `@cache.route(...)` makes of an endpoint: a coroutine function, whatever it was."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
