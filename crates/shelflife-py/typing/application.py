"""An application as type checkers see it: checked, never run."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from shelflife import Cache, Receipt
from shelflife.fastapi import CacheDep, Rule, ShelflifeMiddleware
from typing_extensions import assert_type

cache = Cache.memory()
app = FastAPI(lifespan=cache.lifespan)
app.add_middleware(ShelflifeMiddleware, cache=cache, rules=[Rule.path("/x").ttl("5m")], max_body="1MiB")


@cache.cached(ttl="5m", key="names:{i}", tags=["names"], stale=60)
async def names(i: int) -> list[str]:
    return []


@cache.cached
def name(i: int) -> str:
    return ""


class Users:
    @cache.cached(ttl=1)
    async def one(self, i: int) -> int:
        return 1

    @cache.cached(ttl=1)
    def here(self, i: int) -> int:
        return 1


@cache.cached(ttl=1)
async def items(i: int) -> AsyncIterator[int]:
    yield 1


@cache.invalidates(tags=["names"], everywhere=True)
async def rename(i: int) -> int:
    return 1


@cache.cached_many(ids="ids", key="name:{id}")
async def all_of(ids: list[int]) -> dict[int, str]:
    return {}


async def load() -> int:
    return 1


def user() -> str:
    return ""


@app.get("/x")
@cache.route(ttl="5m", per_user="user")
def endpoint(user: Annotated[str, Depends(user)], found: CacheDep) -> list[str]:
    return []


@cache.on("user_updated")
async def outdated(payload: dict[str, int]) -> dict[str, list[str]]:
    return {"tags": [f"user:{payload['id']}"]}


async def main() -> None:
    assert_type(await names(1), list[str])
    assert_type(await names.invalidate(1), Receipt)
    assert_type(await names.refresh(1), list[str])
    assert_type(await names.peek(1), list[str] | None)
    assert_type(await names.set([], 1), Receipt | None)
    assert_type(names.key(1), str)
    assert_type(names.cache_info().hits, int)
    assert_type(name(1), str)
    assert_type(name.invalidate(1), Receipt)
    assert_type(await Users().one(1), int)
    assert_type(Users().here(1), int)
    assert_type(await Users.one.invalidate(Users(), 1), Receipt)
    async for item in items(1):
        assert_type(item, int)
    assert_type(await items.refresh(1), list[int])
    assert_type(await rename(1), int)
    assert_type(await all_of([1]), dict[int, str])
    assert_type(await cache.get_or_load("k", load), int)
    assert_type(await cache.get_or_load("k", lambda: 1), int)
    await names("one")  # type: ignore[arg-type]
    cache.cached(tll=5)  # type: ignore[call-overload]
