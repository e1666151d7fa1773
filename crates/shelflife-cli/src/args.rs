//! The command line: every flag is defined once, here, with the help that teaches it.
//!
//! Must not: do I/O. Parsing yields plain values; the rooms decide what they mean.

use std::net::SocketAddr;
use std::path::PathBuf;

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
    Members(MembersArgs),
    Stats(StatsArgs),
}

/// Which store: one group of options for every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    /// Redis or Valkey, as redis://, rediss://, valkey:// or unix://.
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
  shelflife demo --ttl 5s --stale 20s             watch entries become stale, then dead")]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Where the API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

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
    /// The key as the application names it, without the server's prefix.
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
    /// One key; may be repeated.
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

/// List the processes that follow the namespace, and how far each has applied its invalidations.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  shelflife members --redis redis://127.0.0.1:6379
  shelflife members --json | jq '.[] | select(.window_open)'")]
pub(crate) struct MembersArgs {
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
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
