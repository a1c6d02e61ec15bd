//! Inputs and outputs of fewer rows.

use super::error::StreamingError;
use super::layout::Layout;
use crate::program::{Border, Output};

/// The border of an end whose tensor has the layout `whole` offline and `rows` rows in the stream; `None`
/// if the sample's shape has no axis for them.
pub(super) fn streamed_border(border: &Border, whole: Layout, rows: usize) -> Option<Border> {
    let Border { source_shape, extents, axes } = border;
    let memory: Vec<usize> = axes.iter().map(|&axis| extents[axis]).collect();
    let axis = axes[whole.axis(&memory)?];
    let mut border = border.clone();
    border.extents[axis] = rows;
    let kept = extents.len() >= source_shape.len()
        && extents[..source_shape.len()] == source_shape[..]
        && axis < source_shape.len();
    if kept {
        border.source_shape[axis] = rows;
        return Some(border);
    }
    // The source model's sample has other axes: one of them must hold time among others.
    let holds = |&extent: &usize| extent.is_multiple_of(whole.rows);
    let mut holding = (0..source_shape.len()).filter(|&own| holds(&source_shape[own]));
    let (Some(own), None) = (holding.next(), holding.next()) else { return None };
    border.source_shape[own] = source_shape[own] / whole.rows * rows;
    Some(border)
}

/// An output of fewer rows.
pub(super) fn streamed_output(
    output: &Output,
    whole: Layout,
    rows: usize,
) -> Result<Output, StreamingError> {
    let border = streamed_border(&output.border, whole, rows);
    let border = border.ok_or_else(|| StreamingError::Shape {
        output: output.name.clone(),
        shape: output.border.source_shape.clone(),
        rows: whole.rows,
    })?;
    Ok(Output { border, ..output.clone() })
}
