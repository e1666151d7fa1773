//! Durations as they are written in an attribute, checked while compiling.
//!
//! The grammar is that of `shelflife::duration`. Must not: know which setting asks.

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
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong("it is empty"));
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(|b| !b.is_ascii_digit()).count();
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number
            .parse()
            .map_err(|_| wrong("a number is missing or too large"))?;
        let one = unit_length(unit).ok_or_else(|| {
            wrong(&format!(
                "`{unit}` is not a unit; the units are ms, s, m, h and d"
            ))
        })?;
        total = u32::try_from(number)
            .ok()
            .and_then(|n| one.checked_mul(n))
            .and_then(|d| total.checked_add(d))
            .ok_or_else(|| wrong("it is too long"))?;
        rest = tail;
    }
    Ok(total)
}

fn unit_length(unit: &str) -> Option<Duration> {
    Some(match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
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
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_named() {
        for (text, part) in [
            ("", "empty"),
            ("5", "`` is not a unit"),
            ("5 minutes", "` minutes` is not a unit"),
            ("m", "number is missing"),
            ("-5m", "number is missing"),
            ("99999999999999999999s", "too large"),
            ("9999999999d", "too long"),
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
