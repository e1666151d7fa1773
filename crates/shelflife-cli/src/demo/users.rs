//! The users, read through the cache and written past it: the part of the demo to read first.
//!
//! ```text
//!   profile            #[cached]: what is stored, else a load, which asks the database
//!   page               asks the database: its answers are cached as responses, by the layer (`api`)
//!   update, delete     write and commit, then emit an event
//!   events             say what no longer holds: handlers turn each into an invalidation
//! ```
//!
//! The tags tie both halves together: a read names what its value depends on, an event names what has
//! changed, and neither knows the other.
//!
//! Must not: know HTTP.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shelflife::{Cache, Event, Invalidation, Receipt, cached};

use super::database::Database;
use super::error::AppError;
use super::queries::{self, Details, Page, Profile, User};

/// Everything a request needs; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(crate) cache: Cache,
    pub(crate) database: Database,
    /// How long an answer is fresh.
    pub(crate) ttl: Duration,
    /// How much longer it may be served, while it is refreshed or while the database is gone.
    pub(crate) stale: Duration,
}

/// A user's name or city has changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserUpdated {
    pub(crate) id: u32,
}

impl Event for UserUpdated {
    const NAME: &'static str = "user_updated";
}

/// A user and their orders have been removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserDeleted {
    pub(crate) id: u32,
}

impl Event for UserDeleted {
    const NAME: &'static str = "user_deleted";
}

/// What each event makes out of date.
pub(crate) fn register_handlers(cache: &Cache) {
    cache.on(|event: &UserUpdated| {
        Invalidation::new()
            .tag(format!("user:{}", event.id))
            .tag("users")
    });
    // With one user less, everybody's rank may be another.
    cache.on(|event: &UserDeleted| {
        Invalidation::new()
            .tag(format!("user:{}", event.id))
            .tag("users")
            .tag("ranks")
    });
}

/// A user's profile; `None`, which is a value too, when there is no such user.
#[cached(
    key = "user:{id}",
    tags = ["user:{id}", "ranks"],
    ttl = users.ttl,
    stale = users.stale,
    stale_on_error = true,
    cache = users.cache
)]
pub(crate) async fn profile(users: &Users, id: u32) -> Result<Option<Profile>, AppError> {
    Ok(users
        .database
        .ask(move |db| queries::profile(db, id))
        .await?)
}

/// A page of the list of users.
pub(crate) async fn page(users: &Users, number: u32) -> Result<Page, AppError> {
    let page = users
        .database
        .ask(move |db| queries::page(db, number))
        .await?;
    page.map_err(|pages| AppError::NoSuchPage {
        page: number,
        pages,
    })
}

impl Users {
    /// Replaces a user's details. When this returns, no read that starts later sees the old ones.
    pub(crate) async fn update(
        &self,
        id: u32,
        details: Details,
    ) -> Result<(User, Receipt), AppError> {
        // It waits for the commit: before that, a load could still pick up the old row and store it. Of a
        // transaction that is rolled back the cache never hears.
        let mut after = self.cache.after_commit();
        after.emit(UserUpdated { id });
        let transaction = self
            .database
            .ask(move |db| queries::update(db, id, &details));
        let committed = async move { transaction.await?.ok_or(AppError::UnknownUser(id)) };
        after.commit(committed).await.map_err(AppError::of_commit)
    }

    /// Removes a user and their orders.
    pub(crate) async fn delete(&self, id: u32) -> Result<Receipt, AppError> {
        let mut after = self.cache.after_commit();
        // Even if there is nothing to remove: the caller may be repeating a request whose
        // invalidation failed.
        after.emit(UserDeleted { id });
        let transaction = self.database.ask(move |db| queries::delete(db, id));
        let committed = async move { Ok(transaction.await?) };
        let (removed, receipt) = after.commit(committed).await.map_err(AppError::of_commit)?;
        if removed {
            Ok(receipt)
        } else {
            Err(AppError::UnknownUser(id))
        }
    }
}
