//! The command line: every flag is defined once, here, with the help that teaches it.
//!
//! Must not: do I/O. Parsing yields plain values; the rooms decide what they mean.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

/// A cache for web APIs: try it, look into it, invalidate it.
#[derive(Debug, Parser)]
#[command(
    name = "shelflife",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Get(GetArgs),
    Ls(LsArgs),
    Invalidate(InvalidateArgs),
    Watch(WatchArgs),
    Members(MembersArgs),
    Audit(AuditArgs),
    Doctor(DoctorArgs),
    Stats(StatsArgs),
    Top(TopArgs),
    Warm(WarmArgs),
    Bench(BenchArgs),
    Explain(ExplainArgs),
    Proxy(ProxyArgs),
}

/// Which store: one group of options for every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    /// Redis or Valkey, as redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://.
    ///
    /// Without it: SHELFLIFE_URL, else REDIS_URL.
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,

    /// Keeps several applications apart on one server [default: SHELFLIFE_NAMESPACE, else "default"].
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

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

/// Show what is stored under a key: its state and why, its tags, its ages, its value.
///
/// Nothing is loaded, and nothing is changed. Ends with 1 when nothing usable is stored.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife get user:1 --redis redis://127.0.0.1:6379
  shelflife get user:1 --json | jq .value")]
pub(crate) struct GetArgs {
    /// The key as the application names it, or as `ls` prints it, without the server's prefix.
    pub(crate) key: String,

    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// List the stored keys of a namespace.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife ls                     every key
  shelflife ls 'user:*'            the keys that begin with user:
  shelflife ls 'users:page:[12]'   a glob: * ? [ab] and \\ to escape")]
pub(crate) struct LsArgs {
    /// A glob over keys; quote it, or the shell will expand it.
    #[arg(default_value = "*")]
    pub(crate) pattern: String,

    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// Make entries unusable, for every process that shares the store.
///
/// Loads that are in flight are covered: what they bring back is not used. The kinds may be mixed and
/// repeated; all of them happen at one moment.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife invalidate --key user:1
  shelflife invalidate --tag user:1 --tag users
  shelflife invalidate --pattern 'users:*'
  shelflife invalidate --tag users --soft   old values may be served while new ones load
  shelflife invalidate --tag users --everywhere   returns when every process has applied it
  shelflife invalidate --all")]
#[group(skip)]
pub(crate) struct InvalidateArgs {
    #[command(flatten)]
    pub(crate) what: WhatArgs,

    /// Make them stale instead of dead: still served, within their stale window, while they load anew.
    ///
    /// A glob that needs a scan, any other than `level:*`, removes what it matches all the same.
    #[arg(long)]
    pub(crate) soft: bool,

    /// Wait until every process that follows the namespace has applied it: at the latest when the window
    /// of one that is silent has closed, 1 s by default.
    #[arg(long)]
    pub(crate) everywhere: bool,

    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// What to invalidate; at least one.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct WhatArgs {
    /// One key, as the application names it or as `ls` prints it; may be repeated.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,

    /// Every entry that carries this tag; may be repeated.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,

    /// Every key that matches this glob; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) pattern: Vec<String>,

    /// Everything in the namespace.
    #[arg(long)]
    pub(crate) all: bool,
}

/// Show invalidations and events as they happen: who, what, when, and who has applied them.
///
/// Each line is an entry of the log: the server's time (UTC), what was invalidated, by which member, and
/// how many of the processes that follow the log have applied it. Where that takes longer, a second line
/// tells when all have. Watching changes nothing: this command is no member, nobody waits for it. When
/// the server goes away it says so, and goes on when it is back. Ctrl-C ends it.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife watch                          what happens from now on
  shelflife watch --since 5m               and what happened in the last five minutes
  shelflife watch --key users:42           what makes users:42 unusable: by key, level, glob, or all
  shelflife watch --tag user:42 --limit 1  wait for the next invalidation of a tag, then end
  shelflife watch --json | jq -c 'select(.type == \"entry\") | {at, origin, tags}'

Lines with --json, by `type`: `entry`, with `applied.by` of `applied.of` processes when it was printed;
`applied`, when all have applied an entry that not all had; `gap`, when entries are missing between two
others; `lost` and `back`, when the server goes away and comes again.")]
pub(crate) struct WatchArgs {
    /// Begin this long ago, as 30s, 5m, 2h; the log keeps about the last 16,000 entries.
    #[arg(long, value_name = "DURATION")]
    pub(crate) since: Option<String>,

