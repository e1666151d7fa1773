//! From replies to facts. Bytes of a peer: whatever they are, a fact or a reason, never a panic.

use bytes::Bytes;
use redis::Value;

use crate::epoch::Epoch;
use crate::error::ErrorKind;
use crate::reason::Reason;
use crate::record::{self, Record, offset};
use crate::store::{StoreError, StoreResult};
use crate::validity::TagRecord;

pub(super) fn unexpected(what: &str, got: &Value) -> StoreError {
    let kind = match got {
        Value::ServerError(e) => format!("{} {}", e.code(), e.details().unwrap_or("")),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::BulkString(bytes) => format!("{} bytes", bytes.len()),
        other => format!("{other:?}"),
    };
    StoreError::new(
        ErrorKind::Store,
        format!("unexpected reply to {what}: {kind}"),
    )
}

pub(super) fn array(what: &str, value: Value) -> StoreResult<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(unexpected(what, &other)),
    }
}

/// The bytes of a string; `None` for nil and for anything else.
pub(super) fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        Value::SimpleString(text) => Some(text.into_bytes().into()),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The clock as it is stored: `<inc> <tick> <replid>`. `None` for none or garbage.
pub(super) fn clock(value: &Value) -> Option<Epoch> {
    let mut fields = text(value)?.split(' ');
    epoch(fields.next()?, fields.next()?)
}

fn epoch(inc: &str, tick: &str) -> Option<Epoch> {
    // The scripts write 16 lower-case digits, and count in Lua's numbers.
    let plain = inc.len() == 16 && !inc.bytes().any(|b| b.is_ascii_uppercase());
    let inc = plain.then(|| u64::from_str_radix(inc, 16).ok())??;
    let tick = tick.parse().ok().filter(|tick| *tick < 1 << 53)?;
    Some(Epoch::new(inc, tick))
}

/// The record of a tag as it is stored: `<inc> <hard> <soft>`. `None` for none or garbage.
pub(super) fn tag(value: &Value) -> Option<TagRecord> {
    let mut fields = text(value)?.split(' ');
    let Epoch { inc, tick: hard } = epoch(fields.next()?, fields.next()?)?;
    Some(TagRecord {
        inc,
        hard,
        soft: fields.next()?.parse().ok()?,
    })
}

/// An entry as it is stored: nothing, a record, or a reason with what stands where a fill id would.
pub(super) fn entry(value: Value, key: &str) -> Option<Result<Record, (Reason, u64)>> {
    let bytes = bytes(value)?;
    Some(record::parse(&bytes, key).map_err(|reason| (reason, seen(&bytes))))
}

fn seen(bytes: &[u8]) -> u64 {
    let long_enough = bytes.len() >= record::HEADER;
    let field = bytes
        .get(offset::FILL..offset::FILL + 8)
        .filter(|_| long_enough);
    field
        .and_then(|f| f.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

/// What every control script answers.
pub(super) struct Answer {
    pub(super) clock: Epoch,
    pub(super) server_ms: u64,
    pub(super) replid: String,
    /// What the script said beside that.
    pub(super) word: Option<String>,
}

pub(super) fn answer(what: &str, value: Value) -> StoreResult<Answer> {
    let parse = |items: &[Value]| {
        Some(Answer {
            clock: epoch(text(items.first()?)?, text(items.get(1)?)?)?,
            server_ms: text(items.get(2)?)?.parse().ok()?,
            replid: text(items.get(3)?)?.to_owned(),
            word: items.get(4).and_then(text).map(str::to_owned),
        })
    };
    let items = match &value {
        Value::Array(items) => items.as_slice(),
        other => return Err(unexpected(what, other)),
    };
    parse(items).ok_or_else(|| unexpected(what, &value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn control_records_parse_and_garbage_is_none() {
        let clock_text = "00000000000000ff 123 abc";
        assert_eq!(clock(&bulk(clock_text)), Some(Epoch::new(255, 123)));
        let expected = TagRecord {
            inc: 255,
            hard: 5,
            soft: 0,
        };
        assert_eq!(tag(&bulk("00000000000000ff 5 0")), Some(expected));
        for garbage in [
            "",
            "x",
            "ff 1 2",
            "00000000000000ff",
            "00000000000000ff -1 x",
            "00000000000000ff 1 ",
            "00000000000000FF 1 0",
            "00000000000000ff 9007199254740992 0",
        ] {
            assert!(tag(&bulk(garbage)).is_none(), "{garbage}");
        }
        assert_eq!(clock(&Value::Nil), None);
        assert_eq!(clock(&Value::Int(5)), None);
    }

    #[test]
    fn what_stands_where_a_fill_id_would_is_given_for_garbage() {
        let mut garbage = vec![7_u8; 200];
        garbage[offset::FILL..offset::FILL + 8].copy_from_slice(&99_u64.to_be_bytes());
        assert_eq!(
            entry(Value::BulkString(garbage), "k"),
            Some(Err((Reason::Malformed, 99)))
        );
        let short = Value::BulkString(vec![1; 20]);
        assert_eq!(entry(short, "k"), Some(Err((Reason::Malformed, 0))));
        assert_eq!(entry(Value::Nil, "k"), None);
    }
}
