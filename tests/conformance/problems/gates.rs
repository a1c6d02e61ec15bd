//! Problems of what gates of recurrent layers are made of: their functions, sums of 16 bits of 8-bit inputs, and
//! products of 8 bits of 16-bit ones.

use burn_ptq_deploy::program::{Broadcast, IntOp, IntTensor, TensorId};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{GateFunction, GateParams};

use super::Problem;
use super::draw::Draw;
use super::program::{Program, clamp, tensor};
use super::weighted::weighted;

/// Powers of two of the input's scale, beyond that of Q3.12.
const SMALLEST: i32 = -18;
const LARGEST: i32 = 14;

pub(super) fn gate(draw: &mut Draw) -> Option<Problem> {
    let shape = draw.shape(5, 40);
    let mut program = Program::new(draw, true, shape);
    let x = program.input();
    // Most gates read Q3.12, or cells of some bits more or less.
    let power = match program.draw.below(4) {
        0 => program.draw.within(SMALLEST, LARGEST),
        1 | 2 => program.draw.within(-4, 4),
        _ => 0,
    };
    program.set_scale(x, GateParams::INPUT_SCALE * 2.0_f32.powi(power));
    let function = function(program.draw);
    let output = gated(program.draw, shape);
    let params = match program.draw.chance(20) {
        // Factors that no power of two has.
        true => any_factor(program.draw, function),
        false => GateParams::new(function, program.tensor(x).grid, output.grid)?,
    };
    program.finish(IntOp::Gate { params }, &[x], output)
}

/// A gate of any function with any factor.
pub(super) fn any_gate(draw: &mut Draw, shape: [usize; 3]) -> (IntOp, IntTensor) {
    let function = function(draw);
    (IntOp::Gate { params: any_factor(draw, function) }, gated(draw, shape))
}

fn function(draw: &mut Draw) -> GateFunction {
    draw.pick(&[GateFunction::Sigmoid, GateFunction::Tanh])
}

fn any_factor(draw: &mut Draw, function: GateFunction) -> GateParams {
    let multiplier = draw.within(1, GateParams::MAX_MULTIPLIER);
    GateParams {
        function,
        multiplier,
        shift: draw.below(GateParams::MAX_SHIFT as usize + 1) as u32,
    }
}

fn gated(draw: &mut Draw, shape: [usize; 3]) -> IntTensor {
    let output = tensor(draw, true, shape);
    let grid = Grid { scale: GateParams::OUTPUT_SCALE, ..output.grid };
    IntTensor { grid, ..output }
}

/// A layer with outputs of 16 bits.
pub(super) fn wide_sums(draw: &mut Draw) -> Option<Problem> {
    // Packed weights of a single row are read in groups of eight, if there are only whole ones.
    let groups = draw.chance(50);
    let rows = if groups || draw.chance(30) { 1 } else { 2 + draw.below(12) };
    let longest = if draw.chance(20) { 600 } else { 40 };
    let in_features = if groups { 8 * (1 + draw.below(10)) } else { 1 + draw.below(longest) };
    // As many as the kernels of instruction sets take, too.
    let out_features = if draw.chance(50) { 8 * (1 + draw.below(4)) } else { 1 + draw.below(20) };
    let program = Program::new(draw, false, [1, rows, in_features]);
    let x = program.input();
    let mut output = tensor(program.draw, true, [1, rows, out_features]);
    let (shape, grid) = ([out_features, in_features], program.tensor(x).grid);
    let weighted = weighted(program.draw, &shape, 0, grid, &mut output)?;
    let op = IntOp::FullyConnected { rows, in_features, out_features, weighted };
    program.finish(op, &[x], output)
}

/// A product of two inputs of 16 bits in 8.
pub(super) fn narrow_product(draw: &mut Draw) -> Option<Problem> {
    let shape = draw.shape(6, 9);
    let mut program = Program::new(draw, true, shape);
    let x = program.input();
    let inputs = match program.draw.below(4) {
        0 => [x, x],
        1 => [program.scrambled(x), x],
        _ => [x, program.scrambled(x)],
    };
    let (op, output) = product(&mut program, inputs)?;
    program.finish(op, &inputs, output)
}

/// The product in 8 bits of two activations of 16, most of which fit.
pub(super) fn product(program: &mut Program, inputs: [TensorId; 2]) -> Option<(IntOp, IntTensor)> {
    let shape = program.tensor(inputs[0]).shape;
    let [a, b] = inputs.map(|id| program.tensor(id).grid.scale);
    let mut output = tensor(program.draw, false, shape);
    let steps = (output.grid.max - output.grid.min) as f32;
    output.grid.scale = a * b * 65535.0 * 65535.0 / steps * program.draw.scale(0.1, 1.0);
    let multiplier = Multiplier::of_scales(a, b, output.grid.scale)?;
    let clamp = clamp(program.draw, output.grid);
    Some((IntOp::Mul { multiplier, broadcast: Broadcast::None, clamp }, output))
}
