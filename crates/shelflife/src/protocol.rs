//! The pure rooms of the protocol, for the model: it explores this code, not a copy.
//!
//! Not part of the public interface; nothing here is kept stable. Must not: hold code of its own.

pub use crate::clock::Moment;
pub use crate::follow::{BeatSeen, Follower, Next, Verdict};
pub use crate::key::all_tags;
pub use crate::memory::Memory;
pub use crate::validity::{Floor, Meta, TagRecord, Touched, Validity, good_for, validity};
