//! Vary (RFC 9111 §4.1): which fields of a request select a response, and in what form they are compared.
//!
//! A field's value has a normal form, and two requests match where all normal forms are the same. Only what
//! the RFC allows is normalised: lines are combined, whitespace around commas goes, and where order and case are
//! known to mean nothing (`Accept-Encoding`, `Accept-Language`, `Accept-Charset`) they go too. Credentials and
//! other fields that aren't lists are compared byte for byte.
//!
//! Comparing allocates nothing for up to [`FEW`] members.

use http::{HeaderMap, HeaderName, header};

use crate::control::lines;
use crate::directive;

/// More fields than this in a Vary are taken for `*`: such a response is never selected again.
const MOST_FIELDS: usize = 32;
/// So many members of an unordered field are compared on the stack.
const FEW: usize = 16;

/// The fields that Vary names, in alphabetical order. `None`: `*`, or something that is no field name.
pub(crate) fn fields(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for member in lines(headers, &header::VARY).flat_map(directive::members) {
        if member == b"*" || names.len() == MOST_FIELDS {
            return None;
        }
        names.push(HeaderName::from_bytes(member).ok()?);
    }
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    Some(names)
}

/// The normal form of a request's field; `None`: the request doesn't have it.
pub(crate) fn normal(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    if !headers.contains_key(name) {
        return None;
    }
    Some(match form(name) {
        Form::Exact => lines(headers, name).collect::<Vec<_>>().join(&b"\n"[..]),
        Form::List => list(headers, name).collect(),
        Form::Set => {
            let mut members: Vec<&[u8]> = set(headers, name).collect();
            members.sort_unstable_by(|one, other| plain(one).cmp(plain(other)));
            set_bytes(&members).collect()
        }
    })
}

/// Whether the request's field has this normal form.
pub(crate) fn matches(headers: &HeaderMap, name: &HeaderName, stored: Option<&[u8]>) -> bool {
    let Some(stored) = stored else {
        return !headers.contains_key(name);
    };
    if !headers.contains_key(name) {
        return false;
    }
    match form(name) {
        Form::Exact => exact(headers, name).eq(stored.iter().copied()),
        Form::List => list(headers, name).eq(stored.iter().copied()),
        Form::Set => set_matches(headers, name, stored),
    }
}

#[derive(Clone, Copy)]
enum Form {
    /// Byte for byte, lines apart.
    Exact,
    /// A list whose order means something: whitespace around its commas doesn't.
    List,
    /// A list whose order and case mean nothing.
    Set,
}

fn form(name: &HeaderName) -> Form {
    // RFC 9110 §12.5.2 to §12.5.4: preferences are by quality, not by order, and case-insensitive.
    if [
        header::ACCEPT_ENCODING,
        header::ACCEPT_LANGUAGE,
        header::ACCEPT_CHARSET,
    ]
    .contains(name)
    {
        return Form::Set;
    }
    let exact = [
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
        header::HOST,
        header::ORIGIN,
        header::REFERER,
        header::USER_AGENT,
        header::FROM,
    ];
    if exact.contains(name) {
        Form::Exact
    } else {
        Form::List
    }
}

fn exact<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = u8> + use<'a> {
    // A line can't contain a line feed: the form stays injective.
    separated(lines(headers, name).map(|line| line.iter().copied()), b'\n')
}

/// RFC 9111 §4.1: lines combined, whitespace removed where the syntax of a list allows any.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = u8> + use<'a> {
    separated(
        lines(headers, name)
            .flat_map(directive::raw_members)
            .map(|member| member.iter().copied()),
        b',',
    )
}

fn set<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    lines(headers, name).flat_map(directive::members)
}

fn set_matches(headers: &HeaderMap, name: &HeaderName, stored: &[u8]) -> bool {
    let mut few = [&b""[..]; FEW];
    let mut count = 0;
    for member in set(headers, name) {
        let Some(slot) = few.get_mut(count) else {
            return normal(headers, name).as_deref() == Some(stored);
        };
        *slot = member;
        count += 1;
    }
    let Some(members) = few.get_mut(..count) else {
        return false;
    };
    members.sort_unstable_by(|one, other| plain(one).cmp(plain(other)));
    set_bytes(members).eq(stored.iter().copied())
}

fn set_bytes<'a>(members: &'a [&'a [u8]]) -> impl Iterator<Item = u8> + 'a {
    separated(members.iter().map(|member| plain(member)), b',')
}

/// A member without case and whitespace: there are no quoted strings in these fields.
fn plain(member: &[u8]) -> impl Iterator<Item = u8> + '_ {
    member
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'\t'))
        .map(u8::to_ascii_lowercase)
}

