use std::fmt::Write as _;

use crate::key::{Fallback, Key, Section};
use crate::read::{SECTIONS, matrix};

/// The reference page of the experiment file, in Markdown: every key with type, default and
/// meaning. It is made of the tables that the reader uses, so it cannot say anything else.
pub fn reference() -> String {
    let mut page = String::from(
        "# The experiment file\n\n\
         An experiment is a TOML file. `pinchpoint list --show ladder` prints a complete one to \
         copy and edit, and\n`pinchpoint run FILE.toml` runs it. Whatever is not on this page is \
         refused before anything starts, with file, line and column.\n\n\
         Durations are a number and a unit, `us`, `ms`, `s`, `min` (or `m`) or `h`, one after the \
         other from the largest: `\"500ms\"`,\n`\"1m30s\"`. Sizes are a whole number and `B`, `kB`, \
         `MB`, `GB` or `TB`, powers of 1024. Bounds are inclusive.\n\n\
         <!-- Generated from the reader's own tables; a test fails when this page is stale. -->\n",
    );
    for section in SECTIONS {
        page.push_str(&section_text(section));
    }
    page.push_str(
        "\n# A matrix of applications\n\n\
         A file with `[matrix]` and `[[app]]` is a matrix: `pinchpoint list --show frameworks` \
         prints a complete one. `[postgres]` and\n`[load]` are those of a ladder; `target_tps` in \
         `[load]` are requests per second.\n",
    );
    for section in matrix::SECTIONS {
        page.push_str(&section_text(section));
    }
    page
}

fn section_text(section: &Section) -> String {
    let mut text = format!(
        "\n## {}\n\n{}\n\n| key | type | default | meaning |\n|---|---|---|---|\n",
        heading(section.name),
        section.help
    );
    for key in section.keys {
        let Key { name, kind, default, help } = key;
        let default = match default {
            Fallback::Required => "**required**".to_owned(),
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Note(note) => (*note).to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{name}` | {} | {default} | {help} |", kind.describe());
    }
    text
}

/// `[load]` as code, other names as a sentence begins.
fn heading(name: &str) -> String {
    if name.starts_with('[') {
        return format!("`{name}`");
    }
    let mut rest = name.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use toml::de::DeValue;

    use super::*;

    #[test]
    fn every_key_is_described_and_fits_a_table() {
        for section in SECTIONS.iter().chain(&matrix::SECTIONS) {
            let mut names = BTreeSet::new();
            for key in section.keys {
                assert!(names.insert(key.name), "{} twice in {}", key.name, section.name);
                assert!(key.help.ends_with('.'), "{}: {}", key.name, key.help);
                assert!(!key.help.contains(['|', '\n']), "{}: {}", key.name, key.help);
                if let Fallback::Value(text) = key.default {
                    assert!(DeValue::parse(text).is_ok(), "{}: {text}", key.name);
                }
            }
        }
    }

    #[test]
    fn the_page_has_a_line_for_each_key() {
        let page = reference();
        let keys: usize = SECTIONS.iter().chain(&matrix::SECTIONS).map(|s| s.keys.len()).sum();
        let rows = page.lines().filter(|l| l.starts_with("| `")).count();
        assert_eq!(rows, keys);
        insta::assert_snapshot!(section_text(SECTIONS[11]), @r#"
    ## `[[load.stages]]`

    One stage of a schedule.

    | key | type | default | meaning |
    |---|---|---|---|
    | `duration` | duration such as `"10s"`, 100ms to 168h | **required** | How long the rate takes to get to the target. |
    | `target_tps` | number, 0 to 1000000000 | **required** | Rows per second at the stage's end. |
    "#);
    }
}
