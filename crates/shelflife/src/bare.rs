//! What a measurement needs beside the cache: the same bytes by a bare read, and no trace left behind.
//!
//! Must not: be used by an application.

use crate::cache::Cache;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::redis::RedisStore;
use crate::store::Store;

impl Cache {
    /// One `GET` of an entry's record, undecoded and unjudged: its length.
    #[doc(hidden)]
    pub async fn bare_get(&self, key: impl Into<Key<'_>>) -> Result<Option<usize>, Error> {
        let key = key.into();
        Ok(self.server()?.bare_get(key.as_str()).await?)
    }

    /// Removes every name of the namespace, bookkeeping included: nobody may be using it. Gives how many there
    /// were.
    #[doc(hidden)]
    pub async fn erase_namespace(&self) -> Result<u64, Error> {
        Ok(self.server()?.erase().await?)
    }

    /// Host and port of the servers that it is connected to, whoever has told them; none for a socket of this machine.
    #[doc(hidden)]
    pub fn places(&self) -> Result<Vec<(String, u16)>, Error> {
        Ok(self.server()?.places())
    }

    fn server(&self) -> Result<&RedisStore, Error> {
        match &self.engine.store {
            Store::Redis(store) => Ok(store),
            Store::Embedded(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "the embedded store has no server",
            )),
        }
    }
}
