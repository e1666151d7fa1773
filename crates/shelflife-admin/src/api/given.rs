//! What a request gives, read strictly: what is unknown or too much is said, not passed over.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use shelflife::Key;

use crate::problem::Problem;

/// How long a document may be.
const MOST: usize = 64 << 10;

/// How long a name may be: longer than any that is stored readable.
const NAME: usize = 4 << 10;

/// The query.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(head, state).await {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(error) => Err(Problem::bad(error.body_text())),
        }
    }
}

/// The document, in JSON.
pub(crate) struct Document<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = axum::body::to_bytes(request.into_body(), MOST).await;
        let bytes = bytes.map_err(|_| {
            let detail = format!("the document is over {MOST} bytes, or broke off");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        let document = serde_json::from_slice(&bytes);
        document
            .map(Document)
            .map_err(|error| Problem::bad(format!("the document cannot be used: {error}")))
    }
}

/// A key that was given: as the application names it, or as a listing shows it, which has a `%` for what is escaped.
pub(crate) fn key(text: &str) -> Result<Key<'static>, Problem> {
    let text = name(text)?;
    Ok(match text.contains('%') {
        true => Key::listed(text),
        false => Key::from(text).into_owned(),
    })
}

/// A name of bearable length.
pub(crate) fn name(text: &str) -> Result<&str, Problem> {
    match text.len() {
        0 => Err(Problem::bad("a name is empty")),
        1..=NAME => Ok(text),
        _ => Err(Problem::bad(format!("a name is over {NAME} bytes"))),
    }
}
