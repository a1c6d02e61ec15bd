//! Random recurrent layers as the quantizer lowers them: GRU in both forms, LSTM and RNN, forward, backward and in both
//! directions, one layer after the other, over 32 steps and more, in sequences of calls.

use burn_ptq_deploy::program::{
    BinaryFunction, Broadcast, Carried, DType, IntOp, IntTensor, TensorId, Weighted, Weights,
};
use burn_ptq_kernels::grid::{Grid, signed_range, weight_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};
use burn_ptq_kernels::params::{AddParams, Clamp, GateFunction, GateParams};
use burn_ptq_kernels::reference::table16;

use super::Problem;
use super::draw::Draw;
use super::program::{Program, constant_of};

/// Steps of the shortest sequence.
const STEPS: usize = 32;

/// Calls of a recording, which find what the calls before them left.
const CALLS: usize = 3;

/// Recordings, each after a reset.
const RECORDINGS: usize = 2;

/// What a layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A GRU whose candidate is reset after it went through its weights, as `linear_before_reset` says.
    GruAfter,
    /// A GRU whose state is reset before it goes through the weights of the candidate.
    GruBefore,
    Lstm,
    Rnn,
}

/// In which directions a layer runs over a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Reverse,
    Both,
}

/// What a problem is made of.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    pub cells: Vec<Cell>,
    pub directions: Vec<Direction>,
    pub steps: usize,
    /// Bits of weights.
    pub bits: u8,
    /// Whether inputs and hidden states have 16 bits.
    pub wide: bool,
    /// Whether a call finds what the one before it left.
    pub keeps: bool,
    /// Elements of a step of the input.
    pub features: usize,
    /// Elements of the hidden state of each layer.
    pub hidden: Vec<usize>,
}

/// One to three layers of one kind or of several.
pub(crate) fn net(draw: &mut Draw) -> Net {
    let kinds = [Cell::GruAfter, Cell::GruBefore, Cell::Lstm, Cell::Rnn];
    let layers = draw.pick(&[1, 1, 2, 3]);
    let [kind, mixed] = [draw.pick(&kinds), draw.pick(&kinds)];
    let cells = (0..layers).map(|layer| if layer == 1 { mixed } else { kind }).collect();
    let directions = [Direction::Forward, Direction::Forward, Direction::Reverse, Direction::Both];
    Net {
        cells,
        directions: (0..layers).map(|_| draw.pick(&directions)).collect(),
        steps: STEPS + draw.below(9),
        bits: draw.pick(&[2, 3, 4, 4, 5, 8, 8]),
        wide: draw.chance(12),
        keeps: draw.chance(85),
        features: units(draw),
        hidden: (0..layers).map(|_| units(draw)).collect(),
    }
}

/// Numbers of elements; half of them are those of kernels for instruction sets.
fn units(draw: &mut Draw) -> usize {
    if draw.chance(50) { 8 * (1 + draw.below(2)) } else { 1 + draw.below(12) }
}

/// The net as a program; `None` if the verifier refuses it.
pub(crate) fn program(draw: &mut Draw, net: &Net) -> Option<Problem> {
    let input = hidden_grid(draw, net.wide);
    let input = activation(input, [net.steps, 1, net.features]);
    let program = Program::with_input(draw, input);
    let mut x = program.input();
    let mut made = Making { program, bits: net.bits, steps: net.steps, keeps: net.keeps };
    let mut last = Vec::new();
    let layers = net.cells.iter().zip(&net.directions).zip(&net.hidden);
    for ((&cell, &direction), &hidden) in layers {
        // Outputs of both directions stand side by side, on one grid.
        let grid = hidden_grid(made.program.draw, net.wide);
        let ways: &[bool] = match direction {
            Direction::Forward => &[false],
            Direction::Reverse => &[true],
            Direction::Both => &[false, true],
        };
        let mut sequences = Vec::new();
        last.clear();
        for &reverse in ways {
            let (sequence, left) = made.layer(cell, x, hidden, grid, reverse)?;
            sequences.push(sequence);
            last.push(left);
        }
        x = match sequences.as_slice() {
            [one] => *one,
            several => {
                let chunks = vec![hidden; several.len()];
                let joined = activation(grid, [net.steps, 1, hidden * several.len()]);
                let op = IntOp::Concat { outer: net.steps, chunks };
                made.program.push(op, &sequences, joined)
            }
        };
    }
    let mut outputs = vec![x];
    if made.program.draw.chance(50) {
        outputs.push(last[0]);
    }
    let (recordings, calls) = if net.keeps { (RECORDINGS, CALLS) } else { (1, 2) };
    made.program.finish_in_recordings(&outputs, recordings, calls)
}

