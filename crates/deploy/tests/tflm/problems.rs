//! Random programs whose last node TensorFlow Lite Micro has too: its paddings and activations, and
//! multipliers that follow from the scales.

use burn_ptq_deploy::model::{
    Border, Broadcast, DType, IntModel, IntNode, IntOp, IntTensor, Provenance, Region, TensorId,
    Weighted, Weights,
};
use burn_ptq_deploy::plan::plan;
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::{Grid, signed_range, weight_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};
use burn_ptq_kernels::params::{AddParams, Clamp};
use burn_ptq_kernels::reference::softmax_params;

/// SplitMix64.
pub struct Random {
    state: u64,
    /// Whether scales are powers of two, which leads to exact ties.
    powers_of_two: bool,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { state: seed, powers_of_two: false }
    }

    /// Every fourth problem has scales that are powers of two.
    fn begin(&mut self) {
        self.powers_of_two = self.next().is_multiple_of(4);
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `low..=high`.
    fn integer(&mut self, low: i32, high: i32) -> i32 {
        low + (self.next() % (i64::from(high) - i64::from(low) + 1) as u64) as i32
    }

    pub fn size(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    fn flip(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    /// Between `low` and `high`, evenly on a logarithmic scale.
    fn scale(&mut self, low: f64, high: f64) -> f32 {
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        self.representable((low.ln() + fraction * (high / low).ln()).exp() as f32)
    }

    fn representable(&self, scale: f32) -> f32 {
        if self.powers_of_two { scale.log2().round().exp2() } else { scale }
    }

    fn grid(&mut self, dtype: DType, scale: f32) -> Grid {
        let (min, max) = range(dtype);
        let zero_point = match dtype {
            DType::I8 => match self.size(0, 5) {
                0 => min,
                1 => max,
                _ => self.integer(min, max),
            },
            DType::I16 => 0,
        };
        Grid { scale: self.representable(scale), zero_point, min, max }
    }

    /// Values of a tensor; every fourth sample has extremes only.
    fn values(&mut self, dtype: DType, len: usize, sample: usize) -> Vec<u8> {
        let (min, max) = range(dtype);
        let value = |_| match sample % 4 {
            3 => [min, max][self.size(0, 1)],
            _ => self.integer(min, max),
        };
        let values = (0..len).map(value);
        match dtype {
            DType::I8 => values.map(|value| value as u8).collect(),
            DType::I16 => values.flat_map(|value| (value as i16).to_le_bytes()).collect(),
        }
    }

    /// The bounds of a random fused activation.
    fn clamp(&mut self, dtype: DType, grid: Grid) -> Clamp {
        let (min, max) = range(dtype);
        match self.size(0, 3) {
            0 => Clamp { min: grid.quantize(0.0), max },
            1 => Clamp { min: grid.quantize(0.0), max: grid.quantize(6.0) },
            2 => Clamp { min: grid.quantize(-1.0), max: grid.quantize(1.0) },
            _ => Clamp { min, max },
        }
    }
}

fn range(dtype: DType) -> (i32, i32) {
    signed_range(8 * dtype.bytes() as u8, false)
}

/// A program and inputs for it.
pub struct Problem {
    pub model: IntModel,
    /// Bytes of the input tensor.
    pub samples: Vec<Vec<u8>>,
}

const SAMPLES: usize = 4;

fn tensor(name: &str, shape: [usize; 3], dtype: DType, grid: Grid) -> IntTensor {
    let bits = 8 * dtype.bytes() as u8;
    IntTensor { name: name.into(), shape, dtype, bits, grid, offset: 0 }
}

fn node(name: &str, op: IntOp, inputs: &[usize], output: usize) -> IntNode {
    let inputs = inputs.iter().copied().map(TensorId).collect();
    let scratch = Region::default();
    IntNode { name: name.into(), op, inputs, output: TensorId(output), scratch }
}

/// The program of `nodes`, from the first tensor to the last.
fn problem(random: &mut Random, tensors: Vec<IntTensor>, nodes: Vec<IntNode>) -> Problem {
    let border = |t: &IntTensor| Border { source_shape: t.shape.to_vec(), axes: [0, 1, 2] };
    let output = tensors.len() - 1;
    let mut model = IntModel {
        name: "problem".into(),
        input_border: border(&tensors[0]),
        output_border: border(&tensors[output]),
        tensors,
        nodes,
        input: TensorId(0),
        output: TensorId(output),
        arena_bytes: 0,
        provenance: Provenance::default(),
    };
    plan(&mut model);
    let (dtype, len) = (model.tensors[0].dtype, model.tensors[0].len());
    let samples = (0..SAMPLES).map(|sample| random.values(dtype, len, sample)).collect();
    Problem { model, samples }
}

fn single(random: &mut Random, op: IntOp, input: IntTensor, output: IntTensor) -> Problem {
    problem(random, vec![input, output], vec![node("node", op, &[0], 1)])
}

/// Weights of `shape`, rescaling, and the output's grid, chosen so that most outputs lie within it.
fn weighted(
    random: &mut Random,
    shape: &[usize],
    channels: usize,
    dtype: DType,
    input: Grid,
    fully_connected: bool,
) -> (Weighted, Grid) {
    let bits = random.size(2, 8) as u8;
    let (low, high) = weight_range(bits);
    let len = shape.iter().product::<usize>();
    let values: Vec<i8> = (0..len).map(|_| random.integer(low, high) as i8).collect();
    let storage = storage_bits(bits);
    let mut data = vec![0; packed_len(len, storage)];
    pack(&values, storage, &mut data);
    let per_channel = random.flip();
    let scales: Vec<f32> =
        (0..if per_channel { channels } else { 1 }).map(|_| random.scale(0.002, 0.05)).collect();
    let spread = f64::from(high) * f64::from(input.max) * ((len / channels) as f64).sqrt();
    let bias = spread.min(1e9) as i32;
    let target = f64::from(input.max) * f64::from(random.scale(0.2, 3.0));
    let output_scale = f64::from(input.scale) * 0.01 * spread / target;
    let output = random.grid(dtype, output_scale as f32);
    let multiplier = |&scale: &f32| {
        if fully_connected && scales.len() == 1 {
            Multiplier::per_tensor_fully_connected(input.scale, scale, output.scale)
        } else {
            Multiplier::per_channel(input.scale, scale, output.scale)
        }
    };
    let weighted = Weighted {
        bias: (0..channels).map(|_| random.integer(-bias, bias)).collect(),
        multipliers: scales.iter().map(|s| multiplier(s).expect("a moderate factor")).collect(),
        clamp: random.clamp(dtype, output),
        weights: Weights { shape: shape.to_vec(), bits, storage, data, scales },
    };
    (weighted, output)
}

/// A window, the input's extents and the output's, with the padding of TensorFlow Lite or, if
/// `explicit`, sometimes with any other.
fn window(random: &mut Random, dilate: bool, explicit: bool) -> (Window, [usize; 2], [usize; 2]) {
    let kind = random.size(0, if explicit { 2 } else { 1 });
    let mut window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let (mut input, mut output) = ([0; 2], [0; 2]);
    for axis in 0..2 {
        let kernel = random.size(1, 4);
        let stride = random.size(1, 3);
        let dilation = if dilate { random.size(1, 2) } else { 1 };
        let reach = (kernel - 1) * dilation + 1;
        let extent = reach + random.size(0, 6);
        let (pad, out) = match kind {
            0 => (0, (extent - reach) / stride + 1),
            1 => {
                let out = extent.div_ceil(stride);
                (((out - 1) * stride + reach).saturating_sub(extent) / 2, out)
            }
            _ => {
                let pad = random.size(0, reach);
                (pad, (extent + 2 * pad - reach) / stride + 1)
            }
        };
        (window.kernel[axis], window.stride[axis]) = (kernel, stride);
        (window.dilation[axis], window.pad[axis]) = (dilation, pad);
        (input[axis], output[axis]) = (extent, out);
    }
    (window, input, output)
}

pub fn conv(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (window, input, output) = window(random, true, true);
    let groups = random.size(1, 3);
    let (in_channels, out_channels) = (groups * random.size(1, 9), groups * random.size(1, 5));
    let geometry = ConvGeometry { input, output, in_channels, out_channels, groups, window };
    let scale = random.scale(1e-3, 0.5);
    let grid = random.grid(dtype, scale);
    let [height, width] = window.kernel;
    let shape = [out_channels, height, width, in_channels / groups];
    let (weighted, out_grid) = weighted(random, &shape, out_channels, dtype, grid, false);
    let x = tensor("x", [input[0], input[1], in_channels], dtype, grid);
    let y = tensor("y", [output[0], output[1], out_channels], dtype, out_grid);
    single(random, IntOp::Conv2d { geometry, weighted }, x, y)
}

pub fn depthwise(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (window, input, output) = window(random, true, true);
    let (channels, multiplier) = (random.size(1, 9), random.size(1, 2));
    let geometry = DepthwiseGeometry { input, output, channels, multiplier, window };
    let scale = random.scale(1e-3, 0.5);
    let grid = random.grid(dtype, scale);
    let [height, width] = window.kernel;
    let out_channels = channels * multiplier;
    let shape = [height, width, out_channels];
    let (weighted, out_grid) = weighted(random, &shape, out_channels, dtype, grid, false);
    let x = tensor("x", [input[0], input[1], channels], dtype, grid);
    let y = tensor("y", [output[0], output[1], out_channels], dtype, out_grid);
    single(random, IntOp::DepthwiseConv2d { geometry, weighted }, x, y)
}

pub fn fully_connected(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (rows, in_features, out_features) =
        (random.size(1, 3), random.size(1, 80), random.size(2, 30));
    let scale = random.scale(1e-3, 0.5);
    let grid = random.grid(dtype, scale);
    let shape = [out_features, in_features];
    let (weighted, out_grid) = weighted(random, &shape, out_features, dtype, grid, true);
    let op = IntOp::FullyConnected { rows, in_features, out_features, weighted };
    let x = tensor("x", [1, rows, in_features], dtype, grid);
    single(random, op, x, tensor("y", [1, rows, out_features], dtype, out_grid))
}

/// `x` and a second tensor made of `x` by a requantization, or by a mean where the second input is
/// smaller.
fn pair(random: &mut Random, dtype: DType) -> (Vec<IntTensor>, IntNode, Broadcast) {
    let shape = [random.size(1, 5), random.size(1, 5), random.size(1, 12)];
    let scale = random.scale(1e-3, 0.5);
    let a = tensor("a", shape, dtype, random.grid(dtype, scale));
    if dtype == DType::I8 && random.flip() {
        let geometry = PoolGeometry {
            input: [shape[0], shape[1]],
            output: [1, 1],
            channels: shape[2],
            window: Window {
                kernel: [shape[0], shape[1]],
                stride: [1; 2],
                dilation: [1; 2],
                pad: [0; 2],
            },
        };
        let (min, max) = range(dtype);
        let op = IntOp::AveragePool { geometry, clamp: Clamp { min, max } };
        let b = tensor("b", [1, 1, shape[2]], dtype, a.grid);
        let broadcast = if b.len() == 1 { Broadcast::Scalar } else { Broadcast::Channels };
        return (vec![a, b], node("mean", op, &[0], 1), broadcast);
    }
    let scale = a.grid.scale * random.scale(0.2, 5.0);
    let b = tensor("b", shape, dtype, random.grid(dtype, scale));
    let (min, max) = range(dtype);
    let ratio = f64::from(a.grid.scale) / f64::from(b.grid.scale);
    let multiplier = Multiplier::from_real(ratio).expect("a moderate ratio");
    let op = IntOp::Requantize { multiplier, clamp: Clamp { min, max } };
    (vec![a, b], node("requantize", op, &[0], 1), Broadcast::None)
}

pub fn add(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (mut tensors, first, broadcast) = pair(random, dtype);
    let scales = [tensors[0].grid.scale, tensors[1].grid.scale];
    let scale = scales[0].max(scales[1]) * random.scale(0.3, 4.0);
    let y = tensor("y", tensors[0].shape, dtype, random.grid(dtype, scale));
    let params = AddParams::new(scales[0], scales[1], y.grid.scale, dtype == DType::I16);
    let op = IntOp::Add {
        params: params.expect("moderate ratios"),
        broadcast,
        clamp: random.clamp(dtype, y.grid),
    };
    tensors.push(y);
    problem(random, tensors, vec![first, node("add", op, &[0, 1], 2)])
}

pub fn mul(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (mut tensors, first, broadcast) = pair(random, dtype);
    let [a, b] = [tensors[0].grid, tensors[1].grid];
    let scale = a.scale * b.scale * a.max as f32 * random.scale(0.3, 4.0);
    let y = tensor("y", tensors[0].shape, dtype, random.grid(dtype, scale));
    let multiplier = Multiplier::per_channel(a.scale, b.scale, y.grid.scale);
    let multiplier = multiplier.expect("a moderate factor");
    let op = IntOp::Mul { multiplier, broadcast, clamp: random.clamp(dtype, y.grid) };
    tensors.push(y);
    problem(random, tensors, vec![first, node("mul", op, &[0, 1], 2)])
}

fn pool(random: &mut Random, dtype: DType) -> (PoolGeometry, Clamp, IntTensor, IntTensor) {
    let (window, input, output) = window(random, false, false);
    let channels = random.size(1, 12);
    let scale = random.scale(0.01, 0.5);
    let grid = random.grid(dtype, scale);
    let x = tensor("x", [input[0], input[1], channels], dtype, grid);
    let y = tensor("y", [output[0], output[1], channels], dtype, grid);
    (PoolGeometry { input, output, channels, window }, random.clamp(dtype, grid), x, y)
}

pub fn average_pool(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (geometry, clamp, x, y) = pool(random, dtype);
    single(random, IntOp::AveragePool { geometry, clamp }, x, y)
}

pub fn max_pool(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (geometry, clamp, x, y) = pool(random, dtype);
    single(random, IntOp::MaxPool { geometry, clamp }, x, y)
}

/// From `dtype` to a width chosen at random.
pub fn requantize(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let to = if random.flip() { DType::I8 } else { DType::I16 };
    let scale = random.scale(1e-3, 0.5);
    let x = tensor("x", [1, 1, random.size(1, 300)], dtype, random.grid(dtype, scale));
    let widening = f64::from(x.grid.max) / f64::from(range(to).1);
    let scale = (f64::from(scale) * widening) as f32 * random.scale(0.3, 4.0);
    let y = tensor("y", x.shape, to, random.grid(to, scale));
    let ratio = f64::from(x.grid.scale) / f64::from(y.grid.scale);
    let multiplier = Multiplier::from_real(ratio).expect("a moderate ratio");
    let (min, max) = range(to);
    single(random, IntOp::Requantize { multiplier, clamp: Clamp { min, max } }, x, y)
}

pub fn concat(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (mut tensors, mut first, _) = pair(random, dtype);
    // The second input has the first one's grid and shape: a transposition that moves nothing.
    let shape = tensors[0].shape;
    tensors[1] = IntTensor { name: "b".into(), ..tensors[0].clone() };
    first.op = IntOp::Transpose { input: shape, axes: [0, 1, 2] };
    let [height, width, channels] = shape;
    let mut y = tensors[0].clone();
    y.shape = [height, width, 2 * channels];
    tensors.push(y);
    let op = IntOp::Concat { outer: height * width, chunks: vec![channels; 2] };
    problem(random, tensors, vec![first, node("concat", op, &[1, 0], 2)])
}

pub fn pad(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let input = [random.size(1, 5), random.size(1, 5), random.size(1, 5)];
    let before = [random.size(0, 3), random.size(0, 3), random.size(0, 3)];
    let after = [random.size(0, 3), random.size(0, 3), random.size(0, 3)];
    let scale = random.scale(1e-3, 0.5);
    let grid = random.grid(dtype, scale);
    let value = random.integer(grid.min, grid.max);
    let padded = [0, 1, 2].map(|axis| before[axis] + input[axis] + after[axis]);
    let op = IntOp::Pad { input, before, after, value };
    let x = tensor("x", input, dtype, grid);
    single(random, op, x, tensor("y", padded, dtype, grid))
}

pub fn transpose(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let input = [random.size(1, 6), random.size(1, 6), random.size(1, 6)];
    let axes =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][random.size(0, 5)];
    let scale = random.scale(1e-3, 0.5);
    let grid = random.grid(dtype, scale);
    let op = IntOp::Transpose { input, axes };
    let x = tensor("x", input, dtype, grid);
    single(random, op, x, tensor("y", axes.map(|axis| input[axis]), dtype, grid))
}

pub fn softmax(random: &mut Random, dtype: DType) -> Problem {
    random.begin();
    let (rows, depth) = (random.size(1, 4), random.size(1, 40));
    let scale = random.scale(1e-3, 1.0);
    let x = tensor("x", [1, rows, depth], dtype, random.grid(dtype, scale));
    let grid = Grid { scale: 1.0 / 256.0, zero_point: -128, min: -128, max: 127 };
    let (input_multiplier, diff_min) = softmax_params(scale).expect("a moderate scale");
    let op = IntOp::Softmax { rows, depth, input_multiplier, diff_min };
    single(random, op, x, tensor("y", [1, rows, depth], dtype, grid))
}

/// Sets the bounds of a maximum pool.
pub fn bound(model: &mut IntModel, min: i32, max: i32) {
    for node in &mut model.nodes {
        if let IntOp::MaxPool { clamp, .. } = &mut node.op {
            *clamp = Clamp { min, max };
        }
    }
}
