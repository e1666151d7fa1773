//! The checks whose order or leniency decides between "failed" and "says nothing".

use super::*;

fn came(status: u16, fields: &[(&str, &str)], body: &str) -> Answer {
    let mut all = crate::wire::Fields::default();
    for (name, value) in fields {
        all.push(*name, *value);
    }
    Answer {
        status,
        fields: all,
        interim: Vec::new(),
        body: Ok(body.to_owned()),
    }
}

fn second(step: &Step, answer: &Answer) -> Verdict {
    super::answer(step, 2, "token", answer)
}

#[test]
fn an_answer_is_from_the_store_if_the_origin_made_it_for_an_earlier_request() {
    let step = Step::get().by_store();
    let stored = came(200, &[("Case-Count", "1"), ("Case-Seen", "1")], "token");
    assert_eq!(second(&step, &stored), Ok(()));
    let new = came(200, &[("Case-Count", "2"), ("Case-Seen", "1 2")], "token");
    assert!(matches!(second(&step, &new), Err(Fault::Wrong(_))));
    assert_eq!(second(&Step::get().by_origin(), &new), Ok(()));
    // RFC 9111 §4.3.2: a 304 need not carry the stored fields.
    let bare = came(304, &[], "");
    assert_eq!(second(&step.wants_status(304), &bare), Ok(()));
}

#[test]
fn a_request_that_the_origin_saw_twice_is_told_before_all_else() {
    let twice = came(500, &[("Case-Seen", "1 2 2")], "");
    assert_eq!(second(&Step::get(), &twice), Err(Fault::Retried));
}

#[test]
fn a_status_or_a_body_that_nobody_asked_about_is_preparation() {
    let step = Step::get();
    let failing = came(502, &[], "token");
    assert!(matches!(second(&step, &failing), Err(Fault::Unprepared(_))));
    let other = came(200, &[], "other");
    assert!(matches!(second(&step, &other), Err(Fault::Unprepared(_))));
    let unconditional = came(UNCONDITIONAL, &[], "token");
    assert!(matches!(
        second(&step.by_etag(), &unconditional),
        Err(Fault::Wrong(_))
    ));
}

#[test]
fn only_what_is_short_or_refused_by_the_cache_itself_is_a_refusal() {
    let step = Step::get().refused();
    let whole = came(200, &[("Case-Count", "2")], "hello");
    assert!(second(&step, &whole).is_err());
    // The origin's own 500 is an answer like any other.
    assert!(second(&step, &came(500, &[("Case-Count", "2")], "")).is_err());
    assert_eq!(second(&step, &came(502, &[], "refused")), Ok(()));
    let broken = |malformed| Answer {
        body: Err(Broken {
            malformed,
            why: String::new(),
        }),
        ..whole.clone()
    };
    assert_eq!(second(&step, &broken(false)), Ok(()));
    assert!(second(&step, &broken(true)).is_err());
}

#[test]
fn an_age_is_a_number_whatever_follows_it() {
    for (text, number) in [
        ("33", Some(33)),
        ("30, 33", Some(30)),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(leading_number(text), number, "{text:?}");
    }
}
