//! The log as a stream of Redis: how it is asked for, and how its answers are taken apart.
//!
//! Must not: know what an entry means. Who follows ([`super::log`]) is strict about that, who looks on
//! ([`super::watch`]) is not.

use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Value};

use super::names::Names;
use super::reply;
use crate::store::{StoreError, StoreResult};

/// The id behind which everything is newer than a tick. Not `<tick>-0`: what a foreign hand has added
/// gets `<tick>-1`, would be met as a gap, and again at the position of every resync.
pub(super) fn behind(tick: u64) -> String {
    format!("{tick}-{}", u64::MAX)
}

/// The entries behind `after`; waits up to `block` for the first.
pub(super) fn xread(names: &Names, after: u64, page: usize, block: Duration) -> Cmd {
    let mut cmd = redis::cmd("XREAD");
    cmd.arg("COUNT")
        .arg(page)
        .arg("BLOCK")
        .arg(block.as_millis().max(1) as u64)
        .arg("STREAMS")
        .arg(&names.log)
        .arg(behind(after));
    cmd
}

/// Of `XREAD`'s answer, which is nothing or one stream, the entries.
pub(super) fn of_one_stream(value: Value) -> StoreResult<Vec<Value>> {
    if value == Value::Nil {
        return Ok(Vec::new());
    }
    let stream = reply::array("XREAD", value)?.into_iter().next();
    let mut parts = reply::array("XREAD", stream.unwrap_or(Value::Nil))?.into_iter();
    reply::array("XREAD", parts.nth(1).unwrap_or(Value::Nil))
}

/// Of an entry the tick in its id, if that is one, and its fields.
pub(super) fn tick_and_fields(item: Value) -> StoreResult<(Option<u64>, Vec<Value>)> {
    let what = "an entry of the log";
    let mut parts = reply::array(what, item)?.into_iter();
    let id = parts.next().and_then(reply::bytes);
    let fields = reply::array(what, parts.next().unwrap_or(Value::Nil))?;
    Ok((id.and_then(|id| tick_of(&id)), fields))
}

fn tick_of(id: &[u8]) -> Option<u64> {
    let (tick, _) = std::str::from_utf8(id).ok()?.split_once('-')?;
    tick.parse().ok()
}

/// Asks on a connection that has no response timeout of its own.
pub(super) async fn ask(
    connection: &mut MultiplexedConnection,
    cmd: &Cmd,
    patience: Duration,
) -> StoreResult<Value> {
    let asked = tokio::time::timeout(patience, connection.req_packed_command(cmd)).await;
    let got = asked.map_err(|_| StoreError::unavailable("no answer in time"))?;
    got.and_then(Value::extract_error)
        .map_err(|e| super::link::refused(&e))
}
