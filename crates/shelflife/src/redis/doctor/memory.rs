//! Memory: the limit, what happens at it, and what the allocator makes of it.

use super::mend::{Mend, quoted};
use super::{Facts, diagnosis, size};
use crate::doctor::{Diagnosis, Severity};

const MIB: u64 = 1 << 20;
/// Below this, ratios of memory say nothing.
const TELLING: u64 = 64 * MIB;

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    found.extend(limit(facts, mend));
    found.extend(policy(facts, mend));
    found.extend(full(facts, mend));
    found.extend(resident(facts, mend));
    found.extend(huge_pages(facts));
    found.extend(lazy(facts, mend));
    found.extend(client_buffers(facts, mend));
}

fn limit(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    (facts.number("maxmemory")? == 0).then(|| {
        let used = facts.number("used_memory").unwrap_or(0);
        let half = facts.number("total_system_memory").unwrap_or(0) / 2;
        let wanted = half.max(used * 2).max(256 * MIB);
        let limit = wanted.min(ceiling(facts).unwrap_or(wanted));
        let mut mends = vec![
            "# half of the machine's memory, or twice what is used: less where others live there, or in a container".to_owned(),
        ];
        if used > limit {
            mends.push(format!(
                "# {} are used already, more than three quarters of the machine: what is beyond the limit is evicted at once",
                size(used)
            ));
        }
        mends.extend(limited(facts, mend, limit / MIB));
        diagnosis(
            "maxmemory",
            Severity::Warning,
            "the server's memory has no limit (maxmemory 0)",
            "the cache grows until the machine has no memory left and the kernel kills the server, or another process",
            mends,
        )
    })
}

/// What a server may be given at most: what is beyond the limit, and the machine itself, need memory, too.
fn ceiling(facts: &Facts) -> Option<u64> {
    let all = facts.number("total_system_memory").filter(|all| *all > 0);
    // The lines are for its replicas, too.
    let replicas = facts.replicas_say.iter().filter_map(|(_, said)| {
        let theirs = said.as_ref().ok()?.info.get("total_system_memory")?;
        theirs.parse().ok().filter(|all| *all > 0)
    });
    all.map(|all| replicas.fold(all, u64::min) / 4 * 3)
}

/// Sets the limit, in MiB; where the machine's memory is not told, a person has to know it.
fn limited(facts: &Facts, mend: &Mend, mib: u64) -> Vec<String> {
    let lines = mend.set("maxmemory", &format!("{mib}mb"));
    match ceiling(facts) {
        Some(_) => lines,
        None => to_be_judged(lines).collect(),
    }
}

fn policy(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (severity, consequence) = match facts.field("maxmemory_policy")? {
        "volatile-lru" => return None,
        "noeviction" => (
            Severity::Warning,
            "nothing makes room: the server grows beyond maxmemory, because what invalidates must work when memory is short, and stores by the same right; whatever else writes there is refused",
        ),
        policy if policy.starts_with("allkeys-") => (
            Severity::Warning,
            "the clock and the log may be evicted, too: without its clock, everything that is stored is dead at once",
        ),
        "volatile-lfu" | "volatile-ttl" => (
            Severity::Info,
            "leases are the first to go: loads lose theirs, and what they bring is not stored",
        ),
        _ => (
            Severity::Info,
            "what is used often goes as soon as what is not",
        ),
    };
    let policy = facts.field("maxmemory_policy")?;
    Some(diagnosis(
        "eviction_policy",
        severity,
        format!("maxmemory-policy is {policy}"),
        consequence,
        mend.set("maxmemory-policy", "volatile-lru"),
    ))
}

fn full(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (used, most) = (facts.number("used_memory")?, facts.number("maxmemory")?);
    if most == 0 || used < most / 100 * 95 {
        return None;
    }
    let evicted = facts.number("evicted_keys").unwrap_or(0);
    let wanted = used.max(most) * 2;
    let limit = wanted.min(ceiling(facts).unwrap_or(wanted));
    let mends = match limit > most {
        true => {
            let mut mends = vec![
                "# only if there is as much, with half as much again for the rest: in a container its own limit counts (mem_limit), which the server does not know: beyond that it is killed".to_owned(),
            ];
            mends.extend(limited(facts, mend, limit.div_ceil(MIB)));
            mends
        }
        false => vec!["# the machine has no more to give: a larger one, or a cluster".to_owned()],
    };
    Some(diagnosis(
        "memory_full",
        Severity::Info,
        format!(
            "{} of {} are used, {evicted} keys have been evicted since the server started",
            size(used),
            size(most)
        ),
        "a full cache is as it should be; where evicted_keys rises faster than expired_keys, entries go before they are used again",
        mends,
    ))
}

