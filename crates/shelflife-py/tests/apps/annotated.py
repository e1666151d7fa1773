"""An application under `from __future__ import annotations`: every annotation is text."""

from __future__ import annotations

from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Header
from pydantic import BaseModel
from shelflife import Cache

cache = Cache.memory()
app = FastAPI(lifespan=cache.lifespan)
ran: list[str] = []


class User(BaseModel):
    id: int
    name: str
    secret: str = "hidden"


class Shown(BaseModel):
    id: int
    name: str


def tenant(x_tenant: Annotated[str, Header()] = "t") -> str:
    return x_tenant


@app.get("/routed/{user_id}", response_model=Shown)
@cache.route(ttl="5m", tags=["user:{user_id}"])
async def routed(user_id: int, tenant: Annotated[str, Depends(tenant)], background: BackgroundTasks) -> User:
    background.add_task(ran.append, "behind")
    ran.append("routed")
    return User(id=user_id, name=tenant)


@app.get("/cached/{user_id}", response_model=Shown)
@cache.cached(ttl="5m", key="user:{user_id}:{tenant}")
async def cached(user_id: int, tenant: Annotated[str, Depends(tenant)]) -> User:
    ran.append("cached")
    return User(id=user_id, name=tenant)
