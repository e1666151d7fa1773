"""The users API of `shelflife demo`, in FastAPI: on one Redis and one database the two share entries, events and invalidations.

    profile, profiles    @cache.cached, @cache.cached_many: the entries of the Rust demo, key for key
    GET /users           a Rule of the middleware: the response is cached in front of the application
    GET /cities          @cache.route: the response is cached behind the route's dependencies
    GET /me/orders       the same for each user
    writes               emit an event, whose handler says what is out of date; or @cache.invalidates
"""

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

import database as db
from database import City, Database, Details, Order, Page, Profile, Spender, User
from shelflife import METRICS_CONTENT_TYPE, Cache, Unavailable
from shelflife.fastapi import CacheDep, Rule, ShelflifeMiddleware

#: How long an answer is fresh, and how much longer it may be served while it is refreshed, or while the database is gone.
TTL, STALE = "30s", "5m"

# SHELFLIFE_URL, else REDIS_URL, else in memory; SHELFLIFE_NAMESPACE. DEMO_WORKERS: a directory, so that /metrics tells of all workers.
cache = Cache.from_env(ttl=TTL, stale=STALE, workers=os.environ.get("DEMO_WORKERS"))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.database = Database(os.environ.get("DEMO_DATABASE", "shelflife-demo.sqlite"))
    yield


app = FastAPI(title="shelflife demo", lifespan=cache.lifespan(lifespan))
app.add_middleware(
    ShelflifeMiddleware,
    cache=cache,
    # public: the same for everybody, so it may be answered before the route's dependencies have run.
    rules=[Rule.path("/users").statuses(200).ttl(TTL).stale(STALE).tags("users").public()],
)


def get_database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


DatabaseDep = Annotated[Database, Depends(get_database)]
UserId = Annotated[int, Path(ge=1, le=2**32 - 1)]


# Who asks


class Caller(BaseModel):
    id: int


#: An application of yours verifies a token here; the rest stays as it is.
TOKENS = {"token-of-1": 1, "token-of-2": 2}


def get_caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Caller:
    if credentials.credentials not in TOKENS:
        raise HTTPException(401, "unknown token", {"WWW-Authenticate": "Bearer"})
    return Caller(id=TOKENS[credentials.credentials])


CallerDep = Annotated[Caller, Depends(get_caller)]


# Cached functions. The first two read and write the entries of the Rust demo: its key, its tags, its shape.


@cache.cached(key="user:{user_id}", tags=["user:{user_id}", "ranks"])
async def profile(database: Database, user_id: int) -> Profile | None:
    """None is a value too: that there is no such user is remembered."""
    return (await database.read(db.profiles, [user_id]))[user_id]


@cache.cached_many(ids="user_ids", key="user:{id}", tags=["user:{id}", "ranks"])
async def profiles(database: Database, user_ids: list[int]) -> dict[int, Profile | None]:
    """The database is asked once, for those that are not stored, whoever has stored the others."""
    return await database.read(db.profiles, user_ids)


@cache.cached(key="top:{city}:{count}")
async def top(database: Database, city: str, count: int) -> list[Spender]:
    return await database.read(db.top, city, count)


# Events, those of the Rust demo among them. A handler says what an event makes out of date; it runs in every process, for what was emitted
# in any: nobody else knows of top:*.


@cache.on("user_updated")
def user_updated(event: dict[str, int]) -> dict[str, Any]:
    return {"tags": [f"user:{event['id']}", "users"], "patterns": ["top:*"]}


@cache.on("user_deleted")
def user_deleted(event: dict[str, int]) -> dict[str, Any]:
    # With one user less, everybody's rank may be another.
    return {"tags": [f"user:{event['id']}", "users", "ranks"], "patterns": ["top:*"]}


# Reads


@app.get("/users")
async def list_users(database: DatabaseDep, page: Annotated[int, Query(ge=1, le=2**32 - 1)] = 1) -> Page:
    found = await database.read(db.page, page)
    if page > found.pages:
        raise HTTPException(422, f"there is no page {page}: the last one is {found.pages}")
    return found


