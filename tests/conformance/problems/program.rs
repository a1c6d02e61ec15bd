//! Programs under construction, and the random parts that operations share.

use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::{
    self, Border, Carried, DType, Input, IntNode, IntOp, IntTensor, Loop, Output, Provenance,
    State, TensorId,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::geometry::{PoolGeometry, Window};
use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Clamp;

use super::Problem;
use super::draw::Draw;

/// Random elements of `tensor` as memory holds them.
pub(super) fn constant_of(draw: &mut Draw, tensor: &IntTensor) -> Vec<u8> {
    let Grid { min, max, .. } = tensor.grid;
    let bytes = tensor.dtype.bytes();
    let values = (0..tensor.len()).map(|_| draw.within(min, max));
    values.flat_map(|value| value.to_le_bytes().into_iter().take(bytes)).collect()
}

/// Names of several inputs or outputs: alike in exported code, reserved there, or none.
const NAMES: [&str; 6] = ["Image", "image", "im/age:0", "", "int", "boxes"];

/// A program that grows node by node; tensor 0 is its first input.
pub(super) struct Program<'d> {
    pub draw: &'d mut Draw,
    tensors: Vec<IntTensor>,
    nodes: Vec<IntNode>,
    inputs: Vec<TensorId>,
    states: Vec<State>,
    loops: Vec<Loop>,
}

/// Samples of a problem with states, which are one sequence.
const SEQUENCE: usize = 5;

impl<'d> Program<'d> {
    pub(super) fn new(draw: &'d mut Draw, wide: bool, shape: [usize; 3]) -> Self {
        let input = tensor(draw, wide, shape);
        Self::with_input(draw, input)
    }

    pub(super) fn with_input(draw: &'d mut Draw, input: IntTensor) -> Self {
        let input = IntTensor { name: "x".into(), ..input };
        Self {
            draw,
            tensors: vec![input],
            nodes: Vec::new(),
            inputs: vec![TensorId(0)],
            states: Vec::new(),
            loops: Vec::new(),
        }
    }

    /// A program whose input has 4 bits, in rows of an even length.
    pub(super) fn of_nibbles(draw: &'d mut Draw) -> Self {
        let [height, width, channels] = draw.shape(5, 9);
        let mut program = Self::new(draw, false, [height, width, 2 * channels]);
        let (min, max) = signed_range(4, false);
        let zero_point = program.draw.within(min, max);
        let input = &mut program.tensors[0];
        input.bits = 4;
        input.grid = Grid { scale: input.grid.scale, zero_point, min, max };
        program
    }

    /// The elements of `id`, packed.
    pub(super) fn packed_like(&self, id: TensorId) -> IntTensor {
        IntTensor { dtype: DType::I4, ..self.tensor(id).clone() }
    }

    /// A further input.
    pub(super) fn add_input(&mut self, wide: bool, shape: [usize; 3]) -> TensorId {
        let id = TensorId(self.tensors.len());
        let input = tensor(self.draw, wide, shape);
        self.tensors.push(IntTensor { name: format!("x{}", id.0), ..input });
        self.inputs.push(id);
        id
    }

    /// A tensor that a call finds, like `held`; [`keep`](Self::keep) says what becomes of it.
    pub(super) fn add_held(&mut self, held: IntTensor) -> TensorId {
        let id = TensorId(self.tensors.len());
        self.tensors.push(IntTensor { name: format!("h{}", id.0), ..held });
        id
    }

    /// Lets the next call find in `held` what this one leaves in `next`.
    pub(super) fn keep(&mut self, held: TensorId, next: TensorId) {
        let Grid { zero_point, min, max, .. } = self.tensor(held).grid;
        let any = self.draw.within(min, max);
        let initial = self.draw.pick(&[zero_point, any, any]);
        let name = format!("s{}", self.states.len());
        self.states.push(State { name, input: held, output: next, initial });
    }

    /// The states so far.
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// The number of nodes so far.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Lets the nodes from `first` on run once for each step.
    pub(super) fn repeat(&mut self, first: usize, steps: usize, carried: Vec<Carried>) {
        let count = self.nodes.len() - first;
        self.loops.push(Loop { first, count, steps, carried });
    }

    /// The tensors so far.
    pub(super) fn len(&self) -> usize {
        self.tensors.len()
    }

    pub(super) fn input(&self) -> TensorId {
        TensorId(0)
    }

    pub(super) fn tensor(&self, id: TensorId) -> &IntTensor {
        &self.tensors[id.0]
    }

    pub(super) fn inputs(&self) -> &[TensorId] {
        &self.inputs
    }

    /// What nodes write, in their order.
    pub(super) fn written(&self) -> Vec<TensorId> {
        self.nodes.iter().map(|node| node.output).collect()
    }

    pub(super) fn set_scale(&mut self, id: TensorId, scale: f32) {
        self.tensors[id.0].grid.scale = scale;
    }

