use std::fmt;

use crate::{Direction, Unit};

/// A figure on its way to the eye: value, interval, unit, direction. Terminal, Markdown, HTML and
/// plots all format numbers through it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    /// The value.
    pub value: f64,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// Its unit.
    pub unit: Unit,
    /// Whether more is better.
    pub direction: Direction,
}

impl Quantity {
    /// A figure without an interval.
    pub const fn new(value: f64, unit: Unit, direction: Direction) -> Self {
        Self { value, ci95: None, unit, direction }
    }

    /// The same figure with its interval.
    #[must_use]
    pub const fn with_ci95(mut self, ci95: Option<[f64; 2]>) -> Self {
        self.ci95 = ci95;
        self
    }

    /// The interval as `lo–hi`, in the precision of the value; empty when there is none.
    pub fn interval(&self) -> String {
        match self.ci95 {
            Some([lo, hi]) if lo.is_finite() && hi.is_finite() => {
                format!("{}–{}", significant(lo, 3), significant(hi, 3))
            }
            _ => String::new(),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.value.is_finite() {
            return f.write_str("–");
        }
        let number = match self.unit {
            Unit::Count => group_thousands(self.value.round().max(0.0) as u64),
            Unit::Ratio => return write!(f, "{:.1} %", self.value * 100.0),
            Unit::Percent => return write!(f, "{:.1} %", self.value),
            _ => significant(self.value, 3),
        };
        f.write_str(&number)
    }
}

/// A number to `digits` significant digits, thousands grouped by commas, never in exponents:
/// `113,704`, `2.81`, `0.0104`. From 1,000 on all whole digits are shown.
pub fn significant(value: f64, digits: u8) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let magnitude = value.abs();
    if magnitude >= 1e15 {
        return format!("{sign}{magnitude:.0}");
    }
    let exponent = magnitude.log10().floor() as i32;
    let decimals = usize::try_from(i32::from(digits) - 1 - exponent).unwrap_or(0).min(9);
    let rounded = format!("{magnitude:.decimals$}");
    let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), group_thousands);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// `1234567` as `1,234,567`.
pub fn group_thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Seconds as people say them: `0.8 s`, `12 s`, `3 min 05 s`, `1 h 02 min`.
pub fn human_duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_over_all_magnitudes() {
        for (value, text) in [
            (0.0, "0"),
            (0.010_44, "0.0104"),
            (2.806, "2.81"),
            (17.46, "17.5"),
            (273.2, "273"),
            (9.999, "10.00"),
            (113_704.3, "113,704"),
            (-4.0, "−4.00"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(significant(value, 3), text, "{value}");
        }
    }

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [
            (0.84, "0.8 s"),
            (9.96, "10 s"),
            (12.4, "12 s"),
            (185.0, "3 min 05 s"),
            (3720.0, "1 h 02 min"),
        ] {
            assert_eq!(human_duration(seconds), text);
        }
    }
}
