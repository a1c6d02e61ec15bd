//! Reports as Markdown: the tables, without figures.

use std::fmt::Write;

use super::content::{Block, Section, Table};

/// The report.
pub(super) fn render(name: &str, sections: &[Section]) -> String {
    let mut text = format!(
        "# Study “{name}”\n\nWritten by `burn-ptq ablate`; not edited by hand. The plots are in \
         report.html.\n"
    );
    for section in sections {
        let _ = write!(text, "\n## {}\n", section.title);
        for block in &section.blocks {
            match block {
                Block::Text(paragraph) => {
                    let _ = write!(text, "\n{paragraph}\n");
                }
                Block::Table(rows) => text.push_str(&table(rows)),
                Block::Panels(panels) => {
                    for panel in panels {
                        let _ = write!(text, "\n### {}\n", panel.title);
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
        // A row is a line, and the reasons of failures may have several.
        let cell = |cell: &String| {
            cell.lines().map(str::trim).collect::<Vec<_>>().join(" ").replace('|', "\\|")
        };
        let cells: Vec<String> = cells.iter().map(cell).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = format!("\n{}|{}\n", row(&table.header), "---|".repeat(table.header.len()));
    table.rows.iter().for_each(|cells| text.push_str(&row(cells)));
    text
}
