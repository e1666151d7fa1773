//! What the demo answers to requests that it cannot serve.

use crate::http::Answer;
use crate::scratch::Scratch;
use crate::shelflife::Demo;

fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.body["error"];
    assert_eq!(error["code"], code, "{answer:?}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{answer:?}"
    );
    assert!(
        error["hint"].as_str().is_some_and(|text| !text.is_empty()),
        "{answer:?}"
    );
    assert!(
        answer.cache_status().starts_with("shelflife; "),
        "{answer:?}"
    );
}

#[test]
fn each_refusal_has_its_status_its_code_and_a_hint() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);

    assert_error(&demo.get("/users/4711"), 404, "unknown_user");
    for id in ["abc", "0", "-1", "1.5", "99999999999", "%FF"] {
        assert_error(&demo.get(&format!("/users/{id}")), 422, "bad_user_id");
    }
    for page in ["page=0", "page=abc", "page=", "page=-1", "page=1&page=2"] {
        assert_error(&demo.get(&format!("/users?{page}")), 422, "bad_page");
    }
    assert_error(&demo.get("/users?page=11"), 422, "no_such_page");
    assert_eq!(demo.get("/users?page=10").status, 200);

    let too_long = format!(r#"{{"name": "{}", "city": "London"}}"#, "a".repeat(101));
    let bodies = [
        "",
        "{",
        "[]",
        r#"{"name": "Ada"}"#,
        r#"{"name": 1, "city": "London"}"#,
        r#"{"name": " ", "city": "London"}"#,
        r#"{"name": "Ada", "city": "London", "role": "admin"}"#,
        &too_long,
    ];
    for body in bodies {
        assert_error(&demo.put("/users/1", body), 422, "bad_details");
    }
    assert_error(
        &demo.put("/users/1", &"x".repeat(3 << 20)),
        413,
        "too_large",
    );
    assert_error(
        &demo.put("/users/4711", r#"{"name": "Ada", "city": "London"}"#),
        404,
        "unknown_user",
    );
    assert_error(&demo.delete("/users/4711"), 404, "unknown_user");
    assert_error(&demo.delete("/users/abc"), 422, "bad_user_id");
    assert_error(&demo.get("/nowhere"), 404, "no_such_route");
}

#[test]
fn a_wrong_method_names_the_right_ones() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let answer = demo.delete("/users");
    assert_error(&answer, 405, "method_not_allowed");
    assert!(
        answer
            .field("allow")
            .is_some_and(|methods| methods.contains("GET")),
        "{answer:?}"
    );
}

#[test]
fn an_unknown_user_is_remembered_as_such() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    assert!(demo.get("/users/4711").cache_status().contains("fwd=miss"));
    let again = demo.get("/users/4711");
    assert_error(&again, 404, "unknown_user");
    assert!(again.cache_status().contains("; hit"), "{again:?}");
}

#[test]
fn the_front_page_lists_what_can_be_tried() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let front = demo.get("/");
    assert_eq!(front.cache_status(), "shelflife; fwd=bypass");
    let commands = front.body["try"].as_array().unwrap();
    assert!(
        commands
            .iter()
            .any(|one| one["command"] == format!("curl -i 'http://{}/users/1'", demo.address))
    );
    assert!(
        commands
            .iter()
            .all(|one| one["shows"].as_str().is_some_and(|text| !text.is_empty()))
    );
}
