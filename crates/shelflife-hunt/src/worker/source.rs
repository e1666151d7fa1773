//! The source of truth: a version per key, in a Redis of its own that no fault touches. Receipts travel
//! by it too, from the writer who got one to readers in other processes.

use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

use super::Failure;
use crate::record::{Held, Load};
use crate::stamp::now;
use crate::worker::Seen;
use crate::worker::recorder::Recorder;

/// Of an invalidation's keys, so many are given its receipt.
const PUBLISHED: usize = 4;

#[derive(Clone, Debug)]
pub(crate) struct Source(MultiplexedConnection);

impl Source {
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        // A machine may be slow; the source is not what is hunted.
        let patience = Some(Duration::from_secs(30));
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(patience)
            .set_connection_timeout(patience);
        let client = redis::Client::open(url)?;
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Self(connection))
    }

    /// Changes these keys: the version that each has from now on.
    pub(crate) async fn change(&self, keys: &[u8]) -> Result<Vec<(u8, u64)>, Failure> {
        let mut changes = redis::pipe();
        for key in keys {
            changes.incr(version_of(*key), 1);
        }
        let versions: Vec<u64> = changes.query_async(&mut self.0.clone()).await?;
        Ok(keys.iter().copied().zip(versions).collect())
    }

    /// What a key is now.
    pub(crate) async fn seen(&self, key: u8) -> Result<Seen, String> {
        let mut get = redis::cmd("GET");
        let version: Option<u64> = get
            .arg(version_of(key))
            .query_async(&mut self.0.clone())
            .await
            .map_err(|error| error.to_string())?;
        Ok(Seen {
            of: key,
            version: version.unwrap_or(0),
        })
    }

    /// Hands the receipt of an invalidation to whoever reads one of its keys.
    pub(crate) async fn publish(&self, named: &[(u8, u64)], held: Held) -> Result<(), Failure> {
        let mut publish = redis::pipe();
        for &(key, version) in named.iter().take(PUBLISHED) {
            let of_this_key = Held { version, ..held };
            let text = serde_json::to_string(&of_this_key)?;
            publish.set(receipt_of(key), text).ignore();
        }
        let () = publish.query_async(&mut self.0.clone()).await?;
        Ok(())
    }

    /// The latest receipt for a key.
    pub(crate) async fn receipt(&self, key: u8) -> Result<Option<Held>, Failure> {
        let mut get = redis::cmd("GET");
        let text: Option<String> = get
            .arg(receipt_of(key))
            .query_async(&mut self.0.clone())
            .await?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// A load: slow now and then, before or after the source was asked, for that is when things happen;
    /// longer than a lease sometimes; and sometimes it fails.
    pub(crate) async fn load(self, key: u8, recorder: &Recorder) -> Result<Seen, String> {
        let began = now();
        pause(20).await;
        let seen = self.seen(key).await?;
        pause(20).await;
        if fastrand::u16(..1000) < 5 {
            recorder.count(|counts| counts.failed_loads += 1);
            return Err("made to fail".to_owned());
        }
        recorder.loaded(Load {
            key,
            began,
            ended: began,
            version: seen.version,
        });
        Ok(seen)
    }
}

/// Nothing mostly; a few ms in so many of a hundred cases; rarely longer than a lease.
async fn pause(percent: u8) {
    let longest = match fastrand::u16(..1000) {
        0..2 => 900,
        n if n < u16::from(percent) * 10 => 10,
        _ => return,
    };
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..longest))).await;
}

fn version_of(key: u8) -> String {
    format!("version:{key}")
}

fn receipt_of(key: u8) -> String {
    format!("receipt:{key}")
}
