//! The log of a process, followed between looks: server-sent events become lines that wait for the next look.
//!
//! Must not: hold more than a look shows, or stop without a word.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};

use super::log::Line;
use crate::web::{self, Web};

/// How far back the log is shown at first, in s.
const BACK: u64 = 300;
/// Between two attempts to follow the log.
const PAUSE: Duration = Duration::from_secs(1);
/// After which silence a stream is given up: a process that has nothing to tell says a word every 10 s.
const SILENCE: Duration = Duration::from_secs(30);
/// How many lines may wait for the next look: fewer than are kept, so that what is said of those that went is seen.
const WAITING: usize = 400;

/// What no look has taken yet.
#[derive(Debug, Default)]
struct Backlog {
    lines: VecDeque<Line>,
    /// How many were older than all that wait, and had to go.
    gone: u64,
    /// Why nobody follows the log, if so.
    lost: Option<String>,
}

impl Backlog {
    fn push(&mut self, line: Line) {
        if self.lines.len() == WAITING {
            self.lines.pop_front();
            self.gone += 1;
        }
        self.lines.push_back(line);
    }

    /// The oldest first.
    fn take(&mut self) -> Vec<Line> {
        let gone = std::mem::take(&mut self.gone);
        let remark = format!("{gone} entries are left out here: they came too fast");
        let remark = (gone > 0).then(|| Line::remark(remark));
        remark.into_iter().chain(self.lines.drain(..)).collect()
    }
}

/// The log as far as it was followed. Clones share it. The lock is held to push or to take.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed(Arc<Mutex<Backlog>>);

impl Followed {
    /// What was logged since it was asked last, and why nobody follows the log.
    pub(super) fn take(&self) -> (Vec<Line>, Option<String>) {
        let mut backlog = self.lock();
        (backlog.take(), backlog.lost.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the log for ever. Streams end by themselves now and then; and when the process does.
pub(super) async fn follow(web: Web, base: String, mut fields: HeaderMap, followed: Followed) {
    fields.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let mut last = None;
    loop {
        if let Err(why) = read(&web, &base, &fields, &mut last, &followed).await {
            followed.lock().lost = Some(why);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One stream, to its end. `last` is the id of the last entry that was seen.
async fn read(
    web: &Web,
    base: &str,
    fields: &HeaderMap,
    last: &mut Option<String>,
    followed: &Followed,
) -> Result<(), String> {
    let url = format!("{base}/api/log?since={BACK}");
    let uri = web::url("--url", &url).map_err(|failure| failure.to_string())?;
    let mut request = web::get(&uri, fields);
    let seen = last.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(seen)) = seen {
        request.headers_mut().insert("last-event-id", seen);
    }
    let mut stream = web.open(request).await?;
    followed.lock().lost = None;
    let mut events = Events::default();
    while let Some(bytes) = stream.next(SILENCE).await? {
        for event in events.take(&bytes)? {
            if let Some(id) = event.id {
                // Asked again, it begins a little earlier: what was seen is passed over.
                if last.as_ref().is_some_and(|last| !is_newer(&id, last)) {
                    continue;
                }
                *last = Some(id);
            }
            if let Some(line) = event.line {
                followed.lock().push(line);
            }
        }
    }
    Ok(())
}

/// Whether an epoch is not one that was seen: another incarnation, or a later tick.
fn is_newer(id: &str, last: &str) -> bool {
    let parts = |text: &str| {
        let (inc, tick) = text.split_once(':')?;
        Some((inc.to_owned(), tick.parse::<u64>().ok()?))
    };
    match (parts(id), parts(last)) {
        (Some((inc, tick)), Some((of, seen))) => inc != of || tick > seen,
        _ => true,
    }
}

/// An event of the stream.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    line: Option<Line>,
}

/// Server-sent events (HTML §9.2), as far as this API sends them: bytes come in pieces, events go out whole.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
}

/// The longest event that is waited for.
const LONGEST: usize = 1 << 20;

impl Events {
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, String> {
        self.rest.extend_from_slice(bytes);
        let (mut events, mut from) = (Vec::new(), 0);
        while let Some(end) = self.rest[from..]
            .windows(2)
            .position(|pair| pair == b"\n\n")
        {
            let block = String::from_utf8_lossy(&self.rest[from..from + end + 2]);
            events.extend(event(&block));
            from += end + 2;
        }
        self.rest.drain(..from);
        match self.rest.len() < LONGEST {
            true => Ok(events),
            false => Err("an event has no end".to_owned()),
        }
    }
}

fn event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let line = block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.strip_prefix(' ').unwrap_or(value))
    };
    let line = match field("event")? {
        "entry" => Line::of(&serde_json::from_str(field("data")?).ok()?),
        "gap" => Some(Line::remark("entries are missing here")),
        "lost" => Some(Line::remark("the server is out of reach")),
        "back" => Some(Line::remark("the server is back")),
        _ => None,
    };
    Some(Event {
        id: field("id").map(str::to_owned),
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_pieces_and_go_out_whole() {
        let text = ": watching\nretry: 1000\n\nevent: entry\nid: ab:5\ndata: {\"epoch\":\"ab:5\",\"keys\":[\"a\"]}\n\n\
                    event: gap\ndata: {}\n\nevent: entry\ndata: broken";
        let mut seen = Vec::new();
        let mut events = Events::default();
        for piece in text.as_bytes().chunks(7) {
            seen.extend(events.take(piece).unwrap());
        }
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].id.as_deref(), Some("ab:5"));
        assert_eq!(seen[0].line.as_ref().unwrap().what, "key a");
        assert!(seen[1].line.as_ref().unwrap().what.contains("missing"));
        let whole = Events::default().take(text.as_bytes()).unwrap();
        assert_eq!(whole, seen, "many at once");
        let endless = Events::default().take(&vec![b'x'; LONGEST]);
        assert!(endless.is_err(), "not for ever");
    }

    #[test]
    fn what_was_seen_is_passed_over() {
        assert!(is_newer("a:2", "a:1"));
        assert!(!is_newer("a:1", "a:1") && !is_newer("a:0", "a:1"));
        assert!(is_newer("b:0", "a:1"), "another incarnation");
    }

    #[test]
    fn the_oldest_lines_go_and_that_is_said() {
        let mut backlog = Backlog::default();
        for n in 0..WAITING + 3 {
            backlog.push(Line::remark(n.to_string()));
        }
        let lines = backlog.take();
        assert_eq!(lines.len(), WAITING + 1);
        assert!(lines[0].what.starts_with("3 entries are left out"));
        assert_eq!(lines[1].what, "3");
        assert_eq!(lines[WAITING].what, (WAITING + 2).to_string());
        assert!(backlog.take().is_empty());
    }
}
