"""Generators that a test moves on, an item at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from shelflife import Cache


class Row(BaseModel):
    id: int
    price: Decimal


async def all_of(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


class Source:
    """A generator that gives an item when the test says so, and tells what becomes of it."""

    def __init__(self) -> None:
        self.runs = self.closed = 0
        self.go: asyncio.Queue[Any] = asyncio.Queue()

    async def items(self) -> AsyncGenerator[Any, None]:
        self.runs += 1
        try:
            while (item := await self.go.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed += 1


async def begun(of: Any, source: Source, item: str) -> AsyncGenerator[str, None]:
    """A reader of `of(1)` who has its first item, and the next only when the test says so."""
    reading: AsyncGenerator[str, None] = of(1)
    source.go.put_nowait(item)
    assert await anext(reading) == item
    return reading


def stream_of(cache: Cache, source: Source, **how: Any) -> Any:
    @cache.cached(ttl=60, key="of:{n}", tags=["t"], type=str, **how)
    async def of(n: int) -> AsyncGenerator[str, None]:
        async with aclosing(source.items()) as items:
            async for item in items:
                yield item

    return of
