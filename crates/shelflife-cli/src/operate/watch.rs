//! `shelflife watch`: the log as it is written, and how far each entry has come.
//!
//! A line is held for a moment, in which most processes have applied its entry; what takes longer is
//! told by a second line.

use std::collections::VecDeque;
use std::time::Duration;

use shelflife::{Cache, Logged, Members, Spread, Tag, Watched};
use tokio::time::Instant;

use crate::args::WatchArgs;
use crate::connect;
use crate::failure::Failure;
use crate::signals;

mod show;

use show::Show;
pub(crate) use show::noted;
pub(super) use show::what;

/// How long a line is held for its entry to be applied.
const HOLD: Duration = Duration::from_millis(50);
/// Between two looks at the members, while an entry is on its way.
const LOOK: Duration = Duration::from_millis(5);
const LOOK_MOST: Duration = Duration::from_millis(500);
/// How many entries are followed on their way at once.
const FOLLOWED: usize = 10_000;

pub(crate) async fn run(args: WatchArgs) -> Result<(), Failure> {
    let since = args.since.as_deref();
    let since = since.map(|text| connect::duration("--since", text));
    let since = since.transpose()?.unwrap_or_default();
    let cache = connect::shared(&args.operator.store).await?;
    let failed = |error| Failure::new(format!("cannot watch: {error}"));
    let members = cache.members().await.map_err(failed)?;
    let mut watch = cache.watch(since).await.map_err(failed)?;
    let ended = signals::end()?;
    tokio::pin!(ended);

    let show = Show::new(args.operator.json, members.now);
    show.begin(cache.namespace(), &members)?;
    let mut on_way = OnWay {
        show,
        entries: VecDeque::new(),
        look_at: Instant::now(),
        pause: LOOK,
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let filter = Filter::of(&args);
    while left > 0 || on_way.any_held() {
        tokio::select! {
            () = &mut ended => break,
            seen = watch.next(), if left > 0 => match seen {
                Some(Watched::Entry(entry)) if filter.lets_through(&entry) => {
                    left -= 1;
                    on_way.push(*entry)?;
                }
                Some(Watched::Entry(_)) => {}
                Some(Watched::Gap) => on_way.interrupted(|show| show.gap())?,
                Some(Watched::Lost(error)) => on_way.interrupted(|show| show.lost(&error))?,
                Some(Watched::Back) => on_way.interrupted(|show| show.back())?,
                Some(_) => {}
                None => break,
            },
            () = tokio::time::sleep_until(on_way.look_at), if !on_way.entries.is_empty() => {
                on_way.look(&cache).await?;
            }
        }
    }
    on_way.interrupted(|_| Ok(()))
}

/// What is to be shown: any of these, or everything when there are none.
struct Filter<'a> {
    args: &'a WatchArgs,
    tags: Vec<Tag>,
}

impl<'a> Filter<'a> {
    fn of(args: &'a WatchArgs) -> Self {
        // As the log writes them.
        let tags = args.tag.iter().map(Tag::from).collect();
        Self { args, tags }
    }

    fn lets_through(&self, entry: &Logged) -> bool {
        let Self { args, tags } = self;
        let all = args.key.is_empty() && tags.is_empty() && args.event.is_empty();
        let names = |tag: &Tag| {
            let mut named = entry.tags.iter().chain(&entry.soft_tags);
            named.any(|name| name == tag.as_str())
        };
        // The bookkeeping's own entries are about everything.
        all || entry.note.is_some()
            || args.key.iter().any(|key| entry.names(key, &[]))
            || tags.iter().any(names)
            || entry
                .event
                .as_ref()
                .is_some_and(|name| args.event.contains(name))
    }
}

/// Entries that not everybody had applied when they were last looked at, in the order of the log.
struct OnWay {
    show: Show,
    entries: VecDeque<Followed>,
    look_at: Instant,
    pause: Duration,
}

struct Followed {
    entry: Logged,
    seen: Instant,
    shown: bool,
}

impl OnWay {
    fn push(&mut self, entry: Logged) -> Result<(), Failure> {
        if self.entries.len() == FOLLOWED
            && let Some(old) = self.entries.pop_front()
            && !old.shown
        {
            self.show.entry(&old.entry, None, None)?;
        }
        let now = Instant::now();
        self.entries.push_back(Followed {
            entry,
            seen: now,
            shown: false,
        });
        self.look_at = self.look_at.min(now + LOOK).max(now);
        self.pause = LOOK;
        Ok(())
    }

    fn any_held(&self) -> bool {
        self.entries.iter().any(|followed| !followed.shown)
    }

    /// Looks at how far the members are; shows what has come everywhere, and what was held for long.
    async fn look(&mut self, cache: &Cache) -> Result<(), Failure> {
        let began = Instant::now();
        let Ok(members) = cache.members().await else {
            // How far they came can't be told without the server.
            return self.interrupted(|_| Ok(()));
        };
        let now = Instant::now();
        // A slow server is asked less often.
        self.look_at = now + self.pause.max((now - began) * 10);
        self.pause = match self.any_held() {
            true => LOOK,
            false => (self.pause * 2).min(LOOK_MOST),
        };
        let mut rest = VecDeque::new();
        let mut in_order = true;
        for mut followed in std::mem::take(&mut self.entries) {
            let spread = members.spread(followed.entry.epoch);
            let complete = spread.is_none_or(Spread::is_complete);
            in_order &= followed.shown || complete || now >= followed.seen + HOLD;
            if in_order && !followed.shown {
                self.show.entry(&followed.entry, spread, Some(&members))?;
                followed.shown = true;
            } else if followed.shown && complete {
                self.show.complete(&followed.entry, spread, &members)?;
            }
            if !(followed.shown && complete) {
                rest.push_back(followed);
            }
        }
        self.entries = rest;
        Ok(())
    }

    /// Shows what was held, then something else that came behind it; nobody is followed any further.
    fn interrupted(
        &mut self,
        then: impl FnOnce(&Show) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for followed in self.entries.drain(..).filter(|f| !f.shown) {
            self.show.entry(&followed.entry, None, None)?;
        }
        then(&self.show)
    }
}

/// How long an entry took to come everywhere, by the server's clock: at most so many ms.
fn took_ms(entry: &Logged, members: &Members, began: u64) -> Option<u64> {
    let written = entry.epoch.tick / 1000;
    // What was written before this command began may have been applied long ago.
    members
        .now
        .checked_sub(written)
        .filter(|_| written >= began)
}
