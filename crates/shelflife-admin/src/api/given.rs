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

/// The keys that a text may stand for: the one that a listing shows so, with `%XX` for what is escaped, then the one
/// that the application names so. They differ only for a name that holds a `%`; then nobody but who wrote it knows
/// which one is meant.
pub(crate) fn readings(text: &str) -> Result<impl Iterator<Item = Key<'static>> + use<>, Problem> {
    let text = name(text)?;
    let listed = Key::listed(text);
    let named = Key::from(text).into_owned();
    let named = (named != listed).then_some(named);
    Ok(std::iter::once(listed).chain(named))
}

/// A name of bearable length.
pub(crate) fn name(text: &str) -> Result<&str, Problem> {
    match text.len() {
        0 => Err(Problem::bad("a name is empty")),
        1..=NAME => Ok(text),
        _ => Err(Problem::bad(format!("a name is over {NAME} bytes"))),
    }
}
