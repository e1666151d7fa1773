//! Rules as they are asked: compiled once, each with its whole policy, in the order in which they were given.
//!
//! Must not: read a clock, look at a response, or hold an RFC rule. What a rule says becomes fields of
//! [`shelflife_http::Policy`], which decides.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};
use shelflife_http::{Policy, QueryRule, SetCookie};

use crate::error::{Error, ErrorKind};
use crate::key::Tag;
use crate::policy::TAGS;
use crate::tower::why::Why;

use super::path::{PathPattern, has_dot_segment};
use super::template::TagTemplate;
use super::vary::Varies;
use super::{Keep, Rule};

/// Statuses that a rule's `ttl` is for if it doesn't name any: answers that say how things are. That something isn't there
/// (404, 410) is not kept without a word for it: it is about to be created.
const SUCCESSES: [u16; 6] = [200, 203, 204, 300, 301, 308];

/// All rules of a layer. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Option<Arc<[Compiled]>>);

#[derive(Debug)]
struct Compiled {
    /// `None`: every path.
    pattern: Option<PathPattern>,
    /// GET stands for HEAD too.
    methods: Vec<Method>,
    /// `None`: any.
    statuses: Option<Vec<StatusCode>>,
    tags: Vec<TagTemplate>,
    varies: Varies,
    query: QueryRule,
    limits: Limits,
    body_key: Option<u64>,
    keep: Keep,
    policy: Arc<Policy>,
    /// For requests whose cookies are all in the key, or don't matter.
    policy_with_cookies: Arc<Policy>,
}

/// What a rule limits otherwise than the layer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a body that is kept.
    pub(crate) max_body: Option<u64>,
    /// How long a request waits for the one that fetches the same.
    pub(crate) collapse_wait: Option<Duration>,
}

impl Rules {
    /// Compiles rules over the policy of requests that none of them matches.
    ///
    /// # Errors
    ///
    /// The first rule that can't be used, by its path, with what is wrong and what would be valid; or one that can never
    /// be reached.
    pub(crate) fn new(rules: Vec<Rule>, base: &Policy) -> Result<Self, Error> {
        let mut compiled: Vec<Compiled> = Vec::with_capacity(rules.len());
        for rule in rules {
            let rule = Compiled::new(rule, base)?;
            if let Some(before) = compiled.iter().find(|before| before.covers(&rule)) {
                return Err(told(
                    rule.path(),
                    &format!(
                        "never reached: the rule {:?} before it takes all of its requests; expected the narrower one first",
                        before.path()
                    ),
                ));
            }
            compiled.push(rule);
        }
        Ok(Self((!compiled.is_empty()).then(|| compiled.into())))
    }

    /// The first rule that is for this method and the raw path. Allocates nothing without rules.
    ///
    /// No rule is for a path with dot segments, however they are written: see [`has_dot_segment`].
    pub(crate) fn find<'r, 'p>(
        &'r self,
        method: &Method,
        path: &'p str,
    ) -> Option<Matched<'r, 'p>> {
        let rules = self.0.as_deref()?;
        let asked = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let rule = rules.iter().find(|rule| rule.is_for(asked, path))?;
        (!has_dot_segment(path)).then_some(Matched {
            rule,
            path,
            has_body: asked != Method::GET,
        })
    }
}

/// A rule that is for a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matched<'r, 'p> {
    rule: &'r Compiled,
    path: &'p str,
    has_body: bool,
}

impl<'r> Matched<'r, '_> {
    /// The policy for this request, as the client sent it.
    pub(crate) fn policy(&self, parts: &Parts) -> &'r Arc<Policy> {
        if self.rule.varies.covers_cookies(&parts.headers) {
            &self.rule.policy_with_cookies
        } else {
            &self.rule.policy
        }
    }

    /// The rule's own tags; what its placeholders took is in them.
    pub(crate) fn tags(&self, _: &Parts) -> Vec<Tag> {
        let pattern = self.rule.pattern.as_ref();
        self.rule
            .tags
            .iter()
            .map(|template| template.tag(pattern, self.path))
            .collect()
    }

    /// What the rule adds to the key.
    ///
    /// # Errors
    ///
    /// The reason for a bypass: nothing on this route is kept, or the request has no principal.
    pub(crate) fn key_part(&self, parts: &Parts) -> Result<Option<String>, Why> {
        match self.rule.keep {
            Keep::AsSaid | Keep::Public => {}
            Keep::Private => return Err(Why::RuledPrivate),
            Keep::Nothing => return Err(Why::Ruled),
        }
        self.rule.varies.text(parts).map_err(|_| Why::NoPrincipal)
    }

    /// What is done to the query before it becomes part of the key.
    pub(crate) fn query_rule(&self) -> &'r QueryRule {
        &self.rule.query
    }

    /// What the rule limits otherwise than the layer does.
    pub(crate) fn limits(&self) -> Limits {
        self.rule.limits
    }

    /// Whether responses of this status are kept under the rule, if HTTP allows it.
    pub(crate) fn stores(&self, status: StatusCode) -> bool {
        self.rule
            .statuses
            .as_ref()
            .is_none_or(|statuses| statuses.contains(&status))
    }

    /// Of requests with content, up to so many bytes become part of the key by their digest. `None`: content isn't
    /// in the key.
    pub(crate) fn body_key(&self) -> Option<u64> {
        self.rule.body_key.filter(|_| self.has_body)
    }
}

