//! Arguments that can't be part of a key, and what a load can't own.

use shelflife::{Cache, cached};

struct Database {
    cache: Cache,
}

#[cached]
async fn unkeyed(database: std::sync::Arc<Database>, id: u32) -> u32 {
    let _ = database;
    id
}

#[cached(key = "{id}", cache = database.cache)]
async fn not_clone(database: &Database, id: u32) -> u32 {
    let _ = database;
    id
}

impl Database {
    #[cached(key = "{id}", cache = self.cache)]
    async fn self_not_clone(&self, id: u32) -> u32 {
        id
    }
}

struct Borrows<'a>(&'a str);

#[cached(key = "{name.0}")]
async fn borrows(name: Borrows<'_>) -> u32 {
    let _ = name.0;
    0
}

#[cached(key = "a", cache = id)]
async fn not_a_cache(id: u32) -> u32 {
    id
}

#[cached(key = "{id}", condition = id)]
async fn not_a_condition(id: u32) -> u32 {
    id
}

#[cached(key = "{id}", ttl = id)]
async fn not_a_duration(id: u32) -> u32 {
    id
}

fn main() {}
