//! Makes the demo's database: the same users and orders everywhere, from a fixed seed.
//!
//! The file appears whole or not at all: it is made under another name, in one transaction, and gets
//! its own name when it is complete. A start that was interrupted leaves nothing that looks finished.
//!
//! Must not: touch a file that is already there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::random::Random;
use crate::failure::Failure;
use crate::output;

/// How much is made up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) users: u32,
    pub(crate) orders: u32,
}

/// "shlf": says that a file is the demo's own, so that it never writes to somebody else's database.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"shlf");

/// Counted up when the tables change: an older file is then refused with advice.
const TABLES_VERSION: i32 = 1;

const SEED: u64 = 0x5e1f_11fe;

const TABLES: &str = "
    CREATE TABLE users (
        id        INTEGER PRIMARY KEY,
        name      TEXT NOT NULL,
        city      TEXT NOT NULL,
        joined_on TEXT NOT NULL);
    CREATE TABLE orders (
        id        INTEGER PRIMARY KEY,
        user_id   INTEGER NOT NULL REFERENCES users,
        placed_on TEXT NOT NULL,
        cents     INTEGER NOT NULL);";

/// Made after the rows: filling an index row by row takes several times as long.
const INDEX: &str = "CREATE INDEX orders_by_user ON orders (user_id, cents);";

const FIRST_NAMES: [&str; 20] = [
    "Ada",
    "Alan",
    "Barbara",
    "Dennis",
    "Donald",
    "Edith",
    "Frances",
    "Grace",
    "Hedy",
    "Ivan",
    "Joan",
    "Katherine",
    "Ken",
    "Leslie",
    "Linus",
    "Margaret",
    "Niklaus",
    "Radia",
    "Sophie",
    "Tony",
];
const LAST_NAMES: [&str; 20] = [
    "Allen",
    "Bartik",
    "Clarke",
    "Dijkstra",
    "Engelbart",
    "Feinler",
    "Goldberg",
    "Hamilton",
    "Hopper",
    "Johnson",
    "Kernighan",
    "Lamport",
    "Liskov",
    "Lovelace",
    "Perlman",
    "Ritchie",
    "Sutherland",
    "Thompson",
    "Turing",
    "Wilson",
];
const CITIES: [&str; 12] = [
    "Amsterdam",
    "Bern",
    "Dublin",
    "Helsinki",
    "Lisbon",
    "London",
    "Madrid",
    "Oslo",
    "Paris",
    "Prague",
    "Vienna",
    "Warsaw",
];

