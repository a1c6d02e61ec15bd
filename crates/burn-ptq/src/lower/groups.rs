//! Lowering of operations on groups of elements: reductions, normalizations, selections.

use burn_ptq_deploy::program::{IntOp, NormalizeAffine};
use burn_ptq_kernels::geometry::NormalizeGeometry;
use burn_ptq_kernels::params::{
    NormalizeParams, Reduction, Selection, normalization_scale, normalization_shift,
};
use burn_ptq_kernels::reference::{ROOT_BITS, SHIFT_BITS};

use super::{ENDING_IN, HWC, LowerError, Lowering, SOURCE, View};
use crate::graph::ops::{Normalize, NormalizeBy, Rearrange, Reduce, ReduceFunction, TopK};
use crate::graph::{Array, Node, dims3};

/// The most bits of fraction that a product of a normalized element and its scale gets.
const LARGEST_FRACTION: u32 = 24;
/// Bits of a normalized element before its scale, less than the verifier grants.
const RESULT_BITS: u32 = 23;
/// Rows of which places are told are at most as long as 16 bits can count.
const LARGEST_ROW_OF_PLACES: usize = 1 << 15;

impl Lowering<'_> {
    /// An order of a value's axes in which `together` are neighbours: that of its memory, or else the
    /// usual one or the source's.
    fn order_with(&self, view: &View, together: &[usize]) -> [usize; 3] {
        let runs = |order: &[usize; 3]| {
            let long = order.iter().filter(|&&axis| view.dims[axis] != 1);
            let inside: Vec<bool> = long.map(|axis| together.contains(axis)).collect();
            inside.windows(2).filter(|pair| pair[0] != pair[1]).count()
                + usize::from(inside.first() == Some(&true))
        };
        // One run of axes has at most two borders.
        let orders = [view.order.unwrap_or(HWC), HWC, SOURCE, [0, 2, 1], [1, 0, 2]];
        orders.into_iter().find(|order| runs(order) <= 2).unwrap_or(SOURCE)
    }

    pub(super) fn reduce(&mut self, node: &Node, op: &Reduce) -> Result<(), LowerError> {
        let value = node.inputs[0];
        let view = self.view(value).clone();
        let order = self.order_with(&view, &op.axes);
        let input = self.arranged(value, order);
        let dims = input.dims;
        let reduced = |axis: &usize| op.axes.contains(axis) && dims[*axis] != 1;
        let first = order.iter().position(reduced).unwrap_or(3);
        let last = order.iter().rposition(reduced).map_or(first, |last| last + 1);
        let product = |axes: &[usize]| axes.iter().map(|&axis| dims[axis]).product::<usize>();
        let (outer, inner) = (product(&order[..first]), product(&order[last..]));
        let scales = [value, node.output].map(|v| f64::from(self.grid(v).scale));
        let (reduction, real) = match op.function {
            ReduceFunction::Mean | ReduceFunction::Sum => (Reduction::Sum, scales[0] / scales[1]),
            ReduceFunction::Max => (Reduction::Max, 1.0),
            ReduceFunction::Min => (Reduction::Min, 1.0),
            ReduceFunction::L1 => (Reduction::SumOfMagnitudes, scales[0] / scales[1]),
            ReduceFunction::L2 => {
                let unit = f64::from(1_u32 << ROOT_BITS);
                (Reduction::RootOfSquares, scales[0] / scales[1] / unit)
            }
            ReduceFunction::SumSquare => {
                (Reduction::SumOfSquares, scales[0] * scales[0] / scales[1])
            }
        };
        let mut multiplier = self.multiplier(node, real)?;
        if op.function == ReduceFunction::Mean {
            multiplier = multiplier.divided_by(op.elements as u32);
        }
        self.check_reduced(node, op)?;
        let clamp = self.clamp(node);
        let int =
            IntOp::Reduce { reduction, outer, reduced: op.elements, inner, multiplier, clamp };
        let dims = self.graph.value(node.output).dims();
        let output = self.tensor(node.output, dims, order);
        self.push(&node.name, int, vec![input.tensor], output.tensor);
        self.views[node.output.0] = Some(output);
        Ok(())
    }

    /// Sums must fit their types whatever the elements hold.
    fn check_reduced(&self, node: &Node, op: &Reduce) -> Result<(), LowerError> {
        let largest = match self.is_wide(node.inputs[0]) {
            true => 1 << 15,
            false => 128 + i64::from(self.grid(node.inputs[0]).zero_point.abs()),
        };
        let count = op.elements as i64;
        let (sum, limit) = match op.function {
            ReduceFunction::Max | ReduceFunction::Min => return Ok(()),
            ReduceFunction::Mean | ReduceFunction::Sum | ReduceFunction::L1 => {
                (count * largest, i64::from(i32::MAX))
            }
            ReduceFunction::SumSquare if !self.is_wide(node.inputs[0]) => {
                (count * largest * largest, i64::from(i32::MAX))
            }
            ReduceFunction::SumSquare | ReduceFunction::L2 => (count * largest * largest, 1 << 44),
        };
        if sum <= limit {
            return Ok(());
        }
        let problem = format!(
            "its sums over {count} elements could reach {sum}, and its arithmetic holds {limit}: \
             reduce over fewer elements at once"
        );
        Err(LowerError::Unsupported { node: node.name.clone(), problem })
    }

    pub(super) fn normalize(&mut self, node: &Node, op: &Normalize) -> Result<(), LowerError> {
        let value = node.inputs[0];
        let view = self.view(value).clone();
        let orders = [view.order.unwrap_or(HWC), HWC, SOURCE, [0, 2, 1], [1, 0, 2]];
        let fitting = |op: &Normalize| {
            orders.into_iter().find_map(|order| Some((order, geometry(op, &view, order)?)))
        };
        // With parameters for every group, groups may follow each other along several axes.
        let (mut found, expanded) = (fitting(op), with_parameters_of_groups(op, view.dims));
        let op = if found.is_some() { op } else { &expanded };
        found = found.or_else(|| fitting(op));
        let Some((order, geometry)) = found else {
            let problem = format!(
                "it normalizes axes {:?} of samples of {:?} together, which lie apart in memory: \
                 transpose them to its end",
                op.axes, view.dims
            );
            return Err(LowerError::Unsupported { node: node.name.clone(), problem });
        };
        let [input, output] = [value, node.output].map(|v| self.grid(v));
        let magnitude = match self.is_wide(value) {
            true => 1 << 15,
            false => 128 + input.zero_point.unsigned_abs(),
        };
        let unusual = || LowerError::Unsupported {
            node: node.name.clone(),
            problem: format!(
                "groups of {} elements in steps of {:e} with an epsilon of {:e} leave the integers \
                 that normalize them: normalize fewer elements, or check the scaling of the data",
                op.elements, input.scale, op.epsilon
            ),
        };
        if op.elements as u64 * 2 * u64::from(magnitude) > 1 << 30 {
            return Err(unusual());
        }
        let affine = match (&op.scale, &op.shift) {
            (None, None) => None,
            (scale, shift) => {
                let affine = scales_and_shifts(op, order, [scale, shift], output.scale);
                Some(affine.ok_or_else(unusual)?)
            }
        };
        let step = match &affine {
            None => f64::from(output.scale),
            Some((affine, step)) => {
                f64::from(output.scale) / f64::from(*step) / f64::from(1_u32 << affine.fraction)
            }
        };
        let (center, factor, epsilon) = match op.by {
            NormalizeBy::Deviation => (true, 1.0, f64::from(op.epsilon)),
            NormalizeBy::RootMeanSquare => (false, op.reach(), f64::from(op.epsilon)),
            NormalizeBy::Norm => (false, 1.0, f64::from(op.epsilon) / op.elements as f64),
        };
        let params = NormalizeParams::new(
            op.elements,
            magnitude,
            input.scale,
            epsilon,
            center,
            factor,
            step,
        )
        .ok_or_else(unusual)?;
        let clamp = self.clamp(node);
        let affine = affine.map(|(affine, _)| affine);
        self.along(node, order, IntOp::Normalize { geometry, params, affine, clamp });
        Ok(())
    }

    pub(super) fn top_k(&mut self, node: &Node, op: &TopK) -> Result<(), LowerError> {
        let order = ENDING_IN[op.axis];
        let input = self.arranged(node.inputs[0], order);
        let depth = input.dims[op.axis];
        if depth > LARGEST_ROW_OF_PLACES {
            let problem = format!(
                "it selects among {depth} elements, and its kernel takes {LARGEST_ROW_OF_PLACES}: \
                 cut the model before it"
            );
            return Err(LowerError::Unsupported { node: node.name.clone(), problem });
        }
        let TopK { k, smallest, last, indices, .. } = *op;
        let rows = input.dims.iter().product::<usize>() / depth;
        let selection = Selection { smallest, last, indices };
        self.along(node, order, IntOp::TopK { selection, rows, depth, k });
        Ok(())
    }
}

