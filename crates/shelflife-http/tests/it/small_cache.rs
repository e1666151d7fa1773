//! The smallest cache that lets these rules decide everything: one driver, one list, a clock that is set.

use http::{HeaderMap, Method};
use shelflife_http::{
    Answer, HeadUpdate, Policy, QueryRule, Received, Reuse, Stored, Validated, answer,
    answer_headers, fill_request, freshen, head_update, invalidates, may_collapse, may_look_up,
    only_if_cached, pass_cookies, reuse, store, url_key, validated, validation_request,
};

use crate::said::{Asked, T0, code};

pub(crate) struct SmallCache {
    pub(crate) policy: Policy,
    pub(crate) now: u64,
    kept: Vec<Kept>,
}

struct Kept {
    key: String,
    head: Stored,
    body: String,
}

/// What an origin says; `None`: it doesn't answer.
pub(crate) type Said = Option<(u16, HeaderMap, String)>;

/// What a client sees, and what the origin was asked, if it was.
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) forwarded: Option<HeaderMap>,
}

impl SmallCache {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            now: T0,
            kept: Vec::new(),
        }
    }

    pub(crate) fn exchange(&mut self, asked: &Asked, origin: &dyn Fn(&HeaderMap) -> Said) -> Seen {
        if may_look_up(asked.request(), &self.policy).is_err() {
            let seen = pass(asked, origin);
            let gone = invalidates(asked.request(), code(seen.status), &seen.headers);
            self.kept.retain(|kept| !gone.urls.contains(&kept.key));
            return seen;
        }
        let key = url_key(asked.request(), &QueryRule::default());
        let found = self
            .kept
            .iter()
            .position(|kept| kept.key == key && kept.head.selects(asked.request()));
        let Some(at) = found else {
            if only_if_cached(asked.request(), &self.policy) {
                return bare(504);
            }
            return self.fetch(asked, key, origin);
        };
        match reuse(
            asked.request(),
            &self.kept[at].head,
            &self.policy,
            false,
            self.now,
        ) {
            Reuse::Fresh | Reuse::Stale { .. } => self.serve(asked, at, None),
            Reuse::Validate { if_error, .. } => self.validate(asked, at, if_error, origin),
            Reuse::Bypass { if_error, .. } => match origin(&asked.headers) {
                None if if_error => self.serve(asked, at, Some(asked.headers.clone())),
                said => seen(said, asked.headers.clone()),
            },
            Reuse::Unsatisfiable(_) => bare(504),
        }
    }

    fn fetch(&mut self, asked: &Asked, key: String, origin: &dyn Fn(&HeaderMap) -> Said) -> Seen {
        if may_collapse(asked.request(), &self.policy).is_err() {
            return pass(asked, origin);
        }
        let mut headers = asked.headers.clone();
        fill_request(&mut headers);
        let said = origin(&headers);
        self.fill(asked, key, said, headers)
    }

    fn fill(&mut self, asked: &Asked, key: String, said: Said, forwarded: HeaderMap) -> Seen {
        let Some((status, fields, body)) = said else {
            return seen(None, forwarded);
        };
        match store(
            asked.request(),
            code(status),
            &fields,
            &self.policy,
            self.now,
            self.now,
        ) {
            Ok(head) => {
                self.kept
                    .retain(|kept| kept.key != key || !kept.head.selects(asked.request()));
                self.kept.push(Kept { key, head, body });
                let mut answer = self.serve(asked, self.kept.len() - 1, Some(forwarded));
                pass_cookies(&fields, &mut answer.headers);
                answer
            }
            Err(_) => seen(Some((status, fields, body)), forwarded),
        }
    }

    fn validate(
        &mut self,
        asked: &Asked,
        at: usize,
        if_error: bool,
        origin: &dyn Fn(&HeaderMap) -> Said,
    ) -> Seen {
        let (key, stored, length) = {
            let kept = &self.kept[at];
            (kept.key.clone(), kept.head.clone(), kept.body.len() as u64)
        };
        let mut headers = asked.headers.clone();
        validation_request(&mut headers, &stored);
        let Some((status, fields, body)) = origin(&headers) else {
            return if if_error {
                self.serve(asked, at, Some(headers))
            } else {
                seen(None, headers)
            };
        };
        match validated(&stored, code(status), &fields) {
            Validated::NotModified => match freshen(
                &stored,
                asked.request(),
                &fields,
                &self.policy,
                self.now,
                self.now,
            ) {
                Ok(head) => {
                    self.kept[at].head = head;
                    self.serve(asked, at, Some(headers))
                }
                Err(_) => {
                    let answer = self.serve(asked, at, Some(headers));
                    self.kept.remove(at);
                    answer
                }
            },
            Validated::ServerError if if_error => self.serve(asked, at, Some(headers)),
            Validated::Unusable => self.fetch(asked, key, origin),
            Validated::ServerError | Validated::Replaced if asked.method == Method::HEAD => {
                let received = Received {
                    status: code(status),
                    headers: &fields,
                    sent: self.now,
                    now: self.now,
                };
                match head_update(asked.request(), &stored, length, received, &self.policy) {
                    HeadUpdate::Updated(head) => {
                        self.kept[at].head = *head;
                        self.serve(asked, at, Some(headers))
                    }
                    HeadUpdate::Outdated(_) | HeadUpdate::Nothing => {
                        seen(Some((status, fields, body)), headers)
                    }
                }
            }
            Validated::ServerError | Validated::Replaced => {
                self.fill(asked, key, Some((status, fields, body)), headers)
            }
        }
    }

    fn serve(&self, asked: &Asked, at: usize, forwarded: Option<HeaderMap>) -> Seen {
        let Kept { head, body, .. } = &self.kept[at];
        let length = body.len() as u64;
        let answer = answer(asked.request(), head, length, self.now);
        let part = match answer {
            Answer::Full => body.as_str(),
            Answer::Range {
                start,
                end_inclusive,
            } => &body[start as usize..=end_inclusive as usize],
            Answer::NotModified | Answer::RangeNotSatisfiable => "",
        };
        Seen {
            status: answer.status(head).as_u16(),
            headers: answer_headers(head, &answer, length, self.now),
            body: part.to_owned(),
            forwarded,
        }
    }
}

fn pass(asked: &Asked, origin: &dyn Fn(&HeaderMap) -> Said) -> Seen {
    seen(origin(&asked.headers), asked.headers.clone())
}

fn seen(said: Said, forwarded: HeaderMap) -> Seen {
    let (status, headers, body) = said.unwrap_or((502, HeaderMap::new(), String::new()));
    Seen {
        status,
        headers,
        body,
        forwarded: Some(forwarded),
    }
}

fn bare(status: u16) -> Seen {
    Seen {
        status,
        headers: HeaderMap::new(),
        body: String::new(),
        forwarded: None,
    }
}
