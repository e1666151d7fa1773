//! The explanation as text, or as JSON.

use super::fetch::Reply;
use super::{Explanation, told};
use crate::cache_status::members;
use crate::failure::Failure;
use crate::output;

/// Fields that decide what a cache may do.
const TELLING: &[&str] = &[
    "age",
    "cache-control",
    "cache-groups",
    "cache-status",
    "cache-tag",
    "cdn-cache-control",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "pragma",
    "set-cookie",
    "shelflife-cache-control",
    "surrogate-key",
    "vary",
    "via",
    "warning",
];

pub(super) fn print(found: &Explanation, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(found);
    }
    output::line(format!("{} {}", found.method, found.url))?;
    output::line(format!("  key {}", found.key))?;
    if let Some(why) = &found.bypass {
        output::line(format!(
            "  ✗ past any cache: {} ({})",
            why.sentence, why.section
        ))?;
    }
    output::line("\nThe answer")?;
    reply(&found.response)?;
    output::line("\nMay it be stored?")?;
    for step in &found.steps {
        let mark = if step.refused.is_some() { '✗' } else { '✓' };
        output::line(format!(
            "  {mark} {} {}  [{}]",
            step.question, step.answer, step.section
        ))?;
    }
    let verdict = match found.stored {
        true => "Yes.",
        false => "No.",
    };
    output::line(format!("  {verdict}"))?;
    if let Some(reuse) = &found.reuse {
        output::line(format!("\n{}", reuse.question))?;
        output::line(format!("  {}  [{}]", reuse.answer, reuse.section))?;
    }
    if let Some(again) = &found.again {
        output::line("\nSent again")?;
        reply(again)?;
    }
    Ok(())
}

fn reply(reply: &Reply) -> Result<(), Failure> {
    output::line(format!(
        "  {} · {} bytes · {:.1} ms",
        reply.status(),
        reply.bytes,
        reply.took_ms
    ))?;
    let telling = |name: &str| TELLING.contains(&name);
    for (name, value) in reply.fields.iter().filter(|(name, _)| telling(name)) {
        output::line(format!("  {name}: {value}"))?;
    }
    let lines: Vec<&str> = reply
        .fields
        .iter()
        .filter(|(name, _)| name == "cache-status")
        .map(|(_, value)| value.as_str())
        .collect();
    for member in members(&lines) {
        output::line(format!("  → {}", told::sentence(&member)))?;
    }
    Ok(())
}
