use std::fmt::{self, Write};
use std::sync::Arc;

use crate::EvalError;

/// A value of an expression or a variable, of pgbench's types.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// 64 bits, as `bigint`.
    Integer(i64),
    /// 64 bits, as `double precision`.
    Double(f64),
    /// Text that a server or a user gave; an expression reads it as one of the others.
    Text(Arc<str>),
}

/// 2^63: the integers of a bigint lie below it.
const LIMIT: f64 = 9_223_372_036_854_775_808.0;

impl Value {
    /// Writes the value as it stands in SQL, as pgbench does: `true`, `-5`, `0.333333333333333`.
    pub fn write(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Null => out.write_str("NULL"),
            Self::Boolean(b) => out.write_str(if *b { "true" } else { "false" }),
            Self::Integer(n) => write!(out, "{n}"),
            Self::Double(x) => write_double(*x, out),
            Self::Text(text) => out.write_str(text),
        }
    }

    /// A text as a value that expressions can use: `null`, a truth value, or a number.
    pub(crate) fn read(text: &str) -> Result<Self, EvalError> {
        let bad = || EvalError(format!("{text:?} is not a number, a truth value or null").into());
        let trimmed = text.trim();
        let lower = trimmed.to_ascii_lowercase();
        match lower.as_str() {
            "" => return Err(bad()),
            "null" => return Ok(Self::Null),
            "on" => return Ok(Self::Boolean(true)),
            "off" | "of" => return Ok(Self::Boolean(false)),
            "inf" | "infinity" | "nan" | "-inf" | "-infinity" => (),
            // Any beginning of these words, as pgbench takes it.
            word if "true".starts_with(word) || "yes".starts_with(word) => {
                return Ok(Self::Boolean(true));
            }
            word if "false".starts_with(word) || "no".starts_with(word) => {
                return Ok(Self::Boolean(false));
            }
            _ => (),
        }
        if let Ok(integer) = trimmed.parse() {
            return Ok(Self::Integer(integer));
        }
        trimmed.parse().map(Self::Double).map_err(|_| bad())
    }

    /// Whether a condition holds: pgbench takes a number other than 0 as true.
    pub(crate) fn is_true(&self) -> Result<bool, EvalError> {
        Ok(match self {
            Self::Null => false,
            Self::Boolean(b) => *b,
            Self::Integer(n) => *n != 0,
            Self::Double(x) => *x != 0.0,
            Self::Text(text) => return Self::read(text)?.is_true(),
        })
    }

    pub(crate) fn boolean(&self) -> Result<bool, EvalError> {
        match self {
            Self::Boolean(b) => Ok(*b),
            other => Err(other.cannot("boolean")),
        }
    }

    pub(crate) fn integer(&self) -> Result<i64, EvalError> {
        match self {
            Self::Integer(n) => Ok(*n),
            Self::Double(x) => {
                let whole = x.round_ties_even();
                if (-LIMIT..LIMIT).contains(&whole) {
                    Ok(whole as i64)
                } else {
                    Err(EvalError(format!("double {x} does not fit into an integer").into()))
                }
            }
            other => Err(other.cannot("integer")),
        }
    }

    pub(crate) fn double(&self) -> Result<f64, EvalError> {
        match self {
            Self::Integer(n) => Ok(*n as f64),
            Self::Double(x) => Ok(*x),
            other => Err(other.cannot("double")),
        }
    }

    fn cannot(&self, to: &str) -> EvalError {
        let from = match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Double(_) => "a double",
            Self::Text(_) => "a text",
        };
        EvalError(format!("{from} cannot be used as {to}").into())
    }
}

/// C's `%.15g`, which is how pgbench writes a double.
fn write_double(x: f64, out: &mut impl Write) -> fmt::Result {
    if x.is_nan() {
        return out.write_str("NaN");
    }
    if x.is_infinite() {
        return out.write_str(if x > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let scientific = format!("{x:.14e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return out.write_str(&scientific);
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        let short = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            text
        };
        short.to_owned()
    };
    if (-4..15).contains(&exponent) {
        let places = usize::try_from(14 - exponent).unwrap_or(0);
        return out.write_str(&trim(&format!("{x:.places$}")));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{}e{sign}{:02}", trim(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> String {
        let mut out = String::new();
        value.write(&mut out).unwrap();
        out
    }

    #[test]
    fn doubles_read_as_c_prints_them() {
        for (x, expected) in [
            (2.0_f64.sqrt(), "1.4142135623731"),
            (1.0 / 3.0, "0.333333333333333"),
            (8.0, "8"),
            (-2.5, "-2.5"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.5e300, "1.5e+300"),
            (-0.0, "-0"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(text(&Value::Double(x)), expected);
        }
    }

    #[test]
    fn texts_become_values_as_pgbench_reads_them() {
        for (text, expected) in [
            ("null", Value::Null),
            ("T", Value::Boolean(true)),
            ("no", Value::Boolean(false)),
            ("off", Value::Boolean(false)),
            ("-12", Value::Integer(-12)),
            ("1.5e3", Value::Double(1500.0)),
        ] {
            assert_eq!(Value::read(text), Ok(expected), "{text}");
        }
        for bad in ["", " ", "maybe", "1x", "'; DROP TABLE t"] {
            assert!(Value::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_double_that_is_no_integer_is_refused_and_not_bent() {
        assert_eq!(Value::Double(2.5).integer(), Ok(2));
        assert_eq!(Value::Double(-3.5).integer(), Ok(-4));
        assert!(Value::Double(9.3e18).integer().is_err());
        assert!(Value::Double(f64::NAN).integer().is_err());
        assert_eq!(Value::Double(-LIMIT).integer(), Ok(i64::MIN));
    }
}
