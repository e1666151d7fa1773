//! Placeholders that name nothing, and keys that would not tell arguments apart.

use shelflife::cached;

#[cached(key = "user:{idd}")]
async fn misspelt(id: u32, name: &str) -> u32 {
    let _ = name;
    id
}

#[cached(key = "user:{id}", tags = ["users", "user:{user.id}"])]
async fn in_a_tag(id: u32) -> u32 {
    id
}

#[cached(key = "user:{self.id}")]
async fn no_self(id: u32) -> u32 {
    id
}

#[cached(key = "page:{M}")]
async fn no_such_constant<const N: usize>() -> usize {
    N
}

#[cached(key = "user:{id:04}")]
async fn format_spec(id: u32) -> u32 {
    id
}

#[cached(key = "user:{}")]
async fn empty(id: u32) -> u32 {
    id
}

#[cached(key = "user:{id")]
async fn open(id: u32) -> u32 {
    id
}

#[cached(key = "user:{id}-{name}")]
async fn run_together(id: String, name: String) -> u32 {
    let _ = (id, name);
    0
}

fn main() {}
