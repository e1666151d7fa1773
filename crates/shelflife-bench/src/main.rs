//! What `make bench` runs: one table, every ratio from this one run.
//!
//! ```text
//! l1.rs        a hit in the process, beside quick_cache and moka; allocations of a hit
//! l2.rs        a hit in Redis at 1, 64 and 256 callers, beside a bare GET of the same bytes
//! memory.rs    bytes of an entry, in the process and in Redis, beside what is accounted for
//! steps.rs     what a miss, a set and an invalidation cost
//! http.rs      a hit through the layer beside bare axum, and through the proxy beside nginx and Varnish
//! ```
//!
//! Contenders take turns within a round, and a ratio is the median of the rounds' ratios: what else
//! the machine does in the meantime meets both sides.
//!
//! Must not: use anything of shelflife that an application could not.

mod http;
mod l1;
mod l2;
mod machine;
mod measure;
mod memory;
mod report;
mod server;
mod steps;
mod subject;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;

use report::Report;
use server::Server;

/// What goes wrong ends the run: there is nothing to measure then.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measures shelflife beside quick_cache, moka and a bare Redis client.
#[derive(Parser)]
struct Args {
    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Be a server that is measured, and nothing else.
    #[arg(long, value_enum, hide = true, value_name = "KIND")]
    serve: Option<http::serve::Kind>,
    /// What that server stands before.
    #[arg(long, hide = true, value_name = "URL")]
    upstream: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    L1,
    L2,
    Memory,
    Steps,
    Http,
}

fn main() -> Outcome<()> {
    let args = Args::parse();
    if let Some(kind) = args.serve {
        return http::serve::run(kind, args.upstream);
    }
    let runs = |part| args.only.is_empty() || args.only.contains(&part);
    let began = Instant::now();
    let server = Server::start()?;
    let mut report = Report::new(machine::facts(&server)?);
    if runs(Part::L1) {
        l1::run(&server, &mut report)?;
    }
    if runs(Part::L2) {
        l2::run(&server, &mut report)?;
    }
    if runs(Part::Memory) {
        memory::run(&server, &mut report)?;
    }
    if runs(Part::Steps) {
        steps::run(&server, &mut report)?;
    }
    if runs(Part::Http) {
        http::run(&mut report)?;
    }
    report.took(began.elapsed());
    report.print();
    if let Some(file) = args.json {
        report.write(&file)?;
    }
    Ok(())
}
