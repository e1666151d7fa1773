//! The table. Each room holds the cases about one thing; the names are those of the public collection, so that
//! results can be compared, the words and the shape are ours. [`own`] holds what the collection does not ask.

mod age;
mod authorization;
mod conditional_date;
mod conditional_etag;
mod expires;
mod fields;
mod freshness;
mod heuristic;
mod interim;
mod invalidation;
mod other;
mod own;
mod parse;
mod partial;
mod pragma;
mod request;
mod response;
mod stale;
mod status;
mod targeted;
mod update;
mod vary;

use crate::case::{Case, Group};
use crate::step::{Served, Step};

/// All cases, by group.
#[must_use]
pub fn suite() -> Vec<Group> {
    vec![
        freshness::group(),
        parse::group(),
        age::group(),
        expires::group(),
        expires::parsing(),
        response::group(),
        stale::group(),
        heuristic::group(),
        invalidation::method(),
        status::group(),
        request::group(),
        pragma::group(),
        vary::group(),
        vary::parsing(),
        conditional_date::group(),
        conditional_etag::group(),
        fields::group(),
        update::by_304(),
        update::by_head(),
        invalidation::group(),
        partial::group(),
        authorization::group(),
        other::group(),
        targeted::group(),
        interim::group(),
        own::group(),
    ]
}

/// The commonest shape: something is answered and given time; then the same is asked again.
fn twice(case: Case, first: Step, then: Served) -> Case {
    case.steps([first.given().rest(), Step::get().served(then)])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::case::Kind;
    use crate::step::Refusal;

    fn cases() -> Vec<Case> {
        suite().into_iter().flat_map(|group| group.cases).collect()
    }

    #[test]
    fn names_are_unique_and_dependencies_exist() {
        let cases = cases();
        let ids: HashSet<&str> = cases.iter().map(Case::id).collect();
        assert_eq!(ids.len(), cases.len());
        for case in &cases {
            for id in case.depends_on() {
                assert!(ids.contains(id.as_str()), "{} after {id}", case.id());
            }
        }
    }

    #[test]
    fn every_case_ends_with_something_to_expect() {
        for case in cases() {
            let last = case.all_steps().last().unwrap();
            let expect = &last.expect;
            let anything = expect.served.is_some()
                || expect.status.is_some()
                || !expect.fields.is_empty()
                || !expect.reaches.is_empty()
                || expect.method.is_some()
                || expect.body.is_some()
                || expect.interim.is_some()
                || expect.refusal != Refusal::No;
            assert!(anything, "{}", case.id());
        }
    }

    #[test]
    fn the_public_cases_are_as_many_as_the_collection_has_for_reverse_proxies() {
        let public = cases();
        let of = |kind| {
            let public = public.iter().filter(|case| case.public().is_some());
            public.filter(|case| case.kind() == kind).count()
        };
        assert_eq!(
            (of(Kind::Required), of(Kind::Optional), of(Kind::Check)),
            (158, 105, 102)
        );
    }
}
