//! What a bench has measured, for a person or a program.

use serde_json::{Map, Value, json};

use super::plot::{self, Ink};
use super::side::{Measured, Side, Times};
use crate::args::BenchArgs;
use crate::cache_status::Served;
use crate::failure::Failure;
use crate::output::{self, Tone};
use crate::units;

/// What is told of times.
pub(super) const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

pub(super) struct Report<'a> {
    pub(super) sides: &'a [Side],
    pub(super) connections: u16,
    pub(super) rate: Option<u32>,
    pub(super) interrupted: bool,
}

pub(super) fn tell(report: &Report<'_>, args: &BenchArgs) -> Result<(), Failure> {
    match args.json {
        true => output::json(&document(report)),
        false => text(report, Ink::choose(args.ascii)),
    }
}

fn document(report: &Report<'_>) -> Value {
    let sides: Vec<Value> = report.sides.iter().map(side).collect();
    json!({
        "loop": if report.rate.is_some() { "open" } else { "closed" },
        "rate": report.rate,
        "connections": report.connections,
        "interrupted": report.interrupted,
        "sides": sides,
    })
}

fn side(side: &Side) -> Value {
    let it = &side.measured;
    let served: Map<String, Value> = it
        .served
        .iter()
        .map(|(served, n)| (served.as_str().to_owned(), (*n).into()))
        .collect();
    json!({
        "url": side.target.uri.to_string(),
        "without": side.target.without,
        "answers": it.answers(),
        "seconds": it.length.as_secs_f64(),
        "per_second": rounded(it.rate()),
        "bytes": it.bytes,
        "latency_us": latencies(&it.times),
        "served": served,
        "statuses": it.statuses,
        "failed": it.failed(),
        "errors": it.errors,
        "unsent": it.unsent,
    })
}

/// Times in µs, by quantile.
pub(super) fn latencies(times: &Times) -> Value {
    let mut all: Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, quantile)| ((*name).to_owned(), micros(times.at(*quantile) as f64)))
        .collect();
    all.insert("mean".to_owned(), micros(times.mean()));
    all.into()
}

fn micros(ns: f64) -> Value {
    rounded(ns / 1000.0).into()
}

fn rounded(n: f64) -> f64 {
    (n * 1000.0).round() / 1000.0
}

fn text(report: &Report<'_>, ink: Ink) -> Result<(), Failure> {
    let names = ["A", "B"];
    let how = match report.rate {
        Some(rate) => format!(
            "{rate} requests a second are due, on {} connections",
            report.connections
        ),
        None => format!(
            "{} connections, each sends when it has its answer",
            report.connections
        ),
    };
    output::line(how)?;
    for (name, side) in names.iter().zip(report.sides) {
        let how = match side.target.without {
            true => ", with Cache-Control: no-cache",
            false => "",
        };
        output::toned(&[
            (Tone::Strong, name),
            (Tone::Plain, &format!("  {}{how}", side.target.uri)),
        ])?;
    }
    output::line("")?;
    output::table(&table(report.sides), &[1, 2, 3])?;
    for (name, side) in names.iter().zip(report.sides) {
        remarks(name, &side.measured, report.rate)?;
        let hits = side.measured.served.get(&Served::Hit).copied();
        if let (true, Some(hits)) = (side.target.without, hits) {
            output::line(format!(
                "{name}: {hits} answers came from what is stored all the same: that cache does not heed Cache-Control of its clients"
            ))?;
        }
    }
    output::line("")?;
    picture(report.sides, ink)?;
    output::line("")?;
    timelines(report.sides, ink)
}

