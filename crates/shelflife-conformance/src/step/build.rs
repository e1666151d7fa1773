//! The words in which the table is written.

use std::time::Duration;

use super::{Ask, Aspect, Expect, Manner, Refusal, Reply, Sent, Served, Step, Value, Want};

impl Step {
    /// A GET, to which the origin answers 200 with the token of the case as its body.
    pub(crate) fn get() -> Self {
        Step::asks("GET")
    }

    pub(crate) fn asks(method: &'static str) -> Self {
        Step {
            ask: Ask {
                method,
                fields: Vec::new(),
                body: None,
                query: None,
                tail: None,
                rfc850: false,
            },
            reply: Reply::default(),
            expect: Expect::default(),
            given_all: false,
            given: Vec::new(),
            rests: false,
        }
    }

    /// Fresh for long; a preparation with a pause after it.
    pub(crate) fn fresh() -> Self {
        let step = Step::get().sends("Cache-Control", "max-age=100000");
        step.sends("Date", 0).given().rest()
    }

    /// Stale when it is sent; a preparation with a pause after it.
    pub(crate) fn stale() -> Self {
        let step = Step::get().sends("Expires", -5000);
        step.sends("Last-Modified", -100_000)
            .sends("Date", 0)
            .given()
            .rest()
    }

    /// Stale by the time of the next step; a preparation with a pause after it.
    pub(crate) fn soon_stale() -> Self {
        let step = Step::get().sends("Cache-Control", "max-age=2");
        step.sends("Date", 0)
            .sends("Template-A", "1")
            .given()
            .rest()
    }

    // What the client asks.

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.ask.fields.push((name, value.into()));
        self
    }

    pub(crate) fn with_body(mut self, body: &'static str) -> Self {
        self.ask.body = Some(body);
        self
    }

    pub(crate) fn query(mut self, query: &'static str) -> Self {
        self.ask.query = Some(query);
        self
    }

    pub(crate) fn tail(mut self, tail: &'static str) -> Self {
        self.ask.tail = Some(tail);
        self
    }

    /// Dates of the request in the format of RFC 850.
    pub(crate) fn rfc850(mut self) -> Self {
        self.ask.rfc850 = true;
        self
    }

    // What the origin answers.

    pub(crate) fn sends(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.reply.fields.push(Sent {
            name: name.into(),
            value: value.into(),
            unchanged: true,
        });
        self
    }

    /// Sends a field that may be changed, joined or dropped on the way.
    pub(crate) fn sends_loosely(
        mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        self.reply.fields.push(Sent {
            name: name.into(),
            value: value.into(),
            unchanged: false,
        });
        self
    }

    pub(crate) fn status(mut self, code: u16, reason: &'static str) -> Self {
        self.reply.status = Some((code, reason));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<String>) -> Self {
        self.reply.body = Some(body.into());
        self
    }

    pub(crate) fn interim(mut self, status: u16, fields: &[(&'static str, &'static str)]) -> Self {
        self.reply.interim.push((status, fields.to_vec()));
        self
    }

    pub(crate) fn hold(mut self, seconds: u64) -> Self {
        self.reply.hold = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn silent(mut self) -> Self {
        self.reply.manner = Manner::Silent;
        self
    }

    /// Sends these bytes and closes the connection.
    pub(crate) fn raw_then_close(mut self, lines: &'static str, rest: &'static str) -> Self {
        let close = true;
        self.reply.manner = Manner::Raw { lines, rest, close };
        self
    }

    /// Sends these bytes and leaves the connection open.
    pub(crate) fn raw(mut self, lines: &'static str, rest: &'static str) -> Self {
        let close = false;
        self.reply.manner = Manner::Raw { lines, rest, close };
        self
    }

    // What is expected.

    pub(crate) fn served(mut self, served: Served) -> Self {
        self.expect.served = Some(served);
        self
    }

    pub(crate) fn by_store(self) -> Self {
        self.served(Served::Store)
    }

    pub(crate) fn by_origin(self) -> Self {
        self.served(Served::Origin)
    }

    pub(crate) fn by_etag(self) -> Self {
        self.served(Served::ByEtag)
    }

    pub(crate) fn by_date(self) -> Self {
        self.served(Served::ByDate)
    }

    pub(crate) fn wants(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.expect.fields.push(Want::Is(name.into(), value.into()));
        self
    }

    pub(crate) fn wants_some(mut self, name: &'static str) -> Self {
        self.expect.fields.push(Want::Present(name));
        self
    }

    pub(crate) fn wants_above(mut self, name: &'static str, floor: i64) -> Self {
        self.expect.fields.push(Want::Above(name, floor));
        self
    }

    pub(crate) fn wants_no(mut self, name: &'static str) -> Self {
        self.expect.absent.push(name);
        self
    }

    pub(crate) fn wants_status(mut self, status: u16) -> Self {
        self.expect.status = Some(Some(status));
        self
    }

    pub(crate) fn any_status(mut self) -> Self {
        self.expect.status = Some(None);
        self
    }

    pub(crate) fn wants_body(mut self, body: &str) -> Self {
        self.expect.body = Some(Some(body.to_owned()));
        self
    }

    pub(crate) fn any_body(mut self) -> Self {
        self.expect.body = Some(None);
        self
    }

    pub(crate) fn wants_interim(
        mut self,
        status: u16,
        fields: &[(&'static str, &'static str)],
    ) -> Self {
        let interim = self.expect.interim.get_or_insert_default();
        interim.push((status, fields.to_vec()));
        self
    }

    pub(crate) fn wants_spaced(mut self, name: &'static str, value: &'static str) -> Self {
        self.expect.fields.push(Want::Spaced(name, value));
        self
    }

    pub(crate) fn wants_not(mut self, name: &'static str, value: &'static str) -> Self {
        self.expect.fields.push(Want::Not(name, value));
        self
    }

    pub(crate) fn refused(mut self) -> Self {
        self.expect.refusal = Refusal::Demanded;
        self
    }

    pub(crate) fn may_be_refused(mut self) -> Self {
        self.expect.refusal = Refusal::Allowed;
        self
    }

    /// The origin has to see this field of the request.
    pub(crate) fn reaches(mut self, name: &'static str, value: &'static str) -> Self {
        self.expect.reaches.push((name, value));
        self
    }

    pub(crate) fn reaches_as(mut self, method: &'static str) -> Self {
        self.expect.method = Some(method);
        self
    }

    // How it is weighed.

    /// All checks of this step are preparation.
    pub(crate) fn given(mut self) -> Self {
        self.given_all = true;
        self
    }

    /// These checks of this step are preparation.
    pub(crate) fn given_only(mut self, aspects: &[Aspect]) -> Self {
        self.given.extend(aspects);
        self
    }

    pub(crate) fn rest(mut self) -> Self {
        self.rests = true;
        self
    }
}
