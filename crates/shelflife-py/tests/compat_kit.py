"""What the tests of `shelflife.compat.fastapi_cache` share."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field

from shelflife.compat.fastapi_cache import FastAPICache
from shelflife.compat.fastapi_cache.backends.inmemory import InMemoryBackend

#: As its users write it, word for word.
THEIRS = '''
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.coder import Coder, JsonCoder
from fastapi_cache.decorator import cache
from fastapi_cache.key_builder import default_key_builder
from fastapi_cache.types import Backend, KeyBuilder

import json
from contextlib import asynccontextmanager
from typing import Any, Dict, Optional

calls: Dict[str, int] = {}


def called(name: str) -> int:
    calls[name] = calls.get(name, 0) + 1
    return calls[name]


class MyCoder(Coder):
    @classmethod
    def encode(cls, value: Any) -> bytes:
        return json.dumps(value).encode()

    @classmethod
    def decode(cls, value: bytes) -> Any:
        return json.loads(value)


def my_key_builder(
    func,
    namespace: str = "",
    *,
    request: Optional[Request] = None,
    response: Optional[Response] = None,
    args,
    kwargs,
):
    return ":".join([namespace, request.method.lower(), request.url.path, repr(sorted(request.query_params.items()))])


@asynccontextmanager
async def lifespan(_: FastAPI):
    FastAPICache.init(InMemoryBackend(), prefix="fastapi-cache", expire=30)
    yield
    FastAPICache.reset()


app = FastAPI(lifespan=lifespan)


@cache()
async def get_cache():
    return called("get_cache")


@app.get("/")
@cache(namespace="test", expire=10)
async def index(request: Request, response: Response):
    response.headers["X-Own"] = "kept"
    return dict(hello="world", calls=called("index"), again=await get_cache())


@app.get("/sync/{n}")
@cache(expire=60)
def blocking(n: int, q: str = "z"):
    return {"n": n, "q": q, "calls": called(f"sync {n} {q}")}


@app.get("/coded")
@cache(namespace="coded", expire=60, coder=MyCoder, key_builder=my_key_builder)
async def coded(a: int = 0):
    return [a, called(f"coded {a}")]


@app.get("/clear/{namespace}")
async def clear(namespace: str):
    await FastAPICache.clear(namespace=namespace)
    return {}
'''


class Item(BaseModel):
    id: int
    price: Decimal = Decimal("1.10")
    of: Optional[UUID] = None


class Public(BaseModel):
    model_config = {"from_attributes": True}
    id: int
    price: Decimal
    name: str = "none"
    other: str = Field(default="x", alias="otherName")


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    FastAPICache.reset()
    yield
    FastAPICache.reset()


def begin(backend: Any = None, **how: Any) -> None:
    FastAPICache.init(InMemoryBackend() if backend is None else backend, **{"prefix": "p", "expire": 60, **how})


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
