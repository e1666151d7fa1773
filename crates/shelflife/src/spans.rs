//! Spans, for whoever traces: `load`, `fill`, `invalidate` and `store`, all in the target `shelflife` at level debug.
//! Their fields are words of this crate; the key stands there only where level trace is on; values never do.
//! A hit in L1 has none.
//!
//! Work that outlives its caller goes on in the span of its caller.
//!
//! Must not: cost more than a look at a flag when nobody listens.

use std::fmt::Display;

use tracing::field::{Empty, display};
use tracing::{Level, Span, debug_span, enabled};

use crate::counters::Step;
use crate::invalidation::Invalidation;

/// A load of one key, or of several together.
pub(crate) fn load(key: &str, keys: usize) -> Span {
    let span = debug_span!(target: "shelflife", "load", keys, outcome = Empty, key = Empty);
    name(&span, key);
    span
}

/// A loaded value on its way into the store.
pub(crate) fn fill(key: &str) -> Span {
    let span = debug_span!(target: "shelflife", "fill", outcome = Empty, key = Empty);
    name(&span, key);
    span
}

/// An invalidation: how many names of which kind.
pub(crate) fn invalidate(what: &Invalidation, event: bool) -> Span {
    debug_span!(
        target: "shelflife",
        "invalidate",
        keys = what.keys.len(),
        tags = what.tags.len(),
        patterns = what.patterns.len(),
        soft = what.soft,
        event,
        outcome = Empty,
    )
}

/// A step of the store.
pub(crate) fn store(step: Step) -> Span {
    debug_span!(target: "shelflife", "store", step = step.as_str(), outcome = Empty)
}

/// Says how it went.
pub(crate) fn ended(span: &Span, outcome: impl Display) {
    span.record("outcome", display(outcome));
}

fn name(span: &Span, key: &str) {
    if enabled!(target: "shelflife", Level::TRACE) {
        span.record("key", key);
    }
}
