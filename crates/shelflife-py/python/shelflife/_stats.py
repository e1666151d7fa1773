"""What a cache counts, as `cache.stats()` gives it: the same names as in Rust's `Stats` and in the metrics."""

from __future__ import annotations

from typing import TypedDict


class Stats(TypedDict):
    """Counts of this process's cache since it was opened, and what is there now where it says so."""

    #: Reads that this process's memory (L1) answered with a fresh value.
    l1_hits: int
    #: Reads that the store answered with a fresh value.
    l2_hits: int
    #: Reads that got a stale value.
    stale: int
    #: Reads that found no value.
    misses: int
    #: Of those, how many shared another caller's load.
    collapsed: int
    #: Loads begun.
    loads: int
    #: Loads that raised or took too long.
    load_failures: int
    #: Values stored.
    fills: int
    #: Values that were loaded but not stored.
    fills_refused: int
    #: Invalidations confirmed.
    invalidations: int
    #: Invalidations that could not be confirmed.
    invalidations_failed: int
    #: Of those, how often one was confirmed in the background later.
    invalidations_retried: int
    #: Invalidations carried out again because another primary took over.
    invalidations_reissued: int
    #: Names that wait to be confirmed as invalidated, and events as logged: now.
    unconfirmed: int
    #: Events of other processes whose handlers have run here.
    events_heard: int
    #: How often events of other processes may have been lost before it was their turn.
    events_dropped: int
    #: Handlers that raised or took too long.
    handler_failures: int
    #: Times the store failed to answer.
    store_errors: int
    #: Entries in L1: now.
    l1_entries: int
    #: Bytes in L1, by the weights that bound it: now.
    l1_bytes: int
    #: Loads under way: now.
    flights: int
    #: How often each reason other than `fresh` was given.
    reasons: dict[str, int]


def nothing_yet() -> Stats:
    """Of a cache that has not been opened."""
    return Stats(
        l1_hits=0, l2_hits=0, stale=0, misses=0, collapsed=0, loads=0, load_failures=0, fills=0, fills_refused=0, invalidations=0,
        invalidations_failed=0, invalidations_retried=0, invalidations_reissued=0, unconfirmed=0, events_heard=0, events_dropped=0,
        handler_failures=0, store_errors=0, l1_entries=0, l1_bytes=0, flights=0, reasons={},
    )  # fmt: skip
