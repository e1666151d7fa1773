//! Persistence: a cache has nothing to keep, and something to lose by keeping it.
//!
//! What is on the disk goes with the setting: a server reads its snapshot at the start, whatever `save` says.

use super::mend::{Mend, quoted};
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

/// On a server of their own caches have nothing that a disk has to keep.
pub(super) const ALONE: &str = "# if there are only caches on this server:";
const FORGETS: &str = "started anew from a disk that lags, the server has forgotten invalidations, and serves what they made dead";

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    found.extend(snapshots(facts, mend));
    found.extend(append_only(facts, mend));
    found.extend(refusing(facts, mend));
    found.extend(copies(facts, mend));
}

fn snapshots(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let save = facts.parameter("save").filter(|save| !save.is_empty())?;
    let fork = facts.number("latest_fork_usec").filter(|us| *us > 0);
    let fork = fork.map_or(String::new(), |us| {
        format!("; the last fork stopped it for {} ms", us.div_ceil(1000))
    });
    Some(diagnosis(
        "snapshots",
        Severity::Warning,
        format!("the server writes snapshots (save {save:?}){fork}"),
        format!("each forks, and may take as much memory again; and {FORGETS}"),
        [
            vec![ALONE.to_owned()],
            mend.set("save", ""),
            keep(facts, mend, "--save ''"),
            removed(facts, mend, &[snapshot(facts)]),
        ]
        .concat(),
    ))
}

fn append_only(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    (facts.field("aof_enabled")? == "1").then(|| {
        diagnosis(
            "append_only",
            Severity::Warning,
            "the server writes an append-only file (appendonly yes)",
            format!("every fill is written to a disk, whose delays everybody feels; and, but for appendfsync always, {FORGETS}"),
            [
                vec![ALONE.to_owned()],
                mend.set("appendonly", "no"),
                keep(facts, mend, "--appendonly no"),
                // With no append-only file to read, the next start reads a snapshot, if there is one of long ago.
                removed(facts, mend, &[appended(facts), snapshot(facts)]),
            ]
            .concat(),
        )
    })
}

/// A snapshot has failed, and writes are refused because of it.
fn refusing(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let failed = facts.field("rdb_last_bgsave_status")? == "err";
    let snapshots = facts.parameter("save").is_some_and(|save| !save.is_empty());
    let stops = facts.parameter("stop-writes-on-bgsave-error") == Some("yes");
    (failed && snapshots && stops).then(|| {
        diagnosis(
            "writes_refused",
            Severity::Error,
            "the last snapshot failed, and the server refuses writes until one succeeds (MISCONF)",
            "nothing is stored, and no invalidation is confirmed",
            [
                mend.set("stop-writes-on-bgsave-error", "no"),
                vec![ALONE.to_owned()],
                mend.set("save", ""),
                keep(facts, mend, "--save ''"),
                removed(facts, mend, &[snapshot(facts)]),
                well_again(facts, mend),
            ]
            .concat(),
        )
    })
}

/// Replicas begin with a copy of their primary, which comes as a snapshot.
fn copies(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let stay = facts.parameter("rdb-del-sync-files")? == "no";
    let among_others = mend.has_replicas() || facts.field("role") == Some("slave");
    // Where something is kept on purpose they stay by intention, and that is another finding.
    let keeps = facts.field("aof_enabled") == Some("1") || facts.parameter("save") != Some("");
    (stay && among_others && !keeps).then(|| {
        diagnosis(
            "sync_files",
            Severity::Warning,
            "replicas keep the copy that they began with on their disks (rdb-del-sync-files no)",
            format!("one that has become the primary reads it when it is started anew: {FORGETS}"),
            [
                mend.set("rdb-del-sync-files", "yes"),
                keep(facts, mend, "--rdb-del-sync-files yes"),
                vec![ALONE.to_owned()],
                removed(facts, mend, &[snapshot(facts)]),
            ]
            .concat(),
        )
    })
}

