//! Which shapes meet in element-wise operations of two values.

use crate::graph::dims3;

/// The output of an element-wise operation: on each axis both inputs have the same extent, or one of
/// them has 1 and is repeated.
///
/// A shape of fewer axes gets trailing ones, so that a vector holds one element a channel. Values of
/// more than three axes must be equal, or the second one a channel or a single element.
pub(super) fn broadcast_shape(first: &[usize], second: &[usize]) -> Result<Vec<usize>, String> {
    let (a, b) = (dims3(first), dims3(second));
    if a == b || b == [a[0], 1, 1] || b == [1; 3] {
        return Ok(first.to_vec());
    }
    let rank = first.len().max(second.len());
    if rank <= 3 && a.iter().zip(&b).all(|(a, b)| a == b || *a == 1 || *b == 1) {
        return Ok((0..rank).map(|axis| a[axis].max(b[axis])).collect());
    }
    Err(format!(
        "shapes {first:?} and {second:?} do not meet: on each axis the extents must be equal, or one \
         of them 1"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_extent_1_are_repeated() {
        let meets = |a: &[usize], b: &[usize]| broadcast_shape(a, b).ok();
        assert_eq!(meets(&[8, 4, 6], &[1, 4, 6]), Some(vec![8, 4, 6]));
        assert_eq!(meets(&[8, 1, 6], &[1, 4, 1]), Some(vec![8, 4, 6]));
        assert_eq!(meets(&[1, 4], &[3, 1]), Some(vec![3, 4]));
        assert_eq!(meets(&[8, 4, 6], &[8]), Some(vec![8, 4, 6]));
        assert_eq!(meets(&[8, 4, 6], &[8, 4, 5]), None);
        assert_eq!(meets(&[2, 4, 6, 5], &[1, 4, 6, 5]), None);
    }
}
