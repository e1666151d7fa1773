//! Spans: which there are, what they say, what they don't.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use shelflife::{Cache, Invalidation};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Instrument as _, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::gate::{Gate, failing};
use crate::stores::Bench;

#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<&'static str>,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

#[derive(Clone, Default)]
struct Recording(Arc<Mutex<BTreeMap<u64, Seen>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recording {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent());
        let mut seen = Seen {
            name: attributes.metadata().name(),
            parent: parent.map(|parent| parent.name()),
            fields: BTreeMap::new(),
        };
        attributes.record(&mut seen);
        self.0.lock().unwrap().insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _: Context<'_, S>) {
        if let Some(seen) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            record.record(seen);
        }
    }
}

impl Recording {
    /// The spans of this name so far; ids are not used again while the layer counts them as open.
    fn named(&self, name: &str) -> Vec<Seen> {
        let all = self.0.lock().unwrap();
        all.values()
            .filter(|seen| seen.name == name)
            .cloned()
            .collect()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

/// One thread, so that what is detached is recorded too.
fn recorded(level: Level, test: impl AsyncFnOnce(Recording)) {
    let recording = Recording::default();
    let only = Targets::new()
        .with_target("shelflife", level)
        .with_target("request", level);
    let subscriber = tracing_subscriber::registry()
        .with(recording.clone())
        .with(only);
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test(recording));
}

#[test]
fn a_load_and_its_fill_are_spans_of_their_caller() {
    recorded(Level::DEBUG, async |recording| {
        let cache = Cache::memory();
        let request = tracing::debug_span!(target: "request", "request");
        let read = cache.get_or_load("secret-key", Gate::open().loader("secret-value".to_owned()));
        read.instrument(request).await.unwrap();
        let load = &recording.named("load")[0];
        assert_eq!(
            (load.parent, load.fields["outcome"].as_str()),
            (Some("request"), "loaded")
        );
        let fill = &recording.named("fill")[0];
        assert_eq!(
            (fill.parent, fill.fields["outcome"].as_str()),
            (Some("request"), "stored")
        );
        cache
            .get_or_load("l", failing(&Arc::default()))
            .await
            .unwrap_err();
        let outcomes: Vec<_> = recording
            .named("load")
            .into_iter()
            .map(|s| s.fields["outcome"].clone())
            .collect();
        assert!(outcomes.contains(&"failed".to_owned()), "{outcomes:?}");
        assert!(!recording.text().contains("secret"), "{}", recording.text());
    });
}

#[test]
fn keys_are_told_at_level_trace_and_values_never() {
    recorded(Level::TRACE, async |recording| {
        let cache = Cache::memory();
        let loader = Gate::open().loader("secret-value".to_owned());
        cache.get_or_load("users:1", loader).await.unwrap();
        assert_eq!(recording.named("load")[0].fields["key"], "users:1");
        assert_eq!(recording.named("fill")[0].fields["key"], "users:1");
        assert!(!recording.text().contains("secret"), "{}", recording.text());
    });
}

#[test]
fn a_hit_has_no_span() {
    recorded(Level::TRACE, async |recording| {
        let cache = Cache::memory();
        cache.set("k", 1_u32).await.unwrap();
        let before = recording.count();
        for _ in 0..1000 {
            assert_eq!(cache.get::<u32>("k").await, Some(1));
            assert_eq!(
                cache
                    .get_or_load("k", Gate::open().loader(2_u32))
                    .await
                    .unwrap(),
                1
            );
        }
        assert_eq!(recording.count(), before);
    });
}

#[test]
fn an_invalidation_tells_how_many_names_and_the_store_its_steps() {
    recorded(Level::DEBUG, async |recording| {
        let bench = Bench::redis();
        let cache = bench.cache().await;
        let what = Invalidation::new().tag("secret").tag("other").key("k");
        cache.invalidate(what).await.unwrap();
        let invalidate = &recording.named("invalidate")[0];
        let field = |name| invalidate.fields[name].as_str();
        assert_eq!(
            (field("tags"), field("keys"), field("patterns")),
            ("2", "1", "0")
        );
        assert_eq!((field("soft"), field("outcome")), ("false", "confirmed"));
        let step = recording
            .named("store")
            .into_iter()
            .find(|seen| seen.fields["step"] == "invalidate");
        let step = step.unwrap();
        assert_eq!(
            (step.parent, step.fields["outcome"].as_str()),
            (Some("invalidate"), "answered")
        );
        assert!(!recording.text().contains("secret"), "{}", recording.text());
    });
}
