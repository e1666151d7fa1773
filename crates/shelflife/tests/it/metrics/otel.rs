//! What a meter of OpenTelemetry observes.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use super::traffic;
use crate::stores::Bench;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_observes_the_same_figures() {
    let bench = Bench::redis();
    let cache = bench.long_windowed().await;
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3600));
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.build())
        .build();
    shelflife::metrics::instrument(&cache, &provider.meter("shelflife"));
    traffic(&cache).await;
    cache.server_info().await.unwrap();
    provider.force_flush().unwrap();
    let told = told(&exporter);
    assert_eq!(
        told["shelflife.reads namespace=test outcome=hit tier=l1"],
        3.0
    );
    assert_eq!(told["shelflife.load.duration namespace=test"], 2.0);
    assert_eq!(told["shelflife.window.open namespace=test"], 1.0);
    assert_eq!(told["shelflife.server.up namespace=test"], 1.0);
    assert!(told["shelflife.server.memory.used namespace=test"] > 100_000.0);
    assert!(told["shelflife.store.duration namespace=test step=fill"] >= 1.0);
    drop(cache);
    exporter.reset();
    provider.force_flush().unwrap();
}

/// Everything that was exported: of a histogram how often.
fn told(exporter: &InMemoryMetricExporter) -> HashMap<String, f64> {
    let mut all = HashMap::new();
    for resource in exporter.get_finished_metrics().unwrap() {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            let mut tell = |attributes: Vec<String>, value: f64| {
                let mut attributes = attributes;
                attributes.sort();
                all.insert(format!("{} {}", metric.name(), attributes.join(" ")), value);
            };
            let text = |kv: &opentelemetry::KeyValue| format!("{}={}", kv.key, kv.value);
            match metric.data() {
                AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
                    for point in gauge.data_points() {
                        tell(point.attributes().map(text).collect(), point.value());
                    }
                }
                AggregatedMetrics::F64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        tell(point.attributes().map(text).collect(), point.value());
                    }
                }
                AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                    assert!(sum.is_monotonic());
                    for point in sum.data_points() {
                        tell(point.attributes().map(text).collect(), point.value() as f64);
                    }
                }
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    for point in histogram.data_points() {
                        tell(point.attributes().map(text).collect(), point.count() as f64);
                    }
                }
                other => panic!("{}: {other:?}", metric.name()),
            }
        }
    }
    all
}
