//! What is cached: users of two sizes, under keys as an API would have them.

use serde::{Deserialize, Serialize};
use shelflife::Tag;

/// How many entries the speeds are measured over.
pub(crate) const USERS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    name: String,
    email: String,
    city: String,
    about: String,
    orders: u32,
    spent_cents: u64,
}

impl User {
    /// About 200 bytes of JSON.
    pub(crate) fn small(id: usize) -> Self {
        Self::with_about(id, 48)
    }

    /// About 1.8 KB of JSON.
    pub(crate) fn large(id: usize) -> Self {
        Self::with_about(id, 1_650)
    }

    fn with_about(id: usize, length: usize) -> Self {
        let words = "likes long walks, short queries and warm caches; ";
        Self {
            id: id as u64,
            name: format!("Ada Lovelace the {id}th"),
            email: format!("ada.{id}@example.org"),
            city: "London".into(),
            about: words.chars().cycle().skip(id % 40).take(length).collect(),
            orders: 17,
            spent_cents: 123_456,
        }
    }
}

pub(crate) fn key(id: usize) -> String {
    format!("users:{id}")
}

/// The tag of one user, beside the implicit ones.
pub(crate) fn tag(id: usize) -> Tag {
    Tag::from(format!("user:{id}"))
}

/// All users' ids in an order that no prefetcher guesses; the same for all contenders of one seed.
pub(crate) fn shuffled(seed: u64) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..USERS).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut ids);
    ids
}
