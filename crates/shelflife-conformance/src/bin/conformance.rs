//! Runs the conformance cases against an HTTP cache.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use shelflife_conformance::{Group, Options, Origin, Published, Report, run, suite};

/// Runs black-box conformance cases against an HTTP cache.
///
/// The cache has to pass requests on to 127.0.0.1 and the port of the origin. Exits with 1 if a required case
/// has failed that a cache can be expected to pass.
#[derive(Parser)]
#[command(name = "shelflife-conformance")]
struct Args {
    /// The cache under test, as http://HOST:PORT
    #[arg(long, required_unless_present = "list")]
    proxy: Option<String>,
    /// Where the origin listens
    #[arg(long, default_value_t = 8000)]
    origin_port: u16,
    /// Only this case (or several), with all messages
    #[arg(long, value_name = "ID")]
    case: Vec<String>,
    /// Only this group (or several)
    #[arg(long)]
    group: Vec<String>,
    /// The report for programs
    #[arg(long)]
    json: bool,
    /// Where this run disagrees with published results of the same cache
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Lists the cases, and runs none
    #[arg(long)]
    list: bool,
    /// How many cases run at a time
    #[arg(long, default_value_t = 128)]
    parallel: usize,
}

type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    match start(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(std::io::stderr(), "{why}");
            ExitCode::from(2)
        }
    }
}

fn start(args: &Args) -> Outcome<bool> {
    let groups = chosen(args)?;
    let Some(proxy) = args.proxy.as_deref().filter(|_| !args.list) else {
        show(&list(&groups))?;
        return Ok(true);
    };
    let options = Options {
        parallel: args.parallel,
        verbose: !args.case.is_empty(),
        ..Options::new(address(proxy)?)
    };
    let published = args.compare.as_deref().map(|path| {
        let text = std::fs::read_to_string(path);
        Published::parse(&text.map_err(|error| format!("{}: {error}", path.display()))?)
    });
    let published = published.transpose()?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let report = runtime.block_on(async {
        let origin = Origin::listen(args.origin_port).await;
        let origin = origin.map_err(|error| format!("port {}: {error}", args.origin_port))?;
        Ok::<_, String>(run(&origin, &groups, &options).await)
    })?;
    show(&told(args, &report, published.as_ref()))?;
    Ok(report.violations().is_empty())
}

fn chosen(args: &Args) -> Outcome<Vec<Group>> {
    let mut groups = suite();
    let known = |id: &String| groups.iter().any(|g| g.cases.iter().any(|c| c.id() == id));
    if let Some(id) = args.case.iter().find(|id| !known(id)) {
        return Err(format!("no case is called {id} (--list names them)"));
    }
    if let Some(name) = args
        .group
        .iter()
        .find(|name| !groups.iter().any(|g| g.name == **name))
    {
        return Err(format!("no group is called {name} (--list names them)"));
    }
    if !args.group.is_empty() {
        groups.retain(|group| args.group.iter().any(|name| name == group.name));
    }
    if !args.case.is_empty() {
        for group in &mut groups {
            group
                .cases
                .retain(|case| args.case.iter().any(|id| id == case.id()));
        }
    }
    Ok(groups)
}

fn address(proxy: &str) -> Outcome<SocketAddr> {
    let host = proxy.strip_prefix("http://").unwrap_or(proxy);
    let host = host.trim_end_matches('/').replace("localhost", "127.0.0.1");
    let address = host.parse();
    address.map_err(|_| format!("--proxy {proxy}: must be http://IP:PORT"))
}

fn list(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        text.push_str(&format!("{} ({})\n", group.name, group.rule));
        for case in &group.cases {
            let kind = case.kind().as_str();
            text.push_str(&format!("  {kind:8}  {:58}  {}\n", case.id(), case.says()));
        }
    }
    text
}

fn told(args: &Args, report: &Report, published: Option<&Published>) -> String {
    if args.json {
        return format!("{:#}\n", report.to_json());
    }
    let mut text = String::new();
    for case in report
        .cases()
        .iter()
        .filter(|case| !case.messages.is_empty())
    {
        text.push_str(&format!(
            "{}: {}\n\n{}\n",
            case.id, case.says, case.messages
        ));
    }
    text.push_str(&report.to_text());
    if let Some(published) = published {
        text.push_str("\nnot as published:\n");
        text.push_str(&report.differences(published));
    }
    text
}

fn show(text: &str) -> Outcome<()> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| format!("standard output: {error}"))
}
