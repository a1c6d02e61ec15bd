//! Reports as Markdown: the tables, without figures. Names and notes are text: whatever they hold, they
//! make no HTML, link, heading or row.

use std::fmt::Write;

use burn_ptq_deploy::printable;

use super::document::{Block, Section, Table};

/// The report.
pub(super) fn render(name: &str, sections: &[Section]) -> String {
    let mut text = format!(
        "# Study “{name}”\n\nWritten by `burn-ptq ablate`; not edited by hand. The plots are in \
         report.html.\n",
        name = escape(name)
    );
    for section in sections {
        let _ = write!(text, "\n## {}\n", escape(&section.title));
        for block in &section.blocks {
            match block {
                Block::Text(paragraph) => {
                    let _ = write!(text, "\n{}\n", self::paragraph(paragraph));
                }
                Block::Table(rows) => text.push_str(&table(rows)),
                Block::Panels(panels) => {
                    for panel in panels {
                        let _ = write!(text, "\n### {}\n", escape(&panel.title));
                        text.push_str(&table(&panel.table));
                    }
                }
            }
        }
    }
    text
}

fn table(table: &Table) -> String {
    let row = |cells: &[String]| {
        let cell = |cell: &String| escape(cell).replace('|', "\\|");
        let cells: Vec<String> = cells.iter().map(cell).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = format!("\n{}|{}\n", row(&table.header), "---|".repeat(table.header.len()));
    table.rows.iter().for_each(|cells| text.push_str(&row(cells)));
    text
}

/// A text as a paragraph, whatever it begins with.
fn paragraph(text: &str) -> String {
    let text = escape(text);
    match text.starts_with(['#', '>', '-', '+', '*', '=', '`', '~']) {
        true => format!("\\{text}"),
        false => text,
    }
}

/// A text in one line (reasons of failures may have several), without HTML and links.
fn escape(text: &str) -> String {
    let joined = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let shown = printable::line(&joined).replace('&', "&amp;").replace('<', "&lt;");
    shown.replace("](", "]\\(").replace("]:", "]\\:").replace("][", "]\\[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_make_no_markup() {
        let hostile = "a<script>\n# b | ![](http://c) [d]: e \u{1b}[2J";
        let expected = "a&lt;script> # b | ![]\\(http://c) [d]\\: e \\u{1b}[2J";
        assert_eq!(escape(hostile), expected);
        assert_eq!(paragraph("# no heading"), "\\# no heading");
        let rows = Table::new(&["name"], vec![vec![hostile.into()]]);
        assert_eq!(table(&rows).lines().count(), 4);
    }
}
