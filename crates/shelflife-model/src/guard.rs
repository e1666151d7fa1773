//! The guards of PROTOCOL §10, each a switch; those too that it keeps for other reasons.
//!
//! A guard that is off is left out just where the protocol has it; everything else stays. With all of
//! them on, no scenario may break the promise; without one, its scenario must.

macro_rules! guards {
    ($($name:ident = $word:literal, $section:literal, $says:literal, $without:literal;)*) => {
        /// A guard of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "`says` tells what each one is")]
        pub enum Guard { $($name,)* }

        impl Guard {
            /// All of them, in the order of PROTOCOL §10.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its word on the command line.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The section of PROTOCOL that has it.
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)* }
            }

            /// What it says.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }

            /// What is done instead when it is off.
            pub const fn without(self) -> &'static str {
                match self { $(Self::$name => $without,)* }
            }
        }
    };
}

guards! {
    FillToken = "fill-token", "4.7", "a fill happens only while its token is in the entry",
        "a fill writes whatever is there";
    SinceBeforeLoad = "since-before-load", "4.5", "S is noted before the load begins",
        "S is noted when the load has begun";
    LoadAfterGranted = "load-after-granted", "4.4", "the load starts only after GRANTED",
        "the load starts before the lease is asked for";
    EnsureAtCurrentTick = "ensure-at-current-tick", "4.6", "ensure_tags creates records at the current tick",
        "it creates them at tick 0";
    SkipIfNewer = "skip-if-newer", "4.6", "no fill if a tag is newer than S, or of another inc",
        "filled all the same";
    GoodIsClockBeforeGet = "good-is-clock-before-get", "4.3", "good is the clock read before the GET",
        "good is a clock read after the GET";
    GoodAfterEnsure = "good-after-ensure", "4.7", "good = c only if ensure_tags ran before the fill",
        "it runs after the fill";
    RejectedOrLost = "rejected-or-lost", "4.7", "a fill rejected or lost: good = S, not in L1",
        "good = c, and into L1";
    MissingTagIsDead = "missing-tag-is-dead", "3", "a tag whose record is missing makes the entry dead",
        "it counts as never invalidated";
    TagsInc = "tags-inc", "3", "a tag's record of another inc makes the entry dead",
        "its inc is not looked at";
    MissingClockIsNewInc = "missing-clock-is-new-inc", "2", "a missing clock begins a new inc",
        "it begins anew in the same inc";
    UnlinkBeforeControl = "unlink-before-control", "5", "keys are unlinked before the control script",
        "after it";
    OwnMemory = "own-memory", "5.3", "own memory, cells and L1, after Redis, before OK",
        "own L1 is dropped before Redis is told, and nothing is done after";
    OwnKeepsApplied = "own-keeps-applied", "8", "own invalidations do not move applied",
        "they do";
    WaitersQuestion = "waiters-question", "4.2", "who waits for a flight asks whether its result is good for this read",
        "takes it";
    FloorKept = "floor-kept", "1", "a retry keeps the floor of its read",
        "a retry is content with what the process knows";
    OtherIncTouched = "other-inc-touched", "1", "a result of another inc counts as touched",
        "only ticks are compared";
    MemoryStart = "memory-start", "1", "a result older than memory counts as touched",
        "only what memory holds counts";
    AskAfterInsertion = "ask-after-insertion", "4.7", "inserted into L1, asked again, then ready",
        "asked, then inserted";
    MemoryFirst = "memory-first", "8", "an entry of the log is applied to memory, then L1, then applied",
        "to L1, then applied, then memory";
    RaiseByMax = "raise-by-max", "8", "cells and table are raised by max",
        "the last one told wins";
    TableDiscard = "table-discard", "4.3", "tags read with a clock older than memory_start are not put into the table",
        "they are";
    PrevGap = "prev-gap", "8", "an entry whose prev is not applied is a gap",
        "it is applied";
    LogEnd = "log-end", "8", "a clock beyond applied while the log ends before it: resync",
        "waits for the log";
    WindowOnL1 = "window-on-l1", "4.1", "L1 answers only inside the window",
        "L1 answers whatever the window says";
    WindowNeedsClock = "window-needs-clock", "8", "the window opens only if the beat's clock is applied",
        "every answer opens it";
    ResyncOrder = "resync-order", "8", "resync: memory_start first, then L1 is dropped",
        "L1 is dropped first";
    JoinerAsNone = "joiner-as-none", "8", "who resyncs is a member that has applied *none*",
        "it is listed only when it follows";
    EverywhereInc = "everywhere-inc", "8", "everywhere compares the inc too",
        "only ticks";
    CompletenessMark = "completeness-mark", "8", "everywhere trusts only a list that is at least Δ old",
        "it trusts any list";
    MarkOfList = "mark-of-list", "8", "the mark counts only with its list; a list that is begun anew gets a new one",
        "it counts alone";
    MembersOfPrimary = "members-of-primary", "8", "everywhere trusts only a list that was begun on this primary",
        "one of any primary";
    ScanMeetsLeases = "scan-meets-leases", "6", "a scan unlinks leases too",
        "only values";
    ScanBeforeLog = "scan-before-log", "6", "a scan is complete before the log tells of it",
        "it is logged first";
    SetToken = "set-token", "7", "a write happens only while its token is in the entry",
        "it writes whatever is there";
    SetOrder = "set-order", "7", "begin_write comes before the write to the source",
        "after it";
    Jump = "jump", "2", "the first script on a new primary jumps beyond every tick handed out",
        "it goes on from the tick it finds";
    ReplidRefusal = "replid-refusal", "5.2", "steps on another primary than the first one's begin again",
        "nobody looks";
    MemoryReaches = "memory-reaches", "4.3", "memory judges only what was loaded since it reaches back (decision 0008)",
        "it judges everything";
    FillId = "fill-id", "4.4", "begin goes back if another fill is there than the one judged",
        "the lease is placed all the same";
    LocalPath = "local-path", "4.3", "the local path is only for reads that L1 may answer",
        "for all reads";
    RecordInc = "record-inc", "3", "a record of another inc is dead",
        "its inc is not looked at";
    NewReplid = "new-replid", "8", "a beat's answer of another primary: resync",
        "nobody looks";
}

