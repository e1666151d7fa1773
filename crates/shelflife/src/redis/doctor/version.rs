//! The server's version: whether shelflife knows it, and whether anybody still mends it.
//!
//! Must not: know what day it is. The table is what was the case when this version was released.

use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

/// A product, the first version that shelflife is tested with, and the first that its project still mends.
struct Line {
    product: &'static str,
    field: &'static str,
    supported: (u64, u64),
    mended: (u64, u64),
    upgrade: &'static str,
}

/// Valkey first: it tells a version of Redis, too, for those who ask.
const LINES: [Line; 2] = [
    Line {
        product: "Valkey",
        field: "valkey_version",
        supported: (7, 2),
        mended: (7, 2),
        upgrade: "# apt-get install --only-upgrade valkey-server, or another image: valkey/valkey:8.1-bookworm",
    },
    Line {
        product: "Redis",
        field: "redis_version",
        supported: (7, 0),
        mended: (7, 2),
        upgrade: "# apt-get install --only-upgrade redis-server, or another image: redis:7.4-bookworm",
    },
];

pub(super) fn rules(facts: &Facts, found: &mut Vec<Diagnosis>) {
    let told = |line: &'static Line| Some((line, facts.field(line.field)?));
    let Some((line, version)) = LINES.iter().find_map(told) else {
        return;
    };
    let mut parts = version.split('.').map(|part| part.parse().ok());
    let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else {
        return;
    };
    let product = line.product;
    let (severity, told, consequence) = match (major, minor) {
        own if own < line.supported => (
            Severity::Error,
            format!(
                "{product} {version} is older than {}.{}",
                line.supported.0, line.supported.1
            ),
            "shelflife was never tried with it: scripts and rights that it relies on may be missing",
        ),
        own if own < line.mended => (
            Severity::Info,
            format!("{product} {version}: its project does not mend {major}.{minor} any more"),
            "faults of security stay, unless whoever packs it for you mends them, as Debian does",
        ),
        _ => return,
    };
    let mends = vec![
        "# a cache has nothing to carry over: a new server starts empty, and costs loads"
            .to_owned(),
        line.upgrade.to_owned(),
    ];
    found.push(diagnosis("version", severity, told, consequence, mends));
}
