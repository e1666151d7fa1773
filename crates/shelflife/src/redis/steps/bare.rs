//! Past the protocol, for measurements only: a read that judges nothing, and the end of a namespace.

use redis::Value;

use super::RedisStore;
use crate::redis::reply;
use crate::store::StoreResult;

/// How many names one step looks at.
const PAGE: usize = 1000;

impl RedisStore {
    /// The length of what stands under a key.
    pub(crate) async fn bare_get(&self, key: &str) -> StoreResult<Option<usize>> {
        let mut get = redis::cmd("GET");
        get.arg(self.names.entry(key));
        Ok(reply::bytes(self.link.call(&get).await?).map(|bytes| bytes.len()))
    }

    /// Removes all names of the namespace.
    pub(crate) async fn erase(&self) -> StoreResult<u64> {
        let mut gone = 0;
        for prefix in [self.names.namespace_prefix(), self.names.control_prefix()] {
            let glob = format!("{prefix}*");
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let (names, next) = self.scan(&glob, at, PAGE).await?;
                if !names.is_empty() {
                    let mut unlink = redis::cmd("UNLINK");
                    for name in &names {
                        unlink.arg(&name[..]);
                    }
                    if let Value::Int(removed) = self.link.call(&unlink).await? {
                        gone += u64::try_from(removed).unwrap_or(0);
                    }
                }
                cursor = next;
            }
        }
        Ok(gone)
    }
}
