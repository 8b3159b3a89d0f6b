//! Text from outside (names, reasons, server messages) on its way to the eye.

/// The text without control characters: a name can neither move a terminal's cursor nor break a
/// line. Line breaks become spaces.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' || c == '\t' { ' ' } else { c })
        .filter(|c| shown(*c))
        .collect()
}

/// The same, keeping line breaks.
pub(crate) fn clean_lines(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || shown(*c)).collect()
}

fn shown(c: char) -> bool {
    let reorders =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    !c.is_control() && !reorders
}

/// At most `width` characters; what is cut off is shown by `…`.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A name as part of a file's path.
pub(crate) fn file_name(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(60)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_is_not_text() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\u{202e}d"), "a[31mb cd");
        assert_eq!(shorten("a new connection", 6), "a new…");
        assert_eq!(file_name("2-B/../x y"), "2-B____x_y");
    }
}
