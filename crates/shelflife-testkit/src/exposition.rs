//! A strict reader of the text that Prometheus reads (exposition format 0.0.4): whatever it does not expect
//! is a panic that says where.

use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// The metrics of one text.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, Family>,
}

/// What a text says of one metric.
#[derive(Debug)]
struct Family {
    kind: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    suffix: String,
    labels: Labels,
    value: f64,
}

/// The lines of one histogram.
#[derive(Default)]
struct Parts {
    /// Bounds and counts.
    buckets: Vec<(f64, f64)>,
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Exposition {
    /// Reads a text.
    ///
    /// # Panics
    ///
    /// When it is not as it must be: a metric without HELP and TYPE, or with two; lines of a metric that do not
    /// stand together; the same series twice; a name that does not fit its kind; a histogram that does not
    /// add up; anything that is no line of this format.
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut all = Self::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let (name, help) = after(line, "# HELP ")
                .split_once(' ')
                .unwrap_or_else(|| panic!("no help: {line}"));
            assert!(!help.trim().is_empty(), "no help: {line}");
            let kind = lines
                .next()
                .unwrap_or_else(|| panic!("{name} ends the text"));
            let (same, kind) = after(kind, "# TYPE ")
                .split_once(' ')
                .unwrap_or_else(|| panic!("no type: {kind}"));
            assert_eq!(name, same, "HELP and TYPE of different metrics");
            assert_name(name, kind);
            let mut samples = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                samples.push(sample(name, kind, line));
            }
            assert!(!samples.is_empty(), "{name} has no value");
            let family = Family {
                kind: kind.to_owned(),
                samples,
            };
            family.assert_unique(name);
            if kind == "histogram" {
                family.assert_adds_up(name);
            }
            let twice = all.families.insert(name.to_owned(), family);
            assert!(twice.is_none(), "{name} stands in two places");
        }
        all
    }

    /// The names of all metrics, as their queries have them: those of a histogram are three.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (name, family) in &self.families {
            match family.kind.as_str() {
                "histogram" => {
                    names.extend(["_bucket", "_sum", "_count"].map(|s| format!("{name}{s}")))
                }
                _ => _ = names.insert(name.clone()),
            }
        }
        names
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.families.values().map(|f| f.samples.len()).sum()
    }

    /// Every value of a label, whichever metric has it.
    pub fn values_of(&self, label: &str) -> BTreeSet<&str> {
        let samples = self.families.values().flat_map(|family| &family.samples);
        samples
            .filter_map(|sample| sample.labels.get(label))
            .map(String::as_str)
            .collect()
    }

    /// The value of the one series of this name that has these labels, and perhaps others.
    ///
    /// # Panics
    ///
    /// When there are several.
    pub fn get(&self, series: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let suffixes = ["", "_bucket", "_sum", "_count"];
        let mut found = suffixes.iter().flat_map(|suffix| {
            let family = series.strip_suffix(suffix);
            let family = family.and_then(|name| self.families.get(name));
            let samples = family.into_iter().flat_map(|family| &family.samples);
            samples.filter(move |sample| {
                let has = |(name, text): &(&str, &str)| {
                    sample.labels.get(*name).is_some_and(|there| there == text)
                };
                sample.suffix == **suffix && labels.iter().all(has)
            })
        });
        let one = found.next()?.value;
        assert!(
            found.next().is_none(),
            "{series} {labels:?} is not one series"
        );
        Some(one)
    }
}

impl Family {
    fn assert_unique(&self, name: &str) {
        let mut seen = BTreeSet::new();
        for Sample { suffix, labels, .. } in &self.samples {
            assert!(
                seen.insert((suffix, labels)),
                "{name}{suffix} {labels:?} twice"
            );
        }
    }

    fn assert_adds_up(&self, name: &str) {
        let mut each: BTreeMap<Labels, Parts> = BTreeMap::new();
        for sample in &self.samples {
            let mut labels = sample.labels.clone();
            let le = labels.remove("le");
            let Parts {
                buckets,
                sums,
                counts,
            } = each.entry(labels).or_default();
            match (sample.suffix.as_str(), le) {
                ("_bucket", Some(le)) => buckets.push((number(&le), sample.value)),
                ("_sum", None) => sums.push(sample.value),
                ("_count", None) => counts.push(sample.value),
                (suffix, le) => panic!("{name}{suffix} with le {le:?}"),
            }
        }
        for (labels, parts) in each {
            let Parts {
                buckets,
                sums,
                counts,
            } = parts;
            assert_eq!((sums.len(), counts.len()), (1, 1), "{name} {labels:?}");
            let rising = buckets
                .windows(2)
                .all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
            assert!(rising, "{name} {labels:?}: {buckets:?}");
            let last = buckets.last().copied();
            assert_eq!(last, Some((f64::INFINITY, counts[0])), "{name} {labels:?}");
            assert!(
                sums[0] >= 0.0 && (counts[0] > 0.0 || sums[0] == 0.0),
                "{name} {labels:?}"
            );
        }
    }
}

