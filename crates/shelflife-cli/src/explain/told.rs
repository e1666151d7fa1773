//! What the caches on the way told of themselves (`Cache-Status`, RFC 9211), in words.

use crate::cache_status::Member;

/// One member of the field as a sentence: `shelflife; hit; ttl=29; detail=fresh`.
pub(super) fn sentence(member: &Member) -> String {
    let name = &member.name;
    let mut text = match (member.says("hit"), member.text("fwd")) {
        (true, _) => format!("{name} answered it from its store (RFC 9211 §2.1)"),
        (false, Some(why)) => format!("{name} went to the origin: {}", forwarded(why)),
        (false, None) => format!("{name} does not say what it did"),
    };
    if let Some(ttl) = member.integer("ttl") {
        text += &match ttl {
            0.. => format!("; fresh for {ttl} s"),
            _ => format!("; stale for {} s", ttl.unsigned_abs()),
        };
    }
    if member.says("stored") {
        text += "; it stored the answer (RFC 9211 §2.5)";
    }
    if member.says("collapsed") {
        text += "; it shared another's request (RFC 9211 §2.6)";
    }
    text.push('.');
    if let Some((sentence, section)) = member.text("detail").and_then(reason) {
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
        let told: Vec<String> = members(&lines).iter().map(sentence).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("shelflife answered it from its store"));
        assert!(told[0].contains("fresh for 29 s") && told[0].contains("RFC 9111 §4.2"));
        assert!(told[1].starts_with("a,b went to the origin: it had nothing for this URL"));
        assert!(told[1].contains("it stored the answer"));
    }

    #[test]
    fn odd_members_are_told_as_they_are() {
        let told = |line: &str| sentence(&members(&[line])[0]);
        assert_eq!(told("x"), "x does not say what it did.");
        assert!(told("x; fwd=new-word").contains("new-word"));
        let not_stored = told("x; fwd=miss; stored=?0; detail=\"y; hit\"");
        assert!(
            not_stored.ends_with("it had nothing that would do (RFC 9211 §2.2)."),
            "{not_stored}"
        );
        assert!(
            told("x; hit; ttl=-9223372036854775808").contains("stale for 9223372036854775808 s")
        );
    }
}
