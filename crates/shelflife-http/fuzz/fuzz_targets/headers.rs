//! Reading: any fields, of a request and of a response, by every rule that reads them.
#![no_main]

use http::{Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use shelflife_http::{
    Policy, QueryRule, Stored, invalidates, may_collapse, may_look_up, only_if_cached,
    remove_hop_by_hop, store, url_key,
};
use shelflife_http_fuzz::{Asked, NOW, messages};

fuzz_target!(|data: &[u8]| {
    let _ = rmp_serde::from_slice::<Stored>(data);
    let mut messages = messages(data);
    let asked = messages.next().unwrap_or_default();
    let mut said = messages.next().unwrap_or_default();
    for method in [Method::GET, Method::POST] {
        let asked = Asked::new(method, asked.clone());
        let request = asked.request();
        let policy = Policy::proxy();
        let _ = (
            may_look_up(request, &policy),
            may_collapse(request, &policy),
            only_if_cached(request, &policy),
        );
        let key = url_key(
            request,
            &QueryRule {
                sort: true,
                drop: vec!["c*".to_owned()],
            },
        );
        for url in invalidates(request, StatusCode::OK, &said).urls {
            assert!(
                url.split('/').next() == key.split('/').next(),
                "{url} is of another host than {key}"
            );
        }
        let _ = store(request, StatusCode::OK, &said, &policy, NOW, NOW);
    }
    remove_hop_by_hop(&mut said);
    assert!(!said.contains_key("connection"));
});
