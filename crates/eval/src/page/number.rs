//! How the page writes numbers: one function for all of them.

use crate::metric::MetricKind;
use crate::plot::significant;

/// What a number is, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    /// How many of something there are.
    Count,
    /// A number of bytes.
    Bytes,
    /// A share of 1, in percent.
    Share,
    /// Decibels, whose unit the heading names.
    Decibels,
    /// A metric.
    Metric(MetricKind),
    /// A real number.
    Real,
}

/// Keeps a number and its unit in one line.
const SPACE: char = '\u{a0}';

/// `value` as text.
pub(super) fn text(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => count(value),
        Unit::Bytes => bytes(value),
        Unit::Share => share(value),
        Unit::Decibels => format!("{value:.1}"),
        Unit::Metric(MetricKind::Share) => format!("{:.2}{SPACE}%", 100.0 * value),
        Unit::Metric(MetricKind::Score) => format!("{value:.4}"),
        Unit::Metric(MetricKind::Error) | Unit::Real => significant(value),
    }
}

fn count(value: f64) -> String {
    let scaled = |unit: f64, name: &str| {
        let value = value / unit;
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        format!("{value:.digits$}{SPACE}{name}")
    };
    match value {
        100_000.0..1e6 => scaled(1e3, "k"),
        1e6..1e9 => scaled(1e6, "M"),
        1e9.. => scaled(1e9, "G"),
        _ => format!("{value}"),
    }
}

fn bytes(value: f64) -> String {
    const KIB: f64 = 1024.0;
    const MIB: f64 = 1024.0 * KIB;
    match value {
        _ if value < 10_000.0 => format!("{value}{SPACE}B"),
        _ if value < 10.0 * MIB => format!("{:.1}{SPACE}KiB", value / KIB),
        _ => format!("{:.1}{SPACE}MiB", value / MIB),
    }
}

fn share(value: f64) -> String {
    let percent = 100.0 * value;
    match percent.abs() {
        0.0 => format!("0{SPACE}%"),
        0.1.. => format!("{percent:.1}{SPACE}%"),
        0.01..0.1 => format!("{percent:.2}{SPACE}%"),
        _ => format!("{}{SPACE}%", significant(percent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_by_what_they_are() {
        for (value, unit, expected) in [
            (512.0, Unit::Bytes, "512 B"),
            (44_032.0, Unit::Bytes, "43.0 KiB"),
            (20_971_520.0, Unit::Bytes, "20.0 MiB"),
            (99_999.0, Unit::Count, "99999"),
            (123_456.0, Unit::Count, "123 k"),
            (12_501_632.0, Unit::Count, "12.5 M"),
            (0.8841, Unit::Metric(MetricKind::Share), "88.41 %"),
            (-0.25, Unit::Metric(MetricKind::Score), "-0.2500"),
            (0.001_234, Unit::Metric(MetricKind::Error), "0.00123"),
            (0.345, Unit::Share, "34.5 %"),
            (0.000_456_7, Unit::Share, "0.05 %"),
            (0.000_04, Unit::Share, "0.004 %"),
            (0.0, Unit::Share, "0 %"),
            (23.456, Unit::Decibels, "23.5"),
        ] {
            assert_eq!(text(value, unit).replace(SPACE, " "), expected);
        }
    }
}
