//! Settings that don't exist, contradict each other or hold the wrong thing.

use shelflife::cached;

#[cached(tll = "5m")]
async fn unknown() -> u32 {
    0
}

#[cached(ttl = "5m", ttl = "6m")]
async fn twice() -> u32 {
    0
}

#[cached(ttl = "5 minutes")]
async fn bad_duration() -> u32 {
    0
}

#[cached(stale = true)]
async fn no_duration() -> u32 {
    0
}

#[cached(ttl)]
async fn no_value() -> u32 {
    0
}

#[cached(jitter = 10)]
async fn too_much() -> u32 {
    0
}

#[cached(key = id)]
async fn key_without_quotes(id: u32) -> u32 {
    id
}

#[cached(tags = "users")]
async fn one_tag() -> u32 {
    0
}

#[cached(skip(data_base))]
async fn skips_what_is_not_there(database: u32) -> u32 {
    database
}

#[cached(key = "a", skip(database))]
async fn skips_beside_a_key(database: u32) -> u32 {
    database
}

#[cached(cache_err = "1s", stale_on_error = true)]
async fn contradicts_itself() -> Result<u32, String> {
    Ok(0)
}

fn main() {}