/// A grid of inputs and of hidden states, which lie about between -1 and 1.
fn hidden_grid(draw: &mut Draw, wide: bool) -> Grid {
    let (min, max) = signed_range(if wide { 16 } else { 8 }, false);
    if wide {
        return Grid { scale: draw.scale(1.0 / 40000.0, 1.0 / 25000.0), zero_point: 0, min, max };
    }
    let [near, any] = [draw.within(-20, 20), draw.within(min, max)];
    let zero_point = draw.pick(&[0, near, near, any, min]);
    Grid { scale: draw.scale(1.0 / 160.0, 1.0 / 90.0), zero_point, min, max }
}

fn wide_grid(scale: f32) -> Grid {
    let (min, max) = signed_range(16, false);
    Grid { scale, zero_point: 0, min, max }
}

fn activation(grid: Grid, shape: [usize; 3]) -> IntTensor {
    let (dtype, bits) = if grid.max > 127 { (DType::I16, 16) } else { (DType::I8, 8) };
    IntTensor { name: String::new(), shape, dtype, bits, grid }
}

fn bounds(grid: Grid) -> Clamp {
    Clamp { min: grid.min, max: grid.max }
}

/// A program with the settings of its layers.
struct Making<'d> {
    program: Program<'d>,
    bits: u8,
    steps: usize,
    keeps: bool,
}

