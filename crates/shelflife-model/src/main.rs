//! What `make model` runs: every scenario with all guards on, then every guard's counterexample.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use shelflife_model::{Explored, Guard, SCENARIOS, Scenario, Shown, explore};

/// Explores the protocol: no promise may be broken, and each guard must be needed.
#[derive(Parser)]
struct Args {
    /// Explore only these scenarios.
    #[arg(long, value_name = "NAME", value_parser = scenario)]
    scenario: Vec<&'static Scenario>,
    /// Leave these guards out, and print the counterexample (in the first one's own scenario, unless one
    /// is given).
    #[arg(long, value_name = "GUARD", value_parser = guard)]
    without: Vec<Guard>,
    /// How long one exploration may take.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Threads that explore; counterexamples are always looked for by one, so that they are shortest.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List scenarios and guards.
    #[arg(long)]
    list: bool,
}

fn scenario(name: &str) -> Result<&'static Scenario, String> {
    let names = || SCENARIOS.iter().map(|s| s.name).collect::<Vec<_>>();
    Scenario::of(name).ok_or_else(|| format!("one of {}", names().join(", ")))
}

fn guard(word: &str) -> Result<Guard, String> {
    let words = || Guard::ALL.iter().map(|g| g.word()).collect::<Vec<_>>();
    Guard::of(word).ok_or_else(|| format!("one of {}", words().join(", ")))
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        list();
        return ExitCode::SUCCESS;
    }
    if let Some(&first) = args.without.first() {
        return without(&args, first);
    }
    let began = Instant::now();
    let mut report = Report::default();
    scenarios(&args, &mut report);
    if args.scenario.is_empty() {
        guards(&args, &mut report);
    }
    println!(
        "\ntotal: {} states, {} scenarios, {} broken or cut; {} guards, {} of them needed, {} not as expected; {:.0} s",
        report.states,
        report.scenarios.len(),
        report.broken,
        Guard::ALL.len(),
        report.needed,
        report.unexpected,
        began.elapsed().as_secs_f64(),
    );
    if let Some(file) = &args.json {
        let figures = json!({
            "states": report.states,
            "seconds": began.elapsed().as_secs_f64(),
            "scenarios": report.scenarios,
            "guards": report.guards,
        });
        if let Err(error) = std::fs::write(file, format!("{figures:#}\n")) {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    match report.broken + report.unexpected {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[derive(Default)]
struct Report {
    states: usize,
    broken: usize,
    needed: usize,
    unexpected: usize,
    scenarios: Vec<Value>,
    guards: Vec<Value>,
}

/// Every scenario with all guards on.
fn scenarios(args: &Args, report: &mut Report) {
    println!(
        "{:18} {:>10} {:>6} {:>8}  with all guards",
        "scenario", "states", "depth", "seconds"
    );
    let chosen = |s: &&Scenario| {
        args.scenario.is_empty() || args.scenario.iter().any(|chosen| chosen.name == s.name)
    };
    for scenario in SCENARIOS.iter().filter(chosen) {
        let explored = run(args, scenario, &[], args.threads);
        let verdict = match (&explored.counterexample, explored.cut) {
            (Some(_), _) => "BROKEN",
            (None, true) => "cut",
            (None, false) => "kept",
        };
        println!(
            "{:18} {:>10} {:>6} {:>8.1}  {verdict}: {}",
            scenario.name,
            explored.states,
            explored.depth,
            explored.took.as_secs_f64(),
            scenario.about
        );
        if let Some(found) = &explored.counterexample {
            println!("{}", found.trace);
        }
        report.states += explored.states;
        report.broken += usize::from(verdict != "kept");
        report.scenarios.push(json!({
            "name": scenario.name,
            "about": scenario.about,
            "states": explored.states,
            "depth": explored.depth,
            "seconds": explored.took.as_secs_f64(),
            "verdict": verdict,
        }));
    }
}

/// Every guard, left out where it is needed.
fn guards(args: &Args, report: &mut Report) {
    println!(
        "\n{:26} {:18} {:>5} {:>10} {:>8}",
        "without", "in", "steps", "states", "seconds"
    );
    for &guard in Guard::ALL {
        let (scenarios, off, needed): (&[&str], &[Guard], bool) = match guard.shown() {
            Shown::In(scenario) => (&[scenario], &[guard], true),
            Shown::With(other, scenario) => (&[scenario], &[guard, other], true),
            Shown::Kept(scenarios, _) => (scenarios, &[guard], false),
        };
        for scenario in scenarios.iter().filter_map(|name| Scenario::of(name)) {
            let explored = run(args, scenario, off, 1);
            let steps = explored.counterexample.as_ref().map(|found| found.steps);
            let note = match (needed, off, guard.shown()) {
                (true, [_, other], _) => format!("  without {} too", other.word()),
                (false, _, Shown::Kept(_, why)) => format!("  kept: {why}"),
                _ => String::new(),
            };
            println!(
                "{:26} {:18} {:>5} {:>10} {:>8.1}{note}",
                guard.word(),
                scenario.name,
                steps.map_or_else(|| "none".to_owned(), |steps| steps.to_string()),
                explored.states,
                explored.took.as_secs_f64(),
            );
            report.unexpected += usize::from(steps.is_some() != needed);
            report.guards.push(json!({
                "guard": guard.word(),
                "section": guard.section(),
                "says": guard.says(),
                "without": guard.without(),
                "also_without": off.get(1).map(|other| other.word()),
                "scenario": scenario.name,
                "steps": steps,
                "states": explored.states,
                "seconds": explored.took.as_secs_f64(),
            }));
        }
        report.needed += usize::from(needed);
    }
}

/// Prints the counterexample without some guards.
fn without(args: &Args, first: Guard) -> ExitCode {
    let own = match first.shown() {
        Shown::In(name) | Shown::With(_, name) => Scenario::of(name).into_iter().collect(),
        Shown::Kept(names, why) => {
            println!("no counterexample is known without {}: {why}", first.word());
            names.iter().filter_map(|name| Scenario::of(name)).collect()
        }
    };
    let chosen: Vec<&Scenario> = match args.scenario.is_empty() {
        true => own,
        false => args.scenario.clone(),
    };
    for scenario in chosen {
        println!("{}: {}", scenario.name, scenario.about);
        for guard in &args.without {
            println!(
                "instead of \"{}\" (PROTOCOL {}): {}",
                guard.says(),
                guard.section(),
                guard.without()
            );
        }
        let explored = run(args, scenario, &args.without, 1);
        match explored.counterexample {
            Some(found) => println!("{}", found.trace),
            None if explored.cut => println!("cut after {} states\n", explored.states),
            None => println!("no counterexample in {} states\n", explored.states),
        }
    }
    ExitCode::SUCCESS
}

fn run(args: &Args, scenario: &Scenario, off: &[Guard], threads: usize) -> Explored {
    let most = Duration::from_secs_f64(args.minutes.max(0.0) * 60.0);
    let terminal = std::io::stderr().is_terminal();
    let mut tell = |states: usize, depth: usize| {
        if terminal {
            eprint!("\r{}: {states} states, depth {depth} \r", scenario.name);
        }
    };
    explore(scenario, off, threads, most, Some(&mut tell))
}

fn list() {
    for scenario in SCENARIOS {
        println!("{:26} {}", scenario.name, scenario.about);
    }
    for guard in Guard::ALL {
        println!(
            "{:26} PROTOCOL {}: {}; without: {}",
            guard.word(),
            guard.section(),
            guard.says(),
            guard.without()
        );
    }
}
