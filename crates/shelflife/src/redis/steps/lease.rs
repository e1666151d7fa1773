//! Leases: placed, extended and given back by compare of their token.

use redis::Value;

use super::{RedisStore, millis};
use crate::error::ErrorKind;
use crate::record::Token;
use crate::redis::{reply, scripts};
use crate::store::{Begun, StoreError, StoreResult, Wanted};

impl RedisStore {
    pub(crate) async fn begin(&self, key: &str, seen: u64, wanted: Wanted) -> StoreResult<Begun> {
        let name = self.names.entry(key);
        let lease = millis(wanted.lease).to_string();
        let record = self.lease_record(key, wanted);
        let args: [&[u8]; 4] = [
            &seen.to_be_bytes(),
            wanted.token.bytes(),
            lease.as_bytes(),
            &record,
        ];
        let got = self.run(&scripts::BEGIN, &[&name], &args).await?;
        match reply::bytes(got).as_deref() {
            Some(b"granted") => Ok(Begun::Granted),
            Some(b"replaced") => Ok(Begun::Replaced),
            Some(b"changed") => Ok(Begun::Changed),
            Some(b"held") => Ok(Begun::Held),
            other => Err(StoreError::new(
                ErrorKind::Store,
                format!("unexpected reply to begin: {other:?}"),
            )),
        }
    }

    pub(crate) async fn extend(&self, key: &str, wanted: Wanted) -> StoreResult<bool> {
        let lease = millis(wanted.lease).to_string();
        let args: [&[u8]; 2] = [wanted.token.bytes(), lease.as_bytes()];
        let got = self
            .run(&scripts::EXTEND, &[&self.names.entry(key)], &args)
            .await?;
        Ok(got == Value::Int(1))
    }

    pub(crate) async fn release(&self, key: &str, token: Token) -> StoreResult<()> {
        self.run(
            &scripts::RELEASE,
            &[&self.names.entry(key)],
            &[token.bytes()],
        )
        .await
        .map(|_| ())
    }
}
