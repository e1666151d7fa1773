//! Puts what the model, the removal of guards and the hunt have found into a table of a document.
//!
//! It reads the files that `make model`, `make guards` and `make chaos` write with `--json`, and replaces what
//! stands between two marks. A figure that is not in the files is an error, not a gap.
#![allow(clippy::print_stderr, reason = "a command tells why it failed")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;

const BEGIN: &str = "<!-- table: made by `make consistency`; do not edit -->\n";
const END: &str = "<!-- end of table -->";

/// Puts what the model, the removal of guards and the hunt have found into a table of a document.
#[derive(Parser)]
struct Args {
    /// What `make model ARGS="--json FILE"` wrote
    #[arg(long)]
    model: PathBuf,
    /// What `make guards ARGS="--json FILE"` wrote
    #[arg(long)]
    guards: PathBuf,
    /// What `make chaos ARGS="--json FILE"` wrote
    #[arg(long)]
    hunt: PathBuf,
    /// The document with the marks
    #[arg(long)]
    into: PathBuf,
}

type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Outcome<()> {
    let table = [
        of_the_model(&read(&args.model)?)?,
        of_the_guards(&read(&args.guards)?)?,
        of_the_hunt(&read(&args.hunt)?)?,
    ]
    .concat();
    let document = text(&args.into)?;
    let between = document
        .split_once(BEGIN)
        .and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = between.ok_or_else(|| format!("{}: no marks", args.into.display()))?;
    let new = format!("{head}{BEGIN}\n| | |\n|---|--:|\n{table}\n{END}{tail}");
    std::fs::write(&args.into, new).map_err(|e| format!("{}: {e}", args.into.display()))
}

fn text(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn read(path: &Path) -> Outcome<Value> {
    serde_json::from_str(&text(path)?).map_err(|e| format!("{}: {e}", path.display()))
}

fn number(of: &Value, at: &str) -> Outcome<f64> {
    let found = of.pointer(at).and_then(Value::as_f64);
    found.ok_or_else(|| format!("no number at {at}"))
}

fn list<'a>(of: &'a Value, at: &str) -> Outcome<&'a Vec<Value>> {
    let found = of.pointer(at).and_then(Value::as_array);
    found.ok_or_else(|| format!("no list at {at}"))
}

fn row(table: &mut String, what: &str, figure: &str) {
    let _ = writeln!(table, "| {what} | {figure} |");
}

/// Digits in groups of three.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn of_the_model(model: &Value) -> Outcome<String> {
    let mut table = String::new();
    let scenarios = list(model, "/scenarios")?;
    let kept = scenarios.iter().filter(|s| s["verdict"] == "kept").count();
    let guards = list(model, "/guards")?;
    let shown = guards.iter().filter(|g| g["steps"].is_number()).count();
    row(
        &mut table,
        "**model**: states",
        &grouped(number(model, "/states")?),
    );
    let explored = format!("{kept} of {}", scenarios.len());
    row(
        &mut table,
        "scenarios explored to their end without a violation",
        &explored,
    );
    row(
        &mut table,
        "guards whose removal gives a counterexample",
        &shown.to_string(),
    );
    Ok(table)
}

fn of_the_guards(guards: &Value) -> Outcome<String> {
    let all = list(guards, "")?;
    let caught = all.iter().filter(|g| g["result"] == "caught").count();
    let mut table = String::new();
    let figure = format!("{caught} of {}", all.len());
    row(
        &mut table,
        "**guards** removed from the source, caught by their test",
        &figure,
    );
    Ok(table)
}

fn of_the_hunt(hunt: &Value) -> Outcome<String> {
    let mut table = String::new();
    let minutes = number(hunt, "/seconds")? / 60.0;
    let about = format!(
        "**hunt**: minutes, with {} processes",
        number(hunt, "/processes")?
    );
    row(&mut table, &about, &format!("{minutes:.0}"));
    row(
        &mut table,
        "reads checked",
        &grouped(number(hunt, "/reads")?),
    );
    for level in ["bounded", "session", "strict"] {
        let of = |what: &str| number(hunt, &format!("/levels/{level}/{what}"));
        let figure = format!("{} ({})", grouped(of("reads")?), grouped(of("tiers/l1")?));
        row(
            &mut table,
            &format!("… {level} (of them known to be from L1)"),
            &figure,
        );
    }
    let faults = hunt["faults"].as_object().ok_or("no faults")?;
    let total: f64 = faults.values().filter_map(Value::as_f64).sum();
    let kinds: Vec<String> = faults
        .iter()
        .map(|(kind, n)| format!("{kind} {n}"))
        .collect();
    row(
        &mut table,
        &format!("faults injected: {}", kinds.join(", ")),
        &grouped(total),
    );
    let invalidations = hunt["invalidations"]
        .as_object()
        .ok_or("no invalidations")?;
    let confirmed: f64 = invalidations.values().filter_map(Value::as_f64).sum();
    let kinds: Vec<&str> = invalidations.keys().map(String::as_str).collect();
    let what = format!("invalidations confirmed, by {}", kinds.join(", "));
    row(&mut table, &what, &grouped(confirmed));
    row(
        &mut table,
        "**violations**",
        &grouped(number(hunt, "/violations")?),
    );
    for (name, what) in [
        (
            "last_drop",
            "`invalidate` returned → the last process's L1 has dropped it",
        ),
        ("invalidate", "`invalidate`"),
        ("everywhere", "`invalidate(..).everywhere()`"),
        ("session_read", "session read of what L1 holds"),
        ("strict_read", "strict read of what L1 holds"),
    ] {
        let of = |part: &str| number(hunt, &format!("/figures/{name}/{part}"));
        let figure = format!(
            "{:.3} / {:.3} / {:.3} ms",
            of("p50")?,
            of("p99")?,
            of("max")?
        );
        row(
            &mut table,
            &format!("{what}: p50 / p99 / max, without faults"),
            &figure,
        );
    }
    Ok(table)
}
