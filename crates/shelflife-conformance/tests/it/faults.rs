//! The suite against the small cache: with nothing wrong, and with one thing wrong at a time.

use shelflife_conformance::{Group, Kind, Options, Origin, Report, Verdict, run, suite};
use tokio::task::JoinSet;

use crate::mini::{Flaw, Mini};

/// What the small cache claims to do; it knows nothing of dates, ranges, targeted fields and stale answers.
const CLAIMED: &[&str] = &[
    "freshness",
    "cache-control parsing",
    "age parsing",
    "response directives",
    "heuristic freshness",
    "status codes",
    "vary",
    "vary parsing",
    "conditions: etag",
    "stored fields",
    "304 updates",
    "invalidation",
    "authorization",
    "interim responses",
];

/// A flaw, and the cases that have to find it.
const FLAWS: &[(Flaw, &[&str])] = &[
    (Flaw::NeverStores, &["freshness-max-age"]),
    (Flaw::StoresNoStore, &["cc-resp-no-store-fresh"]),
    (Flaw::SharesPrivate, &["cc-resp-private-shared"]),
    (
        Flaw::SharesAuthorization,
        &["other-authorization", "own-authorization-after-public"],
    ),
    (Flaw::IgnoresNoCache, &["cc-resp-no-cache"]),
    (
        Flaw::ServesStale,
        &["freshness-max-age-stale", "cc-resp-must-revalidate-stale"],
    ),
    (
        Flaw::IgnoresAge,
        &["freshness-max-age-age", "age-parse-large"],
    ),
    (
        Flaw::IgnoresSharedAge,
        &["freshness-max-age-s-maxage-shared-longer"],
    ),
    (Flaw::IgnoresVary, &["vary-no-match", "own-vary-cookie"]),
    (
        Flaw::IgnoresQuery,
        &["query-args-different", "own-query-repeated"],
    ),
    (Flaw::DecodesPaths, &["own-path-encoded-slash"]),
    (Flaw::SendsNoAge, &["other-age-gen"]),
    (Flaw::RestampsDate, &["other-date-update"]),
    (Flaw::DropsFields, &["headers-store-Test-Header"]),
    (
        Flaw::KeepsHopFields,
        &[
            "headers-omit-headers-listed-in-Connection",
            "own-hop-Upgrade",
        ],
    ),
    (
        Flaw::ForgetsUpdates,
        &["304-etag-update-response-Test-Header"],
    ),
    (
        Flaw::AsksWithoutCondition,
        &["conditional-etag-strong-generate"],
    ),
    (
        Flaw::AnswersNoConditions,
        &["conditional-etag-strong-respond", "own-none-match-weak"],
    ),
    (Flaw::NeverInvalidates, &["invalidate-POST"]),
    (
        Flaw::TakesPartForWhole,
        &["own-cut-length", "own-cut-chunks", "own-two-lengths"],
    ),
    (Flaw::DropsInterim, &["interim-not-cached", "interim-102"]),
    (Flaw::Repeats, &["own-post-once", "own-get-once"]),
    (Flaw::SpoilsBodies, &["freshness-max-age"]),
    (Flaw::SendsTooMuch, &["own-head-first"]),
];

async fn against(flaw: Flaw, groups: &[Group]) -> Report {
    let origin = Origin::listen(0).await.unwrap();
    let mini = Mini::start(origin.address(), flaw).await;
    run(&origin, groups, &Options::new(mini.address)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_keeps_the_rules_passes() {
    let mut groups = suite();
    groups.retain(|group| CLAIMED.contains(&group.name));
    assert_eq!(groups.len(), CLAIMED.len());
    let report = against(Flaw::None, &groups).await;
    let wrong: Vec<_> = report
        .violations()
        .iter()
        .map(|case| (&case.id, case.verdict, &case.fault))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(report.count(Kind::Required, true).total > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_flaw_is_found() {
    let mut running = JoinSet::new();
    for &(flaw, ids) in FLAWS {
        running.spawn(async move {
            let mut groups = suite();
            for group in &mut groups {
                group.cases.retain(|case| ids.contains(&case.id()));
            }
            let sound = against(Flaw::None, &groups).await;
            (flaw, ids, sound, against(flaw, &groups).await)
        });
    }
    let results = running.join_all().await;
    assert_eq!(results.len(), FLAWS.len());
    for (flaw, ids, sound, flawed) in results {
        for id in ids {
            let of = |report: &Report| report.case(id).map(|case| case.verdict);
            assert_eq!(of(&sound), Some(Verdict::Passed), "{id} without a flaw");
            let verdict = of(&flawed).unwrap();
            assert_ne!(verdict, Verdict::Passed, "{id} does not find {flaw:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_counts_only_if_those_before_it_passed() {
    let mut groups = suite();
    let ids = [
        "freshness-none",
        "freshness-max-age",
        "freshness-max-age-age",
    ];
    for group in &mut groups {
        group.cases.retain(|case| ids.contains(&case.id()));
    }
    let report = against(Flaw::NeverStores, &groups).await;
    let case = report.case("freshness-max-age-age").unwrap();
    // Not reusing anything, it did not reuse what was too old: that says nothing.
    assert_eq!((case.verdict, &case.fault), (Verdict::Dependent, &None));
}
