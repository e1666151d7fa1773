//! What the API accepts from a request, checked before a handler sees it.
//!
//! Must not: ask the database or the cache. Whether a user exists is not decided here.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use bytes::Bytes;
use serde::Deserialize;

use super::error::AppError;
use super::queries::Details;

/// In letters; longer names are somebody's mistake or mischief.
const LONGEST: usize = 100;

/// The id in `/users/{id}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserId(pub(crate) u32);

/// The number in `?page=`, 1 when it is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageNumber(pub(crate) u32);

/// The body of a PUT.
///
/// The content type is not asked for: `curl -d` names the wrong one, and there is nothing else that
/// the body could be.
#[derive(Clone, Debug)]
pub(crate) struct DetailsBody(pub(crate) Details);

impl<S: Send + Sync> FromRequestParts<S> for UserId {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let text = Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(text)| text);
        text.ok()
            .as_deref()
            .and_then(counting_number)
            .map(UserId)
            .ok_or_else(|| AppError::Invalid {
                code: "bad_user_id",
                message: format!("{} does not end in a user id", parts.uri.path()),
                hint: format!(
                    "a user id is a whole number from 1 to {}, as in /users/1",
                    u32::MAX
                ),
            })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageNumber {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        #[derive(Deserialize)]
        struct Wanted {
            page: Option<String>,
        }
        let wanted = Query::<Wanted>::from_request_parts(parts, state).await.ok();
        let number = wanted.and_then(|Query(wanted)| match wanted.page {
            None => Some(1),
            Some(text) => counting_number(&text),
        });
        number.map(PageNumber).ok_or_else(|| AppError::Invalid {
            code: "bad_page",
            message: format!(
                "{:?} does not name one page",
                parts.uri.query().unwrap_or_default()
            ),
            hint: "pages are counted from 1, as in /users?page=2".to_owned(),
        })
    }
}

/// A whole number from 1 on, in plain digits: `+1` and ` 1` are no other spellings of it.
fn counting_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| plain && number > 0)
}

impl<S: Send + Sync> FromRequest<S> for DetailsBody {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                let message = rejection.body_text();
                match rejection.into_response().status() {
                    StatusCode::PAYLOAD_TOO_LARGE => AppError::TooLarge,
                    _ => bad_details(message),
                }
            })?;
        let details: Details =
            serde_json::from_slice(&bytes).map_err(|error| bad_details(error.to_string()))?;
        for (field, text) in [("name", &details.name), ("city", &details.city)] {
            let length = text.chars().count();
            if text.trim().is_empty() || length > LONGEST {
                return Err(bad_details(format!(
                    "{field} has {length} letters; it takes 1 to {LONGEST}, not all blank"
                )));
            }
        }
        Ok(DetailsBody(details))
    }
}

fn bad_details(message: String) -> AppError {
    AppError::Invalid {
        code: "bad_details",
        message,
        hint: r#"send both fields as JSON: {"name": "Ada Lovelace", "city": "London"}"#.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_from_1_on_count() {
        assert_eq!(counting_number("1"), Some(1));
        assert_eq!(counting_number("4294967295"), Some(u32::MAX));
        for text in ["", "0", "-1", "+1", " 1", "1.0", "0x1", "abc", "4294967296"] {
            assert_eq!(counting_number(text), None, "{text:?}");
        }
    }
}