/// One axis of a walk through memory: extent, step, and step through the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Walk {
    extent: usize,
    step: usize,
    parameter: usize,
}

/// The walks over groups and over the elements of a group, of a value in memory in `order`; `None` if
/// it takes more than one for groups, or more than two for elements.
fn geometry(op: &Normalize, view: &View, order: [usize; 3]) -> Option<NormalizeGeometry> {
    let mut steps = [0; 3];
    let mut step = 1;
    for axis in order.into_iter().rev() {
        steps[axis] = step;
        step *= view.dims[axis];
    }
    let scale = op.scale.as_ref().or(op.shift.as_ref());
    let extents = |array: &Array| {
        let mut extents = [1; 3];
        extents[..array.shape.len()].copy_from_slice(&array.shape);
        extents
    };
    let own = scale.map_or([1; 3], extents);
    // Parameters are stored in the order of the axes in memory.
    let mut parameter_steps = [0; 3];
    let mut step = 1;
    for axis in order.into_iter().rev() {
        if own[axis] > 1 {
            parameter_steps[axis] = step;
            step *= own[axis];
        }
    }
    let (mut groups, mut elements) = (Vec::new(), Vec::new());
    for axis in order {
        let walk =
            Walk { extent: view.dims[axis], step: steps[axis], parameter: parameter_steps[axis] };
        if walk.extent == 1 {
            continue;
        }
        match (op.axes.contains(&axis), op.parts) {
            (false, _) => groups.push(walk),
            (true, parts) if axis == 0 && parts > 1 => {
                let extent = walk.extent / parts;
                groups.push(Walk {
                    extent: parts,
                    step: extent * walk.step,
                    parameter: extent * walk.parameter,
                });
                elements.push(Walk { extent, ..walk });
            }
            (true, _) => elements.push(walk),
        }
    }
    let [groups, elements] = [groups, elements].map(merged);
    let none = Walk { extent: 1, step: 0, parameter: 0 };
    let group = match groups[..] {
        [] => none,
        [one] => one,
        _ => return None,
    };
    let (outer, inner) = match elements[..] {
        [] => (none, none),
        [one] => (none, one),
        [outer, inner] => (outer, inner),
        _ => return None,
    };
    Some(NormalizeGeometry {
        groups: group.extent,
        outer: outer.extent,
        inner: inner.extent,
        steps: [group.step, outer.step, inner.step],
        parameters: [group.parameter, outer.parameter, inner.parameter],
    })
}

