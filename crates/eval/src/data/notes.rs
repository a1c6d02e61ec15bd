//! Notes on how data are read.

/// A note on whole numbers that are rounded to f32.
pub(super) fn rounded(place: &str, number: &str) -> String {
    format!(
        "{place}: holds whole numbers that 32-bit floats do not, such as {number}, and is rounded to \
         them; leave identifiers and time stamps out, or subtract an offset before storing them"
    )
}