/// Writes the setting into the server's configuration. Before files go: else the next start would write them again.
fn keep(facts: &Facts, mend: &Mend, option: &str) -> Vec<String> {
    match facts.field("config_file") {
        Some(file) if !file.is_empty() => mend.everywhere(&["CONFIG", "REWRITE"]),
        _ => vec![format!(
            "# it was started without a file for its configuration: have it started with {option}"
        )],
    }
}

/// A file in the server's directory, as a word for a shell: `None` where that is not told.
type File = Option<String>;

fn snapshot(facts: &Facts) -> File {
    Some(quoted(&format!(
        "{}/{}",
        home(facts)?,
        name(facts, "dbfilename")?
    )))
}

/// All parts of the append-only file; before Redis 7 it was one.
fn appended(facts: &Facts) -> File {
    let (home, file) = (home(facts)?, name(facts, "appendfilename")?);
    Some(match name(facts, "appenddirname") {
        Some(parts) => format!("{}.*", quoted(&format!("{home}/{parts}/{file}"))),
        None => quoted(&format!("{home}/{file}")),
    })
}

fn home(facts: &Facts) -> Option<&str> {
    let home = facts.parameter("dir")?.trim_end_matches('/');
    let is_plain = home.starts_with('/') && !home.contains(['\0', '\n', '\r']);
    is_plain.then_some(home)
}

/// A file's name, and no path: what stands elsewhere is not the server's.
fn name<'a>(facts: &'a Facts, parameter: &str) -> Option<&'a str> {
    let name = facts.parameter(parameter)?;
    let is_plain = !name.is_empty() && !name.contains(['/', '\0', '\n', '\r']) && name != "..";
    is_plain.then_some(name)
}

/// Removes what the next start would read, when nobody is writing it any more.
fn removed(facts: &Facts, mend: &Mend, files: &[File]) -> Vec<String> {
    let mut lines = Vec::new();
    let told: Vec<&str> = files.iter().flatten().map(String::as_str).collect();
    if told.len() < files.len() {
        lines.push("# then remove its snapshot and its append-only file on the server's machine (CONFIG GET dir, dbfilename, appenddirname): the next start reads them".to_owned());
    } else if facts.place.is_here() {
        lines.push(until_written(mend));
        lines.push(
            "# the next start would read it; if the server is in a container, there:".to_owned(),
        );
        lines.push(remove(facts, mend, &told.join(" ")));
    } else {
        lines.push(until_written(mend));
        lines.push(format!(
            "# on the server's machine, for the next start reads it: rm -f {}",
            told.join(" ")
        ));
    }
    if mend.has_replicas() {
        lines.push("# and the same files of each replica".to_owned());
    }
    lines
}

/// Removes files, if the server does not write them any more (who asked may not have been let change that), and if it is here: an
/// address of loopback may lead through a tunnel to another machine, whose paths are none here.
fn remove(facts: &Facts, mend: &Mend, files: &str) -> String {
    match (facts.number("process_id"), home(facts)) {
        (Some(process), Some(home)) => format!(
            "{} INFO persistence | grep -q '^aof_enabled:0' && test \"$(readlink /proc/{process}/cwd)\" = {} && rm -f {files}",
            mend.cli(),
            quoted(home)
        ),
        _ => format!("# on the server's machine: rm -f {files}"),
    }
}

/// Waits for a snapshot, or a new append-only file, that is being written.
fn until_written(mend: &Mend) -> String {
    format!(
        "while {} INFO persistence | grep -Eq '(bgsave|rewrite)_in_progress:1'; do sleep 1; done",
        mend.cli()
    )
}

/// What a failed snapshot has left is an alert that only one that succeeds ends.
fn well_again(facts: &Facts, mend: &Mend) -> Vec<String> {
    let why =
        "one that succeeds ends the alert ShelflifeServerDoesNotSave, and so does a new start";
    match snapshot(facts).filter(|_| facts.place.is_here()) {
        Some(file) => vec![
            format!("# {why}:"),
            mend.server(["BGSAVE"]),
            until_written(mend),
            remove(facts, mend, &file),
        ],
        None => vec![format!(
            "# {why}: BGSAVE, and then remove the file once more"
        )],
    }
}