/// How a guard was shown to be needed, or why it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Without it, this scenario has a counterexample.
    In(&'static str),
    /// Without it nothing happens; without the other one too, this scenario has a counterexample.
    With(Guard, &'static str),
    /// No counterexample is known; the scenarios that were explored without it, and why it is kept.
    Kept(&'static [&'static str], &'static str),
}

impl Guard {
    /// The guard of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|guard| guard.word() == word)
    }

    /// Where it is shown to be needed.
    pub const fn shown(self) -> Shown {
        use Guard as G;
        Shown::In(match self {
            G::FillToken | G::LoadAfterGranted => "load-key",
            G::SinceBeforeLoad | G::EnsureAtCurrentTick | G::MissingTagIsDead => "load-tag",
            G::SkipIfNewer | G::OwnMemory => "waiters",
            G::GoodIsClockBeforeGet | G::WindowOnL1 | G::WindowNeedsClock => "follow-key",
            G::UnlinkBeforeControl => "follow-key",
            G::GoodAfterEnsure | G::RejectedOrLost => "session-key",
            G::WaitersQuestion | G::AskAfterInsertion | G::MemoryFirst => "waiters",
            G::RaiseByMax => "own-tag",
            G::OwnKeepsApplied => "own-and-other",
            G::FloorKept => "strict-joins",
            G::MissingClockIsNewInc | G::OtherIncTouched => "new-inc",
            G::RecordInc => "new-inc-load",
            G::MemoryStart | G::ResyncOrder => "log-lost-read",
            G::PrevGap => "log-lost",
            G::MemoryReaches => "memory-first-resync",
            G::TableDiscard => "local-path-resync",
            G::JoinerAsNone => "joiner",
            G::EverywhereInc => "everywhere-inc",
            G::CompletenessMark | G::MarkOfList => "everywhere",
            G::MembersOfPrimary => "everywhere-failover",
            G::ScanMeetsLeases => "scan-load",
            G::ScanBeforeLog => "scan-stored",
            G::SetToken | G::SetOrder => "set",
            G::Jump => "failover-control",
            G::ReplidRefusal => "failover-entries",
            G::TagsInc => return Shown::With(G::RecordInc, "new-inc-load"),
            G::LogEnd => {
                return Shown::Kept(
                    &["log-lost", "log-lost-read", "own-and-other"],
                    "without it a process waits for what the log can't bring: its window stays shut until the next entry, which is a gap",
                );
            }
            G::FillId => {
                return Shown::Kept(&["load-key", "load-tag", "soft"], "one load per key");
            }
            G::LocalPath => {
                return Shown::Kept(
                    &["local-path", "local-path-resync"],
                    "saves reads that would start over",
                );
            }
            G::NewReplid => {
                return Shown::Kept(
                    &["failover-whole"],
                    "the jump and the gap that it leaves see to it; this one is quicker",
                );
            }
        })
    }
}
