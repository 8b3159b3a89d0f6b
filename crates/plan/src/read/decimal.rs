use toml::de::DeValue;

use crate::fields::Value;
use crate::value;

/// A decimal as it is written in the file, exactly: `units` × 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    units: i128,
    scale: u8,
}

/// Why a number cannot be had exactly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inexact {
    /// Not a number, or not a finite one.
    NoNumber,
    /// Too large or too small for any column.
    OutOfReach,
}

/// Digits, in all, of the largest number read.
const MOST_DIGITS: usize = 36;

impl Decimal {
    pub(crate) fn read(value: &Value<'_>) -> Result<Self, Inexact> {
        match value.get_ref() {
            DeValue::Integer(number) => {
                let units = value::integer(number).ok_or(Inexact::OutOfReach)?;
                Ok(Self { units, scale: 0 })
            }
            DeValue::Float(number) => Self::parse(number.as_str()),
            _ => Err(Inexact::NoNumber),
        }
    }

    /// Reads a TOML float: sign, digits, fraction, exponent.
    fn parse(text: &str) -> Result<Self, Inexact> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i64>().map_err(|_| Inexact::OutOfReach)?)
            }
            None => (text, 0),
        };
        let negative = mantissa.starts_with('-');
        let digits = mantissa.trim_start_matches(['+', '-']);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Inexact::NoNumber);
        }
        let significant = all.trim_start_matches('0');
        if significant.len() > MOST_DIGITS {
            return Err(Inexact::OutOfReach);
        }
        let units: i128 = if significant.is_empty() {
            0
        } else {
            significant.parse().map_err(|_| Inexact::OutOfReach)?
        };
        let units = if negative { -units } else { units };
        let scale = i64::try_from(fraction.len())
            .ok()
            .and_then(|digits| digits.checked_sub(exponent))
            .ok_or(Inexact::OutOfReach)?;
        match u8::try_from(scale) {
            Ok(scale) => Ok(Self { units, scale }),
            Err(_) if units == 0 => Ok(Self { units, scale: 0 }),
            Err(_) if scale > 0 => Err(Inexact::OutOfReach),
            Err(_) => {
                let power = u32::try_from(-scale).map_err(|_| Inexact::OutOfReach)?;
                let factor = 10i128.checked_pow(power).ok_or(Inexact::OutOfReach)?;
                let units = units.checked_mul(factor).ok_or(Inexact::OutOfReach)?;
                Ok(Self { units, scale: 0 })
            }
        }
    }

    /// Digits after the point that the number needs: those it was written with.
    pub(crate) fn scale(self) -> u8 {
        self.scale
    }

    /// The number in units of 10^-`scale`; `None` when it has more digits than that, or is too large.
    pub(crate) fn units(self, scale: u8) -> Option<i128> {
        if scale >= self.scale {
            return self.units.checked_mul(10i128.checked_pow(u32::from(scale - self.scale))?);
        }
        if self.units == 0 {
            return Some(0);
        }
        let factor = 10i128.checked_pow(u32::from(self.scale - scale))?;
        (self.units % factor == 0).then(|| self.units / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_are_read_exactly() {
        for (text, scale, units) in [
            ("1.00", 2, Some(100)),
            ("10000.00", 2, Some(1_000_000)),
            ("0.1", 2, Some(10)),
            ("-0.07", 2, Some(-7)),
            ("+1.5", 1, Some(15)),
            ("1e3", 2, Some(100_000)),
            ("12.5e-1", 2, Some(125)),
            ("1.10", 1, Some(11)),
            ("1.005", 2, None),
            ("0.0e999", 2, Some(0)),
            ("0.000e-300", 0, Some(0)),
            ("79228162514264337593543950336.0", 18, None),
        ] {
            let decimal = Decimal::parse(text);
            assert_eq!(decimal.map(|d| d.units(scale)), Ok(units), "{text}");
        }
        assert_eq!(Decimal::parse("nan"), Err(Inexact::NoNumber));
        assert_eq!(Decimal::parse("-inf"), Err(Inexact::NoNumber));
        assert_eq!(Decimal::parse("1e99"), Err(Inexact::OutOfReach));
        assert_eq!(Decimal::parse("1e-999999999999999999999"), Err(Inexact::OutOfReach));
        assert_eq!(Decimal::parse("1.0e-9223372036854775808"), Err(Inexact::OutOfReach));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(units in -10_i64.pow(17)..10_i64.pow(17), scale in 0..18_u8) {
            let sign = if units < 0 { "-" } else { "" };
            let digits = format!("{:0width$}", units.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            let read = Decimal::parse(&format!("{sign}{whole}.{fraction}")).unwrap();
            prop_assert_eq!(read.units(scale), Some(i128::from(units)));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,60}") {
            let _ = Decimal::parse(&text).map(|d| d.units(2));
        }
    }
}
