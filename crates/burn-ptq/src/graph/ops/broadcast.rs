//! Which shapes meet in element-wise operations of two values.

use crate::graph::dims3;

/// The output of an element-wise operation: the first input's shape, if the second is equal to it,
/// holds one element a channel (first axis), or a single element.
pub(super) fn broadcast_shape(first: &[usize], second: &[usize]) -> Result<Vec<usize>, String> {
    let (a, b) = (dims3(first), dims3(second));
    if a == b || b == [a[0], 1, 1] || b == [1; 3] {
        Ok(first.to_vec())
    } else {
        Err(format!(
            "shapes {first:?} and {second:?} do not meet: the second must equal the first, hold \
             one element a channel, or a single one"
        ))
    }
}
