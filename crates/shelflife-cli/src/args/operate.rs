//! The arguments of what looks into a cache and invalidates.
//!
//! Must not: do I/O.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{OperatorArgs, StoreArgs};

/// Show what is stored under a key: its state and why, its tags, its ages, its value.
///
/// Nothing is loaded, and nothing is changed. Ends with 1 when nothing usable is stored.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife get user:1 --redis redis://127.0.0.1:6379
  shelflife get user:1 --json | jq .value")]
pub(crate) struct GetArgs {
    /// The key as the application names it, or as `ls` prints it, without the server's prefix; behind `--` if it
    /// begins with a hyphen.
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
    /// A glob over keys; quote it, or the shell will expand it. Behind `--` if it begins with a hyphen.
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
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: Vec<String>,

    /// Every entry that carries this tag; may be repeated.
    #[arg(long, value_name = "TAG", allow_hyphen_values = true)]
    pub(crate) tag: Vec<String>,

    /// Every key that matches this glob; may be repeated.
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
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
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: Vec<String>,

    /// Only what names this tag. Repeatable.
    #[arg(long, value_name = "TAG", allow_hyphen_values = true)]
    pub(crate) tag: Vec<String>,

    /// Only events of this name. Repeatable; of several filters one suffices.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
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

    /// Looks a second. A look at a key is up to five commands, two of which read its value; a look at names is a
    /// `SCAN` with `COUNT 100`, and two small commands for each tag on the page.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,

    /// Only keys that match this glob; quote it, or the shell will expand it.
    #[arg(
        long,
        value_name = "GLOB",
        default_value = "*",
        allow_hyphen_values = true
    )]
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
  shelflife doctor --url http://127.0.0.1:8080/_shelflife     and what a process reads most, by its page
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

    /// The page of a process, which is asked for its namespace, what it reads most, and what takes most of its memory.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// A file that holds the token that the page asks for.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) token_file: Option<PathBuf>,

    /// How many names to pass at most, or `all`.
    #[arg(long, value_name = "N|all", default_value = "200000", value_parser = most)]
    pub(crate) names: u64,

    /// Names a second; each one of the namespace costs the server up to four small commands.
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
/// Keys: q ends, p pauses, Tab and arrows turn to another view and scroll, / searches a key and says why it is
/// fresh, stale or dead, i invalidates after it has counted what that would hit and you have confirmed it, ? helps.
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
