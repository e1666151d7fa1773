//! The command line: every flag is defined once, here, with the help that teaches it.
//!
//! ```text
//! serve.rs     demo, proxy
//! operate.rs   what looks into a cache and invalidates
//! http.rs      what asks an API as its clients do: warm, bench, explain
//! ```
//!
//! Must not: do I/O. Parsing yields plain values; the rooms decide what they mean.

mod http;
mod operate;
mod serve;

use clap::{Args, Parser, Subcommand};

pub(crate) use http::{BenchArgs, ExplainArgs, PolicyName, WarmArgs};
pub(crate) use operate::{
    AuditArgs, DoctorArgs, FailOn, GetArgs, InvalidateArgs, LsArgs, MembersArgs, StatsArgs,
    TopArgs, WatchArgs, WhatArgs,
};
pub(crate) use serve::{DemoArgs, ProxyArgs};

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

    /// Keeps several applications apart on one server [default: the URL's, else SHELFLIFE_NAMESPACE, else "default"].
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
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

    #[test]
    fn names_may_begin_with_a_hyphen() {
        let parsed = |line: &[&str]| {
            let line = ["shelflife"].iter().chain(line);
            Cli::try_parse_from(line).unwrap().command
        };
        let line = [
            "invalidate",
            "--key",
            "-x",
            "--tag",
            "-t",
            "--pattern",
            "-*",
        ];
        let Command::Invalidate(args) = parsed(&line) else {
            panic!("this line must parse as invalidate");
        };
        let WhatArgs {
            key, tag, pattern, ..
        } = args.what;
        assert_eq!(
            (key, tag, pattern),
            (
                vec!["-x".to_owned()],
                vec!["-t".to_owned()],
                vec!["-*".to_owned()]
            )
        );
        let line = ["watch", "--key", "-x", "--tag", "-t", "--event", "-e"];
        let Command::Watch(args) = parsed(&line) else {
            panic!("this line must parse as watch");
        };
        assert_eq!(
            (args.key, args.tag, args.event),
            (
                vec!["-x".to_owned()],
                vec!["-t".to_owned()],
                vec!["-e".to_owned()]
            )
        );
        let Command::Audit(args) = parsed(&["audit", "--keys", "-*", "--once"]) else {
            panic!("this line must parse as audit");
        };
        assert!(args.once && args.keys == "-*");
        let Command::Get(args) = parsed(&["get", "--json", "--", "-x"]) else {
            panic!("this line must parse as get");
        };
        assert!(args.operator.json && args.key == "-x");
    }
}
