//! What people should know about how data are read.

/// What people should know of whole numbers that become f32.
pub(super) fn rounded(place: &str, number: &str) -> String {
    format!(
        "{place}: holds whole numbers that 32-bit floats do not, such as {number}, and is rounded to \
         them; leave identifiers and time stamps out, or subtract an offset before storing them"
    )
}
