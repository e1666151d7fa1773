//! Durations as they are written in an attribute, checked while compiling.
//!
//! The grammar is that of `shelflife::duration`, which a macro can't call. Must not: know which setting asks.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use std::time::Duration;
use syn::{Expr, ExprLit, Lit};

/// The expression of type `Duration` that a setting's value stands for.
pub(crate) fn tokens(value: &Expr) -> syn::Result<TokenStream> {
    let Expr::Lit(ExprLit { lit, .. }) = value else {
        return Ok(quote!(#value));
    };
    let period = match lit {
        Lit::Str(text) => parse(&text.value()).map_err(|why| syn::Error::new(text.span(), why))?,
        Lit::Int(seconds) => Duration::from_secs(seconds.base10_parse()?),
        other => return Err(syn::Error::new(other.span(), EXPECTED)),
    };
    let (seconds, nanos) = (period.as_secs(), period.subsec_nanos());
    Ok(quote_spanned!(lit.span()=> ::core::time::Duration::new(#seconds, #nanos)))
}

const EXPECTED: &str = "expected a duration: text such as \"300ms\", \"5m\", \"1h30m\" or \"2d\", \
                        whole seconds, or an expression that yields a `Duration`";

fn parse(text: &str) -> Result<Duration, String> {
    let wrong = |why: &str| {
        format!("`{text}` is not a duration: {why} (valid: \"300ms\", \"5m\", \"1h30m\", \"2d\")")
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, tail) = split(tail, |c| c.is_ascii_digit());
        let bare = number.len() == text.len();
        let unit = unit_length(if bare { "s" } else { unit }).ok_or_else(|| {
            wrong(&format!(
                "`{unit}` is not a unit; the units are ms, s, m, h, d and w"
            ))
        })?;
        let number: f64 = number.parse().map_err(|_| wrong("a number is missing"))?;
        total = Duration::try_from_secs_f64(number * unit)
            .ok()
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| wrong("it is too long"))?;
        rest = tail;
    }
    Ok(total)
}

fn split(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

fn unit_length(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn text_is_read_unit_by_unit() {
        for (text, millis) in [
            ("300ms", 300),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1s500ms", 1500),
            ("0s", 0),
            ("1.5s", 1500),
            ("60", 60_000),
            (" 1w ", 604_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_named() {
        for (text, part) in [
            ("", "empty"),
            ("1h30", "`` is not a unit"),
            ("5 minutes", "` minutes` is not a unit"),
            ("m", "number is missing"),
            ("1..5s", "number is missing"),
            ("-5m", "`-` is not a unit"),
            ("999999999999999999999w", "too long"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn whole_numbers_are_seconds_and_expressions_stay() {
        let shown = |value: Expr| tokens(&value).map(|t| t.to_string());
        assert_eq!(
            shown(parse_quote!(90)).expect("valid"),
            ":: core :: time :: Duration :: new (90u64 , 0u32)"
        );
        assert_eq!(shown(parse_quote!(TTL)).expect("valid"), "TTL");
        assert!(shown(parse_quote!(1.5)).is_err());
    }
}
