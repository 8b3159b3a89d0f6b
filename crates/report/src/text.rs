//! Text from outside (names, reasons, server messages) on its way to the eye.

use pinchpoint_measure::significant;
use unicode_width::UnicodeWidthChar;

/// The text on one line and without control characters: a name can neither move a terminal's
/// cursor nor break a line. Line breaks and tabs become spaces.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|c| shown(*c))
        .collect()
}

/// The same, keeping line breaks and tabs.
pub(crate) fn clean_lines(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || shown(*c)).collect()
}

/// Whether a character is seen and leaves the order of its neighbours alone: no controls, and of
/// Unicode's format characters none that hide, reorder or widen text.
fn shown(c: char) -> bool {
    let hides = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !hides
}

/// Columns of a terminal that the text takes: two for most East Asian characters.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// At most `columns` wide; what is cut off is shown by `…`.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let needed = c.width().unwrap_or(0);
        if needed > left {
            break;
        }
        left -= needed;
        short.push(c);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}

/// Filled up by spaces to `columns`, on the right.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{:1$}", "", columns.saturating_sub(width(text)))
}

/// Filled up by spaces to `columns`, on the left.
pub(crate) fn pad_left(text: &str, columns: usize) -> String {
    format!("{:1$}{text}", "", columns.saturating_sub(width(text)))
}

/// A share (0 to 1) as `84 %`; a dash when it is no number.
pub(crate) fn percent(share: f64) -> String {
    // Adding zero makes −0 a plain 0.
    match share * 100.0 + 0.0 {
        x if !x.is_finite() => "–".to_owned(),
        x if x > 0.0 && x < 0.5 => "< 1 %".to_owned(),
        // Spoilt figures may be out of all range.
        x if x.abs() >= 1e6 => format!("{} %", significant(x, 3)),
        x => format!("{x:.0} %"),
    }
}

/// A number with so many decimals; a dash when it is none.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    match value + 0.0 {
        x if !x.is_finite() => "–".to_owned(),
        x if x.abs() >= 1e6 => significant(x, 3),
        x => format!("{x:.decimals$}"),
    }
}

/// `1 crash`, `2 crashes`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A name as part of a file's path.
pub(crate) fn file_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(60)
        .collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_is_not_text() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\u{202e}d\u{200b}e"), "a[31mb cde");
        assert_eq!(clean_lines("a\n\tb\u{7}"), "a\n\tb");
        assert_eq!(file_name("2-B/../x y"), "2-B____x_y");
        assert_eq!(file_name(""), "_");
    }

    #[test]
    fn width_is_what_a_terminal_takes() {
        assert_eq!(shorten("a new connection", 6), "a new…");
        assert_eq!(width("µ × –"), 5);
        assert_eq!(shorten("연결 풀", 5), "연결…");
        assert_eq!(pad("연결", 6), "연결  ");
        assert_eq!(pad_left("연결", 6), "  연결");
    }

    #[test]
    fn shares_read_as_people_say_them() {
        for (share, text) in [
            (0.84, "84 %"),
            (1.0, "100 %"),
            (0.0, "0 %"),
            (0.001, "< 1 %"),
            (0.047, "5 %"),
            (-0.0, "0 %"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn a_number_that_is_none_is_a_dash() {
        for (value, text) in
            [(0.84, "0.8"), (-0.0, "0.0"), (f64::NAN, "–"), (f64::NEG_INFINITY, "–")]
        {
            assert_eq!(fixed(value, 1), text);
        }
        assert!(fixed(f64::MAX, 1).len() < 400);
    }

    proptest! {
        #[test]
        fn a_shortened_text_fits(text in any::<String>(), columns in 0_usize..40) {
            prop_assert!(width(&shorten(&clean(&text), columns)) <= columns);
            prop_assert!(!clean(&text).chars().any(char::is_control));
        }
    }
}
