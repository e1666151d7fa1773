//! From a request or a document to an invalidation. Pure.

use http::header::HOST;
use http::{Request, Uri};
use serde::Deserialize;
use shelflife::tower::url_tag;
use shelflife::{Invalidation, Tag};

use crate::body::RequestBody;

/// What is to be made dead, or stale.
#[derive(Debug, PartialEq)]
pub(super) struct Purge {
    pub(super) invalidation: Invalidation,
    pub(super) everywhere: bool,
}

/// The document of `POST /_shelflife/invalidate`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    keys: Vec<String>,
    tags: Vec<String>,
    patterns: Vec<String>,
    urls: Vec<String>,
    all: bool,
    soft: bool,
    everywhere: bool,
}

impl Purge {
    /// `PURGE http://host/path`, or `PURGE /path` with the Host of the URL.
    pub(super) fn of_request(request: &Request<RequestBody>) -> Result<Self, String> {
        let uri = request.uri();
        let tag = match uri.authority() {
            Some(_) => tag_of(&uri.to_string())?,
            None => {
                let host = request.headers().get(HOST);
                let host = host.and_then(|host| host.to_str().ok());
                tag_of(&format!(
                    "http://{}{uri}",
                    host.ok_or("the URL has no host")?
                ))?
            }
        };
        let invalidation = Invalidation::new().tag(tag);
        let soft = request
            .headers()
            .get("soft-purge")
            .is_some_and(|value| value == "1");
        Ok(Purge {
            invalidation: if soft {
                invalidation.soft()
            } else {
                invalidation
            },
            everywhere: false,
        })
    }

    pub(super) fn of_document(document: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(document)
            .map_err(|error| format!("the document cannot be used: {error}"))?;
        let mut invalidation = Invalidation::new()
            .keys(document.keys.iter().map(String::as_str))
            .tags(document.tags.iter().map(String::as_str));
        for pattern in &document.patterns {
            invalidation = invalidation.pattern(pattern.as_str());
        }
        for url in &document.urls {
            invalidation = invalidation.tag(tag_of(url)?);
        }
        if document.all {
            invalidation = invalidation.all();
        }
        let invalidation = super::named(invalidation)?;
        Ok(Purge {
            invalidation: if document.soft {
                invalidation.soft()
            } else {
                invalidation
            },
            everywhere: document.everywhere,
        })
    }
}

/// The tag that all variants of a URL's responses carry.
fn tag_of(url: &str) -> Result<Tag, String> {
    let uri: Uri = url.parse().map_err(|_| format!("{url:?} is no URL"))?;
    match uri.host() {
        Some(host) if !host.is_empty() && uri.scheme().is_some() => Ok(url_tag(&uri)),
        _ => Err(format!("{url:?} has no host: http://host/path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_can_be_named_in_each_way() {
        let named = |uri: &str, host: &str| {
            let request = Request::builder()
                .method("PURGE")
                .uri(uri)
                .header(HOST, host);
            Purge::of_request(&request.body(RequestBody::default()).unwrap()).unwrap()
        };
        let document = br#"{"urls":["https://api.example/users/42?x=1"]}"#;
        let by_document = Purge::of_document(document).unwrap();
        assert_eq!(named("/users/42?x=1", "api.example"), by_document);
        assert_eq!(
            named("http://api.example/users/42?x=1", "admin:8081"),
            by_document
        );
        assert_ne!(named("/users/42", "api.example"), by_document);
    }

    #[test]
    fn soft_and_everywhere_are_taken_over() {
        let purge = Purge::of_document(br#"{"all":true,"soft":true,"everywhere":true}"#).unwrap();
        assert_eq!(purge.invalidation, Invalidation::new().all().soft());
        assert!(purge.everywhere);
    }
}
