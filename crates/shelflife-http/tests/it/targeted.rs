//! Targeted fields (RFC 9213).

use http::HeaderName;
use shelflife_http::{FreshBy, Policy, Reason};

use crate::said::{get, kept, strict};

#[test]
fn the_first_valid_field_of_the_list_rules_alone() {
    let long = Ok(3600);
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], Result<u64, Reason>)] = &[
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=3600"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=1"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=3600", "Cache-Control: no-store"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=3600", "Cache-Control: private"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=3600", "Expires: {-9}"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=3600", "Expires: 0"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: foobar, max-age=3600"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: s-maxage=3600, max-age=1"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=1", "CDN-Cache-Control: max-age=3600"], long),
        ("RFC 9213 §2.2", &["Shelflife-Cache-Control: max-age=3600", "CDN-Cache-Control: no-store"], long),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=0", "Expires: {+9}"], Err(Reason::NeverFresh)),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: max-age=-5", "Cache-Control: max-age=9"], Err(Reason::NeverFresh)),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: no-store", "Cache-Control: max-age=9"], Err(Reason::NoStoreResponse)),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: private", "Cache-Control: max-age=9"], Err(Reason::Private)),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: no-cache", "Cache-Control: max-age=9"], Err(Reason::NeverFresh)),
        ("RFC 9213 §2.2", &["CDN-Cache-Control: none", "Expires: {+9}"], Err(Reason::NoExplicitFreshness)),
        ("RFC 9213 §3", &["CDN-Cache-Control: none", "Cache-Control: max-age=9"], Err(Reason::NoExplicitFreshness)),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age=3600;x=1"], long),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: no-store=?0, max-age=3600"], long),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age=99999999999"], Ok(1 << 31)),
        // Values of the wrong type aren't taken: then it says nothing of freshness.
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age=\"3600\"", "Cache-Control: max-age=9"], Err(Reason::NoExplicitFreshness)),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age=3600.5", "Cache-Control: max-age=9"], Err(Reason::NeverFresh)),
        // Not a structured field, or an empty one: as if it weren't there.
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age=10000, &&&&&", "Cache-Control: max-age=9"], Ok(9)),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age =100", "Cache-Control: max-age=9"], Ok(9)),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age= 100", "Cache-Control: max-age=9"], Ok(9)),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: MaX-aGe=100", "Cache-Control: max-age=9"], Ok(9)),
        ("RFC 9213 §2.1", &["CDN-Cache-Control:", "Cache-Control: max-age=9"], Ok(9)),
        ("RFC 9213 §2.1", &["CDN-Cache-Control: max-age=1,", "Cache-Control: no-store"], Err(Reason::NoStoreResponse)),
        // Other caches' fields are none of ours.
        ("RFC 9213 §2.2", &["Other-Cache-Control: max-age=3600", "Cache-Control: max-age=9"], Ok(9)),
    ];
    for (section, said, expected) in rows {
        let lifetime = kept(&get("/a"), said, &strict()).map(|stored| stored.lifetime / 1000);
        assert_eq!(lifetime, *expected, "{section}: {said:?}");
    }
}

#[test]
fn directives_mean_in_a_targeted_field_what_they_mean_elsewhere() {
    // RFC 9213 §2.2
    let said = "CDN-Cache-Control: max-age=9, must-revalidate, private=\"a, b\", no-cache=\"c\"";
    let stored = kept(&get("/a"), &[said, "A: 1", "B: 1", "C: 1"], &strict()).unwrap();
    assert!(stored.must_revalidate && stored.shared && !stored.no_cache);
    assert_eq!(stored.fresh_by, FreshBy::Targeted);
    assert!(
        ["a", "b", "c"]
            .iter()
            .all(|name| !stored.headers.contains_key(*name))
    );
    let stored = kept(
        &get("/a"),
        &["CDN-Cache-Control: max-age=9, stale-while-revalidate=3"],
        &strict(),
    )
    .unwrap();
    assert_eq!(stored.stale_while_revalidate, 3_000);
}

#[test]
fn the_list_of_targets_is_the_policys() {
    // RFC 9213 §2.2
    let policy = Policy {
        targeted: vec![HeaderName::from_static("my-cache-control")],
        ..strict()
    };
    let said = [
        "CDN-Cache-Control: max-age=1",
        "My-Cache-Control: max-age=2",
        "Cache-Control: max-age=3",
    ];
    assert_eq!(kept(&get("/a"), &said, &policy).unwrap().lifetime, 2_000);
}
