//! What a handler behind the layer sees and may do: its extensions, its span, the load it is in.

use std::time::Duration;

use shelflife::tower::CacheLayer;
use shelflife::{Cache, Invalidation};
use tower::Layer as _;

use super::origin::{Origin, get, layer, reply, request, whole};
use crate::gate::{soon, until};
use crate::on_both_stores;

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

on_both_stores! {
    async fn a_handler_tags_its_response_through_the_load_it_is_in(bench) {
        let cache = bench.cache().await;
        let origin = Origin::waiting(|_, before| async move {
            shelflife::current_load()
                .ttl(Duration::from_secs(60))
                .tag("mine");
            reply(&[], before.to_string())
        });
        let app = origin.behind(&layer(&cache));
        until(|| async { get(&app, "/").await.is_hit() }).await;
        let before = get(&app, "/").await;
        cache
            .invalidate(Invalidation::new().tag("mine"))
            .await
            .unwrap();
        assert_ne!(get(&app, "/").await.text(), before.text());
    }

    async fn a_layer_inside_a_layer_does_not_wait_for_itself(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::numbered(MINUTE);
        let inner = origin.behind(&layer(&cache));
        let app = CacheLayer::new(&cache).layer(inner);
        let ask = || async {
            use tower::ServiceExt as _;
            let request = request(&axum::http::Method::GET, "/", &[]);
            let Ok(response) = soon(app.clone().oneshot(request)).await;
            whole(response).await.unwrap()
        };
        assert_eq!(ask().await.text(), "0");
        until(|| async { ask().await.is_hit() }).await;
        assert_eq!((ask().await.text(), origin.calls()), ("0", 1));
    }

    async fn a_cached_function_inside_a_handler_is_a_load_of_its_own(bench) {
        let cache = bench.long_windowed().await;
        let inside = cache.clone();
        let origin = Origin::waiting(move |_, _| {
            let cache = inside.clone();
            async move {
                let user = cache.get_or_load("users:42", || async {
                    Ok::<_, std::io::Error>("Ada".to_owned())
                });
                reply(MINUTE, user.await.unwrap())
            }
        });
        let app = origin.behind(&layer(&cache));
        assert_eq!(get(&app, "/").await.text(), "Ada");
        until(|| async { get(&app, "/").await.is_hit() }).await;
        assert_eq!(
            cache.get::<String>("users:42").await.as_deref(),
            Some("Ada")
        );
    }
}

#[tokio::test]
async fn a_handler_runs_in_the_span_of_its_request() {
    use tracing::Instrument as _;
    use tracing_subscriber::registry::{LookupSpan as _, Registry};
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    let origin = Origin::waiting(|_, _| async {
        let inside = tracing::dispatcher::get_default(|all| {
            let id = all.current_span().id().cloned().unwrap();
            let registry = all.downcast_ref::<Registry>().unwrap();
            let scope = registry.span(&id).unwrap().scope();
            scope
                .map(|span| span.name())
                .collect::<Vec<_>>()
                .join(" of ")
        });
        reply(MINUTE, inside)
    });
    let cache = Cache::memory();
    let app = origin.behind(&layer(&cache));
    let got = get(&app, "/").instrument(tracing::info_span!("request"));
    assert_eq!(got.await.text(), "load of request");
}