/// What the machine gives beside what is used.
fn resident(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let used = facts
        .number("used_memory")
        .filter(|used| *used >= TELLING)?;
    let resident = facts.number("used_memory_rss").filter(|rss| *rss > 0)?;
    if resident > used / 2 * 3 {
        return Some(diagnosis(
            "fragmentation",
            Severity::Warning,
            format!(
                "{} are taken from the machine for {} that are used",
                size(resident),
                size(used)
            ),
            "the rest is lost between values; maxmemory does not count it, so the machine runs out before the limit is reached",
            purge(mend),
        ));
    }
    (resident < used / 10 * 8).then(|| {
        diagnosis(
            "swapped",
            Severity::Error,
            format!(
                "only {} of {} are in memory: the rest is swapped out",
                size(resident),
                size(used)
            ),
            "a read of what is swapped out waits for a disk, and everybody waits with it",
            is_it_swapped(facts, mend, resident),
        )
    })
}

fn purge(mend: &Mend) -> Vec<String> {
    let mut mends = vec![mend.server(["MEMORY", "PURGE"])];
    mends.push(
        "# if that was not enough, and the server was built with its own jemalloc (Debian's was not, and refuses):"
            .to_owned(),
    );
    mends.extend(to_be_judged(mend.set("activedefrag", "yes")));
    mends
}

/// Memory that was reserved and never touched looks the same, and a limit evicts at once.
fn is_it_swapped(facts: &Facts, mend: &Mend, resident: u64) -> Vec<String> {
    let mut mends = vec![
        "# memory that was reserved and never touched looks the same: on the server's machine, VmSwap says whether it is swapped".to_owned(),
    ];
    if let Some(pid) = facts.number("process_id") {
        mends.push(format!("# grep VmSwap /proc/{pid}/status"));
    }
    mends.push(
        "# if so: more memory for the machine; or less for the server, which evicts the difference at once"
            .to_owned(),
    );
    let limit = format!("{}mb", (resident / MIB).max(1));
    mends.extend(to_be_judged(mend.set("maxmemory", &limit)));
    mends
}

/// Lines that a person has to decide about.
fn to_be_judged(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("# {line}"))
}

fn huge_pages(facts: &Facts) -> Option<Diagnosis> {
    (facts.parameter("disable-thp")? == "no").then(|| {
        // How it is started anew only those know who have set it up.
        let mut mends = vec![
            "# in the server's configuration, then start it anew: disable-thp yes".to_owned(),
        ];
        let file = facts.field("config_file").filter(|file| !file.is_empty());
        if let Some(file) = file.filter(|_| facts.place.is_here()) {
            mends.push(format!("echo 'disable-thp yes' >> {}", quoted(file)));
        }
        diagnosis(
            "huge_pages",
            Severity::Info,
            "disable-thp is no: the kernel may give the server transparent huge pages",
            "after a fork, every small write copies 2 MiB: latency and memory jump; it can only be set at the start",
            mends,
        )
    })
}

fn lazy(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let names = ["lazyfree-lazy-eviction", "lazyfree-lazy-expire"];
    let off = names
        .into_iter()
        .filter(|name| facts.parameter(name) == Some("no"));
    let off: Vec<&str> = off.collect();
    (!off.is_empty()).then(|| {
        diagnosis(
            "lazy_free",
            Severity::Info,
            format!("{} no", off.join(" and ")),
            "values are freed by the thread that answers: a large one holds up everybody for a moment",
            off.iter().flat_map(|name| mend.set(name, "yes")).collect(),
        )
    })
}

/// What answers take that nobody reads counts against the limit: entries make room for it.
fn client_buffers(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let most = facts.number("maxmemory").filter(|most| *most > 0)?;
    let mut words = facts
        .parameter("client-output-buffer-limit")?
        .split_whitespace();
    words.find(|word| *word == "normal")?;
    let one: u64 = words.next()?.parse().ok()?;
    // Redis 7.0 and newer: of all clients together.
    let all = facts.parameter("maxmemory-clients");
    if all.is_some_and(|all| all != "0") || (1..=most / 2).contains(&one) {
        return None;
    }
    let (severity, found) = match one {
        0 => (
            Severity::Warning,
            "answers that a client does not read may take any memory (client-output-buffer-limit normal 0)".to_owned(),
        ),
        one => (
            Severity::Info,
            format!("answers that one client does not read may take {} of {}", size(one), size(most)),
        ),
    };
    let mut mends = mend.set("client-output-buffer-limit", "normal 64mb 16mb 30");
    if all.is_some() {
        mends.extend(mend.set("maxmemory-clients", "25%"));
    }
    Some(diagnosis(
        "client_buffers",
        severity,
        found,
        "they count against maxmemory: for one process that hangs, the entries of all make room",
        mends,
    ))
}