    /// End after so many entries.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Only what names this key: itself, its level, a glob that it matches, or everything. Repeatable.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,

    /// Only what names this tag. Repeatable.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,

    /// Only events of this name. Repeatable; of several filters one suffices.
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Vec<String>,

    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// List the processes that follow the namespace, and how far each has applied its invalidations.
///
/// A process whose last beat is older than its Δ has closed its window: its memory answers nothing until
/// it has caught up, so it serves nothing old, and nobody waits for it.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife members --redis redis://127.0.0.1:6379
  shelflife members --watch            again every second, until Ctrl-C
  shelflife members --watch 200ms
  shelflife members --json | jq '.[] | select(.window_open)'

`lag` is how much older than the newest invalidation the last one is that the process has applied.")]
pub(crate) struct MembersArgs {
    /// Look again and again, every so often; with --json one array a line.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "1s")]
    pub(crate) watch: Option<String>,

    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// Check in production that no tier serves what has been invalidated.
///
/// Runs beside the application, as one more process of the namespace: it follows the log and has a memory
/// of its own. Key by key it compares what a strict read gives with what its memory (l1), and the store
/// as judged without asking the primary (l2), would have answered just after. Every disagreement is told
/// with the entries of the log that explain it:
///
///   within     the invalidation is younger than Δ (the setting `window`): allowed
///   violation  it is older: the promise is broken, which is a bug; please report it
///   foreign    somebody changed or deleted something past the protocol (redis-cli DEL, eviction)
///
/// It also tells what is stored in bad order: records that can't be read, tags that are missing, what
/// never expires. Nothing is changed, values are not decoded. Ends with 1 if there was a violation.
#[derive(Clone, Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  shelflife audit                           until Ctrl-C
  shelflife audit --for 10m --rate 500      ten minutes, 500 looks a second
  shelflife audit --keys 'users:*' --once   each key that matches, twice, then the end
  shelflife audit --for 1h --json | jq -c 'select(.class == \"violation\")'

Lines with --json, by `type`: `disagreement` (with `class`, `cause`, `history`), `fault`, `round` when every
key has been looked at, `lost` and `back` for the server, and a `summary` at the end."
)]
pub(crate) struct AuditArgs {
    /// End after this long, as 30s, 10m, 2h.
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<String>,

    /// End when every key has been looked at, and those that are kept in memory once more.
    #[arg(long)]
    pub(crate) once: bool,

    /// Looks a second. A look at a key costs the server about six small commands and two reads of the value.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,

    /// Only keys that match this glob; quote it, or the shell will expand it.
    #[arg(long, value_name = "GLOB", default_value = "*")]
    pub(crate) keys: String,

    /// How many keys to keep in memory and look at again and again.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) keep: u32,

    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// Check a server and a namespace for what bites a cache, and say how to mend it.
///
/// Asks the server about memory, eviction, persistence, replicas, rights, encryption, latency, slow commands
/// and connections; looks at names, a page at a time, for what never expires, can't be read, is too large or
/// too many. Nothing is written. What may not be asked is told as `unchecked`, with the reason.
///
/// Each finding comes with its consequence and the lines for a shell that mend it. Ends with 0 when nothing is
/// as bad as --fail-on, with 1 when something is, with 2 when the server could not be checked.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife doctor --redis redis://127.0.0.1:6379
  shelflife doctor --fail-on error --ignore snapshots     for CI
  shelflife doctor --names all --rate 2000                every name, gently
  shelflife doctor --json | jq -r '.findings[] | select(.severity == \"warning\").mend[]'

The lines use redis-cli, which takes a password from REDISCLI_AUTH. What CONFIG SET and ACL SETUSER change lasts
until the server starts anew: `CONFIG REWRITE` and `ACL SAVE` keep it.")]
pub(crate) struct DoctorArgs {
    /// From which severity on it ends with 1.
    #[arg(long, value_enum, default_value_t = FailOn::Warning, value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,

    /// Leave out a check, by its name; may be repeated.
    #[arg(long, value_name = "CHECK", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(shelflife::Diagnosis::CHECKS))]
    pub(crate) ignore: Vec<String>,

