//! What the caches on the way told of themselves (`Cache-Status`, RFC 9211), in words.

/// One member of the field as a sentence: `shelflife; hit; ttl=29; detail=fresh`.
pub(super) fn sentence(member: &str) -> String {
    let mut parts = member.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().trim_matches('"');
    let parameters: Vec<(&str, &str)> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .collect();
    let of = |name: &str| parameters.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let mut text = match (of("hit"), of("fwd")) {
        (Some(_), _) => format!("{name} answered it from its store (RFC 9211 §2.1)"),
        (None, Some(why)) => format!("{name} went to the origin: {}", forwarded(why)),
        (None, None) => format!("{name} does not say what it did"),
    };
    if let Some(ttl) = of("ttl").and_then(|ttl| ttl.parse::<i64>().ok()) {
        text += &match ttl {
            0.. => format!("; fresh for {ttl} s"),
            _ => format!("; stale for {} s", -ttl),
        };
    }
    if of("stored").is_some() {
        text += "; it stored the answer (RFC 9211 §2.5)";
    }
    if of("collapsed").is_some() {
        text += "; it shared another's request (RFC 9211 §2.6)";
    }
    text.push('.');
    if let Some((sentence, section)) = of("detail").and_then(|word| reason(word.trim_matches('"')))
    {
        text += &format!(" {sentence} ({section})");
    }
    text
}

/// RFC 9211 §2.2.
fn forwarded(why: &str) -> &str {
    match why {
        "bypass" => "it was told not to handle such a request (RFC 9211 §2.2)",
        "method" => "the method needs the origin (RFC 9211 §2.2)",
        "uri-miss" => "it had nothing for this URL (RFC 9211 §2.2)",
        "vary-miss" => "it had nothing for this request's fields (RFC 9211 §2.2)",
        "miss" => "it had nothing that would do (RFC 9211 §2.2)",
        "request" => "the request asked for it (RFC 9211 §2.2)",
        "stale" => "what it had was stale (RFC 9211 §2.2)",
        "partial" => "it had only a part (RFC 9211 §2.2)",
        other => other,
    }
}

/// The sentence of a reason's word, and its clause.
fn reason(word: &str) -> Option<(&'static str, &'static str)> {
    let reason = shelflife_http::Reason::ALL
        .iter()
        .find(|reason| reason.as_str() == word)?;
    Some((reason.sentence(), reason.section()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache_status::members;

    #[test]
    fn members_are_told_in_words() {
        let lines = ["shelflife; hit; ttl=29; detail=fresh, \"a,b\"; fwd=uri-miss; stored"];
        let told: Vec<String> = members(&lines).iter().map(|m| sentence(m.trim())).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("shelflife answered it from its store"));
        assert!(told[0].contains("fresh for 29 s") && told[0].contains("RFC 9111 §4.2"));
        assert!(told[1].starts_with("a,b went to the origin: it had nothing for this URL"));
        assert!(told[1].contains("it stored the answer"));
    }

    #[test]
    fn odd_members_are_told_as_they_are() {
        assert_eq!(sentence("x"), "x does not say what it did.");
        assert!(sentence("x; fwd=new-word").contains("new-word"));
    }
}
