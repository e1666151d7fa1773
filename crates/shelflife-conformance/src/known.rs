//! Required cases that a cache cannot be expected to pass, each with the reason.

/// A required case whose failure says nothing against the cache.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The case.
    pub id: &'static str,
    /// Why it may fail.
    pub why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        id: "headers-store-Set-Cookie",
        why: "a stored cookie is one client's session, given to all others: RFC 9111 §7.3 warns of it, and a cache \
              that keeps users apart does not store the field",
    },
    Known {
        id: "headers-store-Transfer-Encoding",
        why: "the origin's answer has a transfer coding that does not exist, so that nobody knows what its bytes mean: \
              to refuse it, as many do, is no worse than to pass on what follows as if it were the content",
    },
];

/// The entry for that case, if there is one.
#[must_use]
pub fn known(id: &str) -> Option<Known> {
    KNOWN.iter().find(|known| known.id == id).copied()
}
