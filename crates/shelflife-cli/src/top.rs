//! `shelflife top`: a live view of a cache.
//!
//! ```text
//!   source   looks: the JSON API of a process (remote), or the store itself (direct) ──► Look
//!   figures  two looks and what was before: rates, ratios, history ──► Figures
//!   draw     Figures ──► a screen of cells ──► terminal, or lines of text (--once)
//! ```
//!
//! Must not: hold a figure of its own. What a process does it counts itself.

mod draw;
mod figures;
mod keys;
mod log;
mod remote;
mod source;
mod terminal;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use crate::args::TopArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;
use crate::signals;
use figures::Figures;
use keys::{Pressed, View};
use source::Source;
use terminal::Screen;

/// Looks come no closer than this, whatever is asked for.
const LEAST: Duration = Duration::from_millis(100);

pub(crate) async fn run(args: TopArgs) -> Result<(), Failure> {
    let every = connect::duration("--every", &args.every)?.max(LEAST);
    let is_live = !args.once && !args.json;
    if is_live && !io::stdout().is_terminal() {
        return Err(Failure::new("there is no terminal to show it on")
            .hint("--once prints one frame as text, --json a document at each look"));
    }
    let mut source = Source::open(&args).await?;
    let mut figures = Figures::new(source.place());
    // Whoever can't be reached at all is an error; one that goes away later may come back.
    figures.add(source.look().await?);
    let mut turns = tokio::time::interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns.tick().await;
    match is_live {
        true => live(&mut source, figures, turns).await,
        false => printed(&mut source, figures, turns, &args).await,
    }
}

/// Frames as text or as JSON: one, or until somebody has had enough.
async fn printed(
    source: &mut Source,
    mut figures: Figures,
    mut turns: Interval,
    args: &TopArgs,
) -> Result<(), Failure> {
    let ended = signals::end()?;
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => return Ok(()),
            _ = turns.tick() => {}
        }
        match source.look().await {
            Ok(look) => figures.add(look),
            Err(failure) if args.once => return Err(failure),
            Err(failure) => figures.lost(failure.to_string()),
        }
        match args.json {
            true => output::json(&figures.document())?,
            false => {
                let (width, height) = (output::width(), draw::height(&figures));
                let width = u16::try_from(width).unwrap_or(u16::MAX);
                for line in draw::lines(&figures, &View::default(), width, height) {
                    output::line(line)?;
                }
            }
        }
        if args.once {
            return Ok(());
        }
    }
}

/// On a screen, until `q`.
async fn live(
    source: &mut Source,
    mut figures: Figures,
    mut turns: Interval,
) -> Result<(), Failure> {
    let ended = signals::end_or_hangup()?;
    tokio::pin!(ended);
    let mut screen = Screen::open()?;
    let mut view = View::default();
    loop {
        screen.draw(&figures, &view)?;
        let looked = tokio::select! {
            biased;
            () = &mut ended => return Ok(()),
            pressed = screen.pressed() => {
                if view.press(pressed?, &figures) == Pressed::Quit {
                    return Ok(());
                }
                continue;
            }
            looked = next(source.look(), turns.tick(), view.paused) => looked,
        };
        match looked {
            Ok(look) => figures.add(look),
            Err(failure) => figures.lost(failure.to_string()),
        }
    }
}

/// A look, when its time has come; never while it is paused.
async fn next<T>(look: impl Future<Output = T>, turn: impl Future, paused: bool) -> T {
    if paused {
        return std::future::pending().await;
    }
    turn.await;
    look.await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn nobody_is_asked_while_it_is_paused() {
        let asked = Cell::new(0);
        let look = || async { asked.set(asked.get() + 1) };
        // Its turn has come, both times.
        assert!(next(look(), ready(()), true).now_or_never().is_none());
        assert_eq!(asked.get(), 0);
        assert!(next(look(), ready(()), false).now_or_never().is_some());
        assert_eq!(asked.get(), 1);
    }
}