fn separated<I: Iterator<Item = u8>>(
    parts: impl Iterator<Item = I>,
    separator: u8,
) -> impl Iterator<Item = u8> {
    parts
        .enumerate()
        .flat_map(move |(at, part)| (at > 0).then_some(separator).into_iter().chain(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(name: &str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let name: HeaderName = name.parse().unwrap();
        for line in lines {
            headers.append(name.clone(), line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn requests_match_by_the_normal_form_of_each_field() {
        // RFC 9111 §4.1
        let rows: &[(&str, &[&str], &[&str], bool)] = &[
            ("foo", &["1"], &["1"], true),
            ("foo", &["1"], &["2"], false),
            ("foo", &["1"], &[], false),
            ("foo", &[], &["1"], false),
            ("foo", &[], &[], true),
            ("foo", &[], &[""], false),
            ("foo", &["a"], &["A"], false),
            ("foo", &["1, 2"], &["1", "2"], true),
            ("foo", &["1,2"], &[" 1 ,\t2 "], true),
            ("foo", &["1,2"], &["2,1"], false),
            ("foo", &["1,,2"], &["1,2"], false),
            ("foo", &["\"1, 2\""], &["\"1,2\""], false),
            ("accept", &["a/b, c/d"], &["c/d, a/b"], false),
            ("accept-language", &["en, de"], &["de, en"], true),
            ("accept-language", &["en, de"], &["eN , De"], true),
            (
                "accept-language",
                &["en, de;q=0.5"],
                &["de ; q=0.5", "en"],
                true,
            ),
            (
                "accept-language",
                &["en;q=0.5, de"],
                &["en, de;q=0.5"],
                false,
            ),
            ("accept-encoding", &["gzip, br"], &["br,gzip,"], true),
            ("accept-encoding", &["gzip"], &["gzip, br"], false),
            ("cookie", &["a=1, b=2"], &["a=1,b=2"], false),
            ("cookie", &["a=1", "b=2"], &["a=1, b=2"], false),
            ("authorization", &["Basic eA=="], &["basic eA=="], false),
        ];
        for (name, stored, asked, expected) in rows {
            let name: HeaderName = name.parse().unwrap();
            let form = normal(&headers(name.as_str(), stored), &name);
            let asked = headers(name.as_str(), asked);
            assert_eq!(
                matches(&asked, &name, form.as_deref()),
                *expected,
                "{name}: {stored:?} {asked:?}"
            );
            assert_eq!(
                normal(&asked, &name) == form,
                *expected,
                "{name}: {stored:?} {asked:?}"
            );
        }
    }

    #[test]
    fn many_members_are_compared_too() {
        let mut languages: Vec<String> = (0..40).map(|number| format!("l{number}")).collect();
        let one = headers("accept-language", &[&languages.join(", ")]);
        languages.reverse();
        let other = headers("accept-language", &[&languages.join(",")]);
        let name = header::ACCEPT_LANGUAGE;
        assert!(matches(&other, &name, normal(&one, &name).as_deref()));
    }

    #[test]
    fn vary_lists_names_once_without_case() {
        // RFC 9110 §12.5.5
        let read = |lines: &[&str]| fields(&headers("vary", lines));
        assert_eq!(
            read(&["Foo, bar", "FOO,"]),
            Some(vec!["bar".parse().unwrap(), "foo".parse().unwrap()])
        );
        assert_eq!(read(&[]), Some(vec![]));
        assert_eq!(read(&[""]), Some(vec![]));
        for star in [
            &["*"][..],
            &["*, *"],
            &["*", "*"],
            &[", *"],
            &["", "*"],
            &["*, Foo"],
            &["Foo, *"],
            &["a b"],
        ] {
            assert_eq!(read(star), None, "{star:?}");
        }
        let many: Vec<String> = (0..40).map(|number| format!("f{number}")).collect();
        assert_eq!(read(&[&many.join(",")]), None);
    }

    proptest! {
        #[test]
        fn comparing_agrees_with_normal_forms(
            one in prop::collection::vec("[a-c, \t\";=0-1]{0,12}", 0..3),
            other in prop::collection::vec("[a-cA-C, \t\";=0-1]{0,12}", 0..3),
            name in prop::sample::select(vec!["foo", "accept-language", "cookie"]),
        ) {
            let one = headers(name, &one.iter().map(String::as_str).collect::<Vec<_>>());
            let other = headers(name, &other.iter().map(String::as_str).collect::<Vec<_>>());
            let name: HeaderName = name.parse().unwrap();
            let form = normal(&one, &name);
            prop_assert!(matches(&one, &name, form.as_deref()));
            prop_assert_eq!(matches(&other, &name, form.as_deref()), normal(&other, &name) == form);
        }
    }
}
