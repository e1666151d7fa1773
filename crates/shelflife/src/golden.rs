//! Golden bytes: what keys, tags and records look like on the wire, for every language alike.
//!
//! The files are in `golden/` at the root of the repository. A change that breaks them breaks every
//! process that shares a Redis with an older one: it needs a new wire version, not new golden bytes.
//! `SHELFLIFE_TEST_BLESS=1 cargo test golden` writes them anew.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::epoch::Epoch;
use crate::key::{Key, KeyTemplate, Tag, all_tags, shorten};
use crate::record::{Lease, Payload, Record, Token, encode, encode_lease, parse};
use crate::validity::Meta;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn check(file: &str, now: &Json) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../golden")
        .join(file);
    let text = format!("{now:#}\n");
    if std::env::var_os("SHELFLIFE_TEST_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(
        golden == text,
        "{file} differs from what is written now:\n{text}"
    );
}

#[test]
fn keys_are_as_golden() {
    let long = "x".repeat(600);
    let raw = [
        "users:42",
        "a b",
        "50%",
        "{tag}:*?[x]\\",
        "naïve:ключ",
        "line\nbreak",
        "",
        &long,
    ];
    let plain = raw.map(|text| {
        let key = Key::from(text);
        let tags: Vec<String> = all_tags(key.as_str(), &[]).iter().map(Tag::to_string).collect();
        json!({ "text": text, "canonical": key.as_str(), "stored": shorten(key.as_str()), "tags": tags })
    });
    let part = |key: KeyTemplate| key.finish().to_string();
    let parts = json!([
        { "template": "user:{}", "part": 42, "canonical": part(KeyTemplate::new().literal("user:").part(&42)) },
        { "template": "user:{}", "part": "4:2", "canonical": part(KeyTemplate::new().literal("user:").part("4:2")) },
        { "template": "user:{}", "part": true, "canonical": part(KeyTemplate::new().literal("user:").part(&true)) },
        { "template": "user:{}", "part": null, "canonical": part(KeyTemplate::new().literal("user:").part(&None::<u8>)) },
        { "template": "user:{}", "part": ["a", "b:c"], "canonical": part(KeyTemplate::new().literal("user:").part(&vec!["a", "b:c"])) },
    ]);
    check("keys.json", &json!({ "keys": plain, "parts": parts }));
}

#[test]
fn records_are_as_golden() {
    let meta = Meta {
        fill: 0x1122_3344_5566_7788,
        epoch: Epoch::new(0xaabb_ccdd_eeff_0011, 1_795_000_000_000_000),
        created: 1_795_000_000_000,
        fresh_until: 1_795_000_060_000,
        stale_until: 1_795_003_600_000,
        cost: 12_345,
        schema: 7,
        softened: false,
        tags: all_tags("users:42", &[Tag::from("user:42")]).into(),
    };
    let token = Token::from_bytes(std::array::from_fn(|i| i as u8 + 1)).unwrap();
    let lease = Lease {
        token,
        deadline: 1_795_000_002_000,
    };
    let value = serde_json::json!({ "id": 42, "name": "Ada" });
    let msgpack = Payload {
        codec: 0,
        compression: 0,
        len: 14,
        bytes: rmp_serde::to_vec_named(&value).unwrap().into(),
    };
    let text = serde_json::to_vec(&value).unwrap();
    let json_payload = Payload {
        codec: 1,
        compression: 0,
        len: text.len() as u32,
        bytes: text.into(),
    };
    let entry = |meta: &Meta, lease, payload: &Payload| Record {
        meta: meta.clone(),
        lease,
        payload: Some(payload.clone()),
    };
    let soft = Meta {
        softened: true,
        ..meta.clone()
    };
    let long = "k".repeat(600);
    let records = [
        (
            "messagepack",
            "users:42",
            encode(&entry(&meta, None, &msgpack), "users:42"),
        ),
        (
            "json",
            "users:42",
            encode(&entry(&meta, None, &json_payload), "users:42"),
        ),
        (
            "leased",
            "users:42",
            encode(&entry(&meta, Some(lease), &msgpack), "users:42"),
        ),
        (
            "softened",
            "users:42",
            encode(&entry(&soft, None, &msgpack), "users:42"),
        ),
        (
            "long_key",
            &long,
            encode(&entry(&meta, None, &msgpack), &long),
        ),
        ("lease_only", "users:42", encode_lease(lease, "users:42")),
    ];
    for (name, key, bytes) in &records {
        assert!(
            parse(&bytes.clone().into(), key).is_ok(),
            "{name} reads back"
        );
    }
    let all =
        records.map(|(name, key, bytes)| json!({ "name": name, "key": key, "hex": hex(&bytes) }));
    let facts = json!({
        "fill": "1122334455667788", "epoch": meta.epoch.to_string(), "created": meta.created,
        "fresh_until": meta.fresh_until, "stale_until": meta.stale_until, "cost": meta.cost,
        "schema": meta.schema, "tags": meta.tags.iter().map(Tag::to_string).collect::<Vec<_>>(),
        "token": hex(token.bytes()), "deadline": lease.deadline, "value": value,
    });
    check("records.json", &json!({ "facts": facts, "records": all }));
}
