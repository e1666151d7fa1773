//! A read through the cache and a write past it, with an sqlx transaction: what the write makes out of date
//! is invalidated after the commit, and not at all after a rollback.
//!
//! `cargo run` uses an SQLite database in memory and, without SHELFLIFE_URL, the embedded store.

use std::error::Error;

use shelflife::{AfterCommit, Cache, Invalidation, LoadError};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool, Transaction};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A user's name, from the cache or else from the database.
async fn name(cache: &Cache, pool: &SqlitePool, id: i64) -> Result<String, LoadError<sqlx::Error>> {
    let pool = pool.clone();
    cache
        .entry(format!("user:{id}:name"))
        .tag(format!("user:{id}"))
        .get_or_load(move || async move {
            sqlx::query_scalar("SELECT name FROM users WHERE id = ?")
                .bind(id)
                .fetch_one(&pool)
                .await
        })
        .await
}

/// Renames a user within a transaction. What that makes out of date waits for its commit.
async fn rename(
    tx: &mut Transaction<'_, Sqlite>,
    after: &mut AfterCommit,
    id: i64,
    name: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE users SET name = ? WHERE id = ?")
        .bind(name)
        .bind(id)
        .execute(&mut **tx)
        .await?;
    after.invalidate(Invalidation::new().tag(format!("user:{id}")));
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let cache = Cache::from_env().await?;
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await?;
    sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    sqlx::query("INSERT INTO users VALUES (42, 'Ada')")
        .execute(&pool)
        .await?;
    // Should an earlier run have left something in a shared store.
    cache.invalidate(Invalidation::new().tag("user:42")).await?;
    assert_eq!(name(&cache, &pool, 42).await?, "Ada");

    // Committed: the next read sees it, in every process within its bound.
    let (mut tx, mut after) = (pool.begin().await?, cache.after_commit());
    rename(&mut tx, &mut after, 42, "Grace").await?;
    let ((), receipt) = after.commit(tx.commit()).await?;
    assert_eq!(name(&cache, &pool, 42).await?, "Grace");
    println!("committed, and invalidated by {receipt}");

    // Rolled back: `after` goes with `tx`, and the cache never hears of it.
    let loads = cache.stats().loads;
    {
        let (mut tx, mut after) = (pool.begin().await?, cache.after_commit());
        rename(&mut tx, &mut after, 42, "Nobody").await?;
        drop(after);
        tx.rollback().await?;
    }
    assert_eq!(name(&cache, &pool, 42).await?, "Grace");
    assert_eq!(cache.stats().loads, loads, "it was still cached");
    println!("rolled back, and still cached");

    cache.close().await;
    Ok(())
}
