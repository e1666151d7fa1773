//! Without an installed cache functions run as if they were not cached.

use shelflife::cached;
use std::sync::atomic::{AtomicU32, Ordering};

static LOADS: AtomicU32 = AtomicU32::new(0);

#[cached(ttl = "5m")]
async fn load() -> u32 {
    LOADS.fetch_add(1, Ordering::SeqCst) + 1
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(load().await, 1);
    assert_eq!(load().await, 2);
    assert_eq!(load_refresh().await, 3);
    assert_eq!(load_peek().await, None);
    assert!(load_invalidate().await.is_err());
}