/// The same normalization with its scales and shifts repeated along all axes that tell groups apart.
fn with_parameters_of_groups(op: &Normalize, dims: [usize; 3]) -> Normalize {
    let repeated = |array: &Array| {
        let own = dims3(&array.shape);
        let full = [0, 1, 2].map(|axis| match op.axes.contains(&axis) {
            true => own[axis],
            false => dims[axis],
        });
        let places = (0..full.iter().product()).map(|i: usize| {
            let index = [i / (full[1] * full[2]), i / full[2] % full[1], i % full[2]];
            let [a, b, c] = [0, 1, 2].map(|axis| index[axis].min(own[axis] - 1));
            (a * own[1] + b) * own[2] + c
        });
        Array::new(full, places.map(|place| array.data[place]).collect())
    };
    Normalize {
        scale: op.scale.as_ref().map(repeated),
        shift: op.shift.as_ref().map(repeated),
        ..op.clone()
    }
}

/// Walks of which one steps over the whole of the next become one.
fn merged(walks: Vec<Walk>) -> Vec<Walk> {
    let mut merged: Vec<Walk> = Vec::new();
    for walk in walks.into_iter().filter(|walk| walk.extent > 1) {
        match merged.last_mut() {
            Some(last)
                if last.step == walk.extent * walk.step
                    && last.parameter == walk.extent * walk.parameter =>
            {
                last.extent *= walk.extent;
                (last.step, last.parameter) = (walk.step, walk.parameter);
            }
            _ => merged.push(walk),
        }
    }
    merged
}

/// The integers of scales and shifts in the order of memory, and the step of the scales; `None` if
/// they leave the integers that hold them.
fn scales_and_shifts(
    op: &Normalize,
    order: [usize; 3],
    [scale, shift]: [&Option<Array>; 2],
    output: f32,
) -> Option<(NormalizeAffine, f32)> {
    let shape = scale.as_ref().or(shift.as_ref()).map(|array| array.shape.clone())?;
    let mut dims = [1; 3];
    dims[..shape.len()].copy_from_slice(&shape);
    let places = Rearrange::permuted("Transpose", &dims, &order).sources();
    let value = |array: &Option<Array>, place: usize, default: f32| {
        array.as_ref().map_or(default, |array| array.data[place])
    };
    let scales: Vec<f32> = places.iter().map(|&place| value(scale, place, 1.0)).collect();
    let largest = scales.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    let step = if largest > 0.0 { (largest / 32767.0).max(f32::MIN_POSITIVE) } else { 1.0 };
    // As many fraction bits as leave a normalized element its bits.
    let reach = op.reach() * f64::from(step) / f64::from(output);
    let fraction = (SHIFT_BITS..=LARGEST_FRACTION)
        .rev()
        .find(|&fraction| reach * f64::from(1_u32 << fraction) < f64::from(1_u32 << RESULT_BITS))?;
    let shifts = places
        .iter()
        .map(|&place| normalization_shift(value(shift, place, 0.0), output))
        .collect::<Option<Vec<i32>>>()?;
    let scales = scales.into_iter().map(|s| normalization_scale(s, step)).collect();
    Some((NormalizeAffine { scales, shifts, fraction }, step))
}
