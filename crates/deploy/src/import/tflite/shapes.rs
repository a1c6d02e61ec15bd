//! Extents of tensors, as operators expect them and as the program has them.

use super::error::Refusal;

/// The extents of a plane with a batch of one.
pub(super) fn plane(shape: &[usize]) -> Result<[usize; 3], Refusal> {
    match *shape {
        [1, height, width, channels] if height > 0 && width > 0 && channels > 0 => {
            Ok([height, width, channels])
        }
        _ => Err(Refusal::new(format!(
            "expected shape [1, height, width, channels], found {shape:?}"
        ))),
    }
}

/// Extents as the program has them: the last two axes, and all others as one.
pub(super) fn three_axes(shape: &[usize]) -> Result<[usize; 3], Refusal> {
    let (outer, inner) = shape.split_at(shape.len().saturating_sub(2));
    let product = outer.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent));
    let inner = match *inner {
        [] => [1, 1],
        [channels] => [1, channels],
        [width, channels, ..] => [width, channels],
    };
    let shape = product.map(|height| [height, inner[0], inner[1]]);
    let fits = |shape: &[usize; 3]| crate::verify::element_count(shape).is_some();
    shape.filter(fits).ok_or_else(|| Refusal::new("expected 1 to 2^28 elements in each tensor"))
}
