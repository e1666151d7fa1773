//! The form that asks a person for the token, and the cookie that stands for it.
//!
//! The cookie names no path, so that a browser takes the one of the form (RFC 6265 §5.1.4): where the page is
//! mounted, as the browser sees it.

use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::post;
use axum::{Router, body};

use crate::Admin;
use crate::access::{Asked, COOKIE};
use crate::problem::Problem;

pub(crate) const PATH: &str = "/login";

const FORM: &str = include_str!("../page/login.html");

/// What stands in the form for what went wrong.
const NOTE: &str = "<!-- note -->";

/// How long a form may be.
const MOST: usize = 4 << 10;

pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route(PATH, post(enter))
        .route("/logout", post(leave))
}

/// The form.
pub(crate) fn ask() -> Response {
    (StatusCode::UNAUTHORIZED, Html(FORM)).into_response()
}

fn ask_again() -> Response {
    let note = "<p class=\"note\" role=\"alert\">That is not the token. It stands in the configuration of the service.</p>";
    (StatusCode::UNAUTHORIZED, Html(FORM.replacen(NOTE, note, 1))).into_response()
}

async fn enter(State(admin): State<Admin>, request: Request) -> Response {
    let (head, form) = request.into_parts();
    let Some(token) = admin.gate.token() else {
        return Problem::new(StatusCode::NOT_FOUND, "no token is asked for here").into_response();
    };
    let Ok(form) = body::to_bytes(form, MOST).await else {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long").into_response();
    };
    if !given(&form).is_some_and(|given| token.is(&given)) {
        tracing::warn!("somebody entered a wrong token");
        return ask_again();
    }
    let secure = if Asked::of(&head).is_secure() {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!(
        "{COOKIE}={}; HttpOnly; SameSite=Strict{secure}",
        token.cookie(SystemTime::now())
    );
    back_with(&cookie)
}

async fn leave() -> Response {
    back_with(&format!("{COOKIE}=; HttpOnly; SameSite=Strict; Max-Age=0"))
}

/// To the page, which is beside this.
fn back_with(cookie: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("page"));
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

/// The field `token` of the form, without spaces around it: who pastes it brings some along.
fn given(form: &Bytes) -> Option<Vec<u8>> {
    let mut fields = form.split(|byte| *byte == b'&');
    let token = fields.find_map(|field| field.strip_prefix(b"token="))?;
    Some(decoded(token)?.trim_ascii().to_vec())
}

/// application/x-www-form-urlencoded.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_from_the_form() {
        let given = |form: &'static str| given(&Bytes::from_static(form.as_bytes()));
        assert_eq!(given("token=a%2Bb%20").as_deref(), Some(b"a+b".as_slice()));
        assert_eq!(given("x=1&token=+abc").as_deref(), Some(b"abc".as_slice()));
        for broken in ["", "tok=a", "token=%", "token=%2", "token=%zz"] {
            assert_eq!(given(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_form_has_room_for_a_note() {
        assert_eq!(FORM.matches(NOTE).count(), 1);
    }
}
