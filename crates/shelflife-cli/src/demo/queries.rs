//! What the demo asks its database: plain functions from a connection to a value.
//!
//! `profile` and `page` are the expensive ones, and honestly so: a rank among all users needs what
//! every one of them has spent, which is a pass over all orders however good the indexes are.
//!
//! Must not: know HTTP or the cache.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

/// Users on one page of the list.
pub(crate) const PAGE_SIZE: u32 = 20;

/// A user, with everything that can be worked out from the orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    #[serde(flatten)]
    pub(crate) user: User,
    pub(crate) orders: Orders,
    pub(crate) months: Vec<Month>,
    pub(crate) standing: Standing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) city: String,
    pub(crate) joined_on: String,
}

/// All orders of a user in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) count: u32,
    pub(crate) spent_cents: i64,
    pub(crate) largest_cents: i64,
    pub(crate) last_on: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Month {
    pub(crate) month: String,
    pub(crate) orders: u32,
    pub(crate) spent_cents: i64,
}

/// Where a user stands among all of them, by what they have spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) rank: u32,
    pub(crate) of: u32,
    /// Percent of the other users who have spent less.
    pub(crate) percentile: f64,
}

/// One page of the users, the biggest spenders first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) page: u32,
    pub(crate) pages: u32,
    pub(crate) users: Vec<Spender>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spender {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) city: String,
    pub(crate) orders: u32,
    pub(crate) spent_cents: i64,
}

/// What a PUT replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Details {
    pub(crate) name: String,
    pub(crate) city: String,
}

/// The profile of a user; `None` when there is no such user.
pub(crate) fn profile(db: &mut Connection, id: u32) -> rusqlite::Result<Option<Profile>> {
    // One transaction: all parts are of the same moment.
    let db = db.transaction()?;
    let Some(user) = user(&db, id)? else {
        return Ok(None);
    };
    let orders = orders(&db, id)?;
    let standing = standing(&db, orders.spent_cents)?;
    Ok(Some(Profile {
        months: months(&db, id)?,
        user,
        orders,
        standing,
    }))
}

fn user(db: &Connection, id: u32) -> rusqlite::Result<Option<User>> {
    db.prepare_cached("SELECT id, name, city, joined_on FROM users WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(User {
                id: row.get(0)?,
                name: row.get(1)?,
                city: row.get(2)?,
                joined_on: row.get(3)?,
            })
        })
        .optional()
}

fn orders(db: &Connection, id: u32) -> rusqlite::Result<Orders> {
    const SQL: &str =
        "SELECT count(*), coalesce(sum(cents), 0), coalesce(max(cents), 0), max(placed_on)
                         FROM orders WHERE user_id = ?1";
    db.prepare_cached(SQL)?.query_row([id], |row| {
        Ok(Orders {
            count: row.get(0)?,
            spent_cents: row.get(1)?,
            largest_cents: row.get(2)?,
            last_on: row.get(3)?,
        })
    })
}

fn months(db: &Connection, id: u32) -> rusqlite::Result<Vec<Month>> {
    const SQL: &str = "SELECT substr(placed_on, 1, 7) AS month, count(*), sum(cents)
                         FROM orders WHERE user_id = ?1 GROUP BY month ORDER BY month";
    let month = |row: &Row<'_>| {
        Ok(Month {
            month: row.get(0)?,
            orders: row.get(1)?,
            spent_cents: row.get(2)?,
        })
    };
    db.prepare_cached(SQL)?.query_map([id], month)?.collect()
}

/// The expensive part: what everybody has spent, to see how many have spent more and less.
fn standing(db: &Connection, spent_cents: i64) -> rusqlite::Result<Standing> {
    const SQL: &str = "WITH spent AS (
                           SELECT coalesce((SELECT sum(cents) FROM orders WHERE user_id = users.id), 0) AS cents
                             FROM users)
                       SELECT count(*),
                              count(*) FILTER (WHERE cents > ?1),
                              count(*) FILTER (WHERE cents < ?1)
                         FROM spent";
    db.prepare_cached(SQL)?.query_row([spent_cents], |row| {
        let (of, more, less): (u32, u32, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let others = f64::from(of.saturating_sub(1).max(1));
        let percentile = (f64::from(less) / others * 1000.0).round() / 10.0;
        Ok(Standing {
            rank: more + 1,
            of,
            percentile,
        })
    })
}

