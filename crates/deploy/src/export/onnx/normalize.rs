//! Normalizations of groups, and reductions.

use burn_ptq_kernels::geometry::NormalizeGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{Clamp, NormalizeParams, Reduction};

use super::form::Form;
use super::graph::Graph;
use super::scales::{corrected, of_sums, real, scale};
use super::schema::{Attribute, integer};
use crate::export::shared::movement::stored;
use crate::op::NormalizeAffine;
use crate::program::TensorId;

/// Writes a reduction of `[outer, reduced, inner]` along the middle axis.
pub(super) fn reduce(
    graph: &mut Graph,
    reduction: Reduction,
    [outer, reduced, inner]: [usize; 3],
    (multiplier, clamp): (Multiplier, Clamp),
    [x, y]: [TensorId; 2],
) {
    let (input, output) = (graph.of(x), graph.of(y));
    let ratio = scale(input) / scale(output);
    let mut factor = real(multiplier);
    let count = reduced as f64;
    // The factor of a mean is smaller than that of a sum by the count.
    let is_mean = (factor * count / ratio - 1.0).abs() < 0.01 && reduced > 1;
    let (operator, expected) = match reduction {
        Reduction::Max => ("ReduceMax", ratio),
        Reduction::Min => ("ReduceMin", ratio),
        Reduction::Sum if is_mean => ("ReduceMean", ratio / count),
        Reduction::Sum => ("ReduceSum", ratio),
        Reduction::SumOfMagnitudes => ("ReduceL1", ratio),
        Reduction::SumOfSquares => {
            factor = of_sums(multiplier, input.dtype);
            ("ReduceSumSquare", scale(input) * ratio)
        }
        Reduction::RootOfSquares => {
            // Roots have 8 fraction bits.
            factor *= 256.0;
            ("ReduceL2", ratio)
        }
    };
    let source = graph.float(x, &Form::plain(&[outer, reduced, inner]));
    let axes = graph.list("axes", &[2]);
    let value = graph.operator(operator, &[&source, &axes], vec![integer("keepdims", 0)]);
    let value = corrected(graph, value, [factor, expected], output);
    graph.write(y, value, Form::plain(&[outer, inner]), clamp);
}

/// Writes normalized groups.
pub(super) fn normalize(
    graph: &mut Graph,
    g: &NormalizeGeometry,
    params: &NormalizeParams,
    affine: Option<&NormalizeAffine>,
    clamp: Clamp,
    [x, y]: [TensorId; 2],
) {
    let (input, output) = (graph.of(x), graph.of(y));
    let extents = [g.groups, g.outer, g.inner];
    let steps = [0, 1, 2].map(|axis| if extents[axis] == 1 { 0 } else { g.steps[axis] });
    let (order, shape) = stored(extents, steps);
    let form = Form { shape: shape.to_vec(), order: order.to_vec() };
    let source = graph.float(x, &form);
    let axes = graph.list("axes", &[2, 3]);
    let mean = |graph: &mut Graph, value: &str| {
        graph.operator("ReduceMean", &[value, &axes], Vec::<Attribute>::new())
    };
    let deviation = if params.center {
        let mean = mean(graph, &source);
        graph.operator("Sub", &[&source, &mean], Vec::new())
    } else {
        source
    };
    let squares = graph.operator("Mul", &[&deviation, &deviation], Vec::new());
    let mut variation = mean(graph, &squares);
    // The program's variation is that of integers, times their number, squared if they are centered.
    let count = g.elements() as f64;
    let weight = if params.center { count * count } else { count };
    let unit = scale(input) * scale(input);
    let widened = 2_f64.powi(params.fraction as i32);
    let epsilon = params.epsilon as f64 / (weight * widened) * unit;
    if params.epsilon == 0 {
        // Of equal elements nothing is left, and no integers that differ come so close.
        let least = graph.real("least_variation", (unit / (4.0 * count)) as f32);
        variation = graph.operator("Max", &[&variation, &least], Vec::new());
    } else {
        let epsilon = graph.real("epsilon", epsilon as f32);
        variation = graph.operator("Add", &[&variation, &epsilon], Vec::new());
    }
    let root = graph.operator("Sqrt", &[&variation], Vec::new());
    let mut value = graph.operator("Div", &[&deviation, &root], Vec::new());
    let norm = if params.center { 1.0 } else { count.sqrt() };
    let factor = real(params.multiplier) / (widened.sqrt() * norm);
    match affine {
        None => {
            let factor = graph.real("scale", (factor * scale(output)) as f32);
            value = graph.operator("Mul", &[&value, &factor], Vec::new());
        }
        Some(affine) => {
            let places = g.parameters;
            let shape = [0, 1, 2].map(|axis| if places[axis] == 0 { 1 } else { extents[axis] });
            let fraction = 2_f64.powi(affine.fraction as i32);
            let of = |values: &dyn Fn(usize) -> f64| -> Vec<f32> {
                let mut list = Vec::with_capacity(shape.iter().product());
                for group in 0..shape[0] {
                    for i in 0..shape[1] {
                        let at = |j| NormalizeGeometry::place(places, group, i, j);
                        list.extend((0..shape[2]).map(|j| values(at(j)) as f32));
                    }
                }
                list
            };
            let scales = of(&|at| {
                let own = affine.scales.get(at).map_or(0.0, |&own| f64::from(own));
                factor * own / fraction * scale(output)
            });
            let shifts = of(&|at| {
                let own = affine.shifts.get(at).map_or(0.0, |&own| f64::from(own));
                own / 256.0 * scale(output)
            });
            let scales = graph.reals("scales", &shape, &scales);
            value = graph.operator("Mul", &[&value, &scales], Vec::new());
            let shifts = graph.reals("shifts", &shape, &shifts);
            value = graph.operator("Add", &[&value, &shifts], Vec::new());
        }
    }
    graph.write(y, value, form, clamp);
}
