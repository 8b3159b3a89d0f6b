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
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#') {
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
    fn text_stays_text() {
        assert_eq!(escape("a|b <i> *x*\ny"), "a\\|b \\<i\\> \\*x\\* y");
    }
}
