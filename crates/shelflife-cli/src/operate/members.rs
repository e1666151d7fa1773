//! `shelflife members`: the processes that follow the log, and how far each has applied it.

use std::io::{self, IsTerminal};
use std::time::Duration;

use shelflife::{Cache, MemberState, Members};

use crate::args::MembersArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;
use crate::signals;

/// Looks come no closer than this, whatever is asked for.
const LEAST: Duration = Duration::from_millis(20);

pub(crate) async fn run(args: MembersArgs) -> Result<(), Failure> {
    let every = args.watch.as_deref();
    let every = every.map(|text| connect::duration("--watch", text));
    let every = every.transpose()?;
    let cache = connect::shared(&args.operator.store).await?;
    let Some(every) = every else {
        let members = ask(&cache).await?;
        return show(&members, args.operator.json);
    };
    let ended = signals::end()?;
    tokio::pin!(ended);
    let mut looks = tokio::time::interval(every.max(LEAST));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut ended => return Ok(()),
            _ = looks.tick() => match ask(&cache).await {
                Ok(members) => {
                    if !args.operator.json {
                        begin_screen()?;
                    }
                    show(&members, args.operator.json)?;
                }
                // The server may come back.
                Err(failure) => output::note(failure.to_string()),
            }
        }
    }
}

async fn ask(cache: &Cache) -> Result<Members, Failure> {
    let members = cache.members().await;
    members.map_err(|error| Failure::new(format!("cannot ask the store: {error}")))
}

/// A new table in the place of the one before, or below it where there is no screen.
fn begin_screen() -> Result<(), Failure> {
    match io::stdout().is_terminal() {
        true => output::clear(),
        false => output::line(""),
    }
}

fn show(members: &Members, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(&members.all);
    }
    if members.is_empty() {
        return output::line("nobody follows this namespace");
    }
    let heading = ["member", "applied", "lag", "last beat", "window"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(members.all.iter().map(row));
    output::table(&rows, &[1, 2, 3])
}

fn row(member: &MemberState) -> Vec<String> {
    // The Δ behind the name has a column of its own.
    let name = member.member.rsplit_once('@');
    let name = name.map_or(member.member.as_str(), |(name, _)| name);
    let delta = span(member.window_ms * 1000);
    vec![
        name.to_owned(),
        member
            .applied
            .map_or("-".to_owned(), |tick| tick.to_string()),
        match member.lag {
            None => "resyncing".to_owned(),
            Some(0) => "up to date".to_owned(),
            Some(us) => span(us),
        },
        format!("{} ago", span(member.silent_ms * 1000)),
        match member.closed_ms {
            None => format!("open, {delta}"),
            Some(ms) => format!("closed for {}, {delta}", span(ms * 1000)),
        },
    ]
}

/// A span of time, to what matters of it.
fn span(us: u64) -> String {
    let s = us / 1_000_000;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1000),
        1_000_000..100_000_000 => format!("{}.{} s", s, us / 100_000 % 10),
        _ if s < 7_200 => format!("{} min", s / 60),
        _ => format!("{} h", s / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_own_unit() {
        let cases = [
            (7, "7 µs"),
            (1_999, "1 ms"),
            (1_250_000, "1.2 s"),
            (125_000_000, "2 min"),
            (7_300_000_000, "2 h"),
        ];
        for (us, text) in cases {
            assert_eq!(span(us), text);
        }
    }
}
