//! How the server serves: encryption, latency, connections, what it does beside.

use super::mend::Mend;
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

/// Half of the answers are slower than this: a hit in the store costs as much as many a query.
const SLOW_HALF_US: u64 = 5_000;
/// A command that holds everybody up.
const SLOW_COMMAND_US: u64 = 10_000;
const VERY_SLOW_COMMAND_US: u64 = 100_000;
/// What is older than this has nothing to do with today.
const RECENT_S: u64 = 24 * 3600;
/// From here on logs of different machines can't be held beside each other.
const AHEAD_MS: u64 = 2_000;

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    found.extend(encryption(facts, mend));
    found.extend(latency(facts, mend));
    found.extend(slow_commands(facts, mend));
    found.extend(idle_timeout(facts, mend));
    found.extend(keepalive(facts, mend));
    found.extend(clients(facts, mend));
    found.extend(events(facts, mend));
    found.extend(clock(facts));
}

fn encryption(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let place = &facts.place;
    if place.is_here() || place.is_encrypted() {
        return None;
    }
    let port = facts.limit("tls-port").filter(|port| *port > 0);
    let mends = match port {
        Some(port) => vec![format!("# it listens for TLS: use rediss://…:{port}")],
        None => vec![
            "# with a certificate for the server; then use rediss://…:6380".to_owned(),
            mend.server([
                "CONFIG",
                "SET",
                "tls-cert-file",
                "server.crt",
                "tls-key-file",
                "server.key",
                "tls-ca-cert-file",
                "ca.crt",
                "tls-auth-clients",
                "no",
                "tls-port",
                "6380",
            ]),
        ],
    };
    Some(diagnosis(
        "encryption",
        Severity::Warning,
        format!("the way to {} is not encrypted", place.shown),
        "whoever is on the way reads the password and every value, and can change what is answered",
        mends,
    ))
}

fn latency(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (half, most) = (facts.ping_at(500), facts.ping_at(990));
    let patience = u64::try_from(facts.patience.as_micros()).unwrap_or(u64::MAX);
    let (severity, consequence) = match () {
        () if most >= patience / 2 => (
            Severity::Error,
            format!(
                "calls fail at {:?} (the setting timeout), and after three in a row the server counts as down",
                facts.patience
            ),
        ),
        () if half >= SLOW_HALF_US => (
            Severity::Warning,
            "a hit in the store takes as long: what is computed faster is better not stored there"
                .to_owned(),
        ),
        () => return None,
    };
    let ms = |us: u64| format!("{}.{} ms", us / 1000, us % 1000 / 100);
    Some(diagnosis(
        "latency",
        severity,
        format!(
            "half of the pings took {} or more, one of a hundred {}",
            ms(half),
            ms(most)
        ),
        consequence,
        vec![
            "# what holds it up: its own machine, a slow command, or the way there".to_owned(),
            mend.server(["LATENCY", "DOCTOR"]),
            mend.server(["SLOWLOG", "GET", "10"]),
            format!(
                "{} --intrinsic-latency 5   # on the server's machine",
                mend.cli()
            ),
        ],
    ))
}

fn slow_commands(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let slow = facts.slow.as_ref().ok()?.iter();
    let slow: Vec<_> = slow
        .filter(|it| it.took_us >= SLOW_COMMAND_US && it.ago_s <= RECENT_S)
        .collect();
    let worst = slow.iter().max_by_key(|it| it.took_us)?;
    let mut names: Vec<_> = slow.iter().map(|it| it.command.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(8);
    Some(diagnosis(
        "slow_commands",
        match worst.took_us >= VERY_SLOW_COMMAND_US {
            true => Severity::Warning,
            false => Severity::Info,
        },
        format!(
            "{} slow commands within a day ({}), the slowest {} with {} ms, {} min ago",
            slow.len(),
            names.join(", "),
            worst.command,
            worst.took_us / 1000,
            worst.ago_s / 60
        ),
        "while one runs nobody else is answered",
        vec![
            "# see who sends them and stop that; then:".to_owned(),
            mend.server(["SLOWLOG", "GET", "25"]),
            mend.server(["SLOWLOG", "RESET"]),
        ],
    ))
}

fn idle_timeout(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let seconds = facts.limit("timeout").filter(|s| *s > 0)?;
    Some(diagnosis(
        "idle_timeout",
        Severity::Warning,
        format!("the server closes connections that are idle for {seconds} s (timeout)"),
        "after a quiet spell the first calls fail, until the connection is back: reads load, invalidations are tried again",
        mend.set("timeout", "0"),
    ))
}

fn keepalive(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    (facts.limit("tcp-keepalive")? == 0).then(|| {
        diagnosis(
            "keepalive",
            Severity::Warning,
            "the server does not ask whether its clients are there (tcp-keepalive 0)",
            "connections of processes that are gone stay, and count against maxclients",
            mend.set("tcp-keepalive", "60"),
        )
    })
}

fn clients(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let most = facts
        .number("maxclients")
        .or_else(|| facts.limit("maxclients"))?;
    let connected = facts.number("connected_clients")?;
    let rejected = facts.number("rejected_connections").unwrap_or(0);
    let near = connected >= most / 5 * 4;
    if !near && rejected == 0 {
        return None;
    }
    let more = mend.set(
        "maxclients",
        &(most.max(connected) * 2).max(1000).to_string(),
    );
    Some(diagnosis(
        "clients",
        if near {
            Severity::Error
        } else {
            Severity::Warning
        },
        format!(
            "{connected} of {most} connections are taken, {rejected} were refused since the server started"
        ),
        "a process that is refused serves without the store: every read loads. Each needs three connections, twice over while it is replaced",
        [more, vec![mend.server(["CONFIG", "RESETSTAT"])]].concat(),
    ))
}

fn events(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let events = facts
        .parameter("notify-keyspace-events")
        .filter(|e| !e.is_empty())?;
    Some(diagnosis(
        "keyspace_events",
        Severity::Info,
        format!("notify-keyspace-events is {events:?}"),
        "shelflife has a log of its own and listens to none of them; each write costs more for it",
        [
            vec!["# if nobody else listens:".to_owned()],
            mend.set("notify-keyspace-events", ""),
        ]
        .concat(),
    ))
}

fn clock(facts: &Facts) -> Option<Diagnosis> {
    let ahead = facts.ahead_ms.filter(|ms| ms.unsigned_abs() >= AHEAD_MS)?;
    Some(diagnosis(
        "clock_skew",
        Severity::Info,
        format!(
            "the server's clock is {} ms {} this machine's",
            ahead.unsigned_abs(),
            if ahead > 0 { "ahead of" } else { "behind" }
        ),
        "nothing depends on it: ages and ticks are the server's. But logs of the two can't be held beside each other",
        vec![
            "# on the machine whose clock is wrong:".to_owned(),
            "timedatectl set-ntp true".to_owned(),
        ],
    ))
}