    pub(super) fn push(&mut self, op: IntOp, inputs: &[TensorId], output: IntTensor) -> TensorId {
        let id = TensorId(self.tensors.len());
        self.tensors.push(IntTensor { name: format!("t{}", id.0), ..output });
        self.nodes.push(IntNode {
            name: format!("node{}", self.nodes.len()),
            op,
            inputs: inputs.to_vec(),
            output: id,
        });
        id
    }

    /// The values of `from` on another grid, shuffled by a random function.
    pub(super) fn scrambled(&mut self, from: TensorId) -> TensorId {
        let wide = self.tensor(from).dtype == DType::I16;
        let output = tensor(self.draw, wide, self.tensors[from.0].shape);
        self.scrambled_to(from, output)
    }

    /// As [`scrambled`](Self::scrambled), on the same grid.
    pub(super) fn scrambled_in_place(&mut self, from: TensorId) -> TensorId {
        let output = self.tensor(from).clone();
        self.scrambled_to(from, output)
    }

    pub(super) fn scrambled_to(&mut self, from: TensorId, output: IntTensor) -> TensorId {
        let dtype = self.tensor(from).dtype;
        let op = match dtype {
            DType::I8 => IntOp::Table8 { table: random_table8(self.draw, output.grid) },
            DType::I4 => unreachable!("packed tensors are only unpacked"),
            DType::I16 if self.draw.chance(50) => {
                IntOp::Table16 { table: random_table16(self.draw) }
            }
            DType::I16 => {
                let multiplier = Multiplier::from_real(f64::from(self.draw.scale(0.3, 0.9)));
                let multiplier = multiplier.expect("a factor about 1 is representable");
                let clamp = Clamp { min: output.grid.min, max: output.grid.max };
                IntOp::Requantize { multiplier, clamp }
            }
        };
        self.push(op, &[from], output)
    }

    /// The largest element of each channel of `from`, seen as a plane of `extents`.
    pub(super) fn max_pool(
        &mut self,
        from: TensorId,
        extents: [usize; 2],
        channels: usize,
    ) -> TensorId {
        let window = Window { kernel: extents, stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
        let geometry = PoolGeometry { input: extents, output: [1; 2], channels, window };
        let output = tensor_like(self.tensor(from), [1, 1, channels]);
        let clamp = Clamp { min: output.grid.min, max: output.grid.max };
        self.push(IntOp::MaxPool { geometry, clamp }, &[from], output)
    }

    /// `from` with `extra` more channels.
    pub(super) fn widened(&mut self, from: TensorId, extra: usize) -> TensorId {
        let input = self.tensor(from).shape;
        let output = tensor_like(self.tensor(from), [input[0], input[1], input[2] + extra]);
        let value = output.grid.max;
        let op = IntOp::Pad { input, before: [0; 3], after: [0, 0, extra], value };
        self.push(op, &[from], output)
    }

    /// The program that ends in `op`, placed, with random inputs; `None` if it is invalid.
    pub(super) fn finish(
        mut self,
        op: IntOp,
        inputs: &[TensorId],
        output: IntTensor,
    ) -> Option<Problem> {
        let output = self.push(op, inputs, output);
        self.finish_with(&[output])
    }

    /// The program with these outputs, placed, with random inputs; `None` if it is invalid.
    pub(super) fn finish_with(self, outputs: &[TensorId]) -> Option<Problem> {
        let calls = if self.states.is_empty() { 1 } else { SEQUENCE };
        self.finish_in_recordings(outputs, 1, calls)
    }

    /// As [`finish_with`](Self::finish_with), of so many recordings of so many calls each.
    pub(super) fn finish_in_recordings(
        self,
        outputs: &[TensorId],
        recordings: usize,
        calls: usize,
    ) -> Option<Problem> {
        let border = |id: TensorId| Border::plain(&self.tensors[id.0].shape);
        let mut input = Vec::new();
        for id in std::iter::repeat_n(&self.inputs, recordings * calls).flatten() {
            input.extend(input_bytes(self.draw, &self.tensors[id.0]));
        }
        // As many names as there are ends, from anywhere in the list.
        let mut names = |only: &'static str, count: usize| {
            let first = if count > 1 { self.draw.below(NAMES.len()) } else { 0 };
            let name = move |place: usize| match count {
                1 => only,
                _ => NAMES[(first + place) % NAMES.len()],
            };
            (0..count).map(name)
        };
        let inputs = names("x", self.inputs.len()).zip(&self.inputs);
        let inputs = inputs.map(|(name, &id)| Input::new(name, id, border(id))).collect();
        let outputs = names("y", outputs.len()).zip(outputs);
        let outputs = outputs.map(|(name, &id)| Output::new(name, id, border(id))).collect();
        let program = program::Program {
            name: "problem".into(),
            inputs,
            outputs,
            tensors: self.tensors,
            nodes: self.nodes,
            states: self.states,
            loops: self.loops,
            provenance: Provenance::default(),
        };
        let program = program.place(Kernels::Portable, Memory::Whole).ok()?;
        Some(Problem { name: String::new(), program, input, recordings })
    }
}

