"""Invalidations that wait for a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from shelflife import Cache

Run = Callable[[Callable[[], Any]], Any]


def test_a_blocking_session() -> None:
    cache, engine = Cache.memory(), create_engine("sqlite://")
    with Session(engine) as session:
        session.execute(text("select 1"))
        cache.sync.set("k", 1, tags=["t"])
        cache.invalidate_on_commit(session, tags=["t"])
        assert cache.sync.get("k") == 1
        session.commit()
        assert cache.sync.get("k") is None

        # Once: the next transaction has nothing to do with it.
        cache.sync.set("k", 2, tags=["t"])
        session.execute(text("select 1"))
        session.commit()
        assert cache.sync.get("k") == 2

        session.execute(text("select 1"))
        cache.invalidate_on_commit(session, tags=["t"])
        session.rollback()
        session.execute(text("select 1"))
        session.commit()
        assert cache.sync.get("k") == 2


def test_one_that_fails_takes_no_other_along() -> None:
    good, engine = Cache.memory(), create_engine("sqlite://")
    bad = Cache("nothing://")
    good.sync.set("k", 1, tags=["t"])
    with Session(engine) as session:
        session.execute(text("select 1"))
        bad.invalidate_on_commit(session, tags=["t"])
        good.invalidate_on_commit(session, tags=["t"])
        with pytest.raises(ValueError, match="nothing"):
            session.commit()
    assert good.sync.get("k") is None


def test_a_savepoint_is_no_commit() -> None:
    cache, engine = Cache.memory(), create_engine("sqlite://")
    with Session(engine) as session:
        cache.sync.set("k", 1, tags=["t"])
        session.execute(text("select 1"))
        with session.begin_nested():
            session.execute(text("select 1"))
            cache.invalidate_on_commit(session, tags=["t"])
        assert cache.sync.get("k") == 1
        session.commit()
        assert cache.sync.get("k") is None


def test_an_async_session_has_invalidated_when_its_commit_returns(run: Run) -> None:
    async def test() -> None:
        engine = create_async_engine("sqlite+aiosqlite://")
        async with Cache.memory() as cache, AsyncSession(engine) as session:
            await session.execute(text("select 1"))
            await cache.set("k", 1, tags=["t"])
            cache.invalidate_on_commit(session, tags=["t"])
            assert await cache.get("k") == 1
            await session.commit()
            assert await cache.get("k") is None

            await cache.set("k", 2, tags=["t"])
            await session.execute(text("select 1"))
            cache.invalidate_on_commit(session, tags=["t"])
            await session.rollback()
            await session.execute(text("select 1"))
            await session.commit()
            assert await cache.get("k") == 2
        await engine.dispose()

    run(test)


def test_a_blocking_session_in_a_loop_is_refused_before_it_has_committed(run: Run) -> None:
    async def test() -> None:
        await asyncio.sleep(0)
        with Session(create_engine("sqlite://")) as session, pytest.raises(RuntimeError, match="AsyncSession"):
            Cache.memory().invalidate_on_commit(session, tags=["t"])

    run(test)
