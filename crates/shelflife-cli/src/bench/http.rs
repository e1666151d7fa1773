//! Load by HTTP: one side, or two in turns.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::connection::{Connection, Target};
use super::may_load;
use super::side::{BUCKET, Loop, Side};
use super::told::{self, Report};
use crate::args::BenchArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;
use crate::signals;
use crate::web;

/// Between two looks at how far it is.
const PROGRESS: Duration = Duration::from_millis(100);

pub(super) async fn run(url: &str, args: &BenchArgs) -> Result<(), Failure> {
    let length = connect::duration("--duration", &args.duration)?;
    let warmup = connect::duration("--warmup", &args.warmup)?;
    let patience = connect::duration("--timeout", &args.timeout)?;
    let how = args.rate.map_or(Loop::Closed, Loop::Open);
    let mut sides = Vec::new();
    let without = args.without.then_some(url);
    for (what, url, is_without) in [
        ("URL", Some(url), false),
        ("--versus", args.versus.as_deref(), false),
        ("URL", without, true),
    ] {
        let Some(url) = url else { continue };
        let uri = web::url(what, url)?;
        let port = match (uri.port_u16(), uri.scheme_str()) {
            (Some(port), _) => port,
            (None, Some("https")) => 443,
            (None, _) => 80,
        };
        may_load(uri.host().unwrap_or_default(), port, args.yes)?;
        let mut target = Target::new(uri, web::fields(&args.header)?, patience);
        if is_without {
            target = target.without();
        }
        probe(&target).await?;
        let opened = Side::open(target, usize::from(args.connections), how, args.requests).await;
        sides.push(opened.map_err(|error| Failure::new(format!("{url}: {error}")))?);
    }
    let ended = signals::end()?;
    tokio::pin!(ended);
    let bar = bar(warmup + length, sides.len());
    // What is compiled, resolved and cached at first is not what is asked about.
    if load(&mut sides, warmup, &bar, &mut ended).await {
        bar.finish_and_clear();
        return Err(Failure::new(
            "interrupted while it warmed up: nothing was measured",
        ));
    }
    sides.iter_mut().for_each(|side| side.forget(args.requests));
    let interrupted = load(&mut sides, length, &bar, &mut ended).await;
    bar.finish_and_clear();
    let report = Report {
        sides: &sides,
        connections: args.connections,
        rate: args.rate,
        interrupted,
    };
    told::tell(&report, args)?;
    if interrupted {
        return Err(Failure::new(
            "interrupted: the figures are of what was measured until then",
        ));
    }
    verdict(&sides)
}

/// One request first: whoever answers with errors is fast, too.
async fn probe(target: &Target) -> Result<(), Failure> {
    let asked = Connection::to(target).ask().await;
    let answer = asked.map_err(|error| {
        Failure::new(format!("{}: {error}", target.uri))
            .hint("is the server up, and is this its address?")
    })?;
    if answer.status.as_u16() >= 400 {
        output::note(format!(
            "{} answers with {}: that is what will be measured",
            target.uri, answer.status
        ));
    }
    Ok(())
}

/// Loads each side for so long: one in one piece, for what waits in an open loop must not be forgotten; two in
/// turns. `true` when somebody has had enough.
async fn load(
    sides: &mut [Side],
    length: Duration,
    bar: &ProgressBar,
    ended: &mut (impl Future<Output = ()> + Unpin),
) -> bool {
    let (stop, stopped) = watch::channel(false);
    let piece = if sides.len() == 1 { length } else { BUCKET };
    let mut left = length;
    while !left.is_zero() && !sides.iter().all(Side::is_through) {
        let slice = left.min(piece);
        for side in sides.iter_mut() {
            let loading = side.slice(slice, &stopped);
            tokio::pin!(loading);
            let mut looks = tokio::time::interval(PROGRESS);
            loop {
                tokio::select! {
                    biased;
                    () = &mut *ended, if !*stop.borrow() => {
                        // What was measured so far is told all the same.
                        stop.send_replace(true);
                    }
                    () = &mut loading => break,
                    _ = looks.tick() => bar.tick(),
                }
            }
            if *stop.borrow() {
                return true;
            }
        }
        left -= slice;
    }
    false
}

fn bar(length: Duration, sides: usize) -> ProgressBar {
    let all = length * u32::try_from(sides).unwrap_or(1);
    let bar = ProgressBar::new_spinner();
    let template = format!("{{spinner}} loading for {} s: {{elapsed}}", all.as_secs());
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

fn verdict(sides: &[Side]) -> Result<(), Failure> {
    let began = sides.iter().all(|side| side.measured.answers() > 0);
    if !began {
        return Err(Failure::new("a side gave no answer at all"));
    }
    let bad = |side: &Side| side.measured.failed() + side.measured.not_well();
    match sides.iter().map(bad).sum() {
        0 => Ok(()),
        n => Err(Failure::negative(format!(
            "{n} requests failed, or were answered with an error: the figures are not those of answers"
        ))),
    }
}
