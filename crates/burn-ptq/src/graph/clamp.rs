//! Bounds that values are clamped to.

/// Bounds of real values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// The lower bound; may be `-inf`.
    pub min: f32,
    /// The upper bound; may be `inf`.
    pub max: f32,
}
