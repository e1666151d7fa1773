//! Several processes at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chaos;
mod foreign;
mod paused;
mod processes;

use std::time::Duration;

/// For whatever should happen at once on a quick machine.
const SOON: Duration = Duration::from_secs(30);
