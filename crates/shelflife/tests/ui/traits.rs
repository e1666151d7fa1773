//! In a trait there is no place for companions.

use shelflife::cached;

trait Users {
    #[cached(key = "{id}")]
    async fn user(&self, id: u32) -> u32;
}

#[derive(Clone)]
struct Stored;

impl Users for Stored {
    #[cached(key = "{id}")]
    async fn user(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
