//! Ports for servers that may go away and come back.
//!
//! A server under test is killed and restarted on the same port while its clients keep trying to
//! connect. A port from the system's ephemeral range (`bind` to port 0) is not safe for that: while
//! the server is down, an outgoing connection can be given the port as its own source, even by
//! connecting to itself, and the restart then finds it taken. So ports come from below that range.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Above the well-known services, below the ephemeral ranges of Linux (32768) and macOS (49152).
const RANGE: std::ops::Range<u16> = 10_000..32_000;

const ATTEMPTS: usize = 200;

/// Listens on a random free port of 127.0.0.1. Dropping the listener leaves a port to hand on.
pub(crate) fn listen() -> TcpListener {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match listen_on(random_port()) {
            Ok(listener) => return listener,
            Err(error) => last = Some(error),
        }
    }
    panic!("no free port found on 127.0.0.1 in {ATTEMPTS} attempts: {last:?}");
}

/// Listens on one given port of 127.0.0.1.
pub(crate) fn listen_on(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

/// A port that was free a moment ago. Whoever takes it must expect to lose the race.
///
/// # Panics
///
/// When none is found.
pub fn free_port() -> u16 {
    let address = listen().local_addr();
    address
        .unwrap_or_else(|error| panic!("a bound socket has no address: {error}"))
        .port()
}

fn random_port() -> u16 {
    let width = u64::from(RANGE.end - RANGE.start);
    // A new `RandomState` has new keys, which is all the randomness needed.
    let offset = RandomState::new().hash_one(std::process::id()) % width;
    RANGE.start + u16::try_from(offset).unwrap_or_default()
}
