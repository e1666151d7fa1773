//! The arguments of what serves: the demo and the proxy.
//!
//! Must not: do I/O.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::StoreArgs;

/// Start a users API whose expensive reads are cached.
///
/// The data is a real SQLite file, made at the first start. The first GET of a profile costs real
/// queries over all orders, the second one comes from memory, and a PUT makes the old value unusable
/// at once. With --redis, several demos share what any one of them has computed.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife demo                                  the API on http://127.0.0.1:8080
  shelflife demo --tour                           a guided walk with measured times, then the end
  shelflife demo --redis redis://127.0.0.1:6379   share entries with other demos
  shelflife demo --ttl 5s --stale 20s             watch entries become stale, then dead
  shelflife demo --admin 127.0.0.1:9001           the page with the figures on http://127.0.0.1:9001")]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Where the API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Where the page is that shows what the cache does; port 0 takes a free one [default: 127.0.0.1:8081, or a
    /// free port when that is taken].
    ///
    /// Who is at this machine may see it, and invalidate. Elsewhere than on loopback it needs --admin-token.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,

    /// What the page asks for: at least 16 characters.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) admin_token: Option<String>,

    /// The SQLite file; made at the first start.
    #[arg(long, value_name = "PATH", default_value = "shelflife-demo.sqlite")]
    pub(crate) database: PathBuf,

    /// Walk through the API by itself, on a free port, print what each step took, and end.
    #[arg(long)]
    pub(crate) tour: bool,

    /// How long a cached answer is fresh, as 500ms, 30s, 5m.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) ttl: String,

    /// How much longer it may be served while it is refreshed, or while the database is gone.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub(crate) stale: String,

    /// Size of the made-up data: users. Counts only when the file is made.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) users: u32,

    /// Size of the made-up data: orders. Counts only when the file is made.
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(0..=50_000_000))]
    pub(crate) orders: u32,
}

/// Stand in front of an HTTP API and answer what may be answered from the cache.
///
/// Clients speak HTTP/1.1 or HTTP/2, also over TLS; the API is spoken to in HTTP/1.1. What is stored and how long
/// follows RFC 9111: nothing is without the response saying so, or a rule of the configuration. SIGHUP has
/// the configuration and the certificates read anew; SIGTERM and Ctrl-C let requests finish.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife proxy --listen 127.0.0.1:8080 --upstream http://127.0.0.1:9000
  shelflife proxy --upstream https://api.example.com --listen 0.0.0.0:8080 --redis redis://127.0.0.1:6379
  shelflife proxy --config proxy.toml     TLS, limits, rules, purging: every key is in docs/proxy.md
  RUST_LOG=shelflife_proxy::access=info shelflife proxy --config proxy.toml     with an access log")]
pub(crate) struct ProxyArgs {
    /// Where clients connect to; port 0 takes a free one. May be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<SocketAddr>,

    /// The API, as http://host:port or https://host.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,

    /// The configuration, in TOML; the other options replace what it says.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Threads that serve [default: as many as there are cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
