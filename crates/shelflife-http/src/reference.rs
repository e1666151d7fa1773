//! URI references (RFC 3986 §5.2), as far as `Location` and `Content-Location` need them: resolved against the
//! request's target, as keys.

use http::Uri;

use crate::key::authority_of;

/// The key of what `reference` names, if it is of the same host as the target.
///
/// `host` and `target` are the request's, the target with its query. `None`: it is of another host, or no URI.
pub(crate) fn same_origin_key(reference: &[u8], host: &str, target: &str) -> Option<String> {
    let reference = std::str::from_utf8(reference).ok()?.trim();
    let reference = reference.split('#').next().unwrap_or_default();
    let path = if let Some(rest) = absolute(reference) {
        // RFC 9111 §4.4: another origin's answers are not for this one to invalidate.
        let uri: Uri = rest.as_uri(reference)?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        if !web || authority_of(&uri)? != host {
            return None;
        }
        normal(
            uri.path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str),
        )
    } else {
        resolve(reference, target)?
    };
    // What isn't a target that a request could have had names nothing that is stored.
    path.parse::<http::uri::PathAndQuery>().ok()?;
    Some(format!("{host}{path}"))
}

enum Absolute {
    WithScheme,
    NetworkPath,
}

impl Absolute {
    fn as_uri(&self, reference: &str) -> Option<Uri> {
        match self {
            Self::WithScheme => reference.parse().ok(),
            Self::NetworkPath => format!("http:{reference}").parse().ok(),
        }
    }
}

fn absolute(reference: &str) -> Option<Absolute> {
    if reference.starts_with("//") {
        return Some(Absolute::NetworkPath);
    }
    let (scheme, _) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|other| other.is_ascii_alphanumeric() || "+-.".contains(other));
    is_scheme.then_some(Absolute::WithScheme)
}

/// RFC 3986 §5.2.2, for references without scheme and authority.
fn resolve(reference: &str, target: &str) -> Option<String> {
    let base = target.split('?').next().unwrap_or_default();
    if reference.is_empty() {
        return Some(target.to_owned());
    }
    if reference.starts_with('?') {
        return Some(format!("{base}{reference}"));
    }
    if reference.starts_with('/') {
        return Some(normal(reference));
    }
    let (directory, _) = base.rsplit_once('/')?;
    Some(normal(&format!("{directory}/{reference}")))
}

/// RFC 3986 §5.2.4: without `.` and `..`; the query is left alone.
fn normal(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    let mut whole = format!("/{}", kept.join("/"));
    if let Some(query) = query {
        whole.push('?');
        whole.push_str(query);
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_resolved_against_the_target() {
        // RFC 3986 §5.4, RFC 9110 §10.2.2
        for (reference, expected) in [
            ("", Some("h/b/c/d?q")),
            ("#f", Some("h/b/c/d?q")),
            ("?y", Some("h/b/c/d?y")),
            ("g", Some("h/b/c/g")),
            ("./g", Some("h/b/c/g")),
            ("g/", Some("h/b/c/g/")),
            ("g?y#s", Some("h/b/c/g?y")),
            ("/g", Some("h/g")),
            (".", Some("h/b/c/")),
            ("..", Some("h/b/")),
            ("../g", Some("h/b/g")),
            ("../../../g", Some("h/g")),
            ("/./g/../x?a/../b", Some("h/x?a/../b")),
            ("//h/g", Some("h/g")),
            ("http://H/g", Some("h/g")),
            ("http://h:80/g", Some("h/g")),
            ("https://h:443/g", Some("h/g")),
            ("http://h", Some("h/")),
            ("http://h:81/g", None),
            ("http://other/g", None),
            ("//other/g", None),
            ("http://h@other/g", None),
            ("mailto:a@h", None),
            ("/a b", None),
        ] {
            let key = same_origin_key(reference.as_bytes(), "h", "/b/c/d?q");
            assert_eq!(key.as_deref(), expected, "{reference}");
        }
    }

    proptest! {
        #[test]
        fn keys_stay_on_the_host(reference in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(key) = same_origin_key(&reference, "h", "/b/c") {
                prop_assert!(key.starts_with("h/"));
            }
        }

        #[test]
        fn references_of_path_characters_stay_on_the_host(reference in "[a-z./?:@#%h]{0,20}") {
            if let Some(key) = same_origin_key(reference.as_bytes(), "h", "/b/c") {
                prop_assert!(key.starts_with("h/"));
            }
        }
    }
}
