//! Problems of operations on groups of elements: reductions, normalizations, selections.

use burn_ptq_deploy::program::{IntOp, NormalizeAffine};
use burn_ptq_kernels::geometry::NormalizeGeometry;
use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{NormalizeParams, Reduction, Selection, normalization_scale};

use super::Problem;
use super::draw::Draw;
use super::program::{Program, clamp, tensor, tensor_like};

const REDUCTIONS: [Reduction; 8] = [
    Reduction::Max,
    Reduction::Min,
    Reduction::Sum,
    Reduction::Sum,
    Reduction::Sum,
    Reduction::SumOfMagnitudes,
    Reduction::SumOfSquares,
    Reduction::RootOfSquares,
];

pub(super) fn reduce(draw: &mut Draw) -> Option<Problem> {
    let wide = draw.chance(25);
    let shape = [1 + draw.below(5), 1 + draw.below(12), 2 + draw.below(8)];
    let [outer, reduced, inner] = shape;
    let reduction = draw.pick(&REDUCTIONS);
    let program = Program::new(draw, wide, shape);
    let x = program.input();
    let from = program.tensor(x).grid;
    let mean = reduction == Reduction::Sum && program.draw.chance(50);
    let extreme = matches!(reduction, Reduction::Max | Reduction::Min);
    let mut output = match extreme {
        true => tensor_like(program.tensor(x), [1, outer, inner]),
        false => tensor(program.draw, wide, [1, outer, inner]),
    };
    let count = reduced as f32;
    let middle = (from.min + from.max) as f32 / 2.0 - from.zero_point as f32;
    let spread = (from.max - from.min) as f32 / 3.0;
    let reach = spread + middle.abs();
    let (step, reach) = match reduction {
        Reduction::Max | Reduction::Min => (from.scale, 0.0),
        Reduction::Sum if mean => (from.scale, reach),
        Reduction::Sum | Reduction::SumOfMagnitudes => (from.scale, reach * count),
        Reduction::SumOfSquares => (from.scale * from.scale, reach * reach * count),
        Reduction::RootOfSquares => (from.scale / 256.0, reach * count.sqrt() * 256.0),
    };
    if !extreme {
        let Grid { min, max, .. } = output.grid;
        output.grid.scale = step * reach / (max - min) as f32 * program.draw.scale(1.0, 3.0);
        if !wide && reduction != Reduction::Sum {
            output.grid.zero_point = min;
        }
    }
    let ratio = f64::from(step) / f64::from(output.grid.scale);
    let multiplier = match Multiplier::from_real(ratio)? {
        multiplier if mean => multiplier.divided_by(reduced as u32),
        multiplier => multiplier,
    };
    let clamp = clamp(program.draw, output.grid);
    let op = IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp };
    program.finish(op, &[x], output)
}

pub(super) fn normalize(draw: &mut Draw) -> Option<Problem> {
    // TensorFlow Lite's L2 normalization, or any.
    let plain = draw.chance(40);
    let wide = !plain && draw.chance(25);
    let [rows, parts, own] = [1 + draw.below(6), 1 + draw.below(4), 1 + draw.below(9)];
    let channels = parts * own;
    let layout = if plain { 0 } else { draw.below(3) };
    // Rows; channels, with elements in between; parts of the channels.
    let (groups, outer, inner, steps, parameters) = match layout {
        0 => (rows, 1, channels, [channels, 0, 1], [0, 0, 1]),
        1 => (channels, 1, rows, [1, 0, channels], [1, 0, 0]),
        _ => (parts, rows, own, [own, channels, 1], [own, 0, 1]),
    };
    let geometry = NormalizeGeometry { groups, outer, inner, steps, parameters };
    let center = !plain && draw.chance(60);
    let program = Program::new(draw, wide, [1, rows, channels]);
    let x = program.input();
    let from = program.tensor(x).grid;
    let mut output = tensor(program.draw, wide, [1, rows, channels]);
    let with_affine = !plain && program.draw.chance(60);
    let largest = program.draw.scale(0.1, 4.0);
    let n = geometry.elements();
    let factor = if center || program.draw.chance(50) { f64::from((n as f32).sqrt()) } else { 1.0 };
    let factor = if center { 1.0 } else { factor };
    let reach = if center || factor != 1.0 { 2.5 } else { 1.5 / (n as f32).sqrt() };
    let reach = if with_affine { 2.0 * reach * largest } else { reach };
    let Grid { min, max, .. } = output.grid;
    output.grid.scale = 2.0 * reach / (max - min) as f32;
    if !wide {
        output.grid.zero_point = (min + max) / 2;
    }
    let (factor, epsilon) = match plain {
        true => {
            let (min, max) = signed_range(8, false);
            output.bits = 8;
            output.grid = Grid { scale: 1.0 / 128.0, zero_point: 0, min, max };
            (1.0, 0.0)
        }
        false => (factor, program.draw.pick(&[0.0, 1e-5, 1e-2, 1.0])),
    };
    let magnitude = if wide { 1 << 15 } else { 128 + from.zero_point.unsigned_abs() };
    let scale_step = largest / 32767.0;
    let fraction = 20;
    let unit = match with_affine {
        true => f64::from(output.grid.scale) / f64::from(scale_step) / f64::from(1 << fraction),
        false => f64::from(output.grid.scale),
    };
    let params = NormalizeParams::new(n, magnitude, from.scale, epsilon, center, factor, unit)?;
    let affine = with_affine.then(|| {
        let scales = (0..channels)
            .map(|_| {
                let share = program.draw.within(-1000, 1000) as f32 / 1000.0;
                normalization_scale(share * largest, scale_step)
            })
            .collect();
        let shifts = (0..channels).map(|_| program.draw.within(-4000, 4000)).collect();
        NormalizeAffine { scales, shifts, fraction }
    });
    let clamp = if plain {
        burn_ptq_kernels::params::Clamp { min: -128, max: 127 }
    } else {
        clamp(program.draw, output.grid)
    };
    program.finish(IntOp::Normalize { geometry, params, affine, clamp }, &[x], output)
}

pub(super) fn top_k(draw: &mut Draw) -> Option<Problem> {
    // TensorFlow Lite's ARG_MAX and ARG_MIN, or any.
    let plain = draw.chance(40);
    let wide = !plain && draw.chance(30);
    let [rows, depth] = [4 + draw.below(6), 2 + draw.below(30)];
    let k = if plain || draw.chance(20) { 1 } else { 1 + draw.below(depth) };
    let indices = plain || draw.chance(50);
    let last = !plain && draw.chance(25);
    let selection = Selection { smallest: draw.chance(40), last, indices };
    let program = Program::new(draw, wide, [1, rows, depth]);
    let x = program.input();
    let output = if indices {
        let mut output = tensor(program.draw, true, [1, rows, k]);
        output.grid.scale = 1.0;
        output
    } else {
        tensor_like(program.tensor(x), [1, rows, k])
    };
    program.finish(IntOp::TopK { selection, rows, depth, k }, &[x], output)
}