fn after<'a>(line: &'a str, start: &str) -> &'a str {
    line.strip_prefix(start)
        .unwrap_or_else(|| panic!("no {}: {line}", start.trim()))
}

fn assert_name(name: &str, kind: &str) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    assert!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits),
        "{name}"
    );
    match kind {
        "counter" => assert!(name.ends_with("_total"), "the counter {name} is no total"),
        "gauge" => assert!(!name.ends_with("_total"), "the gauge {name} is a total"),
        "histogram" => assert!(name.ends_with("_seconds"), "{name} has no base unit"),
        _ => panic!("{name} is a {kind}"),
    }
    for suffix in ["_bucket", "_sum", "_count"] {
        assert!(
            !name.ends_with(suffix),
            "{name} ends as a part of a histogram"
        );
    }
}

fn sample(family: &str, kind: &str, line: &str) -> Sample {
    let (series, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no value: {line}"));
    let value = number(value);
    assert!(kind == "gauge" || value >= 0.0, "below zero: {line}");
    let (name, labels) = match series.split_once('{') {
        Some((name, text)) => (name, pairs(text, line)),
        None => (series, Labels::new()),
    };
    let suffix = name
        .strip_prefix(family)
        .unwrap_or_else(|| panic!("among {family}: {line}"));
    let allowed: &[&str] = match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    assert!(allowed.contains(&suffix), "among {family}: {line}");
    Sample {
        suffix: suffix.to_owned(),
        labels,
        value,
    }
}

fn number(text: &str) -> f64 {
    let number = match text {
        "+Inf" => f64::INFINITY,
        text => text
            .parse()
            .unwrap_or_else(|_| panic!("{text:?} is no number")),
    };
    assert!(!number.is_nan(), "not a number");
    number
}

/// `name="text",…}`, with `\\`, `\"` and `\n` in the text.
fn pairs(text: &str, line: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    loop {
        let (name, value) = rest
            .split_once("=\"")
            .unwrap_or_else(|| panic!("labels: {line}"));
        let fits = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(
            !name.is_empty() && name.chars().all(fits),
            "label {name:?}: {line}"
        );
        let (mut told, mut chars) = (String::new(), value.chars());
        loop {
            match chars
                .next()
                .unwrap_or_else(|| panic!("a label without end: {line}"))
            {
                '"' => break,
                '\\' => told.push(match chars.next() {
                    Some('n') => '\n',
                    Some(c @ ('\\' | '"')) => c,
                    other => panic!("\\{other:?}: {line}"),
                }),
                c => told.push(c),
            }
        }
        let twice = labels.insert(name.to_owned(), told);
        assert!(twice.is_none(), "{name} twice: {line}");
        rest = match chars.as_str() {
            "}" => return labels,
            more => more
                .strip_prefix(',')
                .unwrap_or_else(|| panic!("labels: {line}")),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_total Things.\n# TYPE a_total counter\na_total{n=\"x\\\"\\\\\\n\",t=\"1\"} 3\n\
        # HELP b_seconds Times.\n# TYPE b_seconds histogram\nb_seconds_bucket{le=\"0.1\"} 1\n\
        b_seconds_bucket{le=\"+Inf\"} 2\nb_seconds_sum{n=\"\"} 0.5\nb_seconds_count{n=\"\"} 2\n";

    #[test]
    fn values_are_found_by_name_and_labels() {
        let good = GOOD.replace("{le", "{n=\"\",le");
        let it = Exposition::read(&good);
        assert_eq!(it.get("a_total", &[("n", "x\"\\\n")]), Some(3.0));
        assert_eq!(it.get("a_total", &[("n", "y")]), None);
        assert_eq!(it.get("b_seconds_bucket", &[("le", "0.1")]), Some(1.0));
        assert_eq!((it.series(), it.names().len()), (5, 4));
        assert_eq!(it.values_of("t").len(), 1);
    }

    #[test]
    fn what_does_not_add_up_is_found() {
        let refuses = |text: &str| std::panic::catch_unwind(|| Exposition::read(text)).is_err();
        assert!(refuses(GOOD), "buckets of other labels than sum and count");
        let head = "# HELP a_total A.\n# TYPE a_total counter\n";
        for bad in [
            "a_total{n=\"x\"} 1".to_owned(),
            format!("{head}a_total{{n=\"x\"}} 1"),
            format!("{head}a_total{{n=\"x\"}} one\n"),
            format!("{head}a_total{{n=\"x\"}} -1\n"),
            format!("{head}a_total{{n=\"x\",}} 1\n"),
            format!("{head}a_total{{n=\"x\"}} 1\na_total{{n=\"x\"}} 2\n"),
            format!("{head}b_total{{n=\"x\"}} 1\n"),
            format!("{head}a_total{{n=\"x\"}} 1\n{head}a_total{{n=\"y\"}} 1\n"),
            format!("{head}a_total{{n=\"\\x\"}} 1\n"),
            head.to_owned(),
            "# HELP a A.\n# TYPE a counter\na{n=\"\"} 1\n".to_owned(),
        ] {
            assert!(refuses(&bad), "{bad}");
        }
    }
}
