//! Which rule is for a request, what it makes of the policy, and what is told of rules that can't be used.

use http::{HeaderMap, Request};

use super::*;
use crate::tower::rule::VaryBy;
use shelflife_http::Reason;

fn rules(rules: impl IntoIterator<Item = Rule>) -> Rules {
    Rules::new(rules.into_iter().collect(), &Policy::application()).unwrap()
}

fn get(uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The rule's answer to a GET of the path.
fn policy(rule: Rule, fields: &[(&str, &str)]) -> Arc<Policy> {
    let rules = rules([rule]);
    let matched = rules.find(&Method::GET, "/x").unwrap();
    matched.policy(&get("/x", fields)).clone()
}

/// Whether a response with `fields` to a request with `asked` is kept under the rule.
fn kept(
    rule: Rule,
    asked: &[(&str, &str)],
    status: u16,
    fields: &[(&str, &str)],
) -> Result<u64, Reason> {
    let policy = policy(rule, asked);
    let parts = get("/x", asked);
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let request = shelflife_http::Request {
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
    };
    let status = StatusCode::from_u16(status).unwrap();
    shelflife_http::store(request, status, &headers, &policy, 0, 0).map(|stored| stored.lifetime)
}

fn told(rule: Rule) -> String {
    let error = rule.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

const MINUTE: Result<u64, Reason> = Ok(60_000);

#[test]
fn the_first_rule_for_method_and_path_counts() {
    let rules = rules([
        Rule::path("/users/me").no_store(),
        Rule::path("/users/{id}").ttl("1m").tags(["user:{id}"]),
        Rule::path("/users/{id}")
            .methods(["QUERY"])
            .by_body(10)
            .ttl("2m"),
        Rule::any().ttl("3m"),
    ]);
    let ttl = |method: &Method, path| {
        let matched = rules.find(method, path)?;
        matched.policy(&get("/", &[])).ttl.map(|ttl| ttl.as_secs())
    };
    let query = Method::from_bytes(b"QUERY").unwrap();
    assert_eq!(ttl(&Method::GET, "/users/me"), None);
    assert_eq!(ttl(&Method::GET, "/users/42"), Some(60));
    assert_eq!(ttl(&Method::HEAD, "/users/42"), Some(60));
    assert_eq!(ttl(&query, "/users/42"), Some(120));
    assert_eq!(ttl(&Method::GET, "/"), Some(180));
    assert_eq!(ttl(&Method::POST, "/users/42"), None);
    let matched = rules.find(&Method::GET, "/users/4%3A2").unwrap();
    assert_eq!(matched.tags(&get("/", &[]))[0].as_str(), "user:4%3A2");
    assert!(Rules::default().find(&Method::GET, "/").is_none());
    assert!(self::rules([]).find(&Method::GET, "/").is_none());
}

#[test]
fn no_rule_is_for_a_path_that_leads_elsewhere() {
    let rules = rules([
        Rule::path("/static/{*rest}").ttl("1h").public(),
        Rule::any().ttl("1m"),
    ]);
    assert!(rules.find(&Method::GET, "/static/app.css").is_some());
    for path in [
        "/static/../account",
        "/static/..%2Faccount",
        "/static/%2e%2e/account",
    ] {
        assert!(rules.find(&Method::GET, path).is_none(), "{path}");
    }
}

#[test]
fn a_ttl_is_for_what_says_nothing_itself_and_succeeded() {
    let rule = || Rule::path("/x").ttl("1m");
    assert_eq!(kept(rule(), &[], 200, &[]), MINUTE);
    assert_eq!(
        kept(rule(), &[], 200, &[("cache-control", "max-age=5")]),
        Ok(5000)
    );
    assert_eq!(
        kept(rule(), &[], 404, &[("cache-control", "max-age=5")]),
        Ok(5000)
    );
    for status in [404, 410, 500, 501, 302, 401] {
        assert_eq!(
            kept(rule(), &[], status, &[]),
            Err(Reason::NoExplicitFreshness),
            "{status}"
        );
    }
    assert_eq!(
        kept(rule(), &[], 200, &[("cache-control", "no-store")]),
        Err(Reason::NoStoreResponse)
    );
    assert_eq!(
        kept(rule(), &[], 200, &[("cache-control", "private")]),
        Err(Reason::Private)
    );
    let named = || rule().statuses([200, 404]);
    assert_eq!(kept(named(), &[], 404, &[]), MINUTE);
    assert_eq!(
        kept(Rule::path("/x"), &[], 200, &[]),
        Err(Reason::NoExplicitFreshness)
    );
}

#[test]
fn statuses_that_are_named_are_the_only_ones() {
    let rules = rules([Rule::path("/x").ttl("1m").statuses([200, 404]), Rule::any()]);
    let stores = |path, status| {
        let matched = rules.find(&Method::GET, path).unwrap();
        matched.stores(StatusCode::from_u16(status).unwrap())
    };
    assert!(stores("/x", 404) && !stores("/x", 500));
    assert!(stores("/y", 500));
}

#[test]
fn an_override_holds_whatever_the_response_says_of_its_freshness() {
    let rule = || Rule::path("/x").override_ttl("1m");
    assert_eq!(
        kept(rule(), &[], 200, &[("cache-control", "max-age=0")]),
        MINUTE
    );
    assert_eq!(
        kept(rule(), &[], 200, &[("cache-control", "no-store")]),
        Err(Reason::NoStoreResponse)
    );
}

#[test]
fn credentials_are_shared_only_where_the_rule_says_so() {
    let (bearer, cookie) = (("authorization", "Bearer a"), ("cookie", "sid=1"));
    let plain = || Rule::path("/x").ttl("1m");
    assert_eq!(
        kept(plain(), &[bearer], 200, &[]),
        Err(Reason::Authorization)
    );
    assert_eq!(kept(plain(), &[cookie], 200, &[]), Err(Reason::Cookie));
    let set = [("set-cookie", "a=1")];
    assert_eq!(kept(plain(), &[], 200, &set), Err(Reason::SetCookie));
    let public = || plain().public();
    assert_eq!(kept(public(), &[bearer, cookie], 200, &set), MINUTE);
    assert!(policy(public(), &[]).answer_cookies);

    let by = |by| plain().vary_by(by);
    // Each credential has its own, so its answers may be kept; another one isn't told apart by it.
    let by_auth = || by(VaryBy::header("Authorization"));
    assert_eq!(kept(by_auth(), &[bearer], 200, &[]), MINUTE);
    assert_eq!(
        kept(by_auth(), &[bearer, cookie], 200, &[]),
        Err(Reason::Cookie)
    );
    let by_sid = || by(VaryBy::cookie("sid"));
    assert_eq!(kept(by_sid(), &[cookie], 200, &[]), MINUTE);
    assert_eq!(
        kept(by_sid(), &[bearer], 200, &[]),
        Err(Reason::Authorization)
    );
    assert_eq!(
        kept(by(VaryBy::cookie("theme")), &[cookie], 200, &[]),
        Err(Reason::Cookie)
    );
    let who = VaryBy::principal(|_| Some("1".to_owned()));
    assert_eq!(kept(by(who), &[bearer, cookie], 200, &[]), MINUTE);
    assert_eq!(
        kept(by(VaryBy::header("x-user")), &[bearer], 200, &[]),
        Err(Reason::Authorization)
    );
}

#[test]
fn cookies_that_do_not_matter_do_not_stand_in_the_way() {
    let rule = || Rule::path("/x").ttl("1m").ignore_cookies(["_ga*"]);
    assert_eq!(
        kept(rule(), &[("cookie", "_ga=1; _ga_X=2")], 200, &[]),
        MINUTE
    );
    assert_eq!(
        kept(rule(), &[("cookie", "_ga=1; sid=2")], 200, &[]),
        Err(Reason::Cookie)
    );
}

#[test]
fn what_is_not_kept_is_not_looked_up_either() {
    let rules = rules([
        Rule::path("/no").no_store(),
        Rule::path("/mine").private(),
        Rule::path("/who").vary_by(VaryBy::principal(|_| None)),
        Rule::path("/plain"),
    ]);
    let part = |path: &str| {
        rules
            .find(&Method::GET, path)
            .unwrap()
            .key_part(&get(path, &[]))
    };
    assert_eq!(part("/no"), Err(Why::Ruled));
    assert_eq!(part("/mine"), Err(Why::RuledPrivate));
    assert_eq!(part("/who"), Err(Why::NoPrincipal));
    assert_eq!(part("/plain"), Ok(None));
}

#[test]
fn only_the_named_parameters_are_in_the_key() {
    let rules = rules([Rule::path("/x").only_query(["q", "page"])]);
    let matched = rules.find(&Method::GET, "/x").unwrap();
    let key = |query: &str| {
        let uri = format!("/x{query}");
        let url = matched.query_rule().apply(&uri).into_owned();
        (url, matched.key_part(&get(&uri, &[])).unwrap().unwrap())
    };
    assert_eq!(key("?utm_x=1&page=2&q=a"), key("?q=a&page=2"));
    assert_eq!(key("?q=a&page=2").0, "/x");
    assert_ne!(key("?q=a&page=2"), key("?q=a"));
    assert_ne!(key("?q=a"), key("?q="));
    assert_ne!(key("?q="), key(""));
    assert_eq!(key("?other=1"), key(""));
}

#[test]
fn limits_windows_and_the_digest_of_content_are_the_rules_own() {
    let rule = Rule::path("/x")
        .methods(["GET", "QUERY"])
        .by_body(1024)
        .stale("1h")
        .max_body(10)
        .collapse_wait("2s")
        .honour_client(true);
    let rules = rules([rule]);
    let query = Method::from_bytes(b"QUERY").unwrap();
    let matched = rules.find(&query, "/x").unwrap();
    assert_eq!(matched.body_key(), Some(1024));
    let limits = Limits {
        max_body: Some(10),
        collapse_wait: Some(Duration::from_secs(2)),
    };
    assert_eq!(matched.limits(), limits);
    let policy = matched.policy(&get("/x", &[]));
    assert_eq!(policy.methods, [query]);
    assert_eq!(
        policy.stale_while_revalidate,
        Some(Duration::from_secs(3600))
    );
    assert_eq!(policy.stale_if_error, Some(Duration::from_secs(3600)));
    assert!(policy.honour_client);
    assert_eq!(rules.find(&Method::GET, "/x").unwrap().body_key(), None);
}

#[test]
fn a_rule_that_can_not_be_used_is_told_by_path_text_and_what_would_be_valid() {
    let rule = || Rule::path("/users/{id}");
    for (rule, what, valid) in [
        (
            rule().ttl("5 min"),
            "ttl: not a duration: \"5 min\"",
            "\"5m\"",
        ),
        (rule().ttl("0s"), "ttl: \"0s\"", "no_store()"),
        (rule().stale("x"), "stale: not a duration: \"x\"", "\"5m\""),
        (
            rule().tags(["user:{uid}"]),
            "\"user:{uid}\"",
            "{id} instead of {uid}",
        ),
        (
            rule().methods(["DELETE"]),
            "methods: \"DELETE\"",
            "GET, HEAD, POST or QUERY",
        ),
        (
            rule().methods(["get"]),
            "methods: \"get\"",
            "GET, HEAD, POST or QUERY",
        ),
        (
            rule().methods(["POST"]),
            "methods: \"POST\"",
            "by_body(BYTES)",
        ),
        (
            rule().by_body(10),
            "by_body: \"10\"",
            "methods([\"QUERY\"])",
        ),
        (rule().statuses([206]), "statuses: \"206\"", "200 to 599"),
        (rule().statuses([]), "statuses: \"[]\"", "one at least"),
        (
            rule().vary_by(VaryBy::header("a b")),
            "\"a b\"",
            "the name of a header field",
        ),
        (Rule::path("/users/:id"), "\"/users/:id\"", "{id}"),
        (
            rule().tags((0..40).map(|n| n.to_string())),
            "tags: \"40\"",
            "32 at the most",
        ),
    ] {
        let told = told(rule);
        assert!(told.starts_with("rule \"/users/"), "{told}");
        assert!(told.contains(what) && told.contains(valid), "{told}");
    }
    // The first fault is the one that is told.
    assert!(told(rule().ttl("x").stale("y")).contains("\"x\""));
    assert!(told(Rule::any().tags(["{id}"])).starts_with("rule \"*\": "));
}

#[test]
fn a_rule_that_is_never_reached_is_told() {
    let new = |rules: Vec<Rule>| Rules::new(rules, &Policy::application());
    for (first, second) in [
        (Rule::path("/users/{id}"), Rule::path("/users/{name}")),
        (Rule::path("/users/{id}"), Rule::path("/users/me")),
        (Rule::any(), Rule::path("/users/me")),
        (Rule::any(), Rule::any()),
    ] {
        let told = new(vec![first, second]).unwrap_err().to_string();
        assert!(
            told.contains("never reached") && told.contains("narrower one first"),
            "{told}"
        );
    }
    let post = Rule::path("/users/me").methods(["GET", "POST"]).by_body(1);
    assert!(new(vec![Rule::path("/users/{id}"), post]).is_ok());
    assert!(
        new(vec![
            Rule::path("/users/me"),
            Rule::path("/users/{id}"),
            Rule::any()
        ])
        .is_ok()
    );
}
