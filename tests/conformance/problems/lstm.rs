//! Random LSTM layers of 8 bits, as programs with a loop of TensorFlow Lite Micro's operations.

use burn_ptq_deploy::program::{
    Broadcast, Carried, DType, IntOp, IntTensor, TensorId, Weighted, Weights,
};
use burn_ptq_kernels::grid::{Grid, signed_range, weight_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, GateFunction, GateParams};

use super::Problem;
use super::draw::Draw;
use super::program::Program;

/// The functions of the input, forget, cell and output gates.
const FUNCTIONS: [GateFunction; 4] =
    [GateFunction::Sigmoid, GateFunction::Sigmoid, GateFunction::Tanh, GateFunction::Sigmoid];

/// A layer as a file states it.
pub(crate) struct Lstm {
    pub steps: usize,
    pub inputs: usize,
    pub cells: usize,
    pub input: Grid,
    pub hidden: Grid,
    pub cell: Grid,
    /// Those of the input, forget, cell and output gates.
    pub gates: [Gate; 4],
}

/// What a gate sums.
pub(crate) struct Gate {
    pub input: Matrix,
    pub recurrent: Matrix,
    pub bias: Vec<i32>,
}

/// Weights of 8 bits with one scale.
pub(crate) struct Matrix {
    pub scale: f32,
    pub values: Vec<i8>,
}

/// A layer of random sizes and grids: sums that fill Q3.12, hardly reach it, or saturate.
///
/// Half of the layers have hidden states so fine, and some sums so small, that a step of any sum shows in
/// the output: they tell multipliers whose scales are multiplied in f32 from those in f64.
pub(crate) fn layer(draw: &mut Draw) -> Lstm {
    let [steps, inputs, cells] = [40, 24, 24].map(|most| 1 + draw.below(most));
    let input = grid8(draw, 0.003, 0.1);
    let fine = draw.chance(50);
    let hidden = match fine {
        true => grid8(draw, 1.0 / 16384.0, 1.0 / 4096.0),
        false => grid8(draw, 1.0 / 300.0, 1.0 / 90.0),
    };
    let (min, max) = signed_range(16, false);
    let scale = 2.0_f32.powi(draw.within(-15, -9));
    let cell = Grid { scale, zero_point: 0, min, max };
    let gates = [(); 4].map(|()| {
        let [input_weights, recurrent] =
            [(input, inputs), (hidden, cells)].map(|(read, columns)| {
                let largest = if fine { draw.pick(&[0.05, 8.0]) } else { draw.scale(0.2, 8.0) };
                let spread = 74.0 * 74.0 * read.scale * (columns as f32).sqrt();
                Matrix { scale: largest / spread, values: weights(draw, cells * columns) }
            });
        // Up to 2 in real numbers.
        let most = (2.0 / (input.scale * input_weights.scale)).min(1e6) as i32;
        let bias = (0..cells).map(|_| draw.within(-most, most)).collect();
        Gate { input: input_weights, recurrent, bias }
    });
    Lstm { steps, inputs, cells, input, hidden, cell, gates }
}

fn weights(draw: &mut Draw, count: usize) -> Vec<i8> {
    let (min, max) = weight_range(8);
    let ends = draw.chance(10);
    (0..count)
        .map(|_| if ends { draw.pick(&[min, max]) } else { draw.within(min, max) } as i8)
        .collect()
}

fn grid8(draw: &mut Draw, least: f32, most: f32) -> Grid {
    let (min, max) = signed_range(8, false);
    let [near, any] = [draw.within(-20, 20), draw.within(min, max)];
    let zero_point = draw.pick(&[near, near, any, min, max]);
    Grid { scale: draw.scale(least, most), zero_point, min, max }
}

