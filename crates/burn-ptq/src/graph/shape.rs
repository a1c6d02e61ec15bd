//! Shapes of samples, and where their elements are.

/// The most axes that a sample has.
pub const MAX_AXES: usize = 6;

/// A sample's shape at run time: padded with trailing ones to three axes, or with all but the last two
/// axes merged.
pub fn dims3(shape: &[usize]) -> [usize; 3] {
    let mut dims = [1; 3];
    let merged = shape.len().saturating_sub(2).max(1);
    let (first, last) = shape.split_at(merged.min(shape.len()));
    dims[0] = first.iter().product();
    dims[1..=last.len()].copy_from_slice(last);
    dims
}

/// The distance between neighbours along each axis of a sample.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
