//! The operators' listener.

use shelflife_proxy::Config;
use shelflife_testkit::Exposition;

use crate::origin::{Origin, Talk};
use crate::proxy::{self, TOKEN};
use crate::raw;

fn post(document: &str, authorization: &str) -> String {
    format!(
        "POST /_shelflife/invalidate HTTP/1.1\r\nHost: admin\r\n{authorization}Content-Length: {}\r\n\r\n{document}",
        document.len()
    )
}

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

#[tokio::test]
async fn health_needs_no_token() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    for path in [
        "/_shelflife/health",
        "/_shelflife/health/live",
        "/_shelflife/health/ready",
    ] {
        let response = raw::get(proxy.admin, path).await;
        assert_eq!(
            (response.status(), response.text().as_str()),
            (200, r#"{"live":true,"ready":true}"#)
        );
    }
    assert_eq!(raw::get(proxy.admin, "/").await.status(), 404);
    // To clients these are paths like others.
    raw::get(proxy.address, "/_shelflife/health").await;
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn metrics_are_for_operators_and_count_what_clients_got() {
    let kept = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok";
    let origin = Origin::saying(kept).await;
    let proxy = proxy::before(&origin).await;
    let before = Exposition::read(&raw::get(proxy.admin, "/metrics").await.text());
    for _ in 0..3 {
        raw::get(proxy.address, "/secret-path").await;
    }
    let response = raw::get(proxy.admin, "/metrics").await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.field("content-type").as_deref(),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = response.text();
    assert!(!text.contains("secret"), "{text}");
    let after = Exposition::read(&text);
    assert_eq!(after.series(), before.series());
    let reads = |of: &Exposition| {
        let outcomes = [("l1", "hit"), ("l2", "hit"), ("none", "miss")];
        let count = |(tier, outcome)| {
            of.get(
                "shelflife_reads_total",
                &[("tier", tier), ("outcome", outcome)],
            )
        };
        outcomes.into_iter().filter_map(count).sum::<f64>()
    };
    assert_eq!(reads(&after) - reads(&before), 3.0, "{text}");
    let post = "POST /metrics HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(raw::ask(proxy.admin, post).await.status(), 405);
    // To clients it is a path like others.
    let asked = origin.seen().len();
    raw::get(proxy.address, "/metrics").await;
    assert_eq!(origin.seen().len(), asked + 1);
}

#[tokio::test]
async fn connections_and_what_the_upstream_is_asked_are_counted() {
    let (asked, is_asked) = tokio::sync::oneshot::channel();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let talks = std::sync::Mutex::new(Some((asked, gone)));
    let origin = Origin::start(move |mut talk: Talk| {
        let first = talks.lock().unwrap().take();
        async move {
            talk.request().await;
            if let Some((asked, gone)) = first {
                asked.send(()).unwrap();
                let _ = gone.await;
            }
            talk.say("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        }
    })
    .await;
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"http://{}\"\nrequests = 1\nconnect = \"60s\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"",
        origin.address
    );
    let proxy = proxy::start(Config::from_toml("test.toml", &config).unwrap()).await;
    let figure = async |name: &str, labels: &[(&str, &str)]| {
        let text = raw::get(proxy.admin, "/metrics").await.text();
        Exposition::read(&text).get(&format!("shelflife_proxy_{name}"), labels)
    };
    let get = async |path| raw::get(proxy.address, path).await.status();
    let address = proxy.address;
    let first = tokio::spawn(async move { raw::get(address, "/a").await.status() });
    is_asked.await.unwrap();
    let second = tokio::spawn(async move { raw::get(address, "/b").await.status() });
    while figure("upstream_requests_waiting", &[]).await != Some(1.0) {}
    assert_eq!(figure("upstream_requests", &[]).await, Some(1.0));
    assert_eq!(figure("upstream_requests_limit", &[]).await, Some(1.0));
    assert_eq!(figure("connections", &[]).await, Some(2.0));
    assert_eq!(
        figure("upstream_first_byte_seconds_count", &[]).await,
        Some(0.0)
    );
    go.send(()).unwrap();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (204, 204));
    assert_eq!(
        figure("responses_total", &[("status", "2xx")]).await,
        Some(2.0)
    );
    assert_eq!(
        figure("upstream_first_byte_seconds_count", &[]).await,
        Some(2.0)
    );
    drop(origin);
    assert_eq!(get("/c").await, 502);
    assert_eq!(
        figure("responses_total", &[("status", "5xx")]).await,
        Some(1.0)
    );
    let away = figure(
        "upstream_errors_total",
        &[("error", "destination_unavailable")],
    )
    .await;
    assert_eq!(away, Some(1.0));
    for name in [
        "connections",
        "upstream_requests",
        "upstream_requests_waiting",
    ] {
        while figure(name, &[]).await != Some(0.0) {}
    }
}

#[tokio::test]
async fn who_scrapes_has_a_listener_that_tells_nothing_else() {
    let origin = Origin::ok().await;
    let config = proxy::config(
        &format!("http://{}", origin.address),
        "metrics = \"127.0.0.1:0\"",
    );
    let proxy = shelflife_proxy::Proxy::bind(config, shelflife::Cache::memory())
        .await
        .unwrap();
    let metrics = proxy.metrics_address().unwrap();
    let (control, serving) = (proxy.control(), tokio::spawn(proxy.serve()));
    let response = raw::get(metrics, "/metrics").await;
    assert_eq!(response.status(), 200);
    assert!(response.text().contains("shelflife_reads_total"));
    let post = "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(raw::ask(metrics, post).await.status(), 405);
    for path in [
        "/",
        "/_shelflife/",
        "/_shelflife/health",
        "/_shelflife/api/now",
    ] {
        assert_eq!(raw::get(metrics, path).await.status(), 404, "{path}");
    }
    let purge = format!("PURGE /x HTTP/1.1\r\nHost: a\r\n{}\r\n", bearer());
    assert_eq!(raw::ask(metrics, purge).await.status(), 404);
    let done = raw::ask(metrics, post_all()).await;
    assert_eq!(done.status(), 404, "not even with the token");
    control.shutdown();
    serving.await.unwrap();
}

fn post_all() -> String {
    post(r#"{"all":true}"#, &bearer())
}

#[tokio::test]
async fn invalidation_needs_the_token() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let half = &TOKEN[..8];
    for authorization in [
        String::new(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {half}\r\n"),
        format!("Authorization: Bearer {TOKEN}x\r\n"),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
        format!("X-Token: {TOKEN}\r\n"),
    ] {
        let response = raw::ask(proxy.admin, post(r#"{"all":true}"#, &authorization)).await;
        assert_eq!(response.status(), 401, "{authorization:?}");
        assert!(response.has("www-authenticate"));
        let purge = format!("PURGE /x HTTP/1.1\r\nHost: a\r\n{authorization}\r\n");
        assert_eq!(
            raw::ask(proxy.admin, purge).await.status(),
            401,
            "{authorization:?}"
        );
    }
    let response = raw::ask(proxy.admin, post(r#"{"all":true}"#, &bearer())).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert!(response.text().contains("receipt"));
}

#[tokio::test]
async fn a_document_that_names_nothing_or_what_is_unknown_is_refused() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    for (document, part) in [
        ("{}", "nothing is named"),
        (r#"{"tag":["a"]}"#, "unknown field `tag`"),
        (r#"{"tags":"a"}"#, "invalid type"),
        ("[", "cannot be used"),
        (r#"{"urls":["/x"]}"#, "has no host"),
    ] {
        let response = raw::ask(proxy.admin, post(document, &bearer())).await;
        assert_eq!(response.status(), 400, "{document}");
        assert!(
            response.text().contains(part),
            "{document}: {}",
            response.text()
        );
    }
    let get = format!(
        "GET /_shelflife/invalidate HTTP/1.1\r\nHost: a\r\n{}\r\n",
        bearer()
    );
    assert_eq!(raw::ask(proxy.admin, get).await.status(), 405);
}

#[tokio::test]
async fn an_invalidation_reaches_values_of_the_same_cache() {
    let origin = Origin::ok().await;
    let cache = shelflife::Cache::memory();
    let config = proxy::config(&format!("http://{}", origin.address), "");
    let proxy = proxy::start_with(config, cache.clone()).await;
    for document in [
        r#"{"keys":["users:1"]}"#,
        r#"{"tags":["t"]}"#,
        r#"{"patterns":["users:*"],"everywhere":true}"#,
        r#"{"all":true}"#,
    ] {
        cache.entry("users:1").tag("t").set(1).await.unwrap();
        assert_eq!(cache.get::<i32>("users:1").await, Some(1));
        assert_eq!(
            raw::ask(proxy.admin, post(document, &bearer()))
                .await
                .status(),
            200
        );
        assert_eq!(cache.get::<i32>("users:1").await, None, "{document}");
    }
}

fn asked(path: &str, fields: &str) -> String {
    format!("GET /_shelflife/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n")
}

#[tokio::test]
async fn the_page_is_there_for_who_has_the_token() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let moved = raw::ask(proxy.admin, asked("", "")).await;
    assert_eq!(
        (moved.status(), moved.field("location").as_deref()),
        (307, Some("page"))
    );
    let form = raw::ask(proxy.admin, asked("page", "")).await;
    assert_eq!(form.status(), 401);
    assert!(form.text().contains("type=\"password\""));
    assert_eq!(
        raw::ask(proxy.admin, asked("api/now", "")).await.status(),
        401
    );

    let page = raw::ask(proxy.admin, asked("page", &bearer())).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().contains("main.js") && page.complete, "{page:?}");
    assert!(page.field("content-security-policy").is_some() && page.has("date"));
    let script = raw::ask(proxy.admin, asked("main.js", "")).await;
    assert_eq!(script.status(), 200);
    let now = raw::ask(proxy.admin, asked("api/now", &bearer())).await;
    assert!(now.text().contains("\"l1_hits\":0"), "{}", now.text());

    let form = format!("token={TOKEN}");
    let enter = format!(
        "POST /_shelflife/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let entered = raw::ask(proxy.admin, enter).await;
    assert_eq!(entered.status(), 303);
    let cookie = entered.field("set-cookie").unwrap();
    let pair = cookie.split(';').next().unwrap();
    let page = raw::ask(
        proxy.admin,
        asked("api/now", &format!("Cookie: {pair}\r\n")),
    )
    .await;
    assert_eq!(page.status(), 200);
    // To clients it is a path like others, and goes to the origin.
    let seen = origin.seen().len();
    raw::get(proxy.address, "/_shelflife/page").await;
    assert_eq!(origin.seen().len(), seen + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_watched_does_not_hold_up_the_end() {
    let server = shelflife_testkit::RedisServer::start();
    let cache = shelflife::Cache::builder();
    let cache = cache.url(server.url()).build().await.unwrap();
    let origin = Origin::ok().await;
    let config = proxy::config(&format!("http://{}", origin.address), "");
    let mut proxy = proxy::start_with(config, cache).await;
    let mut watching = raw::Raw::connect(proxy.admin).await;
    watching.send(asked("api/log", &bearer())).await;
    let mut head = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut watching.stream, &mut head)
        .await
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    proxy.control.shutdown();
    // The grace is 30 s: what ends before that was not cut off.
    proxy.ended("the proxy waits for who watches").await;
}
