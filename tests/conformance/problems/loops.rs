//! Random programs that run nodes once for each step of a sequence.

use burn_ptq_deploy::program::{Broadcast, Carried, DType, IntOp, IntTensor, TensorId};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp};

use super::Problem;
use super::chain;
use super::draw::Draw;
use super::gates;
use super::program::{Program, clamp, constant_of, tensor, tensor_like};
use super::weighted::weighted;

/// A single loop that copies parts of its input somewhere else, through a function or not.
pub(super) fn step(draw: &mut Draw) -> Option<Problem> {
    let (wide, [steps, width, channels]) = (draw.chance(30), draw.shape(9, 6));
    let mut program = Program::new(draw, wide, [steps, width, channels]);
    let x = program.input();
    let part = tensor_like(program.tensor(x), [1, width, channels]);
    let [take, put] = [false, true].map(|put| {
        let reverse = program.draw.chance(50);
        IntOp::Step { put, reverse }
    });
    let mut taken = program.push(take, &[x], part);
    if program.draw.chance(60) {
        taken = program.scrambled(taken);
    }
    let sequence = tensor_like(program.tensor(taken), [steps, width, channels]);
    let y = program.push(put, &[taken], sequence);
    program.repeat(0, steps, Vec::new());
    program.finish_with(&[y])
}

/// One to three loops over the input, over another one and over what other loops have put, forward and backward, with
/// layers between them and after them: cells of random layers, of 8 and 16 bits, that carry up to three
/// activations.
pub(super) fn loops(draw: &mut Draw) -> Option<Problem> {
    let steps = if draw.chance(10) { 1 } else { 2 + draw.below(6) };
    let (wide, [height, width, channels]) = (draw.chance(35), draw.shape(2, 5));
    let program = Program::new(draw, wide, [steps * height, width, channels]);
    let mut net = Net { program, steps, sequences: Vec::new(), free: Vec::new(), left: Vec::new() };
    let x = net.program.input();
    net.sequences.push(x);
    if net.program.draw.chance(40) {
        let other = net.program.add_input(!wide, [steps, 1, 1 + channels]);
        net.sequences.push(other);
    }
    if net.program.draw.chance(40) {
        let wide = net.program.draw.chance(40);
        let fixed = net.program.add_input(wide, [1, 1, channels]);
        net.free.push(fixed);
    }
    // States that steps continue with, or read.
    let mut kept = Vec::new();
    for _ in 0..net.program.draw.below(3) {
        let (wide, count) = (net.program.draw.chance(40), 1 + net.program.draw.below(5));
        let like = tensor(net.program.draw, wide, [1, 1, count]);
        let held = net.program.add_held(like);
        net.free.push(held);
        kept.push(held);
    }
    for turn in 0..1 + net.program.draw.below(3) {
        if turn > 0 && net.program.draw.chance(50) {
            net.layer_on_a_sequence();
        }
        net.run()?;
    }
    if net.program.draw.chance(40) {
        net.joined();
    }
    let mut outputs = net.sequences.split_off(net.sequences.len() - 1);
    if net.program.draw.chance(60) {
        let free = net.free.clone();
        let last = net.program.draw.pick(&free);
        outputs.push(net.program.scrambled(last));
    }
    if let Some(&next) = net.left.last().filter(|_| net.program.draw.chance(50)) {
        outputs.push(next);
    }
    for held in kept {
        net.keep(held);
    }
    net.program.finish_with(&outputs)
}

/// A program with what its loops may read.
struct Net<'d> {
    program: Program<'d>,
    steps: usize,
    /// Tensors that have a part for each step.
    sequences: Vec<TensorId>,
    /// Others that any node may read.
    free: Vec<TensorId>,
    /// What the last steps of loops left.
    left: Vec<TensorId>,
}

