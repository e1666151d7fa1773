//! `shelflife top`: a live view of a cache.
//!
//! ```text
//!   source   looks: the JSON API of a process (remote), or the store itself (direct) ──► Look
//!   api      the JSON API: of a process, or before the store
//!   figures  two looks and what was before: rates, ratios, history ──► Figures
//!   draw     Figures ──► a screen of cells ──► terminal, or lines of text (--once)
//!   keys     what is looked at; talk: a search, an invalidation, step by step ──► questions ──► api
//! ```
//!
//! Must not: hold a figure of its own. What a process does it counts itself.

mod api;
mod draw;
mod figures;
mod follow;
mod keys;
mod log;
mod questions;
mod remote;
mod source;
mod talk;
mod terminal;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use crate::args::TopArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;
use crate::signals;
use figures::{Figures, Look};
use keys::{Pressed, View};
use questions::Answer;
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
    let api = source.api()?;
    let (paused, is_paused) = watch::channel(false);
    let mut asked: Option<Asked> = None;
    let mut screen = Screen::open()?;
    let mut view = View::default();
    loop {
        // One that has begun goes on, whatever is pressed meanwhile.
        let look = look(source, &mut turns, is_paused.clone());
        tokio::pin!(look);
        let looked = loop {
            screen.draw(&figures, &view)?;
            tokio::select! {
                biased;
                () = &mut ended => return Ok(()),
                pressed = screen.pressed() => match view.press(pressed?, &figures) {
                    Pressed::Quit => return Ok(()),
                    Pressed::GoOn => {}
                    Pressed::Ask(question) => {
                        let api = api.clone();
                        asked = Some(Box::pin(async move { questions::answer(&api, &question).await }));
                    }
                },
                answer = answered(&mut asked) => view.talk.answered(answer),
                looked = &mut look => break looked,
            }
            if !view.talk.waits() {
                asked = None;
            }
            paused.send_replace(view.paused);
        };
        match looked {
            Ok(look) => figures.add(look),
            Err(failure) => figures.lost(failure.to_string()),
        }
    }
}

/// Somebody who was asked.
type Asked = Pin<Box<dyn Future<Output = Result<Answer, String>>>>;

/// The answer, once; never, where nobody is asked.
async fn answered(asked: &mut Option<Asked>) -> Result<Answer, String> {
    let Some(answer) = asked else {
        return std::future::pending().await;
    };
    let answer = answer.await;
    *asked = None;
    answer
}

/// A look, when its time has come.
async fn look(
    source: &mut Source,
    turns: &mut Interval,
    mut paused: watch::Receiver<bool>,
) -> Result<Look, Failure> {
    turn(turns.tick(), &mut paused).await;
    source.look().await
}

/// Waits for a turn. It has not come while it is paused.
async fn turn(tick: impl Future, paused: &mut watch::Receiver<bool>) {
    tick.await;
    if paused.wait_for(|paused| !paused).await.is_err() {
        // Whoever has paused it has gone: nobody wants to see anything.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn no_turn_comes_while_it_is_paused() {
        let (paused, mut is_paused) = watch::channel(true);
        // Its time has come.
        assert!(turn(ready(()), &mut is_paused).now_or_never().is_none());
        paused.send_replace(false);
        assert!(turn(ready(()), &mut is_paused).now_or_never().is_some());
    }
}
