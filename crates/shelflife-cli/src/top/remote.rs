//! The JSON API of a process (`shelflife-admin`): asked at each look; its log is followed in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Empty;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::figures::{Hot, Large, Look, Member};
use super::log::Line;
use crate::args::TopArgs;
use crate::failure::Failure;
use crate::web::{self, Web};

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions for the largest entries: it is a walk through all that the process has in memory.
const WALKS: Duration = Duration::from_secs(5);
/// How far back the log is shown at first, in s.
const BACK: u64 = 300;
/// Between two attempts to follow the log.
const PAUSE: Duration = Duration::from_secs(1);
/// How many lines may wait for the next look.
const WAITING: usize = 1_000;

/// Lines that no look has taken yet. The lock is held to push or to take.
type Waiting = Arc<Mutex<Vec<Line>>>;

pub(super) struct Remote {
    web: Web,
    base: String,
    fields: HeaderMap,
    waiting: Waiting,
    largest: Option<Vec<Large>>,
    walked: Option<Instant>,
    following: Option<AbortHandle>,
}

impl Remote {
    pub(super) fn open(url: &str, args: &TopArgs) -> Result<Self, Failure> {
        web::url("--url", url)?;
        let mut fields = HeaderMap::new();
        if let Some(token) = token(args)? {
            let field = HeaderValue::try_from(format!("Bearer {token}"));
            let mut field = field
                .map_err(|_| Failure::new("the token has characters that no field can hold"))?;
            field.set_sensitive(true);
            fields.insert(AUTHORIZATION, field);
        }
        Ok(Self {
            web: Web::new(PATIENCE),
            base: url.trim_end_matches('/').to_owned(),
            fields,
            waiting: Waiting::default(),
            largest: None,
            walked: None,
            following: None,
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.base
    }

    pub(super) async fn look(&mut self) -> Result<Look, Failure> {
        let now = self.ask("now").await?;
        // Who has no list of what is hot still has all the rest.
        let hot = self.ask("hot?n=50").await.unwrap_or_default();
        if self.walked.is_none_or(|walked| walked.elapsed() > WALKS) {
            self.walked = Some(Instant::now());
            // It is refused while others scan; what was told last is shown on.
            let told = self.ask("largest?n=50").await.unwrap_or_default();
            self.largest = Large::all(&told["entries"]).or(self.largest.take());
        }
        self.follow()?;
        let mut look = Look::new(now["namespace"].as_str().unwrap_or("?").to_owned());
        let pid = now["process"]["pid"].as_u64();
        look.process = pid.map(|pid| format!("process {pid}"));
        look.uptime_ms = now["uptime_ms"].as_u64();
        look.stats = now["stats"].clone();
        look.server = now["store"]["server"].clone();
        if now["store"]["answers"] == false {
            let detail = now["store"]["detail"]
                .as_str()
                .unwrap_or("no reason is told");
            look.trouble = Some(format!("the store does not answer: {detail}"));
        }
        let members = now["members"]["all"].as_array().into_iter().flatten();
        look.members = members.filter_map(Member::of).collect();
        look.hot_keys = Hot::all(&hot["keys"]);
        look.hot_tags = Hot::all(&hot["tags"]);
        look.largest.clone_from(&self.largest);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        look.logged = std::mem::take(&mut *waiting);
        Ok(look)
    }

    async fn ask(&self, what: &str) -> Result<Value, Failure> {
        let request = request(&self.base, what, &self.fields)?;
        let answer = self.web.ask(request).await.map_err(|error| {
            Failure::new(format!("{} gave no answer: {error}", self.base)).hint(
                "is the page served there? shelflife demo has it on http://127.0.0.1:8081/_shelflife; or look at the store: --redis",
            )
        })?;
        match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.content).map_err(|_| {
                Failure::new(format!(
                    "{} is not shelflife's: it answers with something else",
                    self.base
                ))
                .hint("name where the page is mounted, as in http://127.0.0.1:8080/_shelflife")
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::new(format!(
                "{} asks for a token: {}",
                self.base, answer.status
            ))
            .hint("--token, or --token-file with a file that holds it")),
            status => Err(
                Failure::new(format!("{}/api/{what} answered {status}", self.base))
                    .hint("name where the page is mounted, as in http://127.0.0.1:8080/_shelflife"),
            ),
        }
    }

    /// Follows the log, if nobody does yet.
    fn follow(&mut self) -> Result<(), Failure> {
        if self.following.is_some() {
            return Ok(());
        }
        let mut fields = self.fields.clone();
        fields.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let (web, base, waiting) = (self.web.clone(), self.base.clone(), self.waiting.clone());
        let task = tokio::spawn(async move {
            let mut last: Option<String> = None;
            loop {
                let Ok(request) = log_request(&base, last.as_deref(), &fields) else {
                    return;
                };
                let push = |event: Event| {
                    if let Some(id) = event.id {
                        // Asked again, it begins a little earlier: what was seen is passed over.
                        if last.as_ref().is_some_and(|last| !is_newer(&id, last)) {
                            return;
                        }
                        last = Some(id);
                    }
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(line) = event.line.filter(|_| waiting.len() < WAITING) {
                        waiting.push(line);
                    }
                };
                // It ends by itself now and then; and when the process does.
                web.follow(request, Events::new(push)).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        self.following = Some(task.abort_handle());
        Ok(())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}

fn token(args: &TopArgs) -> Result<Option<String>, Failure> {
    let Some(path) = &args.token_file else {
        return Ok(args.token.clone());
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(Some(text.trim().to_owned()))
}

fn request(base: &str, what: &str, fields: &HeaderMap) -> Result<Request<Empty<Bytes>>, Failure> {
    let uri: Uri = web::url("--url", &format!("{base}/api/{what}"))?;
    Ok(web::get(&uri, fields))
}

fn log_request(
    base: &str,
    last: Option<&str>,
    fields: &HeaderMap,
) -> Result<Request<Empty<Bytes>>, Failure> {
    let mut request = request(base, &format!("log?since={BACK}"), fields)?;
    if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
        request.headers_mut().insert("last-event-id", last);
    }
    Ok(request)
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
struct Events<F> {
    rest: Vec<u8>,
    push: F,
}

/// The longest event that is waited for.
const LONGEST: usize = 1 << 20;

impl<F: FnMut(Event)> Events<F> {
    fn new(push: F) -> Self {
        Self {
            rest: Vec::new(),
            push,
        }
    }
}

impl<F: FnMut(Event)> web::Sink for Events<F> {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            if let Some(event) = event(&String::from_utf8_lossy(&block)) {
                (self.push)(event);
            }
        }
        self.rest.len() < LONGEST
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
    use crate::web::Sink;

    #[test]
    fn events_come_in_pieces_and_go_out_whole() {
        let text = ": watching\nretry: 1000\n\nevent: entry\nid: ab:5\ndata: {\"epoch\":\"ab:5\",\"keys\":[\"a\"]}\n\n\
                    event: gap\ndata: {}\n\nevent: entry\ndata: broken";
        let mut seen = Vec::new();
        let mut events = Events::new(|event| seen.push(event));
        for piece in text.as_bytes().chunks(7) {
            assert!(events.take(piece));
        }
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].id.as_deref(), Some("ab:5"));
        assert_eq!(seen[0].line.as_ref().unwrap().what, "key a");
        assert!(seen[1].line.as_ref().unwrap().what.contains("missing"));
        let mut endless = Events::new(|_| {});
        assert!(!endless.take(&vec![b'x'; LONGEST]), "not for ever");
    }

    #[test]
    fn what_was_seen_is_passed_over() {
        assert!(is_newer("a:2", "a:1"));
        assert!(!is_newer("a:1", "a:1") && !is_newer("a:0", "a:1"));
        assert!(is_newer("b:0", "a:1"), "another incarnation");
    }
}
