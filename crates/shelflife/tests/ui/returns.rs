//! Return types that can't be cached, or have no room for what is asked of them.

use serde::{Deserialize, Serialize};
use shelflife::cached;

#[derive(Serialize, Deserialize)]
struct NotClone;

#[cached]
async fn not_clone() -> NotClone {
    NotClone
}

#[derive(Serialize, Deserialize)]
struct Unfit;

#[cached]
async fn unfit_error() -> Result<u32, Unfit> {
    Ok(0)
}

#[cached(hard_timeout = "1s")]
async fn no_room() -> u32 {
    0
}

#[cached(cache_err = "1s")]
async fn no_error() -> u32 {
    0
}

fn main() {}