/// The layer as a program that reads a random sequence; `None` if the verifier refuses it.
pub(crate) fn program(draw: &mut Draw, layer: &Lstm) -> Option<Problem> {
    let &Lstm { steps, inputs, cells, input, hidden, cell, ref gates } = layer;
    let mut program = Program::with_input(draw, tensor(input, [steps, 1, inputs]));
    let x = program.input();
    let wide = |scale: f32| Grid { scale, ..cell };
    let [sums, gated] = [GateParams::INPUT_SCALE, GateParams::OUTPUT_SCALE].map(wide);
    let of = |grid: Grid| tensor(grid, [1, 1, cells]);

    let zero = hidden.zero_point as i8 as u8;
    let constant = |bytes: Vec<u8>| IntOp::Constant { data: bytes };
    let h = program.push(constant(vec![zero; cells]), &[], of(hidden));
    let c = program.push(constant(vec![0; 2 * cells]), &[], of(cell));
    let first = program.count();
    let take = IntOp::Step { put: false, reverse: false };
    let x_t = program.push(take, &[x], tensor(input, [1, 1, inputs]));
    let mut opened = Vec::new();
    for (gate, function) in gates.iter().zip(FUNCTIONS) {
        let of_x = sum(&gate.input, gate.bias.clone(), [input, sums], inputs)?;
        let of_h = sum(&gate.recurrent, vec![0; cells], [hidden, sums], cells)?;
        let parts = [program.push(of_x, &[x_t], of(sums)), program.push(of_h, &[h], of(sums))];
        let total = program.push(added(sums)?, &parts, of(sums));
        let params = GateParams::new(function, sums, gated)?;
        opened.push(program.push(IntOp::Gate { params }, &[total], of(gated)));
    }
    let [write, keep, candidate, show]: [TensorId; 4] = opened.try_into().ok()?;
    let kept = program.push(product([gated, cell], cell)?, &[keep, c], of(cell));
    let written = program.push(product([gated, gated], cell)?, &[write, candidate], of(cell));
    let c_next = program.push(added(cell)?, &[kept, written], of(cell));
    let params = GateParams::new(GateFunction::Tanh, cell, gated)?;
    let shown = program.push(IntOp::Gate { params }, &[c_next], of(gated));
    let h_next = program.push(product([gated, gated], hidden)?, &[shown, show], of(hidden));
    let put = IntOp::Step { put: true, reverse: false };
    let y = program.push(put, &[h_next], tensor(hidden, [steps, 1, cells]));
    let pairs = [(h, h_next), (c, c_next)].map(|(held, next)| Carried { held, next });
    program.repeat(first, steps, pairs.to_vec());
    program.finish_with(&[y])
}

fn tensor(grid: Grid, shape: [usize; 3]) -> IntTensor {
    let (dtype, bits) = if grid.max > 127 { (DType::I16, 16) } else { (DType::I8, 8) };
    IntTensor { name: String::new(), shape, dtype, bits, grid }
}

fn bounds(grid: Grid) -> Clamp {
    Clamp { min: grid.min, max: grid.max }
}

/// Sums of products with weights; scales are multiplied in f64, where a fully connected layer of TensorFlow
/// Lite Micro multiplies them in f32.
fn sum(
    matrix: &Matrix,
    bias: Vec<i32>,
    [from, to]: [Grid; 2],
    in_features: usize,
) -> Option<IntOp> {
    let multiplier = Multiplier::of_scales(from.scale, matrix.scale, to.scale)?;
    let weights = Weights {
        shape: vec![bias.len(), in_features],
        bits: 8,
        storage: 8,
        data: matrix.values.iter().map(|&value| value as u8).collect(),
        scales: vec![matrix.scale],
    };
    let out_features = bias.len();
    let weighted = Weighted { weights, bias, multipliers: vec![multiplier], clamp: bounds(to) };
    Some(IntOp::FullyConnected { rows: 1, in_features, out_features, weighted })
}

/// The saturating sum of values on one grid of 16 bits.
fn added(grid: Grid) -> Option<IntOp> {
    let params = AddParams::new(grid.scale, grid.scale, grid.scale, true)?;
    Some(IntOp::Add { params, broadcast: Broadcast::None, clamp: bounds(grid) })
}

/// The product of 16-bit values on any grid; their scales are multiplied in f64.
fn product([a, b]: [Grid; 2], to: Grid) -> Option<IntOp> {
    let multiplier = Multiplier::of_scales(a.scale, b.scale, to.scale)?;
    Some(IntOp::Mul { multiplier, broadcast: Broadcast::None, clamp: bounds(to) })
}
