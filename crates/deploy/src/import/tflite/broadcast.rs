//! How the shapes of two values meet.

use super::builder::Builder;
use super::error::Refusal;
use crate::op::Broadcast;
use crate::program::TensorId;

/// How elements of tensors of the shapes `a` and `b` meet, whose activations are `ids`; also whether the
/// second repeats along no axis along which the first does not.
pub(super) fn meeting(
    b: &Builder,
    shapes: [&[usize]; 2],
    ids: [TensorId; 2],
) -> Result<Broadcast, Refusal> {
    if shapes[0] == shapes[1] {
        return Ok(Broadcast::None);
    }
    let [first, second] = extents(shapes)?;
    let [length, other] = ids.map(|id| b.of(id).len());
    Ok(match () {
        () if first == second && length == other => Broadcast::None,
        () if other == 1 => Broadcast::Scalar,
        () if second == [1, 1, b.of(ids[0]).shape[2]] && first[2] == second[2] && second[2] > 1 => {
            Broadcast::Channels
        }
        () => Broadcast::Shapes { a: first, b: second },
    })
}

/// The extents of both along at most three axes: axes along which the same one repeats are one.
pub(super) fn extents(shapes: [&[usize]; 2]) -> Result<[[usize; 3]; 2], Refusal> {
    let refusal = |reason: &str| {
        Refusal::lasting(format!("{reason}, found {:?} and {:?}", shapes[0], shapes[1]))
    };
    let axes = shapes[0].len().max(shapes[1].len());
    let mut pairs: Vec<[usize; 2]> = Vec::new();
    for axis in 0..axes {
        // Shapes meet at their last axes.
        let extent = |shape: &[usize]| match (axis + shape.len()).checked_sub(axes) {
            Some(own) => shape[own],
            None => 1,
        };
        let pair = shapes.map(extent);
        match pair {
            [1, 1] => continue,
            [a, b] if a == b || a == 1 || b == 1 => {}
            _ => return Err(refusal("expected extents that are equal or 1")),
        }
        let kind = |pair: [usize; 2]| (pair[0] == 1, pair[1] == 1);
        match pairs.last_mut() {
            Some(last) if kind(*last) == kind(pair) => {
                for (last, extent) in last.iter_mut().zip(pair) {
                    *last = last.saturating_mul(extent);
                }
            }
            _ => pairs.push(pair),
        }
    }
    if pairs.len() > 3 {
        return Err(refusal("expected shapes that repeat in at most three ways"));
    }
    let missing = 3 - pairs.len();
    Ok([0, 1].map(|side| {
        let mut extents = [1; 3];
        for (extent, pair) in extents[missing..].iter_mut().zip(&pairs) {
            *extent = pair[side];
        }
        extents
    }))
}