impl Compiled {
    fn new(rule: Rule, base: &Policy) -> Result<Self, Error> {
        let path = rule.path.clone();
        let path = path.as_deref().unwrap_or("*");
        Self::compile(rule, base).map_err(|error| told(path, &error.to_string()))
    }

    fn compile(rule: Rule, base: &Policy) -> Result<Self, Error> {
        if let Some(fault) = rule.fault {
            return Err(fault);
        }
        let pattern = rule.path.as_deref().map(PathPattern::parse).transpose()?;
        let tags = tags(&rule.tags, pattern.as_ref())?;
        let varies = Varies::compile(&rule.vary_by, &rule.ignored_cookies)?;
        let statuses = rule.statuses.as_deref().map(statuses).transpose()?;
        let methods = methods(&rule.methods, rule.by_body)?;
        let mut policy = base.clone();
        policy.methods = methods
            .iter()
            .filter(|method| **method != Method::GET)
            .cloned()
            .collect();
        policy.ttl = rule.ttl.or(policy.ttl);
        policy.override_ttl = rule.override_ttl.or(policy.override_ttl);
        policy.stale_while_revalidate = rule.stale.or(policy.stale_while_revalidate);
        policy.stale_if_error = rule.stale.or(policy.stale_if_error);
        policy.honour_client = rule.honour_client.unwrap_or(policy.honour_client);
        if let Some(statuses) = &statuses {
            policy.heuristic_statuses.clone_from(statuses);
        } else if rule.ttl.is_some() || rule.override_ttl.is_some() {
            policy.heuristic_statuses = self::statuses(&SUCCESSES)?;
        }
        policy.share_authorization |= varies.by_authorization();
        if rule.keep == Keep::Public {
            share(&mut policy);
        }
        let mut policy_with_cookies = policy.clone();
        policy_with_cookies.share_cookies = true;
        Ok(Self {
            pattern,
            methods,
            statuses,
            tags,
            varies,
            query: rule.query,
            limits: rule.limits,
            body_key: rule.by_body,
            keep: rule.keep,
            policy: Arc::new(policy),
            policy_with_cookies: Arc::new(policy_with_cookies),
        })
    }

    fn path(&self) -> &str {
        self.pattern.as_ref().map_or("*", PathPattern::as_str)
    }

    fn is_for(&self, method: &Method, path: &str) -> bool {
        self.methods.contains(method)
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.matches(path))
    }

    fn covers(&self, other: &Self) -> bool {
        let paths = match (&self.pattern, &other.pattern) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => ours.covers(theirs),
        };
        paths
            && other
                .methods
                .iter()
                .all(|method| self.methods.contains(method))
    }
}

/// What `public` in a response means, said by the rule: for all, and without anybody's cookie.
fn share(policy: &mut Policy) {
    policy.share_authorization = true;
    policy.share_cookies = true;
    policy.answer_cookies = true;
    if policy.set_cookie == SetCookie::Refuse {
        policy.set_cookie = SetCookie::Strip;
    }
}

fn tags(templates: &[String], pattern: Option<&PathPattern>) -> Result<Vec<TagTemplate>, Error> {
    // The entry has others too: of its URL, and those that its response names.
    let most = TAGS / 4;
    if templates.len() > most {
        return Err(setting(
            "tags",
            &templates.len().to_string(),
            &format!("{most} at the most"),
        ));
    }
    templates
        .iter()
        .map(|text| TagTemplate::parse(text, pattern))
        .collect()
}

fn statuses(codes: &[u16]) -> Result<Vec<StatusCode>, Error> {
    let keepable = |code: u16| {
        StatusCode::from_u16(code)
            .ok()
            .filter(|_| (200..600).contains(&code) && !matches!(code, 206 | 304 | 412 | 416))
            .ok_or_else(|| {
                setting(
                    "statuses",
                    &code.to_string(),
                    "200 to 599, without 206, 304, 412 and 416, which answer one request's condition or range",
                )
            })
    };
    if codes.is_empty() {
        return Err(setting("statuses", "[]", "one at least"));
    }
    codes.iter().map(|code| keepable(*code)).collect()
}

/// The methods, with GET for HEAD.
fn methods(names: &[String], by_body: Option<u64>) -> Result<Vec<Method>, Error> {
    let mut methods = Vec::new();
    for name in names {
        let method = match name.as_str() {
            "GET" | "HEAD" => Method::GET,
            "POST" | "QUERY" if by_body.is_some() => {
                Method::from_bytes(name.as_bytes()).unwrap_or_default()
            }
            "POST" | "QUERY" => {
                return Err(setting(
                    "methods",
                    name,
                    "by_body(BYTES) with it, so that what is asked for is part of the key",
                ));
            }
            _ => return Err(setting("methods", name, "GET, HEAD, POST or QUERY")),
        };
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    if methods.is_empty() {
        methods.push(Method::GET);
    }
    if let Some(most) = by_body
        && (most == 0 || methods == [Method::GET])
    {
        let valid = "more than 0, and methods([\"QUERY\"]) or methods([\"POST\"])";
        return Err(setting("by_body", &most.to_string(), valid));
    }
    Ok(methods)
}

fn setting(key: &str, value: &str, valid: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{key}: {value:?}; expected {valid}"),
    )
}

fn told(path: &str, what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("rule {path:?}: {what}"))
}

#[cfg(test)]
mod tests;
