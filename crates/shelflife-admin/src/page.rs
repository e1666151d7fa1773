//! The page: files that are part of the binary, as they stand in `page/`.
//!
//! They name one another by relative paths, so that the page works wherever it is mounted. It is called `page`, for
//! whether a path that ends with a slash arrives here depends on how it was mounted.

use axum::extract::{OriginalUri, Request};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
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
    "parts.css" STYLE,
    "icon.svg" PICTURE,
    "theme.js" SCRIPT,
    "main.js" SCRIPT,
    "api.js" SCRIPT,
    "chart.js" SCRIPT,
    "dom.js" SCRIPT,
    "entry.js" SCRIPT,
    "format.js" SCRIPT,
    "invalidate.js" SCRIPT,
    "latency.js" SCRIPT,
    "log.js" SCRIPT,
    "members.js" SCRIPT,
    "ranking.js" SCRIPT,
    "reasons.js" SCRIPT,
    "samples.js" SCRIPT,
    "search.js" SCRIPT,
    "store.js" SCRIPT,
    "traffic.js" SCRIPT,
    "words.js" SCRIPT,
}

const INDEX: &str = include_str!("../page/index.html");

/// Whether a path, as it is inside, is the page's.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/page"
}

/// Whether it leads to the page.
fn is_root(path: &str) -> bool {
    matches!(path, "" | "/")
}

/// Whether it is the same for everybody.
pub(crate) fn is_public(path: &str) -> bool {
    is_root(path) || FILES.iter().any(|(name, _, _)| *name == path)
}

pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    let file = FILES.iter().find(|(name, _, _)| *name == path);
    if file.is_none() && !is_page(path) && !is_root(path) {
        return Problem::new(StatusCode::NOT_FOUND, "there is nothing here").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Problem::new(status, "this is asked for with GET").into_response();
    }
    match file {
        Some((_, kind, text)) => ([(CONTENT_TYPE, *kind)], *text).into_response(),
        None if is_root(path) => to_the_page(&request),
        None => ([(CONTENT_TYPE, PAGE)], INDEX).into_response(),
    }
}

/// From `/_shelflife` to `/_shelflife/page`, and from `/_shelflife/`.
fn to_the_page(request: &Request) -> Response {
    let asked = request.extensions().get::<OriginalUri>();
    let path = asked.map_or("/", |OriginalUri(uri)| uri.path());
    let to = match path.rsplit_once('/') {
        Some((_, last)) if !last.is_empty() => HeaderValue::try_from(format!("{last}/page")).ok(),
        _ => None,
    };
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    let to = to.unwrap_or(HeaderValue::from_static("page"));
    response.headers_mut().insert(LOCATION, to);
    response
}
