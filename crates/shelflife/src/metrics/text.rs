//! The text that Prometheus reads (exposition format 0.0.4), with names that OpenMetrics has, too.

use std::fmt::Write as _;

use super::families::{Family, Kind, Labels, Value};
use crate::counters::Histogram;

/// One text of the metrics of several caches, each under its namespace: all values of a metric stand
/// together, as the format asks.
pub(super) fn text(caches: &[(&str, Vec<Family>)]) -> String {
    let mut text = Text(String::with_capacity(16 << 10));
    // Every cache has the same ones in the same order, but for what its server does not tell.
    let mut told: Vec<&'static str> = Vec::new();
    for family in caches.iter().flat_map(|(_, families)| families) {
        if told.contains(&family.name) {
            continue;
        }
        told.push(family.name);
        let of = caches.iter().filter_map(|(namespace, families)| {
            let same = families.iter().find(|same| same.name == family.name)?;
            Some((*namespace, same))
        });
        let of: Vec<_> = of.filter(|(_, same)| !same.samples.is_empty()).collect();
        if of.is_empty() {
            continue;
        }
        text.head(family);
        for (namespace, same) in of {
            for (labels, value) in &same.samples {
                text.value(same.name, namespace, labels, value);
            }
        }
    }
    text.0
}

struct Text(String);

impl Text {
    fn head(&mut self, family: &Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let Family { name, help, .. } = family;
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, namespace: &str, labels: &Labels, value: &Value) {
        match value {
            Value::Count(count) => self.line(name, "", namespace, labels, None, count),
            Value::Number(number) => self.line(name, "", namespace, labels, None, number),
            Value::Times(times) => self.times(name, namespace, labels, times),
        }
    }

    fn times(&mut self, name: &str, namespace: &str, labels: &Labels, times: &Histogram) {
        for (bound, count) in times.buckets() {
            let le = bound.map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.line(name, "_bucket", namespace, labels, Some(&le), count);
        }
        let sum = times.sum().as_secs_f64();
        self.line(name, "_sum", namespace, labels, None, sum);
        self.line(name, "_count", namespace, labels, None, times.count());
    }

    fn line(
        &mut self,
        name: &str,
        suffix: &str,
        namespace: &str,
        labels: &Labels,
        le: Option<&str>,
        value: impl std::fmt::Display,
    ) {
        let _ = write!(self.0, "{name}{suffix}{{namespace=\"");
        self.escaped(namespace);
        for (label, text) in labels {
            let _ = write!(self.0, "\",{label}=\"");
            self.escaped(text);
        }
        if let Some(le) = le {
            let _ = write!(self.0, "\",le=\"{le}");
        }
        let _ = writeln!(self.0, "\"}} {value}");
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            }
        }
    }
}
