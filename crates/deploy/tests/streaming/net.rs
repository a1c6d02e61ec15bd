//! Random networks over time.

use burn_ptq_deploy::program::{
    Broadcast, IntNode, IntOp, IntTensor, MoveAxis, Output, Program, TensorId, Weighted, Weights,
};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::{AddParams, GateFunction, GateParams, Reduction};

use crate::programs::{self, INT8, border, scale, tensor, tensor16};

/// Numbers that follow from a seed.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A program that grows node by node; tensor 0 is its input.
pub(crate) struct Net(pub Program);

impl Net {
    pub(crate) fn new(shape: [usize; 3]) -> Self {
        let mut program = programs::conv();
        let input = tensor("x", shape);
        program.inputs[0].border = border(shape);
        (program.tensors, program.nodes) = (vec![input], Vec::new());
        program.outputs.clear();
        Self(program)
    }

    pub(crate) fn shape(&self, id: usize) -> [usize; 3] {
        self.0.tensors[id].shape
    }

    /// A node on the grid of the others.
    pub(crate) fn push(&mut self, op: IntOp, inputs: &[usize], shape: [usize; 3]) -> usize {
        let id = self.0.tensors.len();
        self.0.tensors.push(IntTensor { name: format!("t{id}"), ..tensor("", shape) });
        let inputs = inputs.iter().map(|&id| TensorId(id)).collect();
        let name = format!("{}{id}", op.name());
        self.0.nodes.push(IntNode { name, op, inputs, output: TensorId(id) });
        id
    }

    pub(crate) fn output(&mut self, id: usize) {
        let name = format!("y{}", self.0.outputs.len());
        self.0.outputs.push(Output::new(name, TensorId(id), border(self.shape(id))));
    }

    pub(crate) fn conv(
        &mut self,
        from: usize,
        window: Window,
        outputs: usize,
        random: &mut Random,
    ) -> usize {
        let [height, width, channels] = self.shape(from);
        let output = extents(window, [height, width]);
        let geometry = ConvGeometry {
            input: [height, width],
            output,
            in_channels: channels,
            out_channels: outputs,
            groups: 1,
            window,
        };
        let shape = vec![outputs, window.kernel[0], window.kernel[1], channels];
        let op = IntOp::Conv2d { geometry, weighted: weighted(shape, outputs, random) };
        self.push(op, &[from], [output[0], output[1], outputs])
    }

    pub(crate) fn depthwise(&mut self, from: usize, window: Window, random: &mut Random) -> usize {
        let [height, width, channels] = self.shape(from);
        let output = extents(window, [height, width]);
        let input = [height, width];
        let geometry = DepthwiseGeometry { input, output, channels, multiplier: 1, window };
        let shape = vec![window.kernel[0], window.kernel[1], channels];
        let op = IntOp::DepthwiseConv2d { geometry, weighted: weighted(shape, channels, random) };
        self.push(op, &[from], [output[0], output[1], channels])
    }

    pub(crate) fn pool(&mut self, from: usize, window: Window, average: bool) -> usize {
        let [height, width, channels] = self.shape(from);
        let output = extents(window, [height, width]);
        let geometry = PoolGeometry { input: [height, width], output, channels, window };
        let op = match average {
            true => IntOp::AveragePool { geometry, clamp: INT8 },
            false => IntOp::MaxPool { geometry, clamp: INT8 },
        };
        self.push(op, &[from], [output[0], output[1], channels])
    }