/// A tensor on a random grid.
pub(super) fn tensor(draw: &mut Draw, wide: bool, shape: [usize; 3]) -> IntTensor {
    let (dtype, (bits, grid)) = if wide {
        let (min, max) = signed_range(16, false);
        let scale = draw.scale(1e-5, 1e-3);
        (DType::I16, (16, Grid { scale, zero_point: 0, min, max }))
    } else {
        (DType::I8, grid8(draw))
    };
    IntTensor { name: String::new(), shape, dtype, bits, grid }
}

/// Another tensor on the grid of `tensor`.
pub(super) fn tensor_like(tensor: &IntTensor, shape: [usize; 3]) -> IntTensor {
    IntTensor { shape, ..tensor.clone() }
}

/// Bits and grid in 8-bit storage; half of the zero points are the ends of the grid.
fn grid8(draw: &mut Draw) -> (u8, Grid) {
    let bits = if draw.chance(75) { 8 } else { draw.within(2, 7) as u8 };
    let (min, max) = signed_range(bits, false);
    let inner = draw.within(min, max);
    let zero_point = draw.pick(&[min, max, 0, inner]);
    (bits, Grid { scale: draw.scale(1e-3, 0.5), zero_point, min, max })
}

/// The whole grid, a ReLU, a ReLU6, or any bounds.
pub(super) fn clamp(draw: &mut Draw, grid: Grid) -> Clamp {
    let any = [(); 2].map(|()| draw.within(grid.min, grid.max));
    let [min, max] = match draw.below(6) {
        0 => [grid.zero_point, grid.max],
        1 => [grid.zero_point, grid.quantize(6.0)],
        2 => [any[0].min(any[1]), any[0].max(any[1])],
        _ => [grid.min, grid.max],
    };
    // Bounds that leave next to nothing would hide what the operation computes.
    if max - min < 6 { Clamp { min: grid.min, max: grid.max } } else { Clamp { min, max } }
}

pub(super) fn random_table8(draw: &mut Draw, output: Grid) -> Vec<i8> {
    (0..256).map(|_| draw.within(output.min, output.max) as i8).collect()
}

pub(super) fn random_table16(draw: &mut Draw) -> Vec<i16> {
    (0..513).map(|_| draw.within(-32768, 32767) as i16).collect()
}

/// A window over a plane of `input`, and the output's extents.
///
/// `needs_element`: every window holds an element that is not padding.
pub(super) fn window(
    draw: &mut Draw,
    input: [usize; 2],
    needs_element: bool,
) -> (Window, [usize; 2]) {
    let mut window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let mut output = [1; 2];
    // TensorFlow's two ways of padding hold for both axes.
    let padding = draw.below(6);
    for axis in 0..2 {
        let extent = input[axis];
        let dilation = if needs_element || draw.chance(70) { 1 } else { 1 + draw.below(3) };
        let kernel = 1 + draw.below(if padding <= 1 { extent.min(5) } else { 5 });
        let stride = 1 + draw.below(3);
        let reach = (kernel - 1) * dilation + 1;
        let (pad, windows) = match padding {
            // "Valid", where the kernel fits in.
            0 | 1 if reach <= extent => (0, (extent - reach) / stride + 1),
            // As much before as after.
            2 => {
                let pad = draw.below(reach.min(extent + 1));
                let padded = extent + 2 * pad;
                (pad, padded.saturating_sub(reach) / stride + 1)
            }
            // Any padding, and as many windows as start before the end of the input.
            3 => {
                let pad = draw.below(reach);
                (pad, 1 + draw.below((extent + pad).div_ceil(stride)))
            }
            // "Same": the odd element of padding stands after the input.
            _ => {
                let windows = extent.div_ceil(stride);
                (((windows - 1) * stride + reach).saturating_sub(extent) / 2, windows)
            }
        };
        window.kernel[axis] = kernel;
        window.stride[axis] = stride;
        window.dilation[axis] = dilation;
        window.pad[axis] = pad;
        output[axis] = windows;
    }
    (window, output)
}

/// Values over the whole grid, at its ends only, or about the zero point.
fn input_bytes(draw: &mut Draw, tensor: &IntTensor) -> Vec<u8> {
    let Grid { zero_point, min, max, .. } = tensor.grid;
    let kind = draw.below(6);
    let value = |draw: &mut Draw| match kind {
        0 => draw.pick(&[min, max]),
        1 => (zero_point + draw.within(-3, 3)).clamp(min, max),
        _ => draw.within(min, max),
    };
    let values: Vec<i32> = (0..tensor.len()).map(|_| value(draw)).collect();
    match tensor.dtype {
        // An input is never packed.
        DType::I8 | DType::I4 => values.into_iter().map(|value| value as u8).collect(),
        DType::I16 => values.into_iter().flat_map(|value| (value as i16).to_le_bytes()).collect(),
    }
}
