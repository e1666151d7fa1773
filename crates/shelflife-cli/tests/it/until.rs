//! A wait for what nobody tells: it is looked at until it is so, and not for ever.

use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