/// Leaves a complete demo database at `path`: the one that is there, else a new one.
pub(crate) fn ensure(path: &Path, size: Size) -> Result<(), Failure> {
    if path.exists() {
        return recognise(path);
    }
    let began = Instant::now();
    let unfinished = Unfinished::beside(path);
    output::note(format!(
        "making {} with {} users and {} orders ...",
        path.display(),
        size.users,
        size.orders
    ));
    fill(&unfinished.0, size).map_err(|error| cannot_make(path, &error))?;
    publish(&unfinished.0, path).map_err(|error| cannot_make(path, &error))?;
    output::note(format!("made in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Gives the finished file its name, unless another first start was quicker: its file is as good, and
/// may be in use already.
fn publish(finished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(finished, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system has hard links; a rename is the next best.
        Err(_) => fs::rename(finished, path),
        Ok(()) => Ok(()),
    }
}

fn cannot_make(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(format!(
        "cannot make the database {}: {error}",
        path.display()
    ))
    .hint("name a place that can be written to: --database PATH")
}

/// Refuses a file that is not the demo's own.
fn recognise(path: &Path) -> Result<(), Failure> {
    let stamp = |db: &Connection| -> rusqlite::Result<(i32, i32)> {
        let id = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok((
            id,
            db.pragma_query_value(None, "user_version", |row| row.get(0))?,
        ))
    };
    let found = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|db| stamp(&db));
    let problem = match found {
        Ok((APPLICATION_ID, TABLES_VERSION)) => return Ok(()),
        Ok((APPLICATION_ID, version)) => {
            format!("it has tables of version {version}, this program has {TABLES_VERSION}")
        }
        Ok(_) => "it is not a database of shelflife demo".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(
        Failure::new(format!("cannot use {}: {problem}", path.display()))
            .hint("remove the file to have it made anew, or name another one: --database PATH"),
    )
}

/// The file while it is being made; its first name is removed at the end, whatever the end.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        // The process id keeps two first starts out of each other's way.
        name.push(format!("-making-{}", std::process::id()));
        Unfinished(name.into())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing here any more.
        let _ = fs::remove_file(&self.0);
    }
}

fn fill(path: &Path, size: Size) -> rusqlite::Result<()> {
    let mut db = Connection::open(path)?;
    // Nobody else sees this file yet: neither a journal nor a flush protects anything.
    db.pragma_update(None, "journal_mode", "OFF")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", TABLES_VERSION)?;

    let bar = progress(u64::from(size.users) + u64::from(size.orders));
    let mut random = Random::new(SEED);
    let rows = db.transaction()?;
    rows.execute_batch(TABLES)?;
    add_users(&rows, size, &mut random, &bar)?;
    add_orders(&rows, size, &mut random, &bar)?;
    bar.set_message("indexing");
    rows.execute_batch(INDEX)?;
    rows.commit()?;
    bar.finish_and_clear();
    db.execute_batch("ANALYZE")?;
    db.close().map_err(|(_, error)| error)
}

/// Draws itself only where stderr is a terminal; elsewhere the plain lines before and after it do.
fn progress(rows: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {percent:>3}% {human_pos}/{human_len} {msg}");
    ProgressBar::new(rows).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn add_users(
    db: &Transaction<'_>,
    size: Size,
    random: &mut Random,
    bar: &ProgressBar,
) -> rusqlite::Result<()> {
    let mut insert =
        db.prepare("INSERT INTO users (id, name, city, joined_on) VALUES (?1, ?2, ?3, ?4)")?;
    for id in 1..=size.users {
        let name = format!("{} {}", random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES));
        insert.execute(params![
            id,
            name,
            random.pick(&CITIES),
            day(2020, 3, random)
        ])?;
        bar.inc(1);
    }
    Ok(())
}

fn add_orders(
    db: &Transaction<'_>,
    size: Size,
    random: &mut Random,
    bar: &ProgressBar,
) -> rusqlite::Result<()> {
    const BAR_STEP: u32 = 1000;
    let mut insert =
        db.prepare("INSERT INTO orders (id, user_id, placed_on, cents) VALUES (?1, ?2, ?3, ?4)")?;
    for id in 1..=size.orders {
        // A power of an even draw: a few users order often, most now and then, as in life.
        let user = 1 + (random.unit().powf(1.5) * f64::from(size.users)) as u32;
        let cents = 500 + (random.unit().powi(3) * 40_000.0) as u32;
        insert.execute(params![
            id,
            user.min(size.users),
            day(2023, 2, random),
            cents
        ])?;
        if id % BAR_STEP == 0 {
            bar.inc(u64::from(BAR_STEP));
        }
    }
    Ok(())
}

/// A day within some years; never the 29th to 31st, so that every month has it.
fn day(first_year: u32, years: u32, random: &mut Random) -> String {
    let month = random.below(12 * years);
    format!(
        "{}-{:02}-{:02}",
        first_year + month / 12,
        1 + month % 12,
        1 + random.below(28)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::demo::queries;
    use crate::demo::scratch::Scratch;

    const SMALL: Size = Size {
        users: 50,
        orders: 1000,
    };

    #[test]
    fn the_same_seed_makes_the_same_data() {
        let scratch = Scratch::new();
        let profiles = ["one.sqlite", "two.sqlite"].map(|name| {
            ensure(&scratch.path(name), SMALL).unwrap();
            queries::profile(&mut Connection::open(scratch.path(name)).unwrap(), 1)
                .unwrap()
                .unwrap()
        });
        assert_eq!(profiles[0], profiles[1]);
        assert!(profiles[0].orders.count > 0);
    }

    #[test]
    fn a_finished_file_is_left_alone() {
        let scratch = Scratch::new();
        let path = scratch.path("demo.sqlite");
        ensure(&path, SMALL).unwrap();
        let before = fs::read(&path).unwrap();
        ensure(
            &path,
            Size {
                users: 5,
                orders: 10,
            },
        )
        .unwrap();
        assert_eq!(before, fs::read(&path).unwrap());
    }

    #[test]
    fn a_foreign_file_is_refused_and_left_alone() {
        let scratch = Scratch::new();
        let path = scratch.path("foreign.sqlite");
        fs::write(&path, "not a database, and somebody may need it").unwrap();
        let failure = ensure(&path, SMALL).unwrap_err().to_string();
        assert!(
            failure.contains("foreign.sqlite") && failure.contains("--database"),
            "{failure}"
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            b"not a database, and somebody may need it"
        );
    }

    #[test]
    fn nothing_is_left_where_the_file_could_not_be_made() {
        let scratch = Scratch::new();
        let path = scratch.path("no-such-directory/demo.sqlite");
        assert!(ensure(&path, SMALL).is_err());
        assert!(!path.exists());
    }
}
