use std::fmt::Write as _;

use crate::document::{Block, Document, Table};
use crate::text::{clean, clean_lines};

/// The document as Markdown (GitHub's tables).
pub(crate) fn render(document: &Document) -> String {
    let mut out = format!("# {}\n", escape(&document.title));
    for block in &document.blocks {
        out.push('\n');
        match block {
            Block::Heading(text) => writeln!(out, "## {}", escape(text)),
            Block::Paragraph(text) => writeln!(out, "{}", escape(text)),
            Block::Note(text) => writeln!(out, "> **Note:** {}", escape(text)),
            Block::List(items) => items.iter().try_for_each(|i| writeln!(out, "- {}", escape(i))),
            Block::Image { path, alt } => writeln!(out, "![{}]({path})", escape(alt)),
            Block::Verbatim(text) => {
                let indented = clean_lines(text).replace('\n', "\n    ");
                writeln!(out, "    {}", indented.trim_end())
            }
            Block::Table(table) => {
                put_table(&mut out, table);
                Ok(())
            }
        }
        .unwrap_or_default();
    }
    out
}

fn put_table(out: &mut String, table: &Table) {
    let line = |out: &mut String, cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|c| escape(c)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    line(out, &table.head);
    let rule: Vec<_> =
        (0..table.head.len()).map(|i| if i < table.left { "---" } else { "---:" }).collect();
    let _ = writeln!(out, "| {} |", rule.join(" | "));
    for row in &table.rows {
        line(out, row);
    }
}

/// Text that Markdown takes as text.
fn escape(text: &str) -> String {
    let text = clean(text);
    // Four spaces in front would make it code.
    let text = text.trim();
    let rule = text.chars().all(|c| matches!(c, '-' | ' '));
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.char_indices() {
        let special = match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '$' => true,
            // An entity (`&lt;`), not an ampersand between spaces.
            '&' => text[i + 1..].starts_with(|next: char| next == '#' || next.is_alphanumeric()),
            // A line across the page.
            '-' if i == 0 && rule => true,
            // A list's mark: at the beginning, with a space behind it.
            '-' | '+' | '.' | ')' => {
                let number = text[..i].bytes().all(|b| b.is_ascii_digit());
                let marks = matches!(c, '-' | '+') == (i == 0) && number;
                marks && text[i + 1..].chars().next().is_none_or(|next| next == ' ')
            }
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, sections};

    #[test]
    fn the_whole_report() {
        insta::assert_snapshot!(render(&sections::document(&fixture::ladder())));
    }

    #[test]
    fn an_interrupted_run_and_its_rungs_say_so_first() {
        let text = render(&sections::document(&fixture::interrupted()));
        let head: Vec<_> = text.lines().take(7).collect();
        insta::assert_snapshot!(head.join("\n"));
    }

    #[test]
    fn tables_keep_their_columns_whatever_the_names() {
        let text = render(&sections::document(&fixture::hostile()));
        let mut columns = None;
        for line in text.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            let is_row = line.starts_with('|');
            assert!(!is_row || columns.is_none_or(|c| c == bars), "{line}");
            columns = is_row.then_some(bars);
        }
        let tags = |line: &str| line.replace("\\<script", "").contains("<script");
        assert!(!text.lines().any(|line| !line.starts_with("    ") && tags(line)));
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("---"), "\\---");
        assert_eq!(escape("    code?"), "code?");
        assert_eq!(escape("a|b <i> *x*\ny"), "a\\|b \\<i\\> \\*x\\* y");
        assert_eq!(escape("&lt; & ~~x~~ -1"), "\\&lt; & \\~\\~x\\~\\~ -1");
        assert_eq!(escape("- x"), "\\- x");
        assert_eq!(escape("12. x 3.5"), "12\\. x 3.5");
        assert_eq!(escape("3.5 -1"), "3.5 -1");
    }
}