    pub(crate) fn add(&mut self, a: usize, b: usize) -> usize {
        let params = AddParams::new(0.05, 0.05, 0.07, false).expect("usual scales");
        let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: INT8 };
        self.push(op, &[a, b], self.shape(a))
    }

    pub(crate) fn pad(&mut self, from: usize, before: [usize; 3], after: [usize; 3]) -> usize {
        let input = self.shape(from);
        let shape = [0, 1, 2].map(|i| before[i] + input[i] + after[i]);
        self.push(IntOp::Pad { input, before, after, value: 3 }, &[from], shape)
    }

    /// Steps `start..start + count` of an axis.
    pub(crate) fn slice(&mut self, from: usize, axis: usize, start: usize, count: usize) -> usize {
        let [height, width, channels] = self.shape(from);
        let steps = [width * channels, channels, 1];
        let mut counts = [height, width, channels];
        counts[axis] = count;
        let even = |i: usize| MoveAxis::Even { count: counts[i], step: steps[i] as isize };
        let op = IntOp::Rearrange { first: start * steps[axis], axes: [0, 1, 2].map(even).into() };
        self.push(op, &[from], counts)
    }

    /// A fully connected layer of each pixel, or of all elements.
    pub(crate) fn dense(
        &mut self,
        from: usize,
        outputs: usize,
        whole: bool,
        random: &mut Random,
    ) -> usize {
        let [height, width, channels] = self.shape(from);
        let (rows, ins, shape) = match whole {
            true => (1, height * width * channels, [1, 1, outputs]),
            false => (height * width, channels, [height, width, outputs]),
        };
        let op = IntOp::FullyConnected {
            rows,
            in_features: ins,
            out_features: outputs,
            weighted: weighted(vec![outputs, ins], outputs, random),
        };
        self.push(op, &[from], shape)
    }

    /// Between one and eight random operations, with outputs of rows, as a whole, or both.
    pub(crate) fn random(random: &mut Random, axis: usize, padded: bool) -> Self {
        let mut shape = [1 + random.below(3), 1 + random.below(4), 1 + random.below(5)];
        shape[axis] = 24 + random.below(12);
        let mut net = Self::new(shape);
        let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
        let mut id = net.conv(0, Window { kernel: kernel(axis, 2), ..window }, 3, random);
        for _ in 0..1 + random.below(7) {
            id = net.step(id, axis, padded, random);
        }
        let kind = random.below(5);
        if kind == 4 {
            // Some rows of all, as the last step.
            let time = net.shape(id)[axis];
            let start = random.below(time);
            let few = net.slice(id, axis, start, 1 + random.below((time - start).min(2)));
            let end = net.dense(few, 3, true, random);
            net.output(end);
            return net;
        }
        if kind < 2 {
            net.output(id);
        }
        if kind > 0 {
            let end = net.whole(id, kind, random);
            net.output(end);
        }
        net
    }

    /// A random operation that keeps rows.
    fn step(&mut self, id: usize, axis: usize, padded: bool, random: &mut Random) -> usize {
        let shape @ [height, width, channels] = self.shape(id);
        let time = shape[axis];
        if time < 6 {
            return self.table(id, random);
        }
        let mut window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
        window.kernel[axis] = 1 + random.below(3);
        window.dilation[axis] = 1 + random.below(2);
        window.kernel[1 - axis] = 1 + random.below(shape[1 - axis].min(2));
        if time > 14 {
            window.stride[axis] = 1 + random.below(2);
        }
        if padded {
            window.pad[axis] = random.below(window.kernel[axis]);
        }
        match random.below(15) {
            14 => self.gated(id, random),
            0 | 1 => {
                let outputs = 1 + random.below(6);
                self.conv(id, window, outputs, random)
            }
            2 | 3 => self.depthwise(id, window, random),
            4 => self.pool(id, Window { dilation: [1; 2], ..window }, true),
            5 => self.pool(id, Window { dilation: [1; 2], ..window }, false),
            6 => {
                // A branch, and the middle of what it comes from.
                let kernel = kernel(axis, 3);
                let window = Window { kernel, stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
                let branch = self.depthwise(id, window, random);
                let branch = self.table(branch, random);
                let start = random.below(3);
                let middle = self.slice(id, axis, start, time - 2);
                self.add(middle, branch)
            }
            7 => {
                let other = self.table(id, random);
                let mut chunks = vec![channels, channels];
                let third = self.slice(id, 2, 0, channels.div_ceil(2));
                chunks.push(channels.div_ceil(2));
                let all = chunks.iter().sum();
                let op = IntOp::Concat { outer: height * width, chunks };
                self.push(op, &[id, other, third], [height, width, all])
            }
            8 => {
                let mut before = [random.below(2), random.below(2), random.below(2)];
                let mut after = [random.below(2), random.below(2), random.below(2)];
                if !padded {
                    (before[axis], after[axis]) = (0, 0);
                }
                self.pad(id, before, after)
            }
            9 => self.dense(id, 1 + random.below(5), false, random),
            10 => {
                let start = random.below(channels);
                let narrow = self.slice(id, 2, start, channels - start);
                self.slice(narrow, axis, random.below(3), time - 3)
            }
            11 => {
                let constant = self.push(
                    IntOp::Constant { data: (0..channels).map(|_| random.next() as u8).collect() },
                    &[],
                    [1, 1, channels],
                );
                let op = IntOp::Mul {
                    multiplier: scale(0.04),
                    broadcast: Broadcast::Channels,
                    clamp: INT8,
                };
                self.push(op, &[id, constant], shape)
            }
            12 => {
                // Twice the same, there and back.
                let swapped = [width, height, channels];
                let op = IntOp::Transpose { input: shape, axes: [1, 0, 2] };
                let there = self.push(op, &[id], swapped);
                let op = IntOp::Transpose { input: swapped, axes: [1, 0, 2] };
                self.push(op, &[there], shape)
            }
            _ => {
                let op = IntOp::Reduce {
                    reduction: Reduction::Sum,
                    outer: height * width,
                    reduced: channels,
                    inner: 1,
                    multiplier: scale(0.5),
                    clamp: INT8,
                };
                let sum = self.push(op, &[id], [height, width, 1]);
                let params = AddParams::new(0.05, 0.05, 0.07, false).expect("usual scales");
                let broadcast = Broadcast::Shapes { a: shape, b: [height, width, 1] };
                self.push(IntOp::Add { params, broadcast, clamp: INT8 }, &[id, sum], shape)
            }
        }
    }

    /// Two gates of 16 bits for each pixel, and their product.
    fn gated(&mut self, id: usize, random: &mut Random) -> usize {
        let outputs = 1 + random.below(4);
        let wide = |scale: f32, shape| {
            let tensor = tensor16("", shape);
            IntTensor { grid: Grid { scale, ..tensor.grid }, ..tensor }
        };
        let gates = [GateFunction::Sigmoid, GateFunction::Tanh].map(|function| {
            let sums = self.dense(id, outputs, false, random);
            let shape = self.shape(sums);
            self.0.tensors[sums] =
                IntTensor { name: format!("sums{sums}"), ..wide(GateParams::INPUT_SCALE, shape) };
            let output = wide(GateParams::OUTPUT_SCALE, shape);
            let params = GateParams::new(function, self.0.tensors[sums].grid, output.grid);
            let op = IntOp::Gate { params: params.expect("grids of gates") };
            let gate = self.push(op, &[sums], shape);
            self.0.tensors[gate] = IntTensor { name: format!("gate{gate}"), ..output };
            gate
        });
        let shape = self.shape(gates[0]);
        let multiplier = scale(f64::from(1 << 8) / f64::from(1 << 30));
        self.push(IntOp::Mul { multiplier, broadcast: Broadcast::None, clamp: INT8 }, &gates, shape)
    }

    fn table(&mut self, id: usize, random: &mut Random) -> usize {
        let table = (0..256).map(|_| random.next() as i8).collect();
        self.push(IntOp::Table8 { table }, &[id], self.shape(id))
    }

    /// Something of all rows.
    fn whole(&mut self, id: usize, kind: usize, random: &mut Random) -> usize {
        let [height, width, channels] = self.shape(id);
        if kind == 1 {
            return self.dense(id, 3, true, random);
        }
        let window =
            Window { kernel: [height, width], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
        let mean = self.pool(id, window, true);
        let shape = [1, 1, channels];
        assert_eq!(self.shape(mean), shape);
        let end = self.dense(mean, 4, true, random);
        // All rows of another branch, weighted by what all rows say.
        let branch = self.table(id, random);
        let op =
            IntOp::Mul { multiplier: scale(0.04), broadcast: Broadcast::Channels, clamp: INT8 };
        let scaled = self.push(op, &[branch, mean], [height, width, channels]);
        self.output(scaled);
        end
    }
}

fn kernel(axis: usize, extent: usize) -> [usize; 2] {
    let mut kernel = [1; 2];
    kernel[axis] = extent;
    kernel
}

/// The output of windows with the same padding on both sides.
fn extents(window: Window, input: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| {
        let extent = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        (input[axis] + 2 * window.pad[axis] - extent) / window.stride[axis] + 1
    })
}

fn weighted(shape: Vec<usize>, channels: usize, random: &mut Random) -> Weighted {
    let len = shape.iter().product::<usize>();
    Weighted {
        weights: Weights {
            shape,
            bits: 8,
            storage: 8,
            data: (0..len).map(|_| (random.below(255) as i32 - 127) as i8 as u8).collect(),
            scales: vec![0.01; channels],
        },
        bias: (0..channels).map(|_| random.below(2000) as i32 - 1000).collect(),
        multipliers: vec![scale(0.004); channels],
        clamp: INT8,
    }
}
