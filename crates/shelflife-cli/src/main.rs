//! `shelflife`: a demo API, and commands for those who run a cache.
//!
//! ```text
//!   args (what was asked) ──► demo | operate | explain ──► output
//!                                   └─ connect (which store)
//! ```
//!
//! This is the only file that ends the process. Must not: hold anything of the cache's; all that the
//! commands know of it they know through the library's public face.

mod args;
mod bench;
mod cache_status;
mod connect;
mod demo;
mod explain;
mod failure;
mod operate;
mod output;
mod page;
mod proxy;
mod signals;
mod top;
mod units;
mod warm;
mod web;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli.command);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                output::note(failure.to_string());
            }
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = match &cli.command {
        Command::Proxy(args) => proxy::runtime(args),
        _ => tokio::runtime::Runtime::new(),
    };
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Get(args) => operate::get::run(args).await,
            Command::Ls(args) => operate::ls::run(args).await,
            Command::Invalidate(args) => operate::invalidate::run(args).await,
            Command::Watch(args) => operate::watch::run(args).await,
            Command::Members(args) => operate::members::run(args).await,
            Command::Audit(args) => operate::audit::run(args).await,
            Command::Doctor(args) => operate::doctor::run(args).await,
            Command::Stats(args) => operate::stats::run(args).await,
            Command::Top(args) => top::run(args).await,
            Command::Warm(args) => warm::run(args).await,
            Command::Bench(args) => bench::run(args).await,
            Command::Explain(args) => explain::run(args).await,
            Command::Proxy(args) => proxy::run(args).await,
        }
    })
}

/// A demo tells its warnings; a command that ends by itself says all it has to say in its failure.
/// `RUST_LOG=shelflife=debug` shows more of either.
fn start_log(command: &Command) {
    let usual = if matches!(command, Command::Demo(_) | Command::Proxy(_)) {
        "warn"
    } else {
        "off"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}
