//! What the API answers when it cannot do what was asked: a status, a code, a sentence, a hint.
//!
//! Must not: hide which side is at fault. 4xx is the request's, 500 this program's, 503 the moment's.

use axum::Json;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shelflife::CommitError;

use super::database::DatabaseError;

/// Clone, because all callers that wait for one load share its error.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error("there is no user {0}")]
    UnknownUser(u32),
    #[error("there is no page {page}: the last one is {pages}")]
    NoSuchPage { page: u32, pages: u32 },
    #[error("{message}")]
    Invalid {
        code: &'static str,
        message: String,
        hint: String,
    },
    #[error("the body is too large")]
    TooLarge,
    #[error("there is nothing at {0}")]
    NoSuchRoute(String),
    #[error("{path} does not take {method}")]
    MethodNotAllowed { method: Method, path: String },
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The write is done, but readers may go on seeing what was before.
    #[error("written, but the cache could not be told: {0}")]
    NotInvalidated(String),
    /// The load did not come to an end: a time limit, a panic.
    #[error("the answer could not be worked out: {0}")]
    NotLoaded(String),
}

impl AppError {
    /// The write is committed, and its invalidation is not confirmed.
    pub(crate) fn not_invalidated(error: shelflife::Error) -> Self {
        AppError::NotInvalidated(error.to_string())
    }

    /// The write was rolled back, or it is committed and its invalidation is not confirmed.
    pub(crate) fn of_commit(error: CommitError<AppError>) -> Self {
        match error {
            CommitError::NotCommitted(error) => error,
            CommitError::NotConfirmed(error) => AppError::not_invalidated(error),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            AppError::UnknownUser(_) | AppError::NoSuchRoute(_) => StatusCode::NOT_FOUND,
            AppError::NoSuchPage { .. } | AppError::Invalid { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            AppError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            AppError::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            AppError::Database(DatabaseError::Refused(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            AppError::Database(DatabaseError::Gone { .. } | DatabaseError::Busy)
            | AppError::NotInvalidated(_)
            | AppError::NotLoaded(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            AppError::UnknownUser(_) => "unknown_user",
            AppError::NoSuchPage { .. } => "no_such_page",
            AppError::Invalid { code, .. } => code,
            AppError::TooLarge => "too_large",
            AppError::NoSuchRoute(_) => "no_such_route",
            AppError::MethodNotAllowed { .. } => "method_not_allowed",
            AppError::Database(DatabaseError::Gone { .. }) => "database_gone",
            AppError::Database(DatabaseError::Busy) => "database_busy",
            AppError::Database(DatabaseError::Refused(_)) => "database_refused",
            AppError::NotInvalidated(_) => "not_invalidated",
            AppError::NotLoaded(_) => "not_loaded",
        }
    }

    fn hint(&self) -> String {
        match self {
            AppError::UnknownUser(_) => "GET /users lists the users there are".to_owned(),
            AppError::NoSuchPage { pages, .. } => format!("pages go from 1 to {pages}"),
            AppError::Invalid { hint, .. } => hint.clone(),
            AppError::TooLarge => {
                "a name and a city need no more than a few hundred bytes".to_owned()
            }
            AppError::NoSuchRoute(_) | AppError::MethodNotAllowed { .. } => {
                "GET / lists what can be asked".to_owned()
            }
            AppError::Database(DatabaseError::Gone { .. }) => {
                "put the file back, or start the demo anew; till then only what is stored can be answered"
                    .to_owned()
            }
            AppError::Database(DatabaseError::Busy) | AppError::NotLoaded(_) => {
                "try again in a moment".to_owned()
            }
            AppError::Database(DatabaseError::Refused(_)) => {
                "this is a fault in the demo, not in the request".to_owned()
            }
            AppError::NotInvalidated(_) => {
                "send the same request again: it changes nothing twice".to_owned()
            }
        }
    }
}

/// What `#[cached]` needs: a load may also fail by itself.
impl From<shelflife::Error> for AppError {
    fn from(error: shelflife::Error) -> Self {
        AppError::NotLoaded(error.to_string())
    }
}

#[derive(Serialize)]
struct Body {
    error: Explanation,
}

#[derive(Serialize)]
struct Explanation {
    code: &'static str,
    message: String,
    hint: String,
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let error = Explanation {
            code: self.code(),
            message: self.to_string(),
            hint: self.hint(),
        };
        (self.status(), Json(Body { error })).into_response()
    }
}
