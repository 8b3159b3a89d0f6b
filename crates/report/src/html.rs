use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::{Block, Document, Table};
use crate::text::{clean, clean_lines};

const STYLE: &str = include_str!("../assets/report.css");

/// The document as one HTML page that needs nothing else; images are given by path.
pub(crate) fn render(document: &Document, images: &[(&str, &[u8])]) -> String {
    let title = escape(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for block in &document.blocks {
        put(&mut out, block, images);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn put(out: &mut String, block: &Block, images: &[(&str, &[u8])]) {
    let _ = match block {
        Block::Heading(text) => writeln!(out, "<h2>{}</h2>", escape(text)),
        Block::Paragraph(text) => writeln!(out, "<p>{}</p>", escape(text)),
        Block::Note(text) => writeln!(out, "<p class=\"note\">{}</p>", escape(text)),
        Block::Verbatim(text) => writeln!(out, "<pre>{}</pre>", escape_with(text, clean_lines)),
        Block::List(items) => {
            let items: Vec<_> = items.iter().map(|i| format!("<li>{}</li>", escape(i))).collect();
            writeln!(out, "<ul>\n{}\n</ul>", items.join("\n"))
        }
        Block::Image { path, alt } => {
            let bytes = images.iter().find(|(name, _)| name == path).map(|(_, bytes)| *bytes);
            let data = STANDARD.encode(bytes.unwrap_or_default());
            let alt = escape(alt);
            writeln!(out, "<img alt=\"{alt}\" src=\"data:image/png;base64,{data}\">")
        }
        Block::Table(table) => {
            put_table(out, table);
            Ok(())
        }
    };
}

fn put_table(out: &mut String, table: &Table) {
    let class = |i: usize| if i < table.left { "" } else { " class=\"n\"" };
    let row = |out: &mut String, cells: &[String], tag: &str| {
        out.push_str("<tr>");
        for (i, cell) in cells.iter().enumerate() {
            let scope = if tag == "th" { " scope=\"col\"" } else { "" };
            let _ = write!(out, "<{tag}{scope}{}>{}</{tag}>", class(i), escape(cell));
        }
        out.push_str("</tr>\n");
    };
    out.push_str("<div class=\"wide\"><table>\n<thead>");
    row(out, &table.head, "th");
    out.push_str("</thead>\n<tbody>\n");
    for cells in &table.rows {
        row(out, cells, "td");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

fn escape(text: &str) -> String {
    escape_with(text, clean)
}

fn escape_with(text: &str, clean: fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, sections};

    /// Every tag that is opened is closed, in order.
    fn balanced(html: &str) -> bool {
        let mut open = Vec::new();
        for part in html.split('<').skip(1) {
            let tag = part.split('>').next().unwrap_or_default();
            let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
            if ["meta", "img", "!doctype"].contains(&name) {
                continue;
            }
            if tag.starts_with('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else {
                open.push(name);
            }
        }
        open.is_empty()
    }

    #[test]
    fn pages_are_well_formed_whatever_the_names() {
        for result in [fixture::ladder(), fixture::interrupted(), fixture::hostile()] {
            let html = render(&sections::document(&result), &[]);
            assert!(balanced(&html));
            assert!(!html.contains("<script"), "a name became a tag");
        }
        assert!(!balanced("<p><b></p></b>"), "the test itself sees a crossed tag");
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let images = [("plots/ladder.png", b"PNG".as_slice())];
        let html = render(&sections::document(&fixture::ladder()), &images);
        assert!(html.contains("src=\"data:image/png;base64,UE5H\""));
        for outside in ["http:", "https:", "<link", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn markdown_and_html_hold_the_same_texts() {
        let document = sections::document(&fixture::ladder());
        let (html, markdown) = (render(&document, &[]), crate::markdown::render(&document));
        let headings = |text: &str, mark: &str| text.matches(mark).count();
        assert_eq!(headings(&html, "<h2>"), headings(&markdown, "\n## "));
        assert_eq!(headings(&html, "<table>"), headings(&markdown, "\n| --- "));
    }
}