impl Making<'_> {
    /// Runs a cell over the sequence `x`; returns the sequence of its outputs and the last of them.
    fn layer(
        &mut self,
        cell: Cell,
        x: TensorId,
        hidden: usize,
        grid: Grid,
        reverse: bool,
    ) -> Option<(TensorId, TensorId)> {
        let mut kept = Vec::new();
        let h = self.initial(activation(grid, [1, 1, hidden]), &mut kept);
        // Cells reach beyond 1 or do not.
        let power = self.program.draw.within(-15, -12);
        let cell_grid = wide_grid(2.0_f32.powi(power));
        let c = match cell {
            Cell::Lstm => Some(self.initial(activation(cell_grid, [1, 1, hidden]), &mut kept)),
            Cell::GruAfter | Cell::GruBefore | Cell::Rnn => None,
        };
        let first = self.program.count();
        let sequence = self.program.tensor(x).clone();
        let [_, _, features] = sequence.shape;
        let take = IntOp::Step { put: false, reverse };
        let x_t = self.program.push(take, &[x], activation(sequence.grid, [1, 1, features]));
        let (next, cell_next) = match (cell, c) {
            (Cell::Lstm, Some(c)) => {
                let (next, cell_next) = self.lstm(x_t, h, c)?;
                (next, Some(cell_next))
            }
            (Cell::GruAfter, _) => (self.gru(x_t, h, true)?, None),
            (Cell::GruBefore, _) => (self.gru(x_t, h, false)?, None),
            (Cell::Rnn | Cell::Lstm, _) => (self.rnn(x_t, h)?, None),
        };
        let put = IntOp::Step { put: true, reverse };
        let y = self.program.push(put, &[next], activation(grid, [self.steps, 1, hidden]));
        let mut carried = vec![Carried { held: h, next }];
        carried.extend(c.zip(cell_next).map(|(held, next)| Carried { held, next }));
        self.program.repeat(first, self.steps, carried);
        for (held, next) in kept.into_iter().zip([Some(next), cell_next].into_iter().flatten()) {
            self.program.keep(held, next);
        }
        Some((y, next))
    }

    /// What the first step finds: what the call before left, or a constant.
    fn initial(&mut self, like: IntTensor, kept: &mut Vec<TensorId>) -> TensorId {
        if self.keeps {
            let held = self.program.add_held(like.clone());
            kept.push(held);
            let chunks = vec![like.len()];
            return self.program.push(IntOp::Concat { outer: 1, chunks }, &[held], like);
        }
        let data = match self.program.draw.chance(50) {
            true => constant_of(self.program.draw, &like),
            false => {
                let zero = like.grid.zero_point.to_le_bytes();
                zero[..like.dtype.bytes()].repeat(like.len())
            }
        };
        self.program.push(IntOp::Constant { data }, &[], like)
    }

    /// The grid of sums of gates, with bits for larger ones or without.
    fn sums(&mut self) -> Grid {
        let power = self.program.draw.pick(&[0, 0, 0, 1, 2]);
        wide_grid(GateParams::INPUT_SCALE * 2.0_f32.powi(power))
    }

    /// Products of an activation with random weights, on a grid of sums.
    fn through(&mut self, from: TensorId, hidden: usize, has_bias: bool) -> Option<TensorId> {
        let input = self.program.tensor(from).clone();
        let (columns, output) = (input.len(), self.sums());
        let (draw, bits) = (&mut *self.program.draw, self.bits);
        let (min, max) = weight_range(bits);
        let values: Vec<i8> = (0..hidden * columns).map(|_| draw.within(min, max) as i8).collect();
        let storage = storage_bits(bits);
        let mut data = vec![0; packed_len(values.len(), storage)];
        pack(&values, storage, &mut data);
        // Sums of about 1 to 6 in real numbers, now and then beyond 8.
        let steps = (input.grid.max - input.grid.min) as f32 / 3.5;
        let spread = steps * max as f32 / 1.7 * (columns as f32).sqrt() * input.grid.scale;
        let base = draw.scale(0.7, 6.0) / spread;
        let scales: Vec<f32> = match draw.chance(20) {
            true => vec![base],
            false => (0..hidden).map(|_| base * draw.scale(0.4, 1.6)).collect(),
        };
        let scale_of = |row: usize| scales[if scales.len() == 1 { 0 } else { row }];
        let most = |row: usize| (1.5 / (input.grid.scale * scale_of(row))).min(1e6) as i32;
        let bias = (0..hidden)
            .map(|row| if has_bias { draw.within(-most(row), most(row)) } else { 0 })
            .collect();
        let multiplier = |&scale: &f32| {
            let derived = Multiplier::of_scales(input.grid.scale, scale, output.scale)?;
            Some(if bits < 8 { derived.rounding_once() } else { derived })
        };
        let multipliers = scales.iter().map(multiplier).collect::<Option<Vec<_>>>()?;
        let shape = vec![hidden, columns];
        let weights = Weights { shape, bits, storage, data, scales };
        let weighted = Weighted { weights, bias, multipliers, clamp: bounds(output) };
        let op =
            IntOp::FullyConnected { rows: 1, in_features: columns, out_features: hidden, weighted };
        Some(self.program.push(op, &[from], activation(output, [1, 1, hidden])))
    }

    fn sum(&mut self, inputs: [TensorId; 2], output: Grid) -> Option<TensorId> {
        let [a, b] = inputs.map(|id| self.program.tensor(id).grid.scale);
        let params = AddParams::new(a, b, output.scale, true)?;
        let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: bounds(output) };
        Some(self.push(op, &inputs, output))
    }

    fn product(&mut self, inputs: [TensorId; 2], output: Grid) -> Option<TensorId> {
        let [a, b] = inputs.map(|id| self.program.tensor(id).grid.scale);
        let multiplier = match output.max > 127 {
            true => Multiplier::of_product(a, b, output.scale)?,
            false => Multiplier::of_scales(a, b, output.scale)?,
        };
        let op = IntOp::Mul { multiplier, broadcast: Broadcast::None, clamp: bounds(output) };
        Some(self.push(op, &inputs, output))
    }

    fn moved(&mut self, from: TensorId, output: Grid, clamp: Clamp) -> Option<TensorId> {
        let scale = self.program.tensor(from).grid.scale;
        let real = f64::from(scale) / f64::from(output.scale);
        let op = IntOp::Requantize { multiplier: Multiplier::from_real(real)?, clamp };
        Some(self.push(op, &[from], output))
    }

    fn function(&mut self, function: GateFunction, from: TensorId) -> Option<TensorId> {
        let output = wide_grid(GateParams::OUTPUT_SCALE);
        let params = GateParams::new(function, self.program.tensor(from).grid, output)?;
        Some(self.push(IntOp::Gate { params }, &[from], output))
    }

    /// A node of as many elements as its first input.
    fn push(&mut self, op: IntOp, inputs: &[TensorId], output: Grid) -> TensorId {
        let shape = self.program.tensor(inputs[0]).shape;
        self.program.push(op, inputs, activation(output, shape))
    }

    /// The sum of a gate.
    fn gate(&mut self, x: TensorId, h: TensorId, hidden: usize) -> Option<TensorId> {
        let parts = [self.through(x, hidden, true)?, self.through(h, hidden, false)?];
        let output = self.sums();
        self.sum(parts, output)
    }

    /// A grid of 16 bits for values up to about `largest`, as it was observed.
    fn observed(&mut self, largest: f32) -> Grid {
        wide_grid(self.program.draw.scale(0.9 * largest, 1.4 * largest) / 32768.0)
    }

    fn gru(&mut self, x: TensorId, h: TensorId, after: bool) -> Option<TensorId> {
        let of_h = self.program.tensor(h).clone();
        let hidden = of_h.len();
        let update = self.gate(x, h, hidden)?;
        let update = self.function(GateFunction::Sigmoid, update)?;
        let reset = self.gate(x, h, hidden)?;
        let reset = self.function(GateFunction::Sigmoid, reset)?;
        let wide_h = match of_h.dtype {
            DType::I16 => h,
            DType::I8 | DType::I4 => {
                let grid = self.observed(1.0);
                self.moved(h, grid, bounds(grid))?
            }
        };
        let sum = if after {
            let parts = [self.through(x, hidden, true)?, self.through(h, hidden, true)?];
            let [kept, output] = [self.sums(), self.sums()];
            let kept = self.product([reset, parts[1]], kept)?;
            self.sum([parts[0], kept], output)?
        } else {
            let grid = self.observed(1.0);
            let kept = self.product([reset, wide_h], grid)?;
            self.gate(x, kept, hidden)?
        };
        let new = self.function(GateFunction::Tanh, sum)?;
        let [way, part, next] = [1.8, 0.8, 1.0].map(|largest| self.observed(largest));
        let [a, b] = [wide_h, new].map(|id| self.program.tensor(id).grid.scale);
        let function = BinaryFunction::Sub(AddParams::new(a, b, way.scale, true)?);
        let op = IntOp::Binary { function, broadcast: Broadcast::None, clamp: bounds(way) };
        let way = self.push(op, &[wide_h, new], way);
        let part = self.product([update, way], part)?;
        if of_h.dtype == DType::I16 {
            return self.sum([new, part], of_h.grid);
        }
        let next = self.sum([new, part], next)?;
        self.moved(next, of_h.grid, bounds(of_h.grid))
    }

    fn lstm(&mut self, x: TensorId, h: TensorId, c: TensorId) -> Option<(TensorId, TensorId)> {
        let of_h = self.program.tensor(h).clone();
        let (hidden, cell) = (of_h.len(), self.program.tensor(c).grid);
        let mut gates = Vec::new();
        for function in [GateFunction::Sigmoid; 3].into_iter().chain([GateFunction::Tanh]) {
            let sum = self.gate(x, h, hidden)?;
            gates.push(self.function(function, sum)?);
        }
        let [input, output, forget, new]: [TensorId; 4] = gates.try_into().ok()?;
        let kept = self.product([forget, c], cell)?;
        let added = self.product([input, new], cell)?;
        let c_next = self.sum([kept, added], cell)?;
        let shown = self.function(GateFunction::Tanh, c_next)?;
        Some((self.product([output, shown], of_h.grid)?, c_next))
    }

    fn rnn(&mut self, x: TensorId, h: TensorId) -> Option<TensorId> {
        let of_h = self.program.tensor(h).clone();
        let sum = self.gate(x, h, of_h.len())?;
        let grid = of_h.grid;
        match self.program.draw.below(3) {
            // ReLU.
            0 => {
                let clamp = Clamp { min: grid.zero_point, max: grid.max };
                self.moved(sum, grid, clamp)
            }
            1 => {
                let new = self.function(GateFunction::Tanh, sum)?;
                self.moved(new, grid, bounds(grid))
            }
            _ => {
                let (input, output) = (self.program.tensor(sum).grid, self.observed(1.0));
                let table = table16(f32::tanh, input, output).to_vec();
                let new = self.push(IntOp::Table16 { table }, &[sum], output);
                self.moved(new, grid, bounds(grid))
            }
        }
    }
}
