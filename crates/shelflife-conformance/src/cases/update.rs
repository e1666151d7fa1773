//! What a 304, or the answer to a HEAD, changes of what is stored.

use crate::case::{Case, Group, Kind};
use crate::cases::fields::{FIELDS, Field, Rule};
use crate::step::{Aspect, Step};

const USE_STORED: &str = "304-lm-use-stored-Test-Header";
const LONG_AGO: &str = "Wed, 01 Jan 2020 00:00:00 GMT";

pub(super) fn by_304() -> Group {
    let mut cases = vec![uses_stored()];
    cases.extend(
        FIELDS
            .iter()
            .filter(|field| field.rule != Rule::Hop)
            .map(updates),
    );
    Group {
        name: "304 updates",
        about: "What a 304 changes of what is stored.",
        rule: "RFC 9111 §3.2, §4.3.4",
        cases,
    }
}

fn uses_stored() -> Case {
    let first = Step::get().sends("Cache-Control", "max-age=2");
    let first = first.sends("Last-Modified", LONG_AGO).sends("Date", 0);
    let again = Step::get()
        .sends("Last-Modified", LONG_AGO)
        .sends("Date", 0);
    let again = again.by_date().wants("Test-Header", "alpha");
    Case::required(
        USE_STORED,
        "a field that a 304 does not have is taken from what is stored",
    )
    .steps([
        first.sends("Test-Header", "alpha").given().rest(),
        again.given_only(&[Aspect::Served]),
    ])
}

fn updates(field: &Field) -> Case {
    let (kind, last) = match field.rule {
        Rule::Updated => (Kind::Required, field.later),
        Rule::Kept => (Kind::Required, field.first),
        Rule::Stored | Rule::Hop => (Kind::Check, field.later),
    };
    let does = match field.rule {
        Rule::Kept => "does not update",
        _ => "updates",
    };
    let answer = |value: &str, tagged: bool| {
        let mut step = Step::get().sends("Date", 0);
        step = match field.rule {
            Rule::Kept => step.sends_loosely(field.name, value).any_body(),
            _ => step.sends(field.name, value),
        };
        if field.name != "Cache-Control" {
            step = step.sends("Cache-Control", "max-age=2");
        }
        if tagged && field.name != "ETag" {
            step = step.sends("ETag", "\"version\"");
        }
        step
    };
    let wanting = |step: Step| {
        let step = step.wants(field.name, last);
        step.given_only(&[Aspect::Served])
    };
    Case::new(
        kind,
        format!("304-etag-update-response-{}", field.name),
        format!("a 304 {does} {}", field.name),
    )
    .after([USE_STORED])
    .steps([
        answer(field.first, true).given().rest(),
        wanting(answer(field.later, true).by_etag()),
        wanting(answer(last, false).by_store()),
    ])
}

pub(super) fn by_head() -> Group {
    let head = || Step::asks("HEAD").reaches_as("HEAD");
    let long = |step: Step| step.sends("Cache-Control", "max-age=1000");
    let case = |id: &str, after: &str, says: &str, steps: Vec<Step>| {
        let first = std::iter::once(Step::soon_stale());
        Case::check(id, says)
            .after([after])
            .steps(first.chain(steps))
    };
    let again = || {
        let step = Step::get().by_store().wants("Template-A", "2");
        step.given_only(&[Aspect::Served])
    };
    let changed = |step: Step| long(step.sends("Template-A", "2"));
    let cases = vec![
        case(
            "head-writethrough",
            "freshness-max-age-stale",
            "a HEAD is passed on when what is stored is stale",
            vec![head()],
        ),
        case(
            "head-200-retain",
            "head-writethrough",
            "a field that the answer to a HEAD does not have is taken from what is stored",
            vec![head().wants("Template-A", "1")],
        ),
        case(
            "head-200-freshness-update",
            "head-writethrough",
            "a 200 to a HEAD makes what is stored fresh again",
            vec![long(head()), Step::get().by_store()],
        ),
        case(
            "head-200-update",
            "head-200-freshness-update",
            "a 200 to a HEAD updates the fields of what is stored",
            vec![changed(head()), again()],
        ),
        case(
            "head-410-update",
            "head-200-freshness-update",
            "a 410 to a HEAD updates the fields of what is stored",
            vec![changed(head().status(410, "Gone")), again()],
        ),
    ];
    Group {
        name: "HEAD updates",
        about: "What the answer to a HEAD changes of what is stored.",
        rule: "RFC 9111 §4.3.5",
        cases,
    }
}
