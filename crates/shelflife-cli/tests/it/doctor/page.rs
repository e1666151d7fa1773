//! What a process that is asked by its page adds.

use serde_json::json;

use super::*;
use crate::origin::{Origin, response};

/// What a process of this namespace says of itself.
fn page_of(namespace: &'static str) -> Origin {
    Origin::start(move |asked| {
        let told = match asked.path {
            "/_shelflife/api/now" => json!({"namespace": namespace}),
            "/_shelflife/api/hot?n=20" => {
                json!({"keys": [{"name": "users:2", "share": 0.7}, {"name": "users:1", "share": 0.1}]})
            }
            "/_shelflife/api/largest?n=20" => {
                json!({"entries": [{"key": "report:1", "bytes": 2 << 20}]})
            }
            _ => return response("404 Not Found", "", "{}"),
        };
        response("200 OK", "", &told.to_string())
    })
}

#[test]
fn a_process_that_is_asked_says_what_it_reads_most() {
    let api = page_of("default");
    let server = well_with(&[]);
    fill(&server.url(), 10);
    let found = findings(
        &server.url(),
        &["--url", &format!("{}/_shelflife", api.url())],
    );
    let hot = find(&found, "hot_keys");
    assert_eq!(hot["severity"], "info", "it is no longer unchecked");
    let told = hot["found"].as_str().unwrap();
    assert!(
        told.contains("users:2 (70 %)") && !told.contains("users:1"),
        "{told}"
    );
    let huge = find(&found, "huge_entries")["found"].as_str().unwrap();
    assert!(huge.contains("report:1"), "{huge}");
    let url = format!("{}/elsewhere", api.url());
    let lost = run(&["doctor", "--redis", &server.url(), "--url", &url]);
    assert_eq!(lost.status.code(), Some(2), "{lost:?}");
}

#[test]
fn a_process_of_another_namespace_is_told_with_the_line_that_looks_there() {
    let page = format!("{}/_shelflife", page_of("shop").url());
    let server = well_with(&[]);
    fill(&server.url(), 10);
    fill_in(&server.url(), "shop", 10);
    let found = findings(&server.url(), &["--url", &page]);
    let other = find(&found, "other_namespace");
    assert_eq!(other["severity"], "warning");
    let told = other["found"].as_str().unwrap();
    assert!(told.contains("shop") && told.contains("default"), "{told}");
    let line = other["mend"].as_array().unwrap().last().unwrap();
    let line = line.as_str().unwrap();
    assert!(
        line.starts_with("shelflife doctor --redis ") && line.ends_with(" --namespace shop"),
        "{line}"
    );
    // Its keys are another namespace's: no line for this one may name them.
    assert_eq!(find(&found, "hot_keys")["severity"], "unchecked");
    assert!(!names(&found).contains("huge_entries"), "{found:?}");
    let found = findings(&server.url(), &["--namespace", "shop", "--url", &page]);
    assert!(!names(&found).contains("other_namespace"), "{found:?}");
    assert!(names(&found).contains("huge_entries"), "{found:?}");
}
