//! What a report is made of, whatever it is printed as.

use maud::Markup;

/// A section of a report.
pub(super) struct Section {
    /// Its heading.
    pub(super) title: String,
    /// Its content.
    pub(super) blocks: Vec<Block>,
}

/// A part of a section.
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// A table over the whole width.
    Table(Table),
    /// Figures beside each other, each with its numbers.
    Panels(Vec<Panel>),
}

/// A table.
pub(super) struct Table {
    /// Columns at the left that hold text; the others hold numbers.
    pub(super) texts: usize,
    /// The headings of columns.
    pub(super) header: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<Vec<String>>,
}

/// A figure with its numbers.
pub(super) struct Panel {
    /// Its title.
    pub(super) title: String,
    /// The figure as SVG.
    pub(super) figure: Markup,
    /// The numbers.
    pub(super) table: Table,
}

impl Table {
    /// A table whose first column holds text.
    pub(super) fn new(header: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { texts: 1, header: header.iter().map(|h| (*h).to_string()).collect(), rows }
    }
}
