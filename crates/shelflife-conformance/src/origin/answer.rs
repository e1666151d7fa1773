//! Writes the answer of a step: properly, not at all, or broken in the way that the table says.

use std::io;

use crate::date;
use crate::origin::script::{Lines, Scripts, Turn};
use crate::step::{Manner, Step};
use crate::trace::Trace;
use crate::wire::{Fields, Wire};

/// Answers one request. `false`: the connection must not be used again.
pub(crate) async fn give(
    wire: &mut Wire,
    scripts: &Scripts,
    turn: &Turn<'_>,
    last: bool,
) -> io::Result<bool> {
    let token = token(turn.target);
    let Some((step, trace)) = scripts.step(token, turn) else {
        return unknown(wire).await;
    };
    let start = format!("{} {}", turn.method, turn.target);
    trace.message("the origin is asked", &start, turn.fields, turn.body);
    tokio::time::sleep(step.reply.hold).await;
    // Counted only now: what came in the meantime came before.
    let Some(lines) = scripts.answer(token, turn) else {
        return unknown(wire).await;
    };
    interim(wire, &step, &trace).await?;
    match &step.reply.manner {
        Manner::Silent => {
            trace.note("the origin closes the connection");
            Ok(false)
        }
        Manner::Proper => {
            proper(wire, &step, lines, token, turn.method, last, &trace).await?;
            Ok(true)
        }
        Manner::Raw {
            lines: raw,
            rest,
            close,
        } => {
            let mut text = head(lines.status, &lines.fields);
            text.push_str(raw);
            text.push_str("\r\n");
            text.push_str(&rest.replace("{token}", token));
            trace.note(&format!("the origin sends exactly this: {text:?}"));
            wire.write(&text).await?;
            Ok(!close)
        }
    }
}

async fn unknown(wire: &mut Wire) -> io::Result<bool> {
    let text = "no such case, or no such step\n";
    let length = text.len();
    wire.write(&format!(
        "HTTP/1.1 409 Conflict\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    ))
    .await?;
    Ok(false)
}

async fn interim(wire: &mut Wire, step: &Step, trace: &Trace) -> io::Result<()> {
    for (status, fields) in &step.reply.interim {
        let mut text = format!("HTTP/1.1 {status} Interim\r\n");
        for (name, value) in fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        trace.note(&format!("the origin sends an interim response: {text:?}"));
        wire.write(&text).await?;
    }
    Ok(())
}

async fn proper(
    wire: &mut Wire,
    step: &Step,
    lines: Lines,
    token: &str,
    method: &str,
    last: bool,
    trace: &Trace,
) -> io::Result<()> {
    let Lines { status, mut fields } = lines;
    if !fields.has("Content-Type") {
        fields.push("Content-Type", "text/plain");
    }
    if !fields.has("Date") {
        fields.push("Date", date::imf(date::now_ms(), 0));
    }
    if !fields.has("Connection") {
        fields.push("Connection", if last { "close" } else { "keep-alive" });
    }
    // RFC 9110 §6.4.1: no content in answers to HEAD, and in 204 and 304.
    let bodiless = method == "HEAD" || matches!(status.0, 204 | 304);
    let body = match bodiless {
        true => "",
        false => step.reply.body.as_deref().unwrap_or(token),
    };
    // A length or a transfer coding that the table has set stands, right or wrong.
    if !bodiless && !fields.has("Content-Length") && !fields.has("Transfer-Encoding") {
        fields.push("Content-Length", body.len().to_string());
    }
    let start = format!("{} {}", status.0, status.1);
    trace.message("the origin answers", &start, &fields, body);
    let mut text = head(status, &fields);
    text.push_str("\r\n");
    text.push_str(body);
    wire.write(&text).await
}

fn head(status: (u16, &str), fields: &Fields) -> String {
    let mut text = format!("HTTP/1.1 {} {}\r\n", status.0, status.1);
    for (name, value) in fields.iter() {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text
}

/// The token in a path such as `/case/<token>/below?query`, or in a whole URL.
fn token(target: &str) -> &str {
    let (_, rest) = target.split_once("/case/").unwrap_or_default();
    rest.split(['/', '?', '%']).next().unwrap_or_default()
}
