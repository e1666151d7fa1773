"""What a cache counts, as `cache.stats()` gives it: the same names as in Rust's `Stats` and in the metrics."""

from __future__ import annotations

from typing import TypedDict


#: The content type of what `cache.scrape()` and `cache.prometheus()` give.
METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Times(TypedDict):
    """How long something took, each time it happened: in seconds."""

    #: How often it happened.
    count: int
    #: How long it took in all.
    sum: float
    #: How long half of them took at most; `None` when it never happened.
    p50: float | None
    #: The same of nine in ten.
    p90: float | None
    #: The same of 99 in 100.
    p99: float | None


class StepStats(TypedDict):
    """How a step of the store went, each time it was asked for."""

    #: How long it took, failures included.
    time: Times
    #: Times there was no connection, or no answer in time.
    unavailable: int
    #: Times the store answered that it could not, or may not.
    refused: int


class Following(TypedDict):
    """How this process follows the log, and whether its L1 answers."""

    #: Whether the window is open: L1 answers.
    open: bool
    #: For how many seconds it has been closed now; 0 while it is open.
    closed_for: float
    #: For how many seconds it has been closed in all, the time before it first opened included.
    closed_total: float
    #: How often it has closed.
    closings: int
    #: How many seconds ago this process last knew that it had applied everything; `None` before the first time.
    lag: float | None
    #: Entries of the log that were applied.
    applied: int
    #: How often following began anew.
    resyncs: int


class NodeStats(TypedDict):
    """How a node of a shared store is doing, as this process is connected to it: its circuit breaker is open while no connection is up."""

    #: Where it is, without user and password.
    address: str
    #: How many connections there are to be; the tail's are not counted.
    connections: int
    #: How many of them are up.
    connections_up: int
    #: How often the last one that was up went down: from then on nobody waits for the node, until one is up again.
    times_down: int
    #: Requests that wait for its answer now.
    waiting: int


class Timings(TypedDict):
    """How long things took."""

    #: Loads; those that failed, too.
    loads: Times
    #: Fills: a loaded value encoded and stored, or refused.
    fills: Times
    #: Invalidations, until they were confirmed and applied here, or not.
    invalidations: Times
    #: Waits for leases that another process held.
    lease_waits: Times
    #: From an entry's being logged to its being applied here.
    log_delay: Times
    #: What a shared store was asked, by step; nothing with the embedded store.
    store: dict[str, StepStats]


class Stats(TypedDict):
    """Counts of this process's cache since it was opened, and what is there now where it says so."""

    #: Reads that this process's memory (L1) answered with a fresh value.
    l1_hits: int
    #: Reads that the store answered with a fresh value.
    l2_hits: int
    #: Reads that got a stale value.
    stale: int
    #: Of those, reads that L1 answered.
    l1_stale: int
    #: Reads that found no value.
    misses: int
    #: Of those, how many shared another caller's load.
    collapsed: int
    #: Loads begun.
    loads: int
    #: Loads that raised or took too long.
    load_failures: int
    #: Loads that were not begun because as many were under way as may be: a stale value was served, a refresh was dropped, or the read was refused.
    loads_shed: int
    #: Loads that are under way or about to be, of those that the setting `loads` bounds: now.
    loads_running: int
    #: Loads that wait until others have ended, of those that `loads_waiting` bounds: now.
    loads_waiting: int
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
    #: How many bytes L1 takes at most.
    l1_limit: int
    #: Entries that L1 dropped for want of room.
    l1_evictions: int
    #: Entries that L1 dropped because they were past their stale window.
    l1_expiries: int
    #: Keys that are being looked for or loaded: now.
    flights: int
    #: Values of plain sets that are being stored or wait for it: now.
    sets_waiting: int
    #: Loads under way: now.
    loading: int
    #: Leases held by loads of this process: now.
    leases_held: int
    #: Reads of this process that wait for leases of others: now.
    leases_awaited: int
    #: How often each reason other than `fresh` was given.
    reasons: dict[str, int]
    #: How this process follows the log.
    following: Following
    #: How long things took.
    timings: Timings
    #: How each node of a shared store is doing; empty with the embedded store.
    nodes: list[NodeStats]


def nothing_yet() -> Stats:
    """Of a cache that has not been opened."""
    never = Times(count=0, sum=0.0, p50=None, p90=None, p99=None)
    return Stats(
        l1_hits=0, l2_hits=0, stale=0, l1_stale=0, misses=0, collapsed=0, loads=0, load_failures=0, loads_shed=0, loads_running=0, loads_waiting=0, fills=0, fills_refused=0, invalidations=0,
        invalidations_failed=0, invalidations_retried=0, invalidations_reissued=0, unconfirmed=0, events_heard=0, events_dropped=0,
        handler_failures=0, store_errors=0, l1_entries=0, l1_bytes=0, l1_limit=0, l1_evictions=0, l1_expiries=0, flights=0, sets_waiting=0, loading=0,
        leases_held=0, leases_awaited=0, reasons={},
        following=Following(open=False, closed_for=0.0, closed_total=0.0, closings=0, lag=None, applied=0, resyncs=0),
        timings=Timings(loads=never, fills=never, invalidations=never, lease_waits=never, log_delay=never, store={}),
        nodes=[],
    )  # fmt: skip
