//! Expansions are clean under the strictest lints, and private companions may stay unused.

#![deny(warnings, missing_docs, unused, clippy::all, clippy::pedantic, rust_2018_idioms)]

use shelflife::{Cache, cached};

/// The users.
#[derive(Clone)]
pub struct Users {
    cache: Cache,
}

impl Users {
    /// Finds one.
    #[cached(key = "{id}", cache = self.cache, condition = id > 0, ttl = 60, tags = ["a", "b:{id}"])]
    pub async fn find(&self, id: u64, name: &str) -> Result<Option<String>, shelflife::Error> {
        Ok((id > 1).then(|| name.to_owned()))
    }
}

#[cached(skip(name), jitter = 0.1, cache_err = "1s")]
async fn silent(mut id: u64, name: Option<&str>) -> Result<u64, Kept> {
    id += name.map_or(0, str::len) as u64;
    Ok(id)
}

/// An error that can be stored.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Kept;

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("kept")
    }
}

impl From<shelflife::Error> for Kept {
    fn from(_: shelflife::Error) -> Self {
        Self
    }
}

fn main() {
    drop(silent(1, None));
}
