//! Tables on a terminal.

use burn_ptq_deploy::printable;

/// Lays out rows under a header, each in one line: text to the left, numbers to the right.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let shown = |row: &Vec<String>| row.iter().map(|cell| printable::line(cell).into()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    let columns = header.len();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let numeric = |column: usize| {
        let number = |row: &Vec<String>| {
            let cell = row[column].trim_start_matches('-');
            cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit())
        };
        rows.iter().all(number)
    };
    let right: Vec<bool> = (0..columns).map(numeric).collect();
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (i, cell) in cells.into_iter().enumerate() {
            let width = widths[i];
            let cell = if right[i] { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str(if i == 0 { "" } else { "  " });
            line.push_str(&cell);
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(header.to_vec());
    for row in &rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// A number with three significant digits.
pub(crate) fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        0.001..1000.0 => {
            let before = x.abs().log10().floor() as i32;
            format!("{x:.*}", (2 - before).max(0) as usize)
        }
        _ => format!("{x:.2e}"),
    }
}

/// A human-readable number of bytes.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        _ => format!("{:.1} KiB", count as f64 / 1024.0),
    }
}

/// The size of a memory, in whole KiB or MiB.
pub(crate) fn capacity(bytes: usize) -> String {
    match (bytes % (1 << 20), bytes % (1 << 10)) {
        (0, _) => format!("{} MiB", bytes >> 20),
        (_, 0) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_whole_numbers_of_the_largest_unit() {
        let shown = [64 << 20, 1524 << 10, 8 << 10, 1000].map(capacity);
        assert_eq!(shown, ["64 MiB", "1524 KiB", "8 KiB", "1000 B"]);
    }

    #[test]
    fn numbers_align_right_and_text_left() {
        let rows = [vec!["conv".into(), "8".into()], vec!["fc".into(), "120".into()]];
        assert_eq!(render(&["layer", "macs"], &rows), "layer  macs\nconv      8\nfc      120\n");
    }

    #[test]
    fn numbers_keep_their_digits_however_small() {
        for (x, text) in [
            (0.0, "0"),
            (1.0, "1.00"),
            (0.012_345, "0.0123"),
            (-123.4, "-123"),
            (0.000_012_34, "1.23e-5"),
            (-3.2e-7, "-3.20e-7"),
            (12_345.0, "1.23e4"),
        ] {
            assert_eq!(number(x), text);
        }
    }

    #[test]
    fn a_name_can_forge_no_row() {
        let rows = [vec!["a\nb\u{1b}[2J".into(), "8".into()]];
        assert_eq!(render(&["layer", "macs"], &rows).lines().count(), 2);
        assert!(render(&["layer", "macs"], &rows).contains("a\\nb\\u{1b}[2J"));
    }
}
