//! Plain HTTP on both sides of what is tested: a connection upstream per request, whole bodies.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::net::TcpStream;

use crate::wire::{Bad, Message, Wire};

/// Asks the origin; interim responses go to the client, if there is one.
pub(crate) async fn exchange(
    origin: SocketAddr,
    mut client: Option<&mut Wire>,
    start: String,
    mut headers: HeaderMap,
    body: &[u8],
) -> Result<(StatusCode, HeaderMap, Vec<u8>), Bad> {
    shelflife_http::remove_hop_by_hop(&mut headers);
    let mut request = message(start, &headers);
    request.set("Connection", "close");
    request.body = body.to_vec();
    let stream = TcpStream::connect(origin).await.map_err(|_| Bad)?;
    let mut origin = Wire::new(stream);
    origin.write(&request.bytes()).await?;
    loop {
        let answer = origin.head().await?;
        if answer.status() < 200 {
            if let Some(client) = client.as_deref_mut() {
                client.write(&answer.bytes()).await?;
            }
            continue;
        }
        let bodiless = request.word(0) == "HEAD" || matches!(answer.status(), 204 | 304);
        let body = match bodiless {
            true => Vec::new(),
            false => origin.body(&answer, true).await?,
        };
        let status = StatusCode::from_u16(answer.status()).map_err(|_| Bad)?;
        let mut headers = self::headers(&answer).ok_or(Bad)?;
        shelflife_http::remove_hop_by_hop(&mut headers);
        return Ok((status, headers, body));
    }
}

pub(crate) fn headers(message: &Message) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.fields {
        let name: HeaderName = name.parse().ok()?;
        let bytes: Vec<u8> = value.chars().map(|c| c as u8).collect();
        headers.append(name, HeaderValue::from_bytes(&bytes).ok()?);
    }
    Some(headers)
}

fn message(start: String, headers: &HeaderMap) -> Message {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|&b| char::from(b)).collect();
    let fields = headers.iter().map(|(n, v)| (n.to_string(), text(v)));
    Message {
        start,
        fields: fields.collect(),
        body: Vec::new(),
    }
}

/// An answer as it goes to the client.
pub(crate) fn written(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    body: Vec<u8>,
) -> Vec<u8> {
    let mut message = message(format!("HTTP/1.1 {} -", status.as_u16()), headers);
    if matches!(status.as_u16(), 204 | 304) || method == Method::HEAD {
        return message.bytes();
    }
    message.set("Content-Length", &body.len().to_string());
    message.body = body;
    message.bytes()
}
