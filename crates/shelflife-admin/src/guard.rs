//! What every request passes, and what every answer carries.
//!
//! Must not: decide who may pass. That is `access`'s.

use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Admin;
use crate::access::{Asked, Refusal, Want};
use crate::login;
use crate::page;
use crate::problem::Problem;

/// On every answer. Nothing from elsewhere, nothing inline, in nobody's frame, and kept by no cache: shelflife's own
/// layer stores no answer with `no-store`, whatever its rules say (RFC 9111 §5.2.2.5).
const FIELDS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // With "no-referrer" a browser says of a form that its origin is null, and it could not be told from another's.
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

pub(crate) async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let asked = Asked::of(&head);
    let path = head.uri.path();
    let admitted = match path {
        login::PATH => admin.gate.admits_login(&asked),
        path => admin.gate.admits(want(path), &asked, SystemTime::now()),
    };
    let mut response = match admitted {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(Refusal::Token) if page::is_page(path) => login::ask(),
        Err(refusal) => refuse(refusal),
    };
    for (name, value) in FIELDS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn want(path: &str) -> Want {
    match path {
        path if page::is_page(path) => Want::Page,
        path if page::is_public(path) => Want::Public,
        _ => Want::Inside,
    }
}

fn refuse(refusal: Refusal) -> Response {
    let mut response = Problem::new(refusal.status(), refusal.detail()).into_response();
    if refusal == Refusal::Token {
        let scheme = HeaderValue::from_static("Bearer realm=\"shelflife\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    response
}
