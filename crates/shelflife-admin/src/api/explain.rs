//! Why an entry is fresh, stale or dead, in words that need no dictionary.
//!
//! Pure. Must not: judge. The engine has; this only says it.

use std::time::Duration;

use serde::Serialize;
use shelflife::{Epoch, Inspection, Reason, TagState};

/// How a tag was invalidated after the value's load had begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Since {
    Hard,
    Soft,
}

/// Whether, and how, a tag was invalidated since.
pub(crate) fn since(tag: &TagState, epoch: Option<Epoch>) -> Option<Since> {
    let tick = epoch?.tick;
    let newer = |at: Option<u64>| at.is_some_and(|at| at > tick);
    match (newer(tag.hard), newer(tag.soft)) {
        (true, _) => Some(Since::Hard),
        (false, true) => Some(Since::Soft),
        (false, false) => None,
    }
}

/// The sentence.
pub(crate) fn why(it: &Inspection, epoch: Option<Epoch>) -> String {
    let mut text = match (it.state, it.reason) {
        ("fresh", _) => format!(
            "Fresh: stored {} ago, and no invalidation since names it or one of its tags. Its time to live has {} left.",
            span(it.age_ms),
            span(it.fresh_ms)
        ),
        ("stale", Reason::SoftInvalidated) => format!(
            "Stale: {} softly after it was loaded. It may be served once more, for {} at most, while it is refreshed.",
            invalidated(it, epoch, Since::Soft),
            span(it.stale_ms)
        ),
        ("stale", _) => format!(
            "Stale: its time to live ended {} ago. It may be served for another {} while it is refreshed.",
            span(it.fresh_ms),
            span(it.stale_ms)
        ),
        ("dead", reason) => dead(it, epoch, reason),
        (_, Reason::Loading) => "Nothing is stored yet: somebody is loading it at this moment.".to_owned(),
        _ => "Nothing is stored under this key: it was never stored, or was invalidated, deleted, or evicted. \
              The next read loads it."
            .to_owned(),
    };
    if it.leased && it.reason != Reason::Loading {
        text.push_str(" A refresh is under way.");
    }
    text
}

fn dead(it: &Inspection, epoch: Option<Epoch>, reason: Reason) -> String {
    let because = match reason {
        Reason::TagNewer => format!(
            "{} after it was loaded",
            invalidated(it, epoch, Since::Hard)
        ),
        Reason::TagMissing => {
            let missing = it.tags.iter().find(|tag| tag.hard.is_none());
            format!(
                "nothing is known of {}, and what is not known to hold does not",
                missing.map_or("one of its tags".to_owned(), |tag| format!(
                    "its tag {}",
                    tag.tag
                ))
            )
        }
        Reason::OtherIncarnation => {
            "it is from before the bookkeeping began anew, after a flush or a failover".to_owned()
        }
        Reason::PastStale => format!(
            "its time is over: it could be served until {} ago",
            span(it.stale_ms)
        ),
        Reason::WrongKey => "the record is that of another key".to_owned(),
        Reason::WrongVersion => "the record is of another version of the format".to_owned(),
        Reason::WrongSchema => "it was stored under another schema".to_owned(),
        Reason::WrongType => {
            "what stands there in Redis is no string: somebody else wrote it".to_owned()
        }
        Reason::Malformed => {
            "the record's bytes do not parse: somebody else wrote it, or it is damaged".to_owned()
        }
        Reason::UnknownCodec => "its codec is not known to this version".to_owned(),
        reason => format!("the reason is {reason}"),
    };
    format!("Dead: {because}. No read is answered with it; the next one loads it anew.")
}

/// Which of its tags, as the beginning of a sentence.
fn invalidated(it: &Inspection, epoch: Option<Epoch>, how: Since) -> String {
    let mut tags = it.tags.iter().filter(|tag| since(tag, epoch) == Some(how));
    match (tags.next().map(|tag| tag.tag.as_str()), tags.next()) {
        (Some("*"), _) => "everything was invalidated".to_owned(),
        (Some(tag), None) => format!("its tag {tag} was invalidated"),
        (Some(tag), Some(_)) => format!("its tag {tag} and others were invalidated"),
        (None, _) => "it was invalidated".to_owned(),
    }
}

/// A span of time, whichever its sign, for a person.
fn span(ms: Option<i64>) -> String {
    let Some(ms) = ms else {
        return "an unknown time".to_owned();
    };
    let seconds = Duration::from_millis(ms.unsigned_abs()).as_secs();
    match (ms.unsigned_abs(), seconds) {
        (ms @ ..1000, _) => format!("{ms} ms"),
        (_, s @ ..120) => format!("{s} s"),
        (_, s @ ..7200) => format!("{} min", s / 60),
        (_, s @ ..172_800) => format!("{} h", s / 3600),
        (_, s) => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (ms, text) in [
            (0, "0 ms"),
            (-999, "999 ms"),
            (61_500, "61 s"),
            (150_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
            (i64::MIN, "106751991167 days"),
        ] {
            assert_eq!(span(Some(ms)), text);
        }
    }
}
