//! Required cases that a cache cannot be expected to pass, each with the reason.

/// A required case whose failure says nothing against the cache.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The case.
    pub id: &'static str,
    /// Why it may fail.
    pub why: &'static str,
}

const KNOWN: &[Known] = &[Known {
    id: "headers-store-Set-Cookie",
    why: "a stored cookie is one client's session, given to all others: RFC 9111 §7.3 warns of it, and a cache \
          that keeps users apart does not store the field",
}];

/// The entry for that case, if there is one.
#[must_use]
pub fn known(id: &str) -> Option<Known> {
    KNOWN.iter().find(|known| known.id == id).copied()
}
