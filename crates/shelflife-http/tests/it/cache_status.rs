//! The member of `Cache-Status` (RFC 9211).

use http::StatusCode;
use shelflife_http::{CacheStatus, Forwarded, Reason};

#[test]
fn members_are_written_as_structured_fields() {
    let hit = CacheStatus::hit("shelflife", 376);
    assert_eq!(hit.to_string(), "shelflife; hit; ttl=376");
    assert_eq!(
        CacheStatus::hit("shelflife", -412).to_string(),
        "shelflife; hit; ttl=-412"
    );

    let forwarded = CacheStatus {
        fwd_status: Some(StatusCode::NOT_MODIFIED),
        stored: true,
        collapsed: true,
        ttl: Some(60),
        key: Some("h/a?\"b\"\\é".to_owned()),
        detail: Some(Reason::PastFresh.as_str()),
        ..CacheStatus::forwarded("shelflife", Forwarded::Stale)
    };
    assert_eq!(
        forwarded.to_string(),
        r#"shelflife; fwd=stale; fwd-status=304; stored; collapsed; ttl=60; key="h/a?\"b\"\\%C3%A9"; detail=past_fresh"#
    );
    assert_eq!(forwarded.value(), forwarded.to_string());
}

#[test]
fn a_hit_did_not_go_forward() {
    // RFC 9211 §2.1, §2.2
    let both = CacheStatus {
        hit: true,
        stored: true,
        ..CacheStatus::forwarded("c", Forwarded::Miss)
    };
    assert_eq!(both.to_string(), "c; hit");
}

#[test]
fn any_name_is_a_valid_item() {
    // RFC 9211 §2
    for (name, expected) in [
        ("Example/1", "Example/1; hit"),
        ("a b", "\"a b\"; hit"),
        ("1a", "\"1a\"; hit"),
        ("", "\"\"; hit"),
    ] {
        let status = CacheStatus {
            ttl: None,
            ..CacheStatus::hit(name, 0)
        };
        assert_eq!(status.to_string(), expected);
        let parsed: Result<sfv::List, _> = sfv::Parser::new(&status.to_string()).parse();
        assert!(parsed.is_ok(), "{name}");
    }
}

#[test]
fn reasons_for_going_forward_have_their_word() {
    // RFC 9211 §2.2
    for (reason, word) in [
        (Reason::MethodNotCacheable, Some("method")),
        (Reason::Upgrade, Some("bypass")),
        (Reason::Authorization, Some("bypass")),
        (Reason::VaryMismatch, Some("vary-miss")),
        (Reason::RequestNoCache, Some("request")),
        (Reason::PastFresh, Some("stale")),
        (Reason::RangeRequest, Some("partial")),
        (Reason::Fresh, None),
        (Reason::NoStoreResponse, None),
    ] {
        assert_eq!(reason.forwarded().map(Forwarded::as_str), word, "{reason}");
    }
}
