//! What a process that is asked by its page adds.

use serde_json::json;

use super::*;
use crate::origin::{Origin, response};

#[test]
fn a_process_that_is_asked_says_what_it_reads_most() {
    let api = Origin::start(|asked| {
        let told = match asked.path {
            "/_shelflife/api/hot?n=20" => {
                json!({"keys": [{"name": "users:2", "share": 0.7}, {"name": "users:1", "share": 0.1}]})
            }
            "/_shelflife/api/largest?n=20" => {
                json!({"entries": [{"key": "report:1", "bytes": 2 << 20}]})
            }
            _ => return response("404 Not Found", "", "{}"),
        };
        response("200 OK", "", &told.to_string())
    });
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
