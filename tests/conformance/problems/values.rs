//! Problems of operations on two values of different shapes.

use burn_ptq_deploy::program::{IntOp, TensorId};
use burn_ptq_kernels::geometry::{MatMulGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;

use super::draw::Draw;
use super::program::{Program, clamp, tensor, tensor_like};
use super::{ORDERS, Problem};

impl Program<'_> {
    /// The first `len` elements of `from`.
    pub(super) fn first_elements(&mut self, from: TensorId, len: usize) -> TensorId {
        let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
        let input = [self.tensor(from).len(), 1];
        let geometry = PoolGeometry { input, output: [len, 1], channels: 1, window };
        let output = tensor_like(self.tensor(from), [1, 1, len]);
        let clamp = burn_ptq_kernels::params::Clamp { min: output.grid.min, max: output.grid.max };
        self.push(IntOp::MaxPool { geometry, clamp }, &[from], output)
    }
}

/// Steps along the axes of `extents`, whose memory has them in `order`.
fn steps(extents: [usize; 3], order: [usize; 3]) -> [usize; 3] {
    let mut steps = [0; 3];
    let mut step = 1;
    for axis in order.into_iter().rev() {
        steps[axis] = step;
        step *= extents[axis];
    }
    steps
}

/// Matrices in any order of axes in memory, and one of them now and then for all pairs.
pub(super) fn batch_matmul(draw: &mut Draw) -> Option<Problem> {
    let wide = draw.chance(25);
    let [batch, rows, columns] = [(); 3].map(|()| 1 + draw.below(5));
    let longest = if draw.chance(20) { 70 } else { 12 };
    let inner = 1 + draw.below(longest);
    let extents = [[batch, rows, inner], [batch, inner, columns], [batch, rows, columns]];
    let mut strides = extents.map(|extents| {
        let order = if draw.chance(50) { [0, 1, 2] } else { draw.pick(&ORDERS) };
        steps(extents, order)
    });
    let shared = draw.below(8);
    let mut lens = [0, 1].map(|side| extents[side].iter().product::<usize>());
    if let Some(strides) = strides[..2].get_mut(shared) {
        // The same matrix for all pairs.
        *strides = steps([1, extents[shared][1], extents[shared][2]], [0, 1, 2]);
        strides[0] = 0;
        lens[shared] /= batch;
    }
    let mut program = Program::new(draw, wide, [1, 1, lens[0].max(lens[1])]);
    let x = program.input();
    let inputs = [0, 1].map(|side| {
        let part = program.first_elements(x, lens[side]);
        program.scrambled(part)
    });
    let grids = inputs.map(|id| program.tensor(id).grid);
    let mut output = tensor(program.draw, wide, [batch, rows, columns]);
    // Sums about their mean, if elements are spread evenly over their grids.
    let means = grids.map(|grid| (grid.min + grid.max) as f32 / 2.0 - grid.zero_point as f32);
    let spreads = grids.map(|grid| (grid.max - grid.min) as f32 / 3.0);
    let mean = inner as f32 * means[0] * means[1];
    let products = [[spreads[0], spreads[1]], [spreads[0], means[1]], [spreads[1], means[0]]];
    let spread: f32 = products.into_iter().map(|[a, b]| (a * b).abs()).sum();
    let Grid { min, max, .. } = output.grid;
    let step = grids[0].scale * grids[1].scale;
    let reach = if wide { mean.abs() } else { 0.0 } + (inner as f32).sqrt() * spread;
    output.grid.scale = step * reach / (max - min) as f32 * program.draw.scale(0.7, 3.0);
    if !wide {
        let middle = (min + max) / 2 - (mean * step / output.grid.scale) as i32;
        output.grid.zero_point = middle.clamp(min, max);
        // A zero point at the end of the grid leaves the sums to one side of it.
        let beyond = (mean * step / output.grid.scale).abs() / (max - min) as f32;
        output.grid.scale *= beyond.max(1.0);
    }
    let multiplier = Multiplier::of_product(grids[0].scale, grids[1].scale, output.grid.scale)?;
    let clamp = clamp(program.draw, output.grid);
    let [a, b, out] = strides;
    let geometry = MatMulGeometry { batch, rows, columns, inner, a, b, output: out };
    program.finish(IntOp::BatchMatMul { geometry, multiplier, clamp }, &inputs, output)
}
