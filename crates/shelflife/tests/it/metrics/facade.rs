//! What the recorder of the crate `metrics` is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use metrics::{
    CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use shelflife::Cache;

use super::traffic;

/// A recorder that keeps what it is told: of a histogram how often.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<HashMap<String, f64>>>);

struct One(Kept, String);

impl One {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.0.0.lock().unwrap().entry(self.1.clone()).or_default());
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        self.change(|it| *it += value as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|it| *it = it.max(value as f64));
    }
}

impl GaugeFn for One {
    fn increment(&self, value: f64) {
        self.change(|it| *it += value);
    }
    fn decrement(&self, value: f64) {
        self.change(|it| *it -= value);
    }
    fn set(&self, value: f64) {
        self.change(|it| *it = value);
    }
}

impl HistogramFn for One {
    fn record(&self, _: f64) {
        self.change(|it| *it += 1.0);
    }
}

impl Kept {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        Arc::new(One(
            self.clone(),
            format!("{}{}", key.name(), labels.collect::<String>()),
        ))
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.lock().unwrap().get(name).copied()
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        metrics::Counter::from_arc(self.one(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::from_arc(self.one(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::from_arc(self.one(key))
    }
}

#[tokio::test]
async fn the_recorder_that_is_installed_gets_the_same_figures() {
    let cache = Cache::builder().namespace("ns").build().await.unwrap();
    let kept = Kept::default();
    let publish = || metrics::with_local_recorder(&kept, || shelflife::metrics::publish(&cache));
    publish();
    traffic(&cache).await;
    let times = "shelflife_load_duration_seconds namespace=ns";
    assert_eq!(kept.get(times), Some(2.0), "as they happen");
    publish();
    publish();
    assert_eq!(kept.get(times), Some(2.0), "and once");
    let hits = "shelflife_reads_total namespace=ns tier=l1 outcome=hit";
    assert_eq!(kept.get(hits), Some(3.0));
    assert_eq!(kept.get("shelflife_window_open namespace=ns"), Some(1.0));
    assert!(kept.get("shelflife_l1_size_bytes namespace=ns").is_some());
}

#[tokio::test]
async fn a_recorder_that_is_installed_after_the_first_call_gets_the_times_too() {
    let cache = Cache::builder().namespace("ns").build().await.unwrap();
    shelflife::metrics::publish(&cache);
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || shelflife::metrics::publish(&cache));
    cache
        .get_or_load("k", || async { Ok::<_, std::io::Error>(1) })
        .await
        .unwrap();
    let times = "shelflife_load_duration_seconds namespace=ns";
    assert_eq!(kept.get(times), Some(1.0));
}
