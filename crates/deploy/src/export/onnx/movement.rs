//! Movements of elements: the operator that says it best, and in the end one that takes any places.

use burn_ptq_kernels::reference::MAX_AXES;

use super::form::Form;
use super::graph::{Graph, whole};
use super::resize;
use super::schema::{Value, integer};
use crate::export::shared::movement::{
    Indices, block_of, blocks, by_axis, joined_axis, mirrored, permutation, slice, sources,
};
use crate::export::shared::refusal::Refusal;
use crate::movement::MoveAxis;
use crate::program::TensorId;

/// The axis of planes that each axis of `[height, width, channels]` is, counting that of the batch.
const PLANES: [i64; 3] = [2, 3, 1];

/// Writes the copy of elements of `ends[0]` to `ends[1]`.
pub(super) fn translate(
    graph: &mut Graph,
    first: usize,
    axes: &[MoveAxis],
    ends: [TensorId; 2],
) -> Result<(), Refusal> {
    let [x, y] = ends;
    let [input, output] = ends.map(|id| graph.of(id));
    let sources = sources(first, axes, input.len(), output.len())?;
    // Elements that stay need no operator.
    if sources.iter().copied().eq(0..input.len()) {
        graph.alias(y, x, |form| form);
        return Ok(());
    }
    let planes = Form::planes(output.shape);
    let columns = [1, input.shape[1], input.shape[2]];
    let moves = [
        ("DepthToSpace", block_of(input.shape, output.shape), true),
        ("SpaceToDepth", block_of(output.shape, input.shape), false),
    ];
    for (operator, block, to_space) in moves {
        if let Some(block) = block
            && sources == blocks(output.shape, block, columns, to_space)
        {
            let source = graph.float(x, &Form::planes(input.shape));
            let attributes = vec![integer("blocksize", block as i64)];
            let value = graph.operator(operator, &[&source], attributes);
            graph.write(y, value, planes, whole(output));
            return Ok(());
        }
    }
    // Another order of axes is another form of the same value.
    if let Some((extents, order)) = permutation(first, axes, input.len(), MAX_AXES)
        && axes.iter().all(|axis| axis.listed().is_empty())
    {
        let value = graph.integers(x, &Form::plain(&extents));
        graph.hold(y, value, Form { shape: extents, order });
        return Ok(());
    }
    if let Some(indices) = by_axis(&sources, input.shape, output.shape) {
        by_indices(graph, &indices, ends);
        return Ok(());
    }
    let source = graph.integers(x, &Form::plain(&[input.len()]));
    let places: Vec<i64> = sources.iter().map(|&place| place as i64).collect();
    let places = graph.list("places", &places);
    let value = graph.operator("Gather", &[&source, &places], vec![integer("axis", 1)]);
    graph.write_integers(y, value, Form::plain(&[output.len()]));
    Ok(())
}

