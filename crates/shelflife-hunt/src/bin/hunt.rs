//! `shelflife-hunt`: see the library's head, and docs/hunt.md.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is its output"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shelflife_hunt::{hunt, worker};

/// Hunts shelflife for broken promises: several processes use one cache while they, their Redis and
/// their wires are frozen, killed and cut, and a checker judges every read.
///
/// Exits with 1 when a read broke the promise of its level, and prints its history.
#[derive(Debug, Parser)]
#[command(
    name = "shelflife-hunt",
    version,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(flatten)]
    hunt: hunt::Options,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// One of the processes that are hunted; started by the hunt itself.
    #[command(hide = true)]
    Worker(worker::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let failed = match arguments.part {
        Some(Part::Worker(options)) => {
            let filter = tracing_subscriber::EnvFilter::from_default_env();
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(std::io::stderr)
                .init();
            worker::run(&options).err()
        }
        None => match hunt::run(&arguments.hunt) {
            Ok(found) if found.clean() => None,
            Ok(_) => return ExitCode::FAILURE,
            Err(failure) => Some(failure),
        },
    };
    match failed {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}
