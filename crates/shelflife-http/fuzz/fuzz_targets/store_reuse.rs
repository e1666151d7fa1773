//! A life: stored, written, read, selected, reused, validated, updated.
#![no_main]

use http::{HeaderMap, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use shelflife_http::{
    Policy, Received, Reuse, Stored, answer, answer_headers, freshen, head_update, reuse, store,
    validated, validation_request,
};
use shelflife_http_fuzz::{Asked, NOW, messages};

fuzz_target!(|data: &[u8]| {
    let mut messages = messages(data);
    let mut next = || messages.next().unwrap_or_default();
    let (first, said, second, update) = (
        Asked::new(Method::GET, next()),
        next(),
        Asked::new(Method::GET, next()),
        next(),
    );
    for policy in [Policy::proxy(), Policy::application()] {
        let Ok(stored) = store(first.request(), StatusCode::OK, &said, &policy, NOW, NOW) else {
            continue;
        };
        assert!(stored.selects(first.request()));
        let same = stored.variant_of(first.request()) == stored.variant_of(second.request());
        assert_eq!(same, stored.selects(second.request()));
        let bytes = rmp_serde::to_vec_named(&stored).expect("it can be written");
        assert_eq!(
            rmp_serde::from_slice::<Stored>(&bytes).expect("it can be read"),
            stored
        );
        for later in [0, 1_000, 3_600_000, u64::MAX - NOW] {
            live(&stored, &second, &update, &policy, NOW + later);
        }
    }
});

fn live(stored: &Stored, asked: &Asked, update: &HeaderMap, policy: &Policy, now: u64) {
    let request = asked.request();
    match reuse(request, stored, policy, false, now) {
        Reuse::Fresh => assert!(stored.fresh_left(now) > 0 && !stored.no_cache),
        Reuse::Stale { .. } => assert!(!stored.must_revalidate && !stored.no_cache),
        _ => {}
    }
    let what = answer(request, stored, 10, now);
    assert!(answer_headers(stored, &what, 10, now).contains_key("age"));
    let mut headers = update.clone();
    validation_request(&mut headers, stored);
    let _ = validated(stored, StatusCode::NOT_MODIFIED, update);
    if let Ok(updated) = freshen(stored, request, update, policy, now, now) {
        assert!(updated.selects(request));
    }
    let received = Received {
        status: StatusCode::OK,
        headers: update,
        sent: now,
        now,
    };
    let _ = head_update(request, stored, 10, received, policy);
}
