//! The page of a running process (`shelflife-admin`), by its JSON API: for one question, where `top` looks and follows.
//! As whom it is asked is the same for both.

use std::path::Path;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use crate::failure::Failure;
use crate::web::{self, Web};

/// What is said where something else answers.
pub(crate) const MOUNTED: &str =
    "name where the page is mounted, as in http://127.0.0.1:8080/_shelflife";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where it is, and as whom it is asked.
pub(crate) struct Page {
    web: Web,
    base: String,
    fields: HeaderMap,
}

impl Page {
    pub(crate) fn open(url: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        web::url("--url", url)?;
        let token = token_file.map(token_of).transpose()?;
        Ok(Self {
            web: Web::new(PATIENCE),
            base: url.trim_end_matches('/').to_owned(),
            fields: fields(token.as_deref())?,
        })
    }

    pub(crate) async fn ask(&self, what: &str) -> Result<Value, Failure> {
        let uri = web::url("--url", &format!("{}/api/{what}", self.base))?;
        let request = web::get(&uri, &self.fields);
        let answer = self.web.ask(request).await.map_err(|error| {
            Failure::new(format!("{} gave no answer: {error}", self.base)).hint(
                "is the page served there? shelflife demo has it on http://127.0.0.1:8081/_shelflife",
            )
        })?;
        match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.content).map_err(|_| {
                Failure::new(format!(
                    "{} is not shelflife's: it answers with something else",
                    self.base
                ))
                .hint(MOUNTED)
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::new(format!(
                "{} asks for a token: {}",
                self.base, answer.status
            ))
            .hint("--token-file with a file that holds it")),
            status => Err(
                Failure::new(format!("{}/api/{what} answered {status}", self.base)).hint(MOUNTED),
            ),
        }
    }
}

/// What goes with each request.
pub(crate) fn fields(token: Option<&str>) -> Result<HeaderMap, Failure> {
    let mut fields = HeaderMap::new();
    if let Some(token) = token {
        let field = HeaderValue::try_from(format!("Bearer {token}"));
        let mut field =
            field.map_err(|_| Failure::new("the token has characters that no field can hold"))?;
        field.set_sensitive(true);
        fields.insert(AUTHORIZATION, field);
    }
    Ok(fields)
}

/// The token that a file holds.
pub(crate) fn token_of(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}
