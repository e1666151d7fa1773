//! What changes the source and then tells the cache: invalidations, scans, sets (PROTOCOL §5 to §7), and
//! waiting until it is true everywhere (§8).
//!
//! A call is a list of steps, carried out in order; a guard that is off changes the list.

use std::sync::Arc;

use shelflife::Epoch;

use crate::guard::Guard;
use crate::rules::Rules;
use crate::scenario::Kind;
use crate::what::What;
use crate::world::World;

/// One step of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The source is written; that is what is to be honoured.
    Source,
    /// The value is to go from L1 before Redis is told.
    DropOwn,
    /// The key goes from its shard.
    Unlink,
    /// The keys of the shard are listed.
    Scan,
    /// What was listed goes.
    UnlinkFound,
    /// `begin_write`, the tags.
    EnsureTags,
    /// `begin_write`, the token.
    Token,
    /// The value is stored, if the token is there.
    Write,
    /// Clock, log, tags.
    Control,
    /// The primaries are still those of the first step; then own memory.
    Memory,
    /// Own cells, table and L1; then OK.
    Local,
    /// Everybody has applied it.
    Everywhere,
}

/// The steps of a call. A re-issued one is an invalidation without a write to the source.
pub(crate) fn steps(rules: &Rules, kind: Kind) -> Vec<Step> {
    use Step::{
        Control, DropOwn, EnsureTags, Everywhere, Local, Memory, Scan, Source, Token, Unlink,
        UnlinkFound, Write,
    };
    let mut steps = match kind {
        Kind::Invalidate(What::Key | What::SoftKey) => {
            match rules.has(Guard::UnlinkBeforeControl) {
                true => vec![Source, Unlink, Control],
                false => vec![Source, Control, Unlink],
            }
        }
        Kind::Invalidate(_) => vec![Source, Control],
        Kind::Scan => match rules.has(Guard::ScanBeforeLog) {
            true => vec![Source, Scan, UnlinkFound, Control],
            false => vec![Source, Control, Scan, UnlinkFound],
        },
        Kind::Set => match rules.has(Guard::SetOrder) {
            true => vec![EnsureTags, Token, Source, Write, Control],
            false => vec![Source, EnsureTags, Token, Write, Control],
        },
    };
    if rules.has(Guard::OwnMemory) {
        steps.extend([Memory, Local]);
    } else {
        steps.insert(1, DropOwn);
    }
    if rules.scenario.everywhere {
        steps.push(Everywhere);
    }
    steps
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    /// How many of its steps are done.
    pub(crate) done: u8,
    /// What its log entry names.
    pub(crate) what: What,
    /// The version of the source that it wrote.
    pub(crate) version: u8,
    pub(crate) epoch: Option<Epoch>,
    /// When it returned OK.
    pub(crate) ok_at: Option<u8>,
    /// Whether `everywhere` has returned.
    pub(crate) everywhere: bool,
    /// Whether Redis has lost what it did, in a failover, and it was not repeated yet.
    pub(crate) excused: bool,
    /// The same before it had returned: its caller is to notice, and nobody else need honour it yet.
    pub(crate) lost: bool,
    /// The primary of the shard, noted before its first step there.
    pub(crate) primary: u8,
    pub(crate) token: u8,
    pub(crate) since: Option<Epoch>,
    pub(crate) found: bool,
}

impl Call {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            done: 0,
            what: match kind {
                Kind::Invalidate(what) => what,
                Kind::Scan => What::Glob,
                Kind::Set => What::Key,
            },
            version: 0,
            epoch: None,
            ok_at: None,
            everywhere: false,
            excused: false,
            lost: false,
            primary: 0,
            token: 0,
            since: None,
            found: false,
        }
    }
}

impl Call {
    /// Whether Redis has lost what it did.
    pub(crate) fn is_lost(&self) -> bool {
        self.excused || self.lost
    }
}

