//! Reasons: every "no" of the cache, and every qualified "yes", has a name.
//!
//! A reason is a decision, not an error. It goes into `Cache-Status`, logs, counters and answers of
//! the operator commands, under the same word.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why a read, a fill or a hand-over went as it did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason's word, the same everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

reasons! {
    /// The entry is within its time to live and nothing has invalidated it.
    Fresh = "fresh",
    /// Past its fresh time, within its stale window.
    PastFresh = "past_fresh",
    /// A soft invalidation named it: it may be served once more while a refresh runs.
    SoftInvalidated = "soft_invalidated",
    /// Its load failed; a stale value was served, if there was one.
    LoadFailed = "load_failed",
    /// Served stale because a load failed a moment ago, and loads are throttled.
    LoadThrottled = "load_throttled",
    /// Served stale because the load is slower than the soft timeout; it goes on.
    LoadSlow = "load_slow",
    /// As many loads are under way in this process as may be: a stale value was served, if there was one.
    Overloaded = "overloaded",
    /// Served stale because another process holds the lease.
    LeaseHeld = "lease_held",
    /// There is no entry.
    Absent = "absent",
    /// There is no value yet: somebody holds the lease.
    Loading = "loading",
    /// Past its stale window.
    PastStale = "past_stale",
    /// One of its tags was invalidated after its load began.
    TagNewer = "tag_newer",
    /// The record of one of its tags is missing: nothing is known, so it is dead.
    TagMissing = "tag_missing",
    /// It belongs to an earlier life of the bookkeeping.
    OtherIncarnation = "other_incarnation",
    /// An invalidation that this process knows of came between.
    Touched = "touched",
    /// The record holds another key (a digest or a foreign writer).
    WrongKey = "wrong_key",
    /// The record is of another wire version.
    WrongVersion = "wrong_version",
    /// The value was stored under another schema.
    WrongSchema = "wrong_schema",
    /// The key in Redis holds something other than a string.
    WrongType = "wrong_type",
    /// The bytes don't parse, or their checksum doesn't hold.
    Malformed = "malformed",
    /// The payload is of a codec or compression that this version doesn't know.
    UnknownCodec = "unknown_codec",
    /// The payload doesn't decode to the wanted type.
    Undecodable = "undecodable",
    /// The store did not answer in time, or is known to be down.
    StoreUnavailable = "store_unavailable",
    /// The caller asked for a load whatever is stored.
    RefreshAsked = "refresh_asked",
    /// The loader asked for its value not to be stored.
    NoStore = "no_store",
    /// Not stored: the lease was lost to another, or voided by an invalidation.
    LeaseLost = "lease_lost",
    /// Not stored: an invalidation came after the load began.
    Overtaken = "overtaken",
    /// Not stored: an invalidation came so shortly before the load that a lagging source may not know
    /// of it (`settle`).
    Settling = "settling",
    /// Not stored: the value could not be encoded.
    Unencodable = "unencodable",
    /// Not stored: the value is over the size limit.
    TooLarge = "too_large",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct() {
        let words: std::collections::HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
