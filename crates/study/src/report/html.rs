//! Reports as one HTML file that needs nothing else.

use std::fmt::Write;

use super::document::{Block, Panel, Section, Table};
use super::plot::escape;
use crate::claims::Verdict;

/// Black on white, one column on a phone, two of figures on a desk, whole figures on printed pages.
const STYLE: &str = "\
:root{color-scheme:light}\
body{font:16px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;color:#111;\
background:#fff;margin:0 auto;max-width:1240px;padding:0 14px 60px}\
h1{font-size:1.7em;line-height:1.2}h2{font-size:1.25em;line-height:1.3;margin:2.2em 0 .4em;\
border-top:2px solid #111;padding-top:.5em}h3{font-size:1em;margin:.2em 0}\
p{max-width:46em;margin:.5em 0}\
nav ol{columns:2 22em;padding-left:1.6em}a{color:#00508a}\
.scroll{overflow-x:auto;margin:.6em 0}\
table{border-collapse:collapse;font-size:13.5px;line-height:1.3}\
th,td{padding:3px 8px;text-align:right;vertical-align:top;border-bottom:1px solid #ccc}\
th{font-weight:600;border-bottom:1px solid #111;vertical-align:bottom}\
th.text,td.text{text-align:left}\
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,540px),1fr));gap:18px 28px}\
figure{margin:0;min-width:0;border:1px solid #bbb;border-radius:4px;padding:8px 10px}\
figure svg{display:block;width:100%;max-width:520px;height:auto}\
figure table{font-size:12.5px}figure td,figure th{padding:2px 5px}\
.interval{white-space:nowrap;color:#444}.verdict{font-weight:600}.hidden{color:#444;font-weight:400}\
svg text{font:11.5px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#111}\
svg .small{font-size:10px}svg .axis{fill:none;stroke:#111}svg .tick{stroke:#111}\
svg .grid{stroke:#ddd}svg .level{stroke:#111;stroke-dasharray:1 3}\
svg .point{fill:#999;stroke:#555;stroke-width:.9}svg .single{fill:none}\
@media(max-width:560px){body{font-size:15px;padding:0 10px 40px}figure{padding:6px}\
table{font-size:12px}figure table{font-size:10.5px}.interval{letter-spacing:-.04em}th,td{padding:2px 4px}\
figure td,figure th{padding:2px}}\
@media print{body{font-size:10.5pt;max-width:none;padding:0}figure{break-inside:avoid}\
h2,h3{break-after:avoid}.scroll{overflow:visible}nav{display:none}}";

/// The report.
pub(super) fn render(name: &str, sections: &[Section]) -> String {
    let title = format!("Study “{}”", escape(name));
    let mut contents = String::new();
    let mut body = String::new();
    for (at, section) in sections.iter().enumerate() {
        let heading = escape(&section.title);
        let _ = write!(contents, "<li><a href=\"#s{at}\">{heading}</a></li>");
        let _ = writeln!(body, "<section id=\"s{at}\"><h2>{heading}</h2>");
        section.blocks.iter().for_each(|part| body.push_str(&block(part)));
        body.push_str("</section>\n");
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <nav><ol>{contents}</ol></nav>\n{body}</body></html>\n"
    )
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Table(rows) => table(rows),
        Block::Panels(panels) => {
            let figures: Vec<String> = panels.iter().map(figure).collect();
            format!("<div class=\"panels\">\n{}</div>\n", figures.concat())
        }
    }
}

fn figure(panel: &Panel) -> String {
    format!(
        "<figure><h3>{}</h3>{}{}</figure>\n",
        escape(&panel.title),
        panel.figure,
        table(&panel.table)
    )
}

fn table(table: &Table) -> String {
    let row = |cells: &[String], tag: &str| {
        let cell = |(at, cell): (usize, &String)| {
            let class = if at < table.texts { " class=\"text\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", marked(cell))
        };
        format!("<tr>{}</tr>", cells.iter().enumerate().map(cell).collect::<String>())
    };
    let rows: Vec<String> = table.rows.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<div class=\"scroll\"><table><thead>{}</thead><tbody>{}</tbody></table></div>\n",
        row(&table.header, "th"),
        rows.concat()
    )
}

/// A cell of a table, its verdict set off.
fn marked(cell: &str) -> String {
    let text = escape(cell);
    for verdict in Verdict::ALL {
        let shown = matches!(verdict, Verdict::Better | Verdict::Worse);
        let class = if shown { "" } else { " hidden" };
        let verdict = verdict.text();
        if let Some(found) = text.strip_suffix(verdict)
            && found.ends_with("] ")
        {
            let found = found.replace("] ", "]</span><br>");
            let found = found.replace(" [", "<br><span class=\"interval\">[");
            return format!("{found}<span class=\"verdict{class}\">{verdict}</span>");
        }
    }
    text
}