impl World {
    /// The next step of a call; `false` when there is none.
    pub(crate) fn advance(&mut self, rules: &Rules, c: usize) -> bool {
        let spec = rules.scenario.calls[c];
        if self.calls[c].done == 0
            && let Some(before) = spec.after
            && self.calls[before].ok_at.is_none()
        {
            return false;
        }
        let steps = &rules.scenario_steps(c);
        let Some(step) = steps.get(usize::from(self.calls[c].done)).copied() else {
            return false;
        };
        self.calls[c].done += 1;
        let p = spec.process;
        // What was lost is repeated from here on.
        let begins = match step {
            Step::Unlink | Step::UnlinkFound | Step::Write => true,
            Step::Control => !self.calls[c].what.names_key(),
            _ => false,
        };
        if begins {
            (self.calls[c].excused, self.calls[c].lost) = (false, false);
        }
        match step {
            Step::Source => {
                self.source += 1;
                self.calls[c].version = self.source;
            }
            Step::DropOwn => self.procs[p].l1 = None,
            Step::Unlink => {
                self.touch_entries(c);
                match self.calls[c].what {
                    What::SoftKey => self.server.entries.soften(),
                    _ => self.server.entries.unlink(),
                }
            }
            Step::Scan => {
                self.calls[c].primary = self.server.entries.primary;
                let there = self.server.entries.record;
                let met = |r: crate::server::Record| {
                    r.value.is_some() || rules.has(Guard::ScanMeetsLeases)
                };
                self.calls[c].found = there.is_some_and(met);
            }
            Step::UnlinkFound => {
                self.server.entries.unlinked |= 1 << c;
                if self.calls[c].found {
                    self.server.entries.unlink();
                }
                self.calls[c].found = false;
            }
            Step::EnsureTags => {
                let clock = self.server.control.ensure_tags(rules, &mut self.ids);
                self.calls[c].since = Some(clock);
            }
            Step::Token => {
                self.ids.token += 1;
                self.calls[c].token = self.ids.token;
                self.server.entries.lease(self.ids.token);
            }
            Step::Write => self.write(rules, c),
            Step::Control => {
                let what = self.calls[c].what;
                let number = u8::try_from(c).unwrap_or(u8::MAX);
                let control = &mut self.server.control;
                let epoch = control.invalidate(rules, &mut self.ids, what, number);
                self.calls[c].epoch = Some(epoch);
            }
            Step::Memory => self.own_memory(rules, c, p),
            Step::Local => self.own_local(rules, c, p),
            Step::Everywhere => {
                let (control, now) = (&self.server.control, self.now);
                let has = |epoch| control.everyone_has(rules, epoch, now);
                if !self.calls[c].epoch.is_some_and(has) {
                    return false;
                }
                self.calls[c].everywhere = true;
            }
        }
        let returned = !steps[usize::from(self.calls[c].done)..]
            .iter()
            .any(|step| *step != Step::Everywhere);
        if returned && self.calls[c].ok_at.is_none() && self.calls[c].epoch.is_some() {
            self.calls[c].ok_at = Some(self.now);
            // The honesty of OK toward one's own reads.
            if !self.calls[c].excused {
                self.procs[p].known |= 1 << c;
            }
        }
        true
    }

    fn touch_entries(&mut self, c: usize) {
        self.calls[c].primary = self.server.entries.primary;
        self.server.entries.unlinked |= 1 << c;
    }

    fn write(&mut self, rules: &Rules, c: usize) {
        self.touch_entries(c);
        let Call {
            token,
            version,
            since,
            ..
        } = self.calls[c];
        let entries = &mut self.server.entries;
        match since {
            Some(since) if entries.holds(token) || !rules.has(Guard::SetToken) => {
                entries.store(token, version, since);
            }
            _ => entries.unlink(),
        }
        (self.calls[c].token, self.calls[c].since) = (0, None);
    }

    fn own_memory(&mut self, rules: &Rules, c: usize, p: usize) {
        let call = &self.calls[c];
        let elsewhere = call.what.names_key() && call.primary != self.server.entries.primary;
        if elsewhere && rules.has(Guard::ReplidRefusal) {
            // From the first step on; the source stays as it was written.
            let from = self.retry_from(rules, c);
            let call = &mut self.calls[c];
            (call.epoch, call.done) = (None, from);
            return;
        }
        let (Some(epoch), what) = (call.epoch, call.what) else {
            return;
        };
        let process = &mut self.procs[p];
        process.note(rules, epoch, what);
        if !rules.has(Guard::OwnKeepsApplied)
            && process
                .follower
                .as_ref()
                .is_some_and(|f| !f.applied().at_least(epoch))
            && process.applied.is_some_and(|a| a.inc == epoch.inc)
        {
            process.has_applied(epoch);
        }
    }

    fn own_local(&mut self, rules: &Rules, c: usize, p: usize) {
        let (Some(epoch), what) = (self.calls[c].epoch, self.calls[c].what) else {
            return;
        };
        let process = &mut self.procs[p];
        process.apply(rules, epoch, what);
        let start = process.memory.start();
        if start.is_none_or(|start| start.inc != epoch.inc) {
            // A receipt of another inc: resync, one under way begins again.
            process.lose_log();
        }
    }

    /// What Redis lost is repeated, from the first step, with a new tick.
    pub(crate) fn reissue(&mut self, rules: &Rules, c: usize) -> bool {
        let call = &self.calls[c];
        if !call.excused || call.ok_at.is_none() || self.left.reissues == 0 {
            return false;
        }
        self.left.reissues -= 1;
        let from = self.retry_from(rules, c);
        let call = &mut self.calls[c];
        (call.ok_at, call.everywhere) = (None, false);
        call.done = from;
        true
    }

    /// How many steps are done when the invalidation begins again from its first one.
    fn retry_from(&self, rules: &Rules, c: usize) -> u8 {
        let steps = rules.scenario_steps(c);
        let first = |step: &Step| {
            matches!(
                step,
                Step::Unlink | Step::Scan | Step::Write | Step::Control
            )
        };
        let at = steps.iter().position(first).unwrap_or_default();
        u8::try_from(at).unwrap_or(u8::MAX)
    }
}

impl Rules {
    /// The steps of a call of the scenario.
    fn scenario_steps(&self, c: usize) -> Arc<[Step]> {
        self.steps[c].clone()
    }
}