impl Net<'_> {
    fn is_wide(&self, id: TensorId) -> bool {
        self.program.tensor(id).dtype == DType::I16
    }

    /// A layer that keeps the steps apart, or not.
    fn layer_on_a_sequence(&mut self) {
        let sequence = *self.sequences.last().expect("an input");
        match self.program.draw.chance(50) {
            true => {
                let made = self.program.scrambled(sequence);
                self.sequences.push(made);
            }
            false => {
                let wide = self.is_wide(sequence);
                if let Some((op, inputs, output)) = chain::layer(&mut self.program, sequence, wide)
                {
                    let made = self.program.push(op, &inputs, output);
                    let whole = self.program.tensor(made).len().is_multiple_of(self.steps);
                    if whole { self.sequences.push(made) } else { self.free.push(made) }
                }
            }
        }
    }

    /// Two sequences of one shape, side by side, as both directions of a layer are.
    fn joined(&mut self) {
        let own = *self.sequences.last().expect("an input");
        let like = self.program.tensor(own).clone();
        let fits = |id: &TensorId| {
            let other = self.program.tensor(*id);
            (other.shape, other.dtype) == (like.shape, like.dtype)
        };
        let others: Vec<TensorId> = self.sequences.iter().copied().filter(fits).collect();
        let other = self.program.draw.pick(&others);
        let other = self.program.scrambled_to(other, like.clone());
        let [height, width, channels] = like.shape;
        let op = IntOp::Concat { outer: height * width, chunks: vec![channels; 2] };
        let joined = tensor_like(&like, [height, width, 2 * channels]);
        let joined = self.program.push(op, &[own, other], joined);
        self.sequences.push(joined);
    }

    /// What a loop finds at first.
    fn initial(&mut self) -> TensorId {
        let small: Vec<TensorId> = self.free.clone();
        if !small.is_empty() && self.program.draw.chance(60) {
            let from = self.program.draw.pick(&small);
            return match self.program.draw.chance(40) {
                true => self.program.scrambled_in_place(from),
                false => self.program.scrambled(from),
            };
        }
        let (wide, count) = (self.program.draw.chance(40), 1 + self.program.draw.below(6));
        let held = tensor(self.program.draw, wide, [1, 1, count]);
        let data = constant_of(self.program.draw, &held);
        self.program.push(IntOp::Constant { data }, &[], held)
    }

    /// A loop of random nodes.
    fn run(&mut self) -> Option<()> {
        let held: Vec<TensorId> = (0..self.program.draw.below(4)).map(|_| self.initial()).collect();
        let (first, steps) = (self.program.count(), self.steps);
        let mut pool = held.clone();
        let mut written = Vec::new();
        let others = self.sequences.len().min(2);
        for back in 0..1 + self.program.draw.below(others) {
            let from = self.sequences[self.sequences.len() - 1 - back];
            let sequence = self.program.tensor(from).clone();
            let [height, width, channels] = sequence.shape;
            let shape = match height % steps {
                0 => [height / steps, width, channels],
                _ => [1, 1, sequence.len() / steps],
            };
            let reverse = self.program.draw.chance(40);
            let op = IntOp::Step { put: false, reverse };
            written.push(self.program.push(op, &[from], tensor_like(&sequence, shape)));
        }
        pool.extend(written.iter().chain(&self.free));
        let mut carried = Vec::new();
        for &held in &held {
            for _ in 0..self.program.draw.below(3) {
                let made = self.cell(&pool)?;
                written.push(made);
                pool.push(made);
            }
            let next = self.next(held, &pool)?;
            carried.push(Carried { held, next });
            written.push(next);
            pool.push(next);
        }
        for _ in 0..self.program.draw.below(3) {
            let made = self.cell(&pool)?;
            written.push(made);
            pool.push(made);
        }
        let mut sequences = Vec::new();
        for back in 0..1 + self.program.draw.below(written.len().min(2)) {
            let part = written[written.len() - 1 - back];
            let [height, width, channels] = self.program.tensor(part).shape;
            let sequence =
                tensor_like(self.program.tensor(part), [steps * height, width, channels]);
            let reverse = self.program.draw.chance(40);
            let op = IntOp::Step { put: true, reverse };
            sequences.push(self.program.push(op, &[part], sequence));
        }
        self.program.repeat(first, steps, carried.clone());
        self.sequences.extend(sequences);
        self.free.extend(written);
        self.left.extend(carried.iter().map(|carried| carried.next));
        Some(())
    }

    /// A node that reads something of `pool`: products with weights, sums, products, functions, windows.
    fn cell(&mut self, pool: &[TensorId]) -> Option<TensorId> {
        let from = self.program.draw.pick(pool);
        let (like, wide) = (self.program.tensor(from).clone(), self.is_wide(from));
        let fits = |id: &&TensorId| {
            let other = self.program.tensor(**id);
            (other.shape, other.dtype) == (like.shape, like.dtype)
        };
        let others: Vec<TensorId> = pool.iter().filter(fits).copied().collect();
        match self.program.draw.below(10) {
            0..=2 => {
                let shape = [1, 1, 1 + self.program.draw.below(6)];
                let wide = wide || self.program.draw.chance(30);
                let output = tensor(self.program.draw, wide, shape);
                self.layer(from, output)
            }
            8 if wide => {
                let (op, output) = gates::any_gate(self.program.draw, like.shape);
                Some(self.program.push(op, &[from], output))
            }
            9 if wide => {
                let pair = [from, self.program.draw.pick(&others)];
                let (op, output) = gates::product(&mut self.program, pair)?;
                Some(self.program.push(op, &pair, output))
            }
            3 => {
                let other = self.program.draw.pick(&others);
                let output = tensor(self.program.draw, wide, like.shape);
                self.sum([from, other], output)
            }
            4 => {
                let other = self.program.draw.pick(&others);
                let output = tensor(self.program.draw, wide, like.shape);
                let real = if wide { 1e-5 } else { 0.01 } * self.program.draw.scale(0.3, 3.0);
                let multiplier = Multiplier::from_real(f64::from(real))?;
                let clamp = clamp(self.program.draw, output.grid);
                let op = IntOp::Mul { multiplier, broadcast: Broadcast::None, clamp };
                Some(self.program.push(op, &[from, other], output))
            }
            5 => {
                let (op, inputs, output) = chain::layer(&mut self.program, from, wide)?;
                // It joins tensors from anywhere.
                inputs
                    .iter()
                    .all(|id| pool.contains(id))
                    .then(|| self.program.push(op, &inputs, output))
            }
            _ => Some(self.program.scrambled(from)),
        }
    }

    fn layer(&mut self, from: TensorId, output: IntTensor) -> Option<TensorId> {
        let [input, mut fitted] = [self.program.tensor(from).clone(), output.clone()];
        let (in_features, out_features) = (input.len(), output.len());
        let shape = [out_features, in_features];
        let weighted = weighted(self.program.draw, &shape, 0, input.grid, &mut fitted)?;
        let op = IntOp::FullyConnected { rows: 1, in_features, out_features, weighted };
        Some(self.program.push(op, &[from], output))
    }

    fn sum(&mut self, inputs: [TensorId; 2], output: IntTensor) -> Option<TensorId> {
        let [a, b] = inputs.map(|id| self.program.tensor(id).grid.scale);
        let params = AddParams::new(a, b, a.max(b) * 1.5, output.dtype == DType::I16)?;
        let clamp = Clamp { min: output.grid.min, max: output.grid.max };
        let op = IntOp::Add { params, broadcast: Broadcast::None, clamp };
        Some(self.program.push(op, &inputs, output))
    }

    /// What a step leaves in the place of `held`: made of it, or of something else.
    fn next(&mut self, held: TensorId, pool: &[TensorId]) -> Option<TensorId> {
        let like = self.program.tensor(held).clone();
        let alike = |id: &&TensorId| {
            let other = self.program.tensor(**id);
            (other.shape, other.dtype) == (like.shape, like.dtype)
        };
        let others: Vec<TensorId> = pool.iter().filter(alike).copied().collect();
        let other = self.program.draw.pick(&others);
        match self.program.draw.below(4) {
            0 => Some(self.program.scrambled_to(other, like)),
            1 => self.sum([held, other], like),
            2 => self.sum([other, held], like),
            _ => {
                let kind = |id: &&TensorId| self.program.tensor(**id).dtype == like.dtype;
                let from: Vec<TensorId> = pool.iter().filter(kind).copied().collect();
                let from = self.program.draw.pick(&from);
                self.layer(from, like)
            }
        }
    }

    /// Lets the next call find what a loop has left, or something like it.
    fn keep(&mut self, held: TensorId) {
        let like = self.program.tensor(held).clone();
        let taken: Vec<TensorId> = self.program.states().iter().map(|state| state.output).collect();
        let fits = |id: &&TensorId| {
            let other = self.program.tensor(**id);
            (other.shape, other.dtype) == (like.shape, like.dtype) && !taken.contains(id)
        };
        let left = self.left.iter().chain(&self.free).filter(fits).copied().collect::<Vec<_>>();
        let from = self.program.draw.pick(&left);
        let other = self.program.tensor(from);
        let same = (other.bits, other.grid) == (like.bits, like.grid) && from != held;
        let left = if same { from } else { self.program.scrambled_to(from, like) };
        self.program.keep(held, left);
    }
}
