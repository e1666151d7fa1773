"""For FastAPI: the cache as a dependency, the middleware, and what is checked when an application starts."""

from __future__ import annotations

from typing import Annotated, Any

try:
    from fastapi import Depends
    from starlette.requests import HTTPConnection
except ImportError:
    raise ImportError("shelflife.fastapi needs FastAPI: pip install 'shelflife[fastapi]'") from None

from . import _routes
from ._asgi import ShelflifeMiddleware
from ._cache import Cache
from ._rule import Rule

__all__ = ["CacheDep", "Rule", "ShelflifeMiddleware", "check", "get_cache", "install"]


def get_cache(connection: HTTPConnection) -> Cache:
    """The cache of the application: that of `cache.lifespan`, or `app.state.cache`. For `Depends`, and to be overridden in tests:
    `app.dependency_overrides[get_cache] = lambda: Cache.memory()`.
    """
    found = getattr(connection.app.state, "cache", None)
    if not isinstance(found, Cache):
        raise RuntimeError("the application has no cache: FastAPI(lifespan=cache.lifespan), or app.state.cache = Cache.from_env()")
    return found


#: The cache of the application, as a dependency: `async def read(cache: CacheDep)`.
CacheDep = Annotated[Cache, Depends(get_cache)]


def check(app: Any) -> list[str]:
    """What an application's cached routes share that they should not, or will not store: a line each, with the route's path. Logged when
    the application starts with `cache.lifespan`; a test may assert that there is none.
    """
    return _routes.check(app)


def install(app: Any) -> None:
    """Lets the routes under `@cache.route` be stored. `cache.lifespan` and ShelflifeMiddleware do it; without them the first request to such
    a route does, and is not stored itself.
    """
    _routes.install(app)
