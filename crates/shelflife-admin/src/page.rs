//! The page: files that are part of the binary, as they stand in `page/`.
//!
//! They name one another by relative paths, so that the page works wherever it is mounted.

use axum::extract::{OriginalUri, Request};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PAGE: &str = "text/html; charset=utf-8";

macro_rules! files {
    ($($path:literal $kind:ident,)*) => {
        /// Path, type and text of each.
        const FILES: &[(&str, &str, &str)] = &[
            $((concat!("/", $path), $kind, include_str!(concat!("../page/", $path)))),*
        ];
    };
}

files! {
    "style.css" STYLE,
    "main.js" SCRIPT,
}

const INDEX: &str = include_str!("../page/index.html");

/// Whether a path, as it is inside, is the page's.
pub(crate) fn is_page(path: &str) -> bool {
    matches!(path, "" | "/")
}

/// Whether it is the same for everybody.
pub(crate) fn is_public(path: &str) -> bool {
    FILES.iter().any(|(name, _, _)| *name == path)
}

pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    let file = FILES.iter().find(|(name, _, _)| *name == path);
    if file.is_none() && !is_page(path) {
        return Problem::new(StatusCode::NOT_FOUND, "there is nothing here").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Problem::new(status, "this is asked for with GET").into_response();
    }
    if let Some((_, kind, text)) = file {
        return ([(CONTENT_TYPE, *kind)], *text).into_response();
    }
    match to_the_directory(&request) {
        Some(moved) => moved,
        None => ([(CONTENT_TYPE, PAGE)], INDEX).into_response(),
    }
}

/// `/_shelflife` has to become `/_shelflife/`, or the page's relative paths lead astray.
fn to_the_directory(request: &Request) -> Option<Response> {
    let OriginalUri(uri) = request.extensions().get()?;
    let (_, last) = uri.path().rsplit_once('/')?;
    if last.is_empty() {
        return None;
    }
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    let to = HeaderValue::try_from(format!("{last}/")).ok()?;
    response.headers_mut().insert(LOCATION, to);
    Some(response)
}
