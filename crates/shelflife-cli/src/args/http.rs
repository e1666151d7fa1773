//! The arguments of what asks an API as its clients do.
//!
//! Must not: do I/O.

use std::path::PathBuf;

use clap::Args;

use super::StoreArgs;

/// Fill a cache by asking for what clients will ask for.
///
/// Sends a GET for each URL of a list, through the proxy or to the application that caches, and counts what the
/// cache says that it did (Cache-Status). Nothing is stored by hand: what may not be stored is not. Ctrl-C ends
/// it with the sum. Ends with 0 when every URL was answered, with 1 when some failed, with 2 when it was
/// interrupted or could not begin.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife warm paths.txt --base http://127.0.0.1:8080      one path or URL a line, # begins a comment
  shelflife warm --sitemap https://shop.example/sitemap.xml --base http://127.0.0.1:8080 --keep-host
  seq 1 1000 | shelflife warm --url 'http://127.0.0.1:8080/users/{}' --rate 50
  psql -Atc 'select id from users' | shelflife warm --url 'http://127.0.0.1:8080/users/{}' --resume done.txt
  shelflife warm paths.txt --base http://127.0.0.1:8080 -H 'Accept-Language: de' --json | jq .served

A response that differs by request fields (Vary) is stored for those that are sent here: give with -H what
clients send. A cache that keys by host needs the host that clients name: --keep-host.")]
pub(crate) struct WarmArgs {
    /// The list, one a line; stdin without it, or as `-`.
    #[arg(value_name = "FILE", conflicts_with = "sitemap")]
    pub(crate) list: Option<PathBuf>,

    /// A sitemap, as a URL or a file, also with gzip; an index brings the sitemaps that it names.
    #[arg(long, value_name = "URL|FILE", conflicts_with = "url")]
    pub(crate) sitemap: Option<String>,

    /// Lines are ids or keys: {} in this URL stands for each, percent-encoded.
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) url: Option<String>,

    /// Where requests are sent: needed for paths; of URLs it replaces scheme and host.
    #[arg(long, value_name = "URL")]
    pub(crate) base: Option<String>,

    /// With --base: name the host of each URL in the request, as its clients do.
    #[arg(long, requires = "base")]
    pub(crate) keep_host: bool,

    /// A field of each request; may be repeated.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// Requests under way at once.
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) concurrency: u16,

    /// Requests under way at one host [default: as --concurrency].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) per_host: Option<u16>,

    /// Requests a second, repeated ones included [default: as fast as they are answered].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: Option<u32>,

    /// How often a request is repeated that got no answer, 408, 429 or 5xx; after a growing pause, or Retry-After, 30 s at most.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) retries: u32,

    /// How long an answer may take, its content included.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) timeout: String,

    /// Note in this file what is done, and leave out what it notes.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,

    /// Print the sum as JSON, with the first 1,000 failures.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Measure what answers take under load: of a URL, of two in turns, or of the cache itself.
///
/// With a URL it sends GETs on connections that stay open. Without --rate each connection sends when it has its
/// answer (a closed loop: a server that stalls is asked less). With --rate so many requests a second are due,
/// answers or not, and each counts from when it was due: what waits is in the figures.
///
/// With --redis, and no URL, the cache's own steps are measured in a namespace of their own, which is removed
/// at the end; --namespace is passed over. Ends with 1 when requests failed or were answered with errors.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife bench http://127.0.0.1:8080/users/1
  shelflife bench http://127.0.0.1:8080/users/1 --rate 2000 --duration 30s
  shelflife bench http://127.0.0.1:9000/items --versus http://127.0.0.1:8080/items    the origin, and the proxy before it
  shelflife bench http://127.0.0.1:8080/items --without    where the origin can't be reached: through the cache, and past what it stores
  shelflife bench --redis redis://127.0.0.1:6379 --size 2048
  shelflife bench http://127.0.0.1:8080/users/1 --json | jq '.sides[0].latency_us'")]
pub(crate) struct BenchArgs {
    /// The URL, http or https.
    pub(crate) url: Option<String>,

    /// A second URL, loaded in turns with the first, a quarter of a second each.
    #[arg(long, value_name = "URL", requires = "url")]
    pub(crate) versus: Option<String>,

    /// The second side is the same URL, asked with Cache-Control: no-cache, so that a cache that heeds it asks the origin.
    #[arg(long, requires = "url", conflicts_with = "versus")]
    pub(crate) without: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Connections to each side; with --redis callers.
    #[arg(short, long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) connections: u16,

    /// How long each side is loaded.
    #[arg(short, long, value_name = "DURATION", default_value = "10s")]
    pub(crate) duration: String,

    /// How many requests each side is sent at most.
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) requests: u64,

    /// Requests a second that are due on each side, whether answers come or not.
    #[arg(long, value_name = "N", requires = "url", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,

    /// How long before that, without being counted.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(crate) warmup: String,

    /// After which time an answer counts as failed.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub(crate) timeout: String,

    /// A field of each request; may be repeated.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// With --redis: bytes of a value.
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=1_048_576))]
    pub(crate) size: u64,

    /// It is really meant, though it is not this machine.
    #[arg(long)]
    pub(crate) yes: bool,

    /// Draw with letters instead of blocks.
    #[arg(long)]
    pub(crate) ascii: bool,

    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Send a request, and say step by step why its answer may or may not be stored, and from where it was served.
///
/// Each rule is told with its clause. What the caches on the way did they tell themselves, in Cache-Status; it
/// is put into words. The request is sent twice, so only with methods that change nothing. Ends with 1 if the
/// answer may not be stored.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife explain http://127.0.0.1:8080/users
  shelflife explain http://127.0.0.1:8080/users/1 -H 'Authorization: Bearer x'
  shelflife explain https://api.example.com/items --policy application --once
  shelflife explain http://127.0.0.1:8080/users --json | jq '.steps[] | select(.refused)'")]
pub(crate) struct ExplainArgs {
    /// The URL, http or https.
    pub(crate) url: String,

    /// A field of the request; may be repeated.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// The method.
    #[arg(long, value_enum, default_value_t = SafeMethod::Get)]
    pub(crate) method: SafeMethod,

    /// By which rules: those of `shelflife proxy`, or the stricter ones of a layer inside an application.
    #[arg(long, value_enum, default_value_t = PolicyName::Proxy)]
    pub(crate) policy: PolicyName,

    /// Send it once only.
    #[arg(long)]
    pub(crate) once: bool,

    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A method that changes nothing.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum SafeMethod {
    /// GET
    Get,
    /// HEAD
    Head,
}

impl From<SafeMethod> for axum::http::Method {
    fn from(method: SafeMethod) -> Self {
        match method {
            SafeMethod::Get => Self::GET,
            SafeMethod::Head => Self::HEAD,
        }
    }
}

/// Which defaults.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum PolicyName {
    /// Those of the proxy: RFC 9111, client directives honoured.
    Proxy,
    /// Those of the layer: stricter towards clients, nothing guessed.
    Application,
}