/// A page of the list, counted from 1; `Err` with the number of pages when there is no such page.
pub(crate) fn page(db: &mut Connection, page: u32) -> rusqlite::Result<Result<Page, u32>> {
    const SQL: &str =
        "SELECT users.id, name, city, count(orders.id), coalesce(sum(cents), 0) AS spent
                         FROM users LEFT JOIN orders ON user_id = users.id
                        GROUP BY users.id ORDER BY spent DESC, users.id LIMIT ?1 OFFSET ?2";
    let db = db.transaction()?;
    let users: u32 = db
        .prepare_cached("SELECT count(*) FROM users")?
        .query_row([], |row| row.get(0))?;
    let pages = users.div_ceil(PAGE_SIZE).max(1);
    if !(1..=pages).contains(&page) {
        return Ok(Err(pages));
    }
    let spender = |row: &Row<'_>| {
        Ok(Spender {
            id: row.get(0)?,
            name: row.get(1)?,
            city: row.get(2)?,
            orders: row.get(3)?,
            spent_cents: row.get(4)?,
        })
    };
    let skip = (page - 1) * PAGE_SIZE;
    let users = db
        .prepare_cached(SQL)?
        .query_map([PAGE_SIZE, skip], spender)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Ok(Page { page, pages, users }))
}

/// Replaces a user's details; `None`, and rolled back, when there is no such user.
pub(crate) fn update(
    db: &mut Connection,
    id: u32,
    details: &Details,
) -> rusqlite::Result<Option<User>> {
    // Immediate: a transaction that begins by reading could not become a writer beside another one.
    let db = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    db.prepare_cached("UPDATE users SET name = ?2, city = ?3 WHERE id = ?1")?
        .execute(params![id, details.name, details.city])?;
    let user = user(&db, id)?;
    if user.is_some() {
        db.commit()?;
    }
    Ok(user)
}

/// Removes a user and their orders; `false` when there is no such user.
pub(crate) fn delete(db: &mut Connection, id: u32) -> rusqlite::Result<bool> {
    let db = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    db.prepare_cached("DELETE FROM orders WHERE user_id = ?1")?
        .execute([id])?;
    let removed = db
        .prepare_cached("DELETE FROM users WHERE id = ?1")?
        .execute([id])?;
    db.commit()?;
    Ok(removed > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::demo::scratch::Scratch;
    use crate::demo::seed::{self, Size};

    const USERS: u32 = 45;

    fn database(scratch: &Scratch) -> Connection {
        let path = scratch.path("demo.sqlite");
        seed::ensure(
            &path,
            Size {
                users: USERS,
                orders: 900,
            },
        )
        .unwrap();
        Connection::open(path).unwrap()
    }

    #[test]
    fn a_profile_adds_up() {
        let scratch = Scratch::new();
        let mut db = database(&scratch);
        let profile = profile(&mut db, 7).unwrap().unwrap();
        assert_eq!(
            profile.months.iter().map(|month| month.orders).sum::<u32>(),
            profile.orders.count
        );
        assert_eq!(
            profile
                .months
                .iter()
                .map(|month| month.spent_cents)
                .sum::<i64>(),
            profile.orders.spent_cents
        );
        assert!(profile.months.is_sorted_by(|a, b| a.month < b.month));
        assert_eq!(profile.standing.of, USERS);
    }

    #[test]
    fn the_list_and_the_ranks_agree() {
        let scratch = Scratch::new();
        let mut db = database(&scratch);
        let first = page(&mut db, 1).unwrap().unwrap();
        assert_eq!((first.page, first.pages, first.users.len()), (1, 3, 20));
        for (place, spender) in first.users.iter().enumerate() {
            let profile = profile(&mut db, spender.id).unwrap().unwrap();
            assert_eq!(profile.orders.spent_cents, spender.spent_cents);
            assert_eq!(profile.standing.rank as usize, place + 1, "{spender:?}");
        }
    }

    #[test]
    fn a_page_that_is_not_there_says_how_many_there_are() {
        let scratch = Scratch::new();
        let mut db = database(&scratch);
        assert_eq!(page(&mut db, 3).unwrap().unwrap().users.len(), 5);
        assert_eq!(page(&mut db, 4).unwrap(), Err(3));
        assert_eq!(page(&mut db, 0).unwrap(), Err(3));
    }

    #[test]
    fn an_update_replaces_the_details_and_nothing_else() {
        let scratch = Scratch::new();
        let mut db = database(&scratch);
        let before = profile(&mut db, 3).unwrap().unwrap();
        let details = Details {
            name: "Ada Lovelace".to_owned(),
            city: "London".to_owned(),
        };
        let user = update(&mut db, 3, &details).unwrap().unwrap();
        let after = profile(&mut db, 3).unwrap().unwrap();
        assert_eq!(
            (user.name.as_str(), user.city.as_str()),
            ("Ada Lovelace", "London")
        );
        assert_eq!(after, Profile { user, ..before });
        assert_eq!(update(&mut db, USERS + 1, &details).unwrap(), None);
    }

    #[test]
    fn a_deleted_user_takes_their_orders_along() {
        let scratch = Scratch::new();
        let mut db = database(&scratch);
        assert!(delete(&mut db, 3).unwrap());
        assert_eq!(profile(&mut db, 3).unwrap(), None);
        assert_eq!(orders(&db, 3).unwrap().count, 0);
        assert!(!delete(&mut db, 3).unwrap());
        assert_eq!(profile(&mut db, 4).unwrap().unwrap().standing.of, USERS - 1);
    }
}
