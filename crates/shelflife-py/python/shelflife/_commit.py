"""Invalidations that wait for a transaction of SQLAlchemy's: carried out when it has committed, dropped when it is rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _loop

if TYPE_CHECKING:
    from ._cache import Cache


#: Where a session keeps what waits for its commit.
_WAITING = "shelflife"


def invalidate_on_commit(cache: Cache, session: Any, what: dict[str, Any]) -> None:
    """See `Cache.invalidate_on_commit`."""
    inner = getattr(session, "sync_session", None)
    if inner is None and _loop.in_a_loop():
        raise RuntimeError(
            "the commit of a blocking Session would wait for the cache in an event loop's thread: use an AsyncSession"
        )
    target = session if inner is None else inner
    waiting: list[tuple[Cache, dict[str, Any]]] | None = target.info.get(_WAITING)
    if waiting is None:
        waiting = target.info[_WAITING] = []
        _listen(target, waiting, asynchronous=inner is not None)
    waiting.append((cache, what))


def _listen(target: Any, waiting: list[tuple[Cache, dict[str, Any]]], *, asynchronous: bool) -> None:
    from sqlalchemy import event
    from sqlalchemy.util import await_only

    def committed(of: Any) -> None:
        # Of a savepoint: the transaction may still be rolled back.
        if of.in_nested_transaction():
            return
        due, waiting[:] = list(waiting), []
        failures = []
        for cache, what in due:
            try:
                if asynchronous:
                    # The commit of an AsyncSession runs in a greenlet, which may await.
                    await_only(cache.invalidate(**what))
                else:
                    cache.sync.invalidate(**what)
            except Exception as error:
                # The database has committed: the others are due all the same.
                failures.append(error)
        if failures:
            raise failures[0]

    def rolled_back(of: Any) -> None:
        if not of.in_nested_transaction():
            waiting.clear()

    event.listen(target, "after_commit", committed)
    event.listen(target, "after_rollback", rolled_back)
