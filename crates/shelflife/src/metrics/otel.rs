//! To a meter of OpenTelemetry: instruments that read the cache when they are observed.
//!
//! Names are those of Prometheus as OpenTelemetry has them: `shelflife_load_duration_seconds` is
//! `shelflife.load.duration`, in `s`.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::families::{Family, Kind, Labels, Value};
use super::{families, taps};
use crate::cache::Cache;
use crate::engine::Engine;

/// Makes instruments for all figures of a cache; once for each cache. Counters and gauges are read when the
/// meter collects; of the server they tell what [`server_info`](Cache::server_info) found last. Histograms are
/// recorded as things happen.
///
/// The instruments live as long as the meter's provider does; they do not keep the cache alive.
pub fn instrument(cache: &Cache, meter: &Meter) {
    // Those of the server are there before it was asked.
    let full = families::families(&cache.stats(), &crate::server::Seen::full());
    for Family {
        name, kind, help, ..
    } in full
    {
        let Named { name: other, unit } = named(name);
        let figures = Figures::of(cache, name);
        match kind {
            Kind::Counter if name.contains("_seconds") => {
                let callback = move |to: &dyn AsyncInstrument<f64>| figures.numbers(to);
                let instrument = meter.f64_observable_counter(other).with_unit(unit);
                instrument
                    .with_description(help)
                    .with_callback(callback)
                    .build();
            }
            Kind::Counter => {
                let callback = move |to: &dyn AsyncInstrument<u64>| figures.counts(to);
                let instrument = meter.u64_observable_counter(other).with_unit(unit);
                instrument
                    .with_description(help)
                    .with_callback(callback)
                    .build();
            }
            Kind::Gauge => {
                let callback = move |to: &dyn AsyncInstrument<f64>| figures.numbers(to);
                let instrument = meter.f64_observable_gauge(other).with_unit(unit);
                instrument
                    .with_description(help)
                    .with_callback(callback)
                    .build();
            }
            Kind::Histogram => {}
        }
    }
    let namespace = cache.namespace().to_owned();
    taps::tap(cache, TAP, |name, labels| {
        let Named { name, unit } = named(name);
        let histogram = meter.f64_histogram(name).with_unit(unit);
        let histogram = histogram.with_boundaries(crate::counters::bounds()).build();
        let attributes = attributes(&namespace, labels);
        Arc::new(move |took| histogram.record(took.as_secs_f64(), &attributes))
    });
}

const TAP: usize = 1;

/// One metric of a cache, to be read when it is observed.
struct Figures {
    engine: std::sync::Weak<Engine>,
    name: &'static str,
}

impl Figures {
    fn of(cache: &Cache, name: &'static str) -> Self {
        Self {
            engine: Arc::downgrade(&cache.engine),
            name,
        }
    }

    fn each(&self, mut tell: impl FnMut(&Value, Vec<KeyValue>)) {
        let Some(engine) = self.engine.upgrade() else {
            return;
        };
        let families = families::families(&engine.stats(), &engine.server.read());
        let mine = families.iter().filter(|family| family.name == self.name);
        for (labels, value) in mine.flat_map(|family| &family.samples) {
            tell(value, attributes(&engine.settings.namespace, labels));
        }
    }

    fn counts(&self, to: &dyn AsyncInstrument<u64>) {
        self.each(|value, attributes| {
            if let Value::Count(count) = value {
                to.observe(*count, &attributes);
            }
        });
    }

    fn numbers(&self, to: &dyn AsyncInstrument<f64>) {
        self.each(|value, attributes| match value {
            Value::Number(number) => to.observe(*number, &attributes),
            Value::Count(count) => to.observe(*count as f64, &attributes),
            Value::Times(_) => {}
        });
    }
}

fn attributes(namespace: &str, labels: &Labels) -> Vec<KeyValue> {
    let namespace = KeyValue::new("namespace", namespace.to_owned());
    let labels = labels.iter();
    let labels = labels.map(|(name, text)| KeyValue::new(*name, text.clone()));
    std::iter::once(namespace).chain(labels).collect()
}

struct Named {
    name: String,
    unit: &'static str,
}

fn named(prometheus: &str) -> Named {
    let name = prometheus.strip_suffix("_total").unwrap_or(prometheus);
    let (name, unit) = match (name.strip_suffix("_seconds"), name.strip_suffix("_bytes")) {
        (Some(name), _) => (name, "s"),
        (_, Some(name)) => (name, "By"),
        _ => (name, "1"),
    };
    Named {
        name: name.replace('_', "."),
        unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_opentelemetry_and_all_different() {
        let name = |prometheus| {
            let Named { name, unit } = named(prometheus);
            (name, unit)
        };
        assert_eq!(
            name("shelflife_reads_total"),
            ("shelflife.reads".into(), "1")
        );
        assert_eq!(
            name("shelflife_window_closed_seconds_total"),
            ("shelflife.window.closed".into(), "s")
        );
        assert_eq!(
            name("shelflife_l1_size_bytes"),
            ("shelflife.l1.size".into(), "By")
        );
        let all = families::families(&Cache::memory().stats(), &crate::server::Seen::full());
        let mut names: Vec<_> = all.iter().map(|family| named(family.name).name).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
