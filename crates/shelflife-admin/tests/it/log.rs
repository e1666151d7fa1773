//! The log as it runs.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::Value;
use shelflife::{Cache, Invalidation};
use shelflife_testkit::RedisServer;
use tower::ServiceExt;

use crate::asking::{local, request, shared};

/// How long an event may take to arrive.
const LIMIT: Duration = Duration::from_secs(10);

/// A stream under way.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(app: &Router, path: &str, last: Option<&str>) -> Self {
        let mut request = request("GET", path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = app
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event that has data: its id, its kind, its data.
    async fn next(&mut self) -> (String, String, Value) {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    let mut lines = event.lines().filter_map(|line| line.strip_prefix(name));
                    lines.next().unwrap_or_default().trim().to_owned()
                };
                if event.contains("data:") {
                    let data = serde_json::from_str(&field("data:")).unwrap();
                    return (field("id:"), field("event:"), data);
                }
            }
            let chunk = tokio::time::timeout(LIMIT, self.body.next()).await;
            let chunk = chunk.expect("an event in time").expect("no end").unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// What a request is answered with, without its body, which may have no end.
async fn get_head(app: &Router, path: &str) -> StatusCode {
    let request = request("GET", path).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_invalidated_is_told_as_it_happens_and_a_stream_goes_on_where_it_was() {
    let server = RedisServer::start();
    let cache = shared(&server).await;
    let app = local(&cache);
    // So that the log begins.
    cache
        .invalidate(Invalidation::new().tag("first"))
        .await
        .unwrap();
    let mut stream = Stream::open(&app, "api/log", None).await;
    let receipt = cache
        .invalidate(Invalidation::new().tag("team:7").key("user:1\n<b>"))
        .await
        .unwrap();
    let (id, kind, told) = stream.next().await;
    assert_eq!(
        (id.as_str(), kind.as_str()),
        (receipt.to_string().as_str(), "entry")
    );
    assert_eq!(told["tags"], serde_json::json!(["team:7"]));
    assert_eq!(told["keys"], serde_json::json!(["user:1%0A<b>"]));
    assert_eq!(told["epoch"], receipt.to_string());
    assert!(
        told["at_ms"].as_u64().unwrap() > 1_600_000_000_000 && told["origin"].is_string(),
        "{told}"
    );
    drop(stream);

    cache
        .invalidate(Invalidation::new().tag("meanwhile"))
        .await
        .unwrap();
    let mut again = Stream::open(&app, "api/log", Some(&id)).await;
    loop {
        let (_, _, told) = again.next().await;
        if told["tags"] == serde_json::json!(["meanwhile"]) {
            break;
        }
    }
    cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_watch_at_once() {
    let server = RedisServer::start();
    let cache = shared(&server).await;
    let app = local(&cache);
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Stream::open(&app, "api/log", None).await);
    }
    assert_eq!(
        get_head(&app, "api/log").await,
        StatusCode::TOO_MANY_REQUESTS
    );
    streams.pop();
    // It is let in as soon as the one that left is missed.
    let free = async {
        while get_head(&app, "api/log").await == StatusCode::TOO_MANY_REQUESTS {
            tokio::task::yield_now().await;
        }
    };
    let free = tokio::time::timeout(LIMIT, free).await;
    free.expect("who leaves makes room");
    cache.close().await;
}

#[tokio::test]
async fn the_embedded_store_tells_what_this_process_invalidates() {
    let cache = Cache::memory();
    cache
        .invalidate(Invalidation::new().tag("late"))
        .await
        .unwrap();
    let mut stream = Stream::open(&local(&cache), "api/log?since=60", None).await;
    cache
        .invalidate(Invalidation::new().tag("now").soft())
        .await
        .unwrap();
    let (late, now) = (stream.next().await.2, stream.next().await.2);
    assert_eq!(late["tags"], serde_json::json!(["late"]));
    assert_eq!(now["soft_tags"], serde_json::json!(["now"]));
    assert_eq!(now["prev"], late["epoch"]);
    assert!(now["at_ms"].as_u64().unwrap() > 1_600_000_000_000, "{now}");
}