    /// How many names to pass at most, or `all`.
    #[arg(long, value_name = "N|all", default_value = "200000", value_parser = most)]
    pub(crate) names: u64,

    /// Names a second; each one of the namespace costs the server four small commands.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rate: u32,

    /// How many pings to measure, one after the other.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) pings: u32,

    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// How bad a finding must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FailOn {
    /// Anything at all.
    Info,
    /// What could not be checked, or worse.
    Unchecked,
    /// What costs, or will.
    Warning,
    /// What breaks something now, or at the next incident.
    Error,
    /// Nothing.
    Never,
}

/// A number, or `all`.
fn most(text: &str) -> Result<u64, String> {
    match text {
        "all" => Ok(u64::MAX),
        _ => text
            .parse()
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| "expected a number from 1 on, or all".to_owned()),
    }
}

/// Show what the store holds, and how the server is doing.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife stats --redis redis://127.0.0.1:6379
  shelflife stats --json | jq")]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// Show live what a cache does: reads by tier, times, what is hot, the log, processes, the server.
///
/// With --url it asks the page of a running process (its JSON API), whose own figures these are. With --redis it
/// looks at the store: the log, the processes and the server, which no single process's figures are part of.
/// Without either: SHELFLIFE_URL or REDIS_URL, else the demo's page on http://127.0.0.1:8081/_shelflife.
///
/// Keys: q ends, p pauses, Tab and arrows turn to another view and scroll, ? helps.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife top                                            the demo on this machine
  shelflife top --url http://127.0.0.1:8080/_shelflife --token-file token
  shelflife top --redis redis://127.0.0.1:6379
  shelflife top --once                                     one frame as text, for a script or a bug report
  shelflife top --json | jq -c '{hit_ratio, reads: .rates.reads}'")]
pub(crate) struct TopArgs {
    /// Where the page of a process is.
    #[arg(long, value_name = "URL", conflicts_with = "redis")]
    pub(crate) url: Option<String>,

    /// What the page asks for. Others on this machine can read it here: see --token-file.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// A file that holds the token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Between two looks.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(crate) every: String,

    /// Print one frame as text, after two looks, and end.
    #[arg(long)]
    pub(crate) once: bool,

    /// Print a JSON document at each look; with --once a single one.
    #[arg(long)]
    pub(crate) json: bool,
}

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

    /// A sitemap, as a URL or a file; an index brings the sitemaps that it names.
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

    /// How often a request is repeated that got no answer, 408, 429 or 5xx; after a growing pause, or Retry-After.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) retries: u32,

    /// How long an answer may take, its content included.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) timeout: String,

    /// Note in this file what is done, and leave out what it notes.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,

    /// Print the sum as JSON.
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
/// at the end. Ends with 1 when requests failed or were answered with errors.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife bench http://127.0.0.1:8080/users/1
  shelflife bench http://127.0.0.1:8080/users/1 --rate 2000 --duration 30s
  shelflife bench http://127.0.0.1:9000/items --versus http://127.0.0.1:8080/items    the origin, and the proxy before it
  shelflife bench --redis redis://127.0.0.1:6379 --size 2048
  shelflife bench http://127.0.0.1:8080/users/1 --json | jq '.sides[0].latency_us'")]
pub(crate) struct BenchArgs {
    /// The URL, http or https.
    pub(crate) url: Option<String>,

    /// A second URL, loaded in turns with the first, a quarter of a second each.
    #[arg(long, value_name = "URL", requires = "url")]
    pub(crate) versus: Option<String>,

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

/// What every operator command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct OperatorArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Print JSON: one document, or one a line where there are many.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn invalidate_without_a_target_is_refused() {
        assert!(Cli::try_parse_from(["shelflife", "invalidate", "--soft"]).is_err());
    }

    #[test]
    fn invalidate_takes_several_kinds_at_once() {
        let line = [
            "shelflife",
            "invalidate",
            "--key",
            "a",
            "--tag",
            "b",
            "--tag",
            "c",
            "--soft",
        ];
        let Ok(Cli {
            command: Command::Invalidate(args),
        }) = Cli::try_parse_from(line)
        else {
            panic!("this line must parse as invalidate");
        };
        assert_eq!(args.what.key, ["a"]);
        assert_eq!(args.what.tag, ["b", "c"]);
        assert!(args.soft);
    }
}
