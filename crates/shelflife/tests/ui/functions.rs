//! Functions that can't be cached whatever the settings say.

use shelflife::cached;

#[cached]
fn not_async() -> u32 {
    0
}

#[cached]
async fn nothing() {}

#[cached]
async fn opaque() -> impl Copy {
    0
}

#[cached]
async fn borrowed(name: &str) -> &str {
    name
}

#[cached]
async fn unique(list: &mut Vec<u32>) -> u32 {
    list.remove(0)
}

#[cached]
async fn pattern((a, b): (u32, u32)) -> u32 {
    a + b
}

#[cached]
async fn unkeyed_type<T: Default>(id: u32) -> T {
    let _ = id;
    T::default()
}

struct Users;

impl Users {
    #[cached]
    async fn without_a_key(&self, id: u32) -> u32 {
        id
    }

    #[cached(key = "a")]
    async fn exclusive(&mut self) -> u32 {
        0
    }

    #[cached(key = "a")]
    async fn made() -> Option<Self> {
        None
    }
}

#[cached]
struct NotAFunction;

fn main() {}
