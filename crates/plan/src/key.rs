use std::time::Duration;

/// A place in the file that has keys: a table, an entry of an array of tables, or an inline table.
///
/// The reader refuses what is not listed here, and the reference page is made of it.
pub(crate) struct Section {
    /// As it is written in the file: `[load]`, `[[rung]]`; for messages and headings.
    pub(crate) name: &'static str,
    /// What it is for, one or two sentences.
    pub(crate) help: &'static str,
    /// Its keys, in the order in which a file has them.
    pub(crate) keys: &'static [&'static Key],
}

/// A key of the file, defined once: the reader takes type, bounds and default from here.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Fallback,
    /// What it does, for the reference page.
    pub(crate) help: &'static str,
}

/// What a key's value may be. Bounds are inclusive.
pub(crate) enum Kind {
    /// A string on one line, of at most this many characters.
    Line { longest: usize },
    /// A string that may have several lines.
    Lines { longest: usize },
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole { min: i128, max: i128 },
    /// A number with a fraction or without.
    Number { min: f64, max: f64 },
    /// A string such as `10s`.
    Span { min: Duration, max: Duration },
    /// A string such as `512MB`.
    Size { min: u64, max: u64 },
    /// One of these strings.
    Word(&'static [&'static str]),
    /// Anything else, in words; the reader checks it.
    Other(&'static str),
}

/// What holds when a key is left out.
pub(crate) enum Fallback {
    /// It must not be left out.
    Required,
    /// This value, as it would stand in the file.
    Value(&'static str),
    /// What is said here.
    Note(&'static str),
}

impl Section {
    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name).copied()
    }
}

/// The one of `candidates` that was probably meant.
pub(crate) fn nearest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 64;
    let length = given.chars().take(LONGEST + 1).count();
    if length > LONGEST {
        return None;
    }
    let given = given.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&given, &c.to_lowercase()), c))
        .filter(|(distance, c)| {
            *distance <= length.max(c.len()).div_ceil(3).min(4) && *distance < c.len()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// `` `a`, `b` or `c` ``
pub(crate) fn any_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|n| format!("`{n}`")).collect();
    match (names.pop(), names.is_empty()) {
        (Some(last), false) => format!("{} or {last}", names.join(", ")),
        (Some(only), true) => only,
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let names = ["duration", "warmup", "trials", "threads", "min", "max"];
        for (given, meant) in [
            ("duraton", Some("duration")),
            ("Warm_Up", Some("warmup")),
            ("trails", Some("trials")),
            ("maximum", None),
            ("x", None),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(given, names), meant, "{given}");
        }
        assert_eq!(nearest(&"d".repeat(100_000), names), None);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(any_of(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(any_of(["a"]), "`a`");
        assert_eq!(any_of([]), "");
    }
}
