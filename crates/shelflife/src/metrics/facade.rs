//! To the recorder of the crate `metrics`: whichever exporter the application has installed.

use std::sync::Arc;

use ::metrics::{Label, counter, gauge, histogram};

use super::families::{Kind, Labels, Value};
use super::{families, taps};
use crate::cache::Cache;

/// Tells the installed recorder how the counters and gauges of a cache stand, under the names of
/// [`prometheus`](super::prometheus). Call it at about the pace of the exporter, after
/// [`server_info`](Cache::server_info) if the server's figures are wanted. Histograms go to the recorder as things
/// happen, from the first call on that finds it installed.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let cache = shelflife::Cache::memory();
/// let publishing = tokio::spawn(async move {
///     let mut pace = tokio::time::interval(std::time::Duration::from_secs(10));
///     loop {
///         pace.tick().await;
///         let _ = cache.server_info().await;
///         shelflife::metrics::publish(&cache);
///     }
/// });
/// # publishing.abort();
/// # });
/// ```
pub fn publish(cache: &Cache) {
    let namespace = cache.namespace();
    // Anew each time: what the facade gives while no recorder is installed records nothing, ever.
    taps::tap(cache, TAP, |name, labels| {
        let histogram = histogram!(name, told(namespace, labels));
        Arc::new(move |took| histogram.record(took.as_secs_f64()))
    });
    for family in families(cache) {
        for (labels, value) in &family.samples {
            let labels = told(namespace, labels);
            match (family.kind, value) {
                (Kind::Counter, Value::Count(count)) => {
                    counter!(family.name, labels).absolute(*count);
                }
                // Counters are whole there: what counts in seconds is told as a gauge that only grows.
                (_, Value::Number(number)) => gauge!(family.name, labels).set(*number),
                (_, Value::Count(count)) => gauge!(family.name, labels).set(*count as f64),
                (_, Value::Times(_)) => {}
            }
        }
    }
}

const TAP: usize = 0;

fn told(namespace: &str, labels: &Labels) -> Vec<Label> {
    let namespace = Label::new("namespace", namespace.to_owned());
    let labels = labels.iter();
    let labels = labels.map(|(name, text)| Label::new(*name, text.clone()));
    std::iter::once(namespace).chain(labels).collect()
}
