//! The letters that messages call models by.

/// The most models that are compared at a time: one a letter.
pub const MOST_MODELS: usize = 26;

/// The letter of the model at `index`: `A`, `B` and so on.
pub(super) fn letter(index: u8) -> String {
    char::from(b'A' + index).to_string()
}
