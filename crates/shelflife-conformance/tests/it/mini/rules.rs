//! The rules of the small cache, each with the flaw that breaks it.

use super::Entry;
use crate::wire::Message;

/// What is wrong with the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    None,
    NeverStores,
    StoresNoStore,
    SharesPrivate,
    SharesAuthorization,
    IgnoresNoCache,
    ServesStale,
    IgnoresAge,
    IgnoresSharedAge,
    IgnoresVary,
    IgnoresQuery,
    DecodesPaths,
    SendsNoAge,
    RestampsDate,
    DropsFields,
    KeepsHopFields,
    ForgetsUpdates,
    AsksWithoutCondition,
    AnswersNoConditions,
    NeverInvalidates,
    TakesPartForWhole,
    DropsInterim,
    Repeats,
    SpoilsBodies,
    SendsTooMuch,
}

impl Flaw {
    pub(super) fn key(self, target: &str) -> String {
        match self {
            Flaw::IgnoresQuery => target.split('?').next().unwrap_or_default().to_owned(),
            Flaw::DecodesPaths => target.replace("%2F", "/"),
            _ => target.to_owned(),
        }
    }
}

const HOP: [&str; 10] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

fn without_hop_fields(message: &mut Message) {
    let named = message.joined("Connection").unwrap_or_default();
    for name in named.split(',').map(str::trim).chain(HOP) {
        message.remove(name);
    }
}

/// The directives of Cache-Control, names in lower case.
fn directives(message: &Message) -> Vec<(String, Option<String>)> {
    let text = message.joined("Cache-Control").unwrap_or_default();
    let mut quoted = false;
    let parts = text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    let parse = |part: &str| match part.trim().split_once('=') {
        Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
        None => (part.trim().to_ascii_lowercase(), None),
    };
    parts.map(parse).collect()
}

fn has(message: &Message, name: &str) -> bool {
    directives(message).iter().any(|(n, _)| n == name)
}

fn seconds(message: &Message, name: &str) -> Option<u64> {
    let directives = directives(message);
    let (_, value) = directives.iter().find(|(n, _)| n == name)?;
    // What is no number makes stale; what is too large is the largest.
    Some(value.as_deref().and_then(number).unwrap_or(0))
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn age_field(answer: &Message) -> u64 {
    let first = answer.all("Age").next().unwrap_or_default();
    number(first.split(',').next().unwrap_or_default().trim()).unwrap_or(0)
}

fn age(flaw: Flaw, entry: &Entry) -> u64 {
    let initial = match flaw {
        Flaw::IgnoresAge => 0,
        _ => age_field(&entry.answer),
    };
    initial.saturating_add(entry.since.elapsed().as_secs())
}

pub(super) fn is_fresh(flaw: Flaw, entry: &Entry) -> bool {
    let answer = &entry.answer;
    let shared = match flaw {
        Flaw::IgnoresSharedAge => None,
        _ => seconds(answer, "s-maxage"),
    };
    let lifetime = shared.or(seconds(answer, "max-age")).unwrap_or(0);
    let no_cache = has(answer, "no-cache") && flaw != Flaw::IgnoresNoCache;
    !no_cache && (flaw == Flaw::ServesStale || age(flaw, entry) < lifetime)
}

pub(super) fn may_store(flaw: Flaw, request: &Message, answer: &Message) -> bool {
    let validator = answer.joined("ETag").or(answer.joined("Last-Modified"));
    let lifetime = seconds(answer, "s-maxage").or(seconds(answer, "max-age"));
    let shared = ["public", "must-revalidate", "s-maxage"];
    let shared = flaw == Flaw::SharesAuthorization || shared.iter().any(|d| has(answer, d));
    request.word(0) == "GET"
        && flaw != Flaw::NeverStores
        && (validator.is_some() || lifetime.is_some())
        && (!has(answer, "no-store") || flaw == Flaw::StoresNoStore)
        && (!has(answer, "private") || flaw == Flaw::SharesPrivate)
        && (request.joined("Authorization").is_none() || shared)
        && !vary(answer).iter().any(|name| name == "*")
        && answer.status() != 206
}

fn vary(answer: &Message) -> Vec<String> {
    let text = answer.joined("Vary").unwrap_or_default();
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

pub(super) fn selects(flaw: Flaw, entry: &Entry, request: &Message) -> bool {
    let same = |name: &String| entry.request.joined(name) == request.joined(name);
    flaw == Flaw::IgnoresVary || vary(&entry.answer).iter().all(same)
}

/// The answer as it is sent on, and stored.
pub(super) fn passed_on(flaw: Flaw, mut answer: Message) -> Message {
    if flaw == Flaw::KeepsHopFields {
        // What frames the message has changed in any case.
        answer.remove("Transfer-Encoding");
    } else {
        without_hop_fields(&mut answer);
    }
    if flaw == Flaw::DropsFields {
        answer.remove("Test-Header");
    }
    answer
}

pub(super) fn from_store(flaw: Flaw, entry: &Entry, request: &Message) -> Message {
    let mut answer = entry.answer.clone();
    answer.set("Age", &age(flaw, entry).to_string());
    match flaw {
        Flaw::SendsNoAge => answer.remove("Age"),
        Flaw::RestampsDate => answer.set("Date", "Thu, 01 Jan 2099 00:00:00 GMT"),
        Flaw::SpoilsBodies => answer.body.push(b'!'),
        _ => {}
    }
    if flaw != Flaw::AnswersNoConditions && not_modified(&answer, request) {
        "HTTP/1.1 304 Not Modified".clone_into(&mut answer.start);
    }
    answer
}

fn not_modified(answer: &Message, request: &Message) -> bool {
    if let Some(tags) = request.joined("If-None-Match") {
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let stored = answer.joined("ETag").map(|tag| weak(&tag));
        return tags.split(',').any(|tag| Some(weak(tag)) == stored);
    }
    let since = request.joined("If-Modified-Since");
    since.is_some() && since == answer.joined("Last-Modified")
}

/// The request as it goes to the origin; with conditions if there is something to validate.
pub(super) fn forwarded(flaw: Flaw, request: &Message, stored: Option<&Entry>) -> Message {
    let mut sent = request.clone();
    without_hop_fields(&mut sent);
    if let Some(entry) = stored.filter(|_| flaw != Flaw::AsksWithoutCondition) {
        let pairs = [
            ("If-None-Match", "ETag"),
            ("If-Modified-Since", "Last-Modified"),
        ];
        for (condition, validator) in pairs {
            sent.remove(condition);
            if let Some(value) = entry.answer.joined(validator) {
                sent.set(condition, &value);
            }
        }
    }
    sent.set("Connection", "close");
    sent
}

pub(super) fn updated(flaw: Flaw, entry: &Entry, by: &Message) -> Entry {
    let mut entry = entry.clone();
    entry.since = std::time::Instant::now();
    let mut by = by.clone();
    without_hop_fields(&mut by);
    by.remove("Content-Length");
    if flaw != Flaw::ForgetsUpdates {
        for (name, _) in &by.fields {
            entry.answer.remove(name);
        }
        entry.answer.fields.extend(by.fields);
    }
    entry
}