/// Writes the operators that show these indices.
fn by_indices(graph: &mut Graph, indices: &Indices, [x, y]: [TensorId; 2]) {
    let (input, output) = (graph.of(x), graph.of(y));
    let extents = input.shape;
    let unchanged = |axis: usize| indices[axis].iter().copied().eq(0..extents[axis]);
    let changed: Vec<usize> = (0..3).filter(|&axis| !unchanged(axis)).collect();
    let form = Form::planes(output.shape);
    let mut value = graph.float(x, &Form::planes(extents));
    let repeats = |axis: usize| extents[axis] == 1;
    if changed.iter().all(|&axis| repeats(axis)) {
        let [height, width, channels] = output.shape;
        let shape = [1, channels, height, width].map(|extent| extent as i64);
        let shape = graph.list("extents", &shape);
        value = graph.operator("Expand", &[&value, &shape], Vec::new());
        graph.write(y, value, form, whole(output));
        return;
    }
    let nearest = |axis: usize| {
        let (from, to) = (extents[axis], indices[axis].len());
        to.is_multiple_of(from) && indices[axis].iter().copied().eq((0..to).map(|i| i * from / to))
    };
    let grows = |axis: usize| indices[axis].len() > extents[axis];
    if unchanged(2) && nearest(0) && nearest(1) && (grows(0) || grows(1)) {
        let [height, width, _] = output.shape;
        let scales = resize::scales([extents[0], extents[1]], [height, width]);
        let scales = graph.reals("scales", &[4], &scales);
        let attributes = vec![
            ("coordinate_transformation_mode", Value::Text("asymmetric")),
            ("mode", Value::Text("nearest")),
            ("nearest_mode", Value::Text("floor")),
        ];
        value = graph.operator("Resize", &[&value, "", &scales], attributes);
        graph.write(y, value, form, whole(output));
        return;
    }
    let around: Option<Vec<[i32; 2]>> =
        (0..3).map(|axis| mirrored(&indices[axis], extents[axis], 1)).collect();
    if let Some(around) = around {
        let [rows, columns, channels] = [around[0], around[1], around[2]];
        let pads = [0, 1].map(|side| [0, channels[side], rows[side], columns[side]]);
        let pads: Vec<i64> = pads.as_flattened().iter().map(|&pad| i64::from(pad)).collect();
        let pads = graph.list("pads", &pads);
        let mode = vec![("mode", Value::Text("reflect"))];
        value = graph.operator("Pad", &[&value, &pads], mode);
        graph.write(y, value, form, whole(output));
        return;
    }
    let slices: Option<Vec<[i32; 3]>> = changed.iter().map(|&axis| slice(&indices[axis])).collect();
    if let Some(slices) = slices {
        let column = |which: usize| -> Vec<i64> {
            let own = slices.iter().map(|slice| i64::from(slice[which]));
            // An end before the first element is one that no count from the end reaches.
            own.map(|number| if which == 1 && number < 0 { i64::MIN + 1 } else { number }).collect()
        };
        let axes: Vec<i64> = changed.iter().map(|&axis| PLANES[axis]).collect();
        let [starts, ends, steps] = [("starts", 0), ("ends", 1), ("steps", 2)]
            .map(|(what, which)| graph.list(what, &column(which)));
        let axes = graph.list("axes", &axes);
        value = graph.operator("Slice", &[&value, &starts, &ends, &axes, &steps], Vec::new());
        graph.write(y, value, form, whole(output));
        return;
    }
    let mut value = graph.integers(x, &Form::planes(extents));
    for axis in changed {
        let list: Vec<i64> = indices[axis].iter().map(|&index| index as i64).collect();
        let list = graph.list("indices", &list);
        let along = vec![integer("axis", PLANES[axis])];
        value = graph.operator("Gather", &[&value, &list], along);
    }
    graph.write_integers(y, value, form);
}

/// Joins inputs along an axis of their shapes, if they differ along one only, else as rows.
pub(super) fn concat(
    graph: &mut Graph,
    inputs: &[TensorId],
    outer: usize,
    chunks: &[usize],
    y: TensorId,
) {
    let output = graph.of(y);
    let extents = output.shape;
    let inner = |axis: usize| extents[axis + 1..].iter().product::<usize>();
    let axis = joined_axis(extents, outer, chunks);
    let form = |chunk: usize| match axis {
        Some(axis) => {
            let mut shape = extents;
            shape[axis] = chunk / inner(axis);
            Form::planes(shape)
        }
        None => Form::plain(&[outer, chunk]),
    };
    let mut parts = Vec::with_capacity(inputs.len());
    for (&id, &chunk) in inputs.iter().zip(chunks) {
        parts.push(graph.float(id, &form(chunk)));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let along = integer("axis", axis.map_or(2, |axis| PLANES[axis]));
    let value = graph.operator("Concat", &parts, vec![along]);
    graph.write(y, value, form(chunks.iter().sum()), whole(output));
}

/// Surrounds `[height, width, channels]` with copies of `value`.
pub(super) fn pad(
    graph: &mut Graph,
    shape: [usize; 3],
    [before, after]: [[usize; 3]; 2],
    value: i32,
    [x, y]: [TensorId; 2],
) {
    let output = graph.of(y);
    let source = graph.float(x, &Form::planes(shape));
    let pads = [before, after].map(|[rows, columns, channels]| [0, channels, rows, columns]);
    let pads: Vec<i64> = pads.as_flattened().iter().map(|&pad| pad as i64).collect();
    let pads = graph.list("pads", &pads);
    let around = graph.real("value", output.grid.dequantize(value));
    let padded = graph.operator("Pad", &[&source, &pads, &around], Vec::new());
    let shape = [0, 1, 2].map(|axis| before[axis] + shape[axis] + after[axis]);
    graph.write(y, padded, Form::planes(shape), whole(output));
}

/// Writes another order of the axes of `shape`.
pub(super) fn transpose(
    graph: &mut Graph,
    shape: [usize; 3],
    axes: [usize; 3],
    [x, y]: [TensorId; 2],
) {
    // Another form of the same value: whoever reads it moves elements if need be.
    let value = graph.integers(x, &Form::plain(&shape));
    graph.hold(y, value, Form { shape: shape.to_vec(), order: axes.to_vec() });
}
