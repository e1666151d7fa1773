//! `shelflife bench`: load, and what it does to the time that answers take.
//!
//! ```text
//!   bench URL                 (http)   closed loop, or --rate: an open one
//!   bench URL --versus URL    (http)   two sides in turns, a slice of time each
//!   bench URL --without       (http)   the same URL, and past what a cache stores
//!   bench --redis URL         (store)  the cache itself: L1, L2, a load, an invalidation, beside a bare GET
//! ```
//!
//! With `--rate` a request counts from when it was due, not from when a connection was free for it: what waits
//! is not left out of the figures.
//!
//! Must not: load another machine without being told so twice.

mod connection;
mod http;
mod plot;
mod side;
mod store;
mod told;

use std::net::ToSocketAddrs;

use crate::args::BenchArgs;
use crate::failure::Failure;

pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    match &args.url {
        Some(url) => http::run(url, &args).await,
        None => store::run(&args).await,
    }
}

/// Refuses what is not on this machine, unless it is really meant.
fn may_load(host: &str, port: u16, yes: bool) -> Result<(), Failure> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| Failure::new(format!("cannot find {host}: {error}")))?;
    let away = found
        .map(|address| address.ip())
        .find(|ip| !ip.is_loopback());
    match away {
        Some(ip) if !yes => Err(Failure::new(format!(
            "{host} ({ip}) is not this machine: a bench takes all that a server has to give"
        ))
        .hint("if it serves nobody else, say so with --yes")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_has_to_be_meant() {
        assert!(may_load("127.0.0.1", 80, false).is_ok());
        assert!(may_load("[::1]", 80, false).is_ok());
        let told = may_load("192.0.2.1", 80, false).unwrap_err().to_string();
        assert!(told.contains("--yes"), "{told}");
        assert!(may_load("192.0.2.1", 80, true).is_ok());
    }
}
