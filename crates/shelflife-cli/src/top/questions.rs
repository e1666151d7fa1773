//! What somebody asks beside looking on, and how it is answered: keys, an entry, what an invalidation would hit, and the
//! invalidation itself.
//!
//! Must not: invalidate what was not counted before and confirmed. That is `talk`'s to see to.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, Problem};
use crate::units;
use crate::web;

/// How many keys are found at most.
const MOST: usize = 100;
/// For how long is looked for keys: a page that took the server too long ends early, and the next one goes on.
const PATIENCE: Duration = Duration::from_secs(5);
/// After which time one asks again where others are being served.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Which keys hold this text, or match it.
    Find(String),
    /// What stands under this key.
    Show(String),
    /// What this would hit.
    Count(Wish),
    Invalidate(Wish),
}

/// What is to be invalidated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) soft: bool,
}

impl Wish {
    /// Whether it is a pattern other than one level and `*`, or `*` alone: what those match is removed by a scan, softly
    /// or not.
    pub(super) fn is_scan(&self) -> bool {
        let level = self.name.strip_suffix(":*");
        let is_level = level.is_some_and(|it| !it.contains([':', '*', '?', '[', ']', '\\']));
        self.kind == Kind::Pattern && !is_level && self.name != "*"
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Tag,
    Key,
    Pattern,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Key => "key",
            Self::Pattern => "pattern",
        }
    }

    pub(super) fn next(self) -> Self {
        match self {
            Self::Tag => Self::Key,
            Self::Key => Self::Pattern,
            Self::Pattern => Self::Tag,
        }
    }

    /// Its field in the document of the API.
    fn field(self) -> &'static str {
        match self {
            Self::Tag => "tags",
            Self::Key => "keys",
            Self::Pattern => "patterns",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Found(Found),
    /// What is told of an entry, by the fields of `api/entry`.
    Entry(Value),
    Counted(Count),
    Done {
        receipt: String,
        took_us: u64,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) keys: Vec<String>,
    /// Whether there may be more.
    pub(super) part: bool,
}

/// What would be hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) entries: u64,
    pub(super) examples: Vec<String>,
    pub(super) scanned: u64,
    /// Whether that was all there is.
    pub(super) complete: bool,
}

impl Count {
    pub(super) fn told(&self) -> String {
        let entries = match self.entries {
            1 => "1 entry".to_owned(),
            n => format!("{n} entries"),
        };
        match self.complete {
            true => entries,
            false => format!("at least {entries}"),
        }
    }
}

pub(super) async fn answer(api: &Api, question: &Question) -> Result<Answer, String> {
    match question {
        Question::Find(text) => find(api, text).await.map(Answer::Found),
        Question::Show(key) => {
            let asked = api.get(&format!("entry?key={}", web::encoded(key))).await;
            asked.map(Answer::Entry).map_err(Problem::told)
        }
        Question::Count(wish) => {
            let counted = api.post("invalidate", &document(wish, true)).await;
            let it = counted.map_err(Problem::told)?;
            let examples = it["examples"].as_array().into_iter().flatten();
            Ok(Answer::Counted(Count {
                entries: it["entries"].as_u64().ok_or("it tells no number")?,
                examples: examples.filter_map(text).collect(),
                scanned: it["scanned"].as_u64().unwrap_or(0),
                complete: it["complete"].as_bool().unwrap_or(false),
            }))
        }
        Question::Invalidate(wish) => {
            let done = api.post("invalidate", &document(wish, false)).await;
            let it = done.map_err(|problem| match problem {
                // It may have come there all the same.
                Problem::None(why) => format!("not confirmed, entries may still be served: {why}"),
                other => other.told(),
            })?;
            Ok(Answer::Done {
                receipt: text(&it["receipt"]).ok_or("not confirmed: no receipt came")?,
                took_us: it["took_us"].as_u64().unwrap_or(0),
            })
        }
    }
}

fn document(wish: &Wish, dry_run: bool) -> Value {
    json!({ wish.kind.field(): [wish.name], "soft": wish.soft, "dry_run": dry_run })
}

fn text(it: &Value) -> Option<String> {
    it.as_str().map(str::to_owned)
}

