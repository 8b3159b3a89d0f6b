use std::fmt::Write as _;
use std::time::Duration;

/// The longest duration that [`parse_duration`] reads: a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Units and their nanoseconds, from the largest.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not begin with a number.
    #[error("`{0}` is not a duration: write a number and a unit, as in `10s`, `500ms` or `1m30s`")]
    NotANumber(String),
    /// A number has no unit.
    #[error("`{0}` has no unit: write `{0}s` for seconds, or `ms`, `min`, `h`")]
    NoUnit(String),
    /// A unit that is not known.
    #[error("`{0}` is not a unit of time: use `us`, `ms`, `s`, `min` (or `m`) or `h`")]
    UnknownUnit(String),
    /// Units must fall, each at most once.
    #[error(
        "`{0}` has its units out of order: write the largest first, as in `1h30min` or `1m30s`"
    )]
    OutOfOrder(String),
    /// More than a year.
    #[error("`{0}` is longer than a year")]
    TooLong(String),
}

/// Reads a duration as people write it: `10s`, `500ms`, `2min` or `2m`, `1h`, `1m30s`, `1.5s`.
///
/// Zero is a duration; whoever needs a longer one checks that.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let shown = || shorten(text);
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::NotANumber(shown()));
    }
    let mut total: u128 = 0;
    let mut previous = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| !(c.is_ascii_digit() || c == '.'));
        let unit = unit.trim();
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(DurationError::NotANumber(shown()));
        }
        if unit.is_empty() {
            return Err(DurationError::NoUnit(shown()));
        }
        let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(DurationError::UnknownUnit(shorten(unit)));
        };
        if *nanos >= previous {
            return Err(DurationError::OutOfOrder(shown()));
        }
        previous = *nanos;
        let part = times(number, *nanos).ok_or_else(|| DurationError::NotANumber(shown()))?;
        total = total.saturating_add(part);
        rest = after;
    }
    if total > LONGEST.as_nanos() {
        return Err(DurationError::TooLong(shown()));
    }
    Ok(u64::try_from(total).map_or(LONGEST, Duration::from_nanos))
}

/// `number` × `nanos`, rounded down; saturates. None when the number is malformed.
fn times(number: &str, nanos: u64) -> Option<u128> {
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    if fraction.contains('.') {
        return None;
    }
    let mut sum = whole.parse::<u128>().unwrap_or(u128::MAX).saturating_mul(nanos.into());
    let mut unit = u128::from(nanos);
    for digit in fraction.chars().take(15) {
        unit /= 10;
        sum = sum.saturating_add(u128::from(digit.to_digit(10)?) * unit);
    }
    Some(sum)
}

fn split(text: &str, take: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !take(c)).unwrap_or(text.len()))
}

/// Input as an error shows it: cut, and without control characters.
fn shorten(text: &str) -> String {
    text.chars().take(40).filter(|c| !c.is_control()).collect()
}

/// The text that [`parse_duration`] reads as this duration: `90 s` is `1m30s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    let mut out = String::new();
    for (unit, size) in UNITS.into_iter().filter(|(unit, _)| *unit != "min") {
        let count = nanos / u128::from(size);
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(out, "{count}{unit}");
        }
        nanos %= u128::from(size);
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, millis) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("2min", 120_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1h2min3s4ms", 3_723_004),
            ("1.5s", 1_500),
            ("0.25h", 900_000),
            (" 7s ", 7_000),
            ("1 m 30 s", 90_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("3us"), Ok(Duration::from_micros(3)));
    }

    #[test]
    fn what_is_not_a_duration_says_why() {
        let why = |text: &str| parse_duration(text).unwrap_err().to_string();
        insta::assert_snapshot!(why(""), @"`` is not a duration: write a number and a unit, as in `10s`, `500ms` or `1m30s`");
        insta::assert_snapshot!(why("-5s"), @"`-5s` is not a duration: write a number and a unit, as in `10s`, `500ms` or `1m30s`");
        insta::assert_snapshot!(why("1.s"), @"`1.s` is not a duration: write a number and a unit, as in `10s`, `500ms` or `1m30s`");
        insta::assert_snapshot!(why("10"), @"`10` has no unit: write `10s` for seconds, or `ms`, `min`, `h`");
        insta::assert_snapshot!(why("10 sec"), @"`sec` is not a unit of time: use `us`, `ms`, `s`, `min` (or `m`) or `h`");
        insta::assert_snapshot!(why("30s1m"), @"`30s1m` has its units out of order: write the largest first, as in `1h30min` or `1m30s`");
        insta::assert_snapshot!(why("1m1min"), @"`1m1min` has its units out of order: write the largest first, as in `1h30min` or `1m30s`");
        insta::assert_snapshot!(why("99999999999999999999999999999999999999999999h"), @"`9999999999999999999999999999999999999999` is longer than a year");
    }

    proptest! {
        #[test]
        fn a_duration_reads_back(micros in 0u64..30_000_000_000_000) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[0-9.hmsu µ-]{0,40}|.{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}
