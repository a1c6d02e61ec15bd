//! Reports as one HTML file that needs nothing else.

use burn_ptq_eval::page::document;
use burn_ptq_eval::plot::shown;
use burn_ptq_eval::statistics::Verdict;
use maud::{Markup, html};

use super::document::{Block, Panel, Section, Table};

/// Black on white; one column on a phone, two columns of figures on a wide screen, and figures that are
/// not broken across printed pages.
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
@media(max-width:560px){body{font-size:15px;padding:0 10px 40px}figure{padding:6px}\
table{font-size:12px}figure table{font-size:10.5px}.interval{letter-spacing:-.04em}th,td{padding:2px 4px}\
figure td,figure th{padding:2px}}\
@media print{body{font-size:10.5pt;max-width:none;padding:0}figure{break-inside:avoid}\
h2,h3{break-after:avoid}.scroll{overflow:visible}nav{display:none}}";

/// The report.
pub(super) fn render(name: &str, sections: &[Section]) -> String {
    let title = format!("Study “{}”", shown(name));
    let body = html! {
        h1 { (title) }
        nav {
            ol {
                @for (at, section) in sections.iter().enumerate() {
                    li { a href={ "#s" (at) } { (shown(&section.title)) } }
                }
            }
        }
        @for (at, section) in sections.iter().enumerate() {
            section id={ "s" (at) } {
                h2 { (shown(&section.title)) }
                @for part in &section.blocks { (block(part)) }
            }
        }
    };
    document(&title, STYLE, &body)
}

fn block(block: &Block) -> Markup {
    match block {
        Block::Text(text) => html! { p { (shown(text)) } },
        Block::Table(rows) => table(rows),
        Block::Panels(panels) => html! {
            div.panels { @for panel in panels { (figure(panel)) } }
        },
    }
}

fn figure(panel: &Panel) -> Markup {
    html! {
        figure {
            h3 { (shown(&panel.title)) }
            (panel.figure)
            (table(&panel.table))
        }
    }
}

fn table(table: &Table) -> Markup {
    let class = |at: usize| (at < table.texts).then_some("text");
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        @for (at, cell) in table.header.iter().enumerate() {
                            th class=[class(at)] { (shown(cell)) }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                td class=[class(at)] { (marked(cell)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A cell of a table; where it is a difference with its interval and verdict, they stand below each
/// other.
fn marked(cell: &str) -> Markup {
    let text = shown(cell);
    for verdict in Verdict::ALL {
        let claim = text.strip_suffix(verdict.text()).and_then(|text| text.strip_suffix("] "));
        if let Some((difference, interval)) = claim.and_then(|claim| claim.rsplit_once(" [")) {
            let hidden = !matches!(verdict, Verdict::Better | Verdict::Worse);
            return html! {
                (difference) br;
                span.interval { "[" (interval) "]" } br;
                span.verdict.hidden[hidden] { (verdict.text()) }
            };
        }
    }
    html! { (text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_make_no_markup() {
        let rows = vec![vec!["<b>\u{1b}[2J".into(), "a & \"b\"".into()]];
        let table = Table { texts: 1, header: vec!["<i>".into()], rows };
        let blocks = vec![Block::Text("</p><script>".into()), Block::Table(table)];
        let page = render("<h1>", &[Section { title: "</h2>".into(), blocks }]);
        for markup in ["<b>", "<i>", "<script>", "“<h1>", "</h2></h2>", "\u{1b}"] {
            assert!(!page.contains(markup), "{markup}: {page}");
        }
        assert!(page.contains("a &amp; &quot;b&quot;"), "{page}");
    }

    #[test]
    fn verdicts_are_set_off() {
        let found = marked("−1.2 [−2.0, −0.4] worse").into_string();
        let expected = "−1.2<br><span class=\"interval\">[−2.0, −0.4]</span><br>\
                        <span class=\"verdict\">worse</span>";
        assert_eq!(found, expected);
        assert_eq!(marked("no worse").into_string(), "no worse");
    }
}
