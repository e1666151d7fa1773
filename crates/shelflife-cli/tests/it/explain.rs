//! `shelflife explain`, asked about the demo, whose list is cached by a rule that its answers don't tell of.

use serde_json::Value;

use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, stderr};

#[test]
fn a_refusal_is_told_with_its_clause_and_so_is_where_the_answer_came_from() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let url = |page: u32| format!("http://{}/users?page={page}", demo.address);

    // The answer is stored behind its client, who may be back before: not with each page.
    let mut text = String::new();
    let hit = (1..=4).any(|page| {
        let output = run(&["explain", &url(page), "--policy", "application"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text = String::from_utf8(output.stdout.clone()).unwrap();
        for words in [
            "✓ Is the method one whose responses are kept?",
            "✗ How long is it fresh?",
            "shelflife went to the origin: it had nothing for this URL",
            "it stored the answer",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(stderr(&output).contains("may not be stored"), "{output:?}");
        text.contains("shelflife answered it from its store")
    });
    assert!(hit, "{text}");

    let url = url(1);
    let output = run(&["explain", &url, "--json", "--once"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["stored"], false);
    assert_eq!(found["again"], Value::Null);
    let steps = found["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["refused"], "no_explicit_freshness");
}

#[test]
fn what_is_no_url_and_who_does_not_answer_are_told() {
    for (arguments, words) in [
        (&["explain", "nonsense"][..], "no http or https URL"),
        (&["explain", "http://127.0.0.1:1/"], "gave no answer"),
        (
            &["explain", "http://127.0.0.1:1/", "-H", "no colon"],
            "is no field",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(words), "{output:?}");
    }
}
