//! Past the protocol, for measurements only: a read that judges nothing, and the end of a namespace.

use redis::Value;

use super::RedisStore;
use crate::redis::link::At;
use crate::redis::reply;
use crate::store::StoreResult;

/// How many names one step looks at.
const PAGE: usize = 1000;

impl RedisStore {
    /// The length of what stands under a key.
    pub(crate) async fn bare_get(&self, key: &str) -> StoreResult<Option<usize>> {
        let mut get = redis::cmd("GET");
        let name = self.names.entry(key);
        get.arg(&name);
        let got = self.link.call(At::Name(&name), &get).await?;
        Ok(reply::bytes(got).map(|bytes| bytes.len()))
    }

    /// Host and port of every primary.
    pub(crate) fn places(&self) -> Vec<(String, u16)> {
        self.link.places()
    }

    /// Removes all names of the namespace.
    pub(crate) async fn erase(&self) -> StoreResult<u64> {
        let mut gone = 0;
        for prefix in [self.names.namespace_prefix(), self.names.control_prefix()] {
            let glob = format!("{prefix}*");
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let (names, next) = self.scan(&glob, at, PAGE).await?;
                for name in names
                    .iter()
                    .filter_map(|name| std::str::from_utf8(name).ok())
                {
                    let mut unlink = redis::cmd("UNLINK");
                    unlink.arg(name);
                    if let Value::Int(removed) = self.link.call(At::Name(name), &unlink).await? {
                        gone += u64::try_from(removed).unwrap_or(0);
                    }
                }
                cursor = next;
            }
        }
        Ok(gone)
    }
}