/// Page after page, until there are enough keys, none are left, or the time is over.
async fn find(api: &Api, text_of: &str) -> Result<Found, String> {
    let pattern = web::encoded(&pattern(text_of));
    let end = Instant::now() + PATIENCE;
    // A scan may name a key twice. The shortest first: they are the nearest to what was typed.
    let mut keys = BTreeSet::new();
    let mut what = format!("keys?pattern={pattern}&limit={MOST}");
    let mut part = true;
    while keys.len() < MOST && Instant::now() < end {
        let page = match api.get(&what).await {
            Err(Problem::Refused(StatusCode::TOO_MANY_REQUESTS, _))
                if Instant::now() + AGAIN < end =>
            {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            page => page.map_err(Problem::told)?,
        };
        let named = page["keys"].as_array().into_iter().flatten();
        keys.extend(named.filter_map(text).map(|key| (key.len(), key)));
        part = match page["cursor"].as_str() {
            Some(cursor) => {
                what = format!(
                    "keys?pattern={pattern}&limit={MOST}&cursor={}",
                    web::encoded(cursor)
                );
                true
            }
            None => false,
        };
        if !part {
            break;
        }
    }
    let part = part || keys.len() > MOST;
    let keys = keys.into_iter().take(MOST).map(|(_, key)| key).collect();
    Ok(Found { keys, part })
}

/// A pattern is taken as one; other text may stand anywhere.
fn pattern(text: &str) -> String {
    match text.contains(['*', '?', '[']) {
        true => text.to_owned(),
        false => format!("*{}*", text.replace('\\', "\\\\")),
    }
}

/// What is told of an entry, line by line.
pub(super) fn facts(entry: &Value) -> Vec<String> {
    let ms = |name: &str| entry[name].as_i64();
    let span = |ms: i64| units::span(ms.unsigned_abs().saturating_mul(1000));
    let left = |name: &str| {
        ms(name).map(|it| match it {
            0.. => format!("for another {}", span(it)),
            _ => format!("until {} ago", span(it)),
        })
    };
    let word = |name: &str| entry[name].as_str().map(str::to_owned);
    let size = match (entry["bytes"].as_u64(), entry["stored_bytes"].as_u64()) {
        (Some(bytes), Some(stored)) if stored != bytes => Some(format!(
            "{}, stored in {}",
            units::bytes(bytes),
            units::bytes(stored)
        )),
        (bytes, _) => bytes.map(units::bytes),
    };
    let mut lines = vec![word("why").unwrap_or_default(), String::new()];
    let rows = [
        ("stored", ms("age_ms").map(|it| format!("{} ago", span(it)))),
        ("fresh", left("fresh_ms")),
        ("may be served", left("stale_ms")),
        ("its load took", entry["cost_us"].as_u64().map(units::span)),
        ("size", size),
        ("reason", word("reason")),
        ("epoch", word("epoch")),
    ];
    let told = rows.into_iter().filter_map(|(name, it)| Some((name, it?)));
    lines.extend(told.map(|(name, it)| format!("{name:<14} {it}")));
    let tags = entry["tags"].as_array().into_iter().flatten();
    lines.extend(tags.map(|tag| {
        let name = tag["tag"].as_str().unwrap_or("?");
        let since = match (tag["since"].as_str(), tag["hard"].is_null()) {
            (Some("hard"), _) => "invalidated since",
            (Some("soft"), _) => "softly invalidated since",
            (_, true) => "its record is missing",
            _ => "not invalidated since",
        };
        format!("{:<14} {name}: {since}", "tag")
    }));
    if let Some(excerpt) = entry["excerpt"].as_str() {
        lines.push(String::new());
        lines.extend(excerpt.lines().map(str::to_owned));
        lines.extend((entry["cut"] == true).then(|| "…".to_owned()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_may_stand_anywhere_in_a_key() {
        assert_eq!(pattern("user"), "*user*");
        assert_eq!(pattern("a\\b"), "*a\\\\b*");
        assert_eq!(pattern("user:?"), "user:?");
    }

    #[test]
    fn what_needs_a_scan_is_known() {
        let is_scan = |kind, name: &str| {
            let name = name.to_owned();
            Wish {
                kind,
                name,
                soft: true,
            }
            .is_scan()
        };
        assert!(!is_scan(Kind::Pattern, "users:*") && !is_scan(Kind::Pattern, "*"));
        assert!(is_scan(Kind::Pattern, "a:b:*"));
        assert!(is_scan(Kind::Pattern, "users*") && is_scan(Kind::Pattern, "*:*"));
        assert!(!is_scan(Kind::Tag, "*") && !is_scan(Kind::Key, "a*"));
    }

    #[test]
    fn an_entry_is_told_in_lines() {
        let entry = json!({
            "key": "a", "state": "stale", "why": "Stale: because.", "age_ms": 2500, "fresh_ms": -500, "stale_ms": 61_000,
            "bytes": 2048, "stored_bytes": 100, "reason": "expired", "epoch": null, "excerpt": "one\ntwo", "cut": true,
            "tags": [{"tag": "t", "hard": 1, "since": null}, {"tag": "u", "hard": null}, {"tag": "v", "hard": 1, "since": "soft"}],
        });
        let lines = facts(&entry).join("\n");
        for part in [
            "Stale: because.\n\nstored         2.5 s ago\nfresh          until 500 ms ago",
            "may be served  for another 61.0 s",
            "size           2.0 KiB, stored in 100 B",
            "tag            t: not invalidated since",
            "tag            u: its record is missing",
            "tag            v: softly invalidated since\n\none\ntwo\n…",
        ] {
            assert!(lines.contains(part), "{part}:\n{lines}");
        }
        assert_eq!(facts(&Value::Null), ["", ""]);
    }
}