@app.get("/users/{user_id}")
async def read_user(database: DatabaseDep, user_id: UserId) -> Profile:
    found = await profile(database, user_id)
    if found is None:
        raise HTTPException(404, f"there is no user {user_id}")
    return found


@app.get("/compare")
async def compare(database: DatabaseDep, id: Annotated[list[int], Query(min_length=1, max_length=100)]) -> list[Profile]:
    found = await profiles(database, id)
    return [one for one in found.values() if one is not None]


@app.get("/cities")
@cache.route(ttl=TTL, stale=STALE, tags=["users", "ranks"])
async def list_cities(database: DatabaseDep) -> list[City]:
    return await database.read(db.cities)


@app.get("/cities/{city}/top")
async def top_of_city(database: DatabaseDep, city: str, count: Annotated[int, Query(ge=1, le=100)] = 3) -> list[Spender]:
    return await top(database, city, count)


@app.get("/me/orders")
@cache.route(ttl=TTL, per_user="caller.id", tags=["user:{caller.id}"])
async def my_orders(database: DatabaseDep, caller: CallerDep) -> list[Order]:
    """Each user has an answer of their own. Authentication runs before a hit, too."""
    return await database.read(db.latest_orders, caller.id)


@app.get("/stats")
async def stats(database: DatabaseDep, cache: CacheDep) -> dict[str, Any]:
    return {"database": {"queries": database.queries}, "profile": profile.cache_info()._asdict(), "cache": cache.stats()}


@app.get("/metrics", include_in_schema=False)
async def metrics(cache: CacheDep) -> Response:
    """For Prometheus. An application of yours keeps it from the public."""
    return Response(await cache.scrape(), media_type=METRICS_CONTENT_TYPE)


# Writes: the database first, then the cache. When the response goes out, nothing older is served here; elsewhere within 1 s.


@app.put("/users/{user_id}")
async def update_user(database: DatabaseDep, cache: CacheDep, user_id: UserId, details: Details) -> User:
    user = await database.write(db.update, user_id, details)
    if user is None:
        raise HTTPException(404, f"there is no user {user_id}")
    await cache.emit("user_updated", {"id": user_id})
    return user


@app.delete("/users/{user_id}", status_code=204)
async def delete_user(database: DatabaseDep, cache: CacheDep, user_id: UserId) -> None:
    removed = await database.write(db.delete, user_id)
    # Even if there was nothing to remove: the caller may be repeating a request whose invalidation failed.
    await cache.emit("user_deleted", {"id": user_id})
    if not removed:
        raise HTTPException(404, f"there is no user {user_id}")


@app.post("/me/orders", status_code=201)
@cache.invalidates(tags=["user:{caller.id}", "users", "ranks"], patterns=["top:*"])
async def order(database: DatabaseDep, caller: CallerDep, cents: Annotated[int, Query(ge=1, le=10**9)]) -> Order:
    return await database.write(db.place_order, caller.id, cents)


@app.exception_handler(Unavailable)
async def not_invalidated(request: Request, error: Unavailable) -> JSONResponse:
    """Of writes alone: a read never fails because of the cache."""
    return JSONResponse({"detail": f"written, but the cache could not be told: {error}"}, 503)


def main() -> None:
    """Takes the flags of `shelflife demo`, as the environment in which the application looks."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    flags.add_argument("--redis", metavar="URL", help="else SHELFLIFE_URL, else REDIS_URL, else in memory")
    flags.add_argument("--namespace", metavar="NAME")
    flags.add_argument("--database", metavar="PATH", help="which `shelflife demo` has made [default: shelflife-demo.sqlite]")
    flags.add_argument("--listen", metavar="ADDRESS", default="127.0.0.1:8000")
    given = flags.parse_args()
    for name, value in {"SHELFLIFE_URL": given.redis, "SHELFLIFE_NAMESPACE": given.namespace, "DEMO_DATABASE": given.database}.items():
        if value is not None:
            os.environ[name] = value
    host, _, port = given.listen.rpartition(":")
    uvicorn.run(app, host=host, port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