fn table(sides: &[Side]) -> Vec<Vec<String>> {
    let of = |figure: &dyn Fn(&Measured) -> String| {
        sides
            .iter()
            .map(|side| figure(&side.measured))
            .collect::<Vec<_>>()
    };
    let ratio = |figure: &dyn Fn(&Measured) -> f64| match sides {
        [a, b] => format!(
            "{:.2}×",
            figure(&b.measured) / figure(&a.measured).max(f64::MIN_POSITIVE)
        ),
        _ => String::new(),
    };
    let row = |name: &str, figures: Vec<String>, ratio: String| {
        let mut row = vec![name.to_owned()];
        row.extend(figures);
        row.extend(Some(ratio).filter(|ratio| !ratio.is_empty()));
        row
    };
    let mut rows = Vec::new();
    if sides.len() == 2 {
        rows.push(["", "A", "B", "B/A"].map(str::to_owned).to_vec());
    }
    rows.push(row(
        "answers",
        of(&|it| it.answers().to_string()),
        String::new(),
    ));
    rows.push(row(
        "a second",
        of(&|it| units::short(it.rate())),
        ratio(&Measured::rate),
    ));
    for (name, quantile) in QUANTILES {
        rows.push(row(
            name,
            of(&|it| ns(it.times.at(quantile))),
            ratio(&|it| it.times.at(quantile) as f64),
        ));
    }
    rows.push(row(
        "bytes",
        of(&|it| units::bytes(it.bytes)),
        String::new(),
    ));
    for served in Served::ALL {
        let count = |it: &Measured| it.served.get(&served).copied().unwrap_or(0);
        if sides.iter().any(|side| count(&side.measured) > 0) {
            let share = |it: &Measured| {
                let share = count(it) as f64 * 100.0 / it.answers().max(1) as f64;
                format!("{share:.1} %")
            };
            rows.push(row(served.as_str(), of(&share), String::new()));
        }
    }
    rows
}

/// What does not go without saying.
fn remarks(name: &str, it: &Measured, rate: Option<u32>) -> Result<(), Failure> {
    let bad = it.statuses.iter().filter(|(status, _)| **status >= 400);
    for (status, n) in bad {
        output::line(format!("{name}: {n} answers had the status {status}"))?;
    }
    for (error, n) in &it.errors {
        output::line(format!("{name}: {n} requests failed: {error}"))?;
    }
    if let (Some(rate), 1..) = (rate, it.unsent) {
        output::line(format!(
            "{name}: {} requests were due and not sent before their slice ended: it does not bear {rate} a second on so many connections",
            it.unsent
        ))?;
    }
    Ok(())
}

fn picture(sides: &[Side], ink: Ink) -> Result<(), Failure> {
    let times: Vec<&Times> = sides.iter().map(|side| &side.measured.times).collect();
    let rows = plot::rows(&times);
    // By its part of its own side: one side may have many times as many answers.
    let part = |n: u64, times: &Times| n.saturating_mul(1_000_000) / times.len().max(1);
    let parts = rows
        .iter()
        .flat_map(|(_, _, counts)| counts.iter().zip(&times).map(|(n, times)| part(*n, times)));
    let most = parts.max().unwrap_or(0);
    let columns = (output::width().saturating_sub(24) / sides.len().max(1))
        .saturating_sub(10)
        .clamp(8, 60);
    for (from, to, counts) in rows {
        let bars = counts.iter().zip(&times).map(|(n, times)| {
            let share = part(*n, times) as f64 / 10_000.0;
            let least = u64::from(*n > 0);
            let bar = plot::bar(part(*n, times).max(least), most, columns, ink);
            format!("{bar:<columns$} {share:>5.1} %")
        });
        let bars: Vec<String> = bars.collect();
        output::line(
            format!("{:>7} – {:<7}  {}", ns(from), ns(to), bars.join("   "))
                .replace('–', if ink == Ink::Ascii { "-" } else { "–" }),
        )?;
    }
    Ok(())
}

fn timelines(sides: &[Side], ink: Ink) -> Result<(), Failure> {
    let columns = output::width().saturating_sub(36).clamp(10, 80);
    for (name, side) in ["A", "B"].iter().zip(sides) {
        let rates: Vec<f64> = side.slices.iter().map(|(rate, _)| *rate).collect();
        let slowest: Vec<f64> = side.slices.iter().map(|(_, ns)| *ns as f64).collect();
        let most = |figures: &[f64]| figures.iter().copied().fold(0.0, f64::max);
        output::line(format!(
            "{name} a second  {}  up to {}",
            plot::spark(&rates, columns, ink),
            units::short(most(&rates))
        ))?;
        let worst = side.slices.iter().map(|(_, ns)| *ns).max().unwrap_or(0);
        output::line(format!(
            "{name} slowest   {}  up to {}",
            plot::spark(&slowest, columns, ink),
            ns(worst)
        ))?;
    }
    Ok(())
}

/// A time in ns, in the unit that suits it.
pub(super) fn ns(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..100_000 => format!("{}.{} µs", ns / 1000, ns % 1000 / 100),
        _ => units::span(ns / 1000),
    }
}
