//! Times in attributes: `"5m"`, `300`, or a constant.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, Result};

/// An expression of type `Duration` that is constant.
pub(crate) fn duration(value: &Expr) -> Result<TokenStream> {
    let literal = match value {
        Expr::Lit(ExprLit { lit, .. }) => lit,
        other => return Ok(quote!(#other)),
    };
    let millis = match literal {
        Lit::Str(text) => millis(&text.value()).ok_or_else(|| {
            Error::new(
                text.span(),
                "a time is a number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\", \"7d\"",
            )
        })?,
        Lit::Int(seconds) => seconds.base10_parse::<u64>()?.saturating_mul(1000),
        other => {
            return Err(Error::new(
                other.span(),
                "a time is \"5m\", a number of seconds, or a constant",
            ));
        }
    };
    Ok(quote!(::core::time::Duration::from_millis(#millis)))
}

fn millis(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("2 h"), Some(7_200_000));
        for bad in ["", "5", "m", "-5s", "5x", "1.5s", "99999999999999999999d"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
