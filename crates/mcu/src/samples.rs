//! Programs of random shapes, to fit costs on: layers by themselves, and small networks.

use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{
    Border, Broadcast, DType, Input, IntNode, IntOp, IntTensor, Output, Program, Provenance,
    TensorId, Weighted,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp};
use burn_ptq_kernels::reference::softmax_params;

use crate::layers::Random;

/// Bounds that 8 bits have anyway, as behind a ReLU.
const FULL: Clamp = Clamp { min: -128, max: 127 };

/// What a layer's operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A convolution.
    Conv,
    /// A depthwise convolution.
    Depthwise,
    /// A fully connected layer.
    FullyConnected,
    /// A sum of two inputs.
    Add,
    /// A product of two inputs.
    Mul,
    /// The mean of a window.
    AveragePool,
    /// The largest element of a window.
    MaxPool,
    /// A softmax.
    Softmax,
    /// A table of all values.
    Table,
    /// Another grid.
    Requantize,
    /// A border of a constant.
    Pad,
    /// Two inputs one after the other.
    Concat,
    /// Two elements of 4 bits to a byte.
    Pack,
    /// The same back.
    Unpack,
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind::Conv,
    Kind::Depthwise,
    Kind::FullyConnected,
    Kind::Add,
    Kind::Mul,
    Kind::AveragePool,
    Kind::MaxPool,
    Kind::Softmax,
    Kind::Table,
    Kind::Requantize,
    Kind::Pad,
    Kind::Concat,
    Kind::Pack,
    Kind::Unpack,
];

impl Kind {
    /// The node of the operation: what is packed is unpacked again.
    pub fn node(self) -> usize {
        usize::from(self == Kind::Unpack)
    }

    /// The bits of weights that there are; a single entry for an operation without.
    pub fn bits(self) -> &'static [u8] {
        match self {
            Kind::Conv | Kind::Depthwise | Kind::FullyConnected => &[8, 4, 3, 2],
            _ => &[8],
        }
    }
}

/// Multiply-accumulates of a layer, and bytes of its weights, at most.
const MAX_MACS: usize = 300_000;
const MAX_WEIGHTS: usize = 24_000;

/// A program of one layer, seeded; weights have `bits`. `None` if that seed gives a layer that is too large.
pub fn layer(kind: Kind, bits: u8, seed: u32) -> Option<Placed> {
    let mut random = Random::new(seed);
    let random = &mut random;
    let mut maker = Maker::default();
    let plane = plane(random);
    // Kernels that suit most layers do not take all of them.
    let clamp = if random.chance(60) { FULL } else { Clamp { min: -120, max: 110 } };
    let channels = channels(random);
    let grid = if random.chance(85) { -128 } else { -3 };
    let x = maker.tensor([plane[0], plane[1], channels], -128);
    maker.inputs.push(x);
    match kind {
        Kind::Conv => {
            let window = window(random, &[1, 3, 3, 5]);
            let output = self::channels(random);
            conv(&mut maker, random, (x, window, output), bits, (clamp, grid))?;
        }
        Kind::Depthwise => {
            let window = window(random, &[3, 3, 3, 5]);
            depthwise(&mut maker, random, (x, window), bits, (clamp, grid))?;
        }
        Kind::FullyConnected => {
            let features =
                [random.pick(&[8, 13, 16, 32, 64, 100, 128, 200, 256]), self::channels(random)];
            let rows = random.pick(&[1, 1, 1, 2, 5]);
            maker = Maker::default();
            let x = maker.tensor([1, rows, features[0]], -128);
            maker.inputs.push(x);
            fully_connected(&mut maker, random, (x, rows, features), bits, (clamp, grid))?;
        }
        Kind::Add | Kind::Mul => {
            let b = maker.tensor([plane[0], plane[1], channels], -128);
            maker.inputs.push(b);
            maker.tensors[b.0].grid.scale =
                0.05 * (0.4 + f32::from(random.within(0, 50) as u8) / 100.0);
            let scale = 0.06 + random.within(0, 40) as f32 / 1000.0;
            let scales = [x, b].map(|id| maker.tensors[id.0].grid.scale);
            let op = match kind {
                Kind::Add => {
                    let params = AddParams::new(scales[0], scales[1], scale, false)?;
                    IntOp::Add { params, broadcast: Broadcast::None, clamp }
                }
                _ => {
                    let multiplier = Multiplier::of_scales(scales[0], scales[1], scale)?;
                    IntOp::Mul { multiplier, broadcast: Broadcast::None, clamp }
                }
            };
            let y = maker.tensor([plane[0], plane[1], channels], grid);
            maker.tensors[y.0].grid.scale = scale;
            maker.node(op, &[x, b], y);
        }
        Kind::AveragePool | Kind::MaxPool => {
            let whole = random.chance(30);
            let window = match whole {
                true => Window { kernel: plane, stride: [1; 2], dilation: [1; 2], pad: [0; 2] },
                false => window(random, &[2, 3]),
            };
            let output = extents(plane, &window)?;
            let geometry = PoolGeometry { input: plane, output, channels, window };
            let y = maker.tensor([output[0], output[1], channels], -128);
            let op = match kind {
                Kind::AveragePool => IntOp::AveragePool { geometry, clamp: FULL },
                _ => IntOp::MaxPool { geometry, clamp: FULL },
            };
            maker.node(op, &[x], y);
        }
        Kind::Softmax => {
            let (rows, depth) = (random.pick(&[1, 1, 1, 4, 9]), random.within(2, 40) as usize);
            maker = Maker::default();
            let x = maker.tensor([1, rows, depth], -128);
            maker.inputs.push(x);
            let (input_multiplier, diff_min) = softmax_params(0.05)?;
            let y = maker.tensor([1, rows, depth], -128);
            maker.tensors[y.0].grid.scale = 1.0 / 256.0;
            maker.node(IntOp::Softmax { rows, depth, input_multiplier, diff_min }, &[x], y);
        }
        Kind::Table => {
            let y = maker.tensor([plane[0], plane[1], channels], -128);
            let table = (0..256).map(|_| random.within(-128, 127) as i8).collect();
            maker.node(IntOp::Table8 { table }, &[x], y);
        }
        Kind::Requantize => {
            let y = maker.tensor([plane[0], plane[1], channels], grid);
            let multiplier = Multiplier::from_real(0.3 + f64::from(random.within(0, 60)) / 100.0)?;
            maker.node(IntOp::Requantize { multiplier, clamp }, &[x], y);
        }
        Kind::Pad => {
            let [before, after] = [(); 2].map(|()| [(); 2].map(|()| random.within(0, 2) as usize));
            let input = [plane[0], plane[1], channels];
            let output =
                [plane[0] + before[0] + after[0], plane[1] + before[1] + after[1], channels];
            let y = maker.tensor(output, -128);
            let [before, after] = [before, after].map(|[height, width]| [height, width, 0]);
            maker.node(IntOp::Pad { input, before, after, value: -128 }, &[x], y);
        }
        Kind::Concat => {
            let other = self::channels(random);
            let b = maker.tensor([plane[0], plane[1], other], -128);
            maker.inputs.push(b);
            let y = maker.tensor([plane[0], plane[1], channels + other], -128);
            let op = IntOp::Concat { outer: plane[0] * plane[1], chunks: vec![channels, other] };
            maker.node(op, &[x, b], y);
        }
        Kind::Pack | Kind::Unpack => {
            let shape = [plane[0], plane[1], channels];
            let packed = maker.tensor(shape, -8);
            let y = maker.tensor(shape, -8);
            for id in [x, packed, y] {
                let tensor = &mut maker.tensors[id.0];
                tensor.bits = 4;
                tensor.grid = Grid { zero_point: -8, min: -8, max: 7, ..tensor.grid };
            }
            maker.tensors[packed.0].dtype = DType::I4;
            maker.node(IntOp::Pack, &[x], packed);
            maker.node(IntOp::Unpack, &[packed], y);
        }
    }
    maker.finish(Memory::Whole)
}

/// A network of some convolutions with weights of `bits` and a fully connected layer, seeded.
pub fn network(bits: u8, memory: Memory, seed: u32) -> Option<Placed> {
    let mut random = Random::new(seed);
    let random = &mut random;
    let mut maker = Maker::default();
    let side = random.pick(&[12, 16, 20, 24]);
    let mut at = maker.tensor([side, side, random.pick(&[1, 3, 4])], -128);
    maker.inputs.push(at);
    let full = (FULL, -128);
    for layer in 0..random.within(3, 8) {
        let stride = if random.chance(30) { 2 } else { 1 };
        let window = |kernel: usize| Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pad: [kernel / 2; 2],
        };
        let width = maker.tensors[at.0].shape[2];
        let (kind, few, more) =
            (random.within(0, 2), random.pick(&[4, 8, 16]), random.pick(&[8, 16, 24]));
        at = match kind {
            0 if layer > 0 && width.is_multiple_of(4) => {
                depthwise(&mut maker, random, (at, window(3)), bits, full)?
            }
            1 => conv(&mut maker, random, (at, window(1), more), bits, full)?,
            _ => conv(&mut maker, random, (at, window(3), few), bits, full)?,
        };
    }
    let [height, width, channels] = maker.tensors[at.0].shape;
    let plane = [height, width];
    let window = Window { kernel: plane, stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let geometry = PoolGeometry { input: plane, output: [1; 2], channels, window };
    let pooled = maker.tensor([1, 1, channels], -128);
    maker.node(IntOp::AveragePool { geometry, clamp: FULL }, &[at], pooled);
    fully_connected(&mut maker, random, (pooled, 1, [channels, 10]), bits, full)?;
    maker.finish(memory)
}

fn plane(random: &mut Random) -> [usize; 2] {
    let height = if random.chance(30) { 1 } else { random.within(2, 20) as usize };
    [height, random.pick(&[1, 2, 3, 5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 32])]
}

fn channels(random: &mut Random) -> usize {
    random.pick(&[
        1, 2, 3, 3, 4, 5, 10, 14, 6, 8, 8, 12, 16, 16, 20, 24, 32, 32, 40, 48, 64, 64, 96, 128,
    ])
}

fn window(random: &mut Random, sides: &[usize]) -> Window {
    let kernel = random.pick(sides);
    let stride = random.pick(&[1, 1, 2]);
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad: [random.pick(&[kernel / 2, kernel / 2, 0]); 2],
    }
}

/// The output of a window that pads as much after as before; `None` if there is none.
fn extents(input: [usize; 2], window: &Window) -> Option<[usize; 2]> {
    let of = |axis: usize| {
        let padded = input[axis] + 2 * window.pad[axis];
        Some(padded.checked_sub(window.kernel[axis])? / window.stride[axis] + 1)
    };
    Some([of(0)?, of(1)?])
}

fn conv(
    maker: &mut Maker,
    random: &mut Random,
    (x, window, out_channels): (TensorId, Window, usize),
    bits: u8,
    (clamp, zero_point): (Clamp, i32),
) -> Option<TensorId> {
    let [height, width, in_channels] = maker.tensors[x.0].shape;
    let input = [height, width];
    let output = extents(input, &window)?;
    let geometry = ConvGeometry { input, output, in_channels, out_channels, groups: 1, window };
    let shape = [out_channels, window.kernel[0], window.kernel[1], in_channels];
    fits(geometry.macs(), &shape)?;
    let weighted = weighted(random, &shape, out_channels, bits, clamp);
    let y = maker.tensor([output[0], output[1], out_channels], zero_point);
    maker.node(IntOp::Conv2d { geometry, weighted }, &[x], y);
    Some(y)
}

fn depthwise(
    maker: &mut Maker,
    random: &mut Random,
    (x, window): (TensorId, Window),
    bits: u8,
    (clamp, zero_point): (Clamp, i32),
) -> Option<TensorId> {
    let [height, width, channels] = maker.tensors[x.0].shape;
    let input = [height, width];
    let output = extents(input, &window)?;
    let geometry = DepthwiseGeometry { input, output, channels, multiplier: 1, window };
    let shape = [window.kernel[0], window.kernel[1], channels];
    fits(geometry.macs(), &shape)?;
    let weighted = weighted(random, &shape, channels, bits, clamp);
    let y = maker.tensor([output[0], output[1], channels], zero_point);
    maker.node(IntOp::DepthwiseConv2d { geometry, weighted }, &[x], y);
    Some(y)
}

fn fully_connected(
    maker: &mut Maker,
    random: &mut Random,
    (x, rows, [in_features, out_features]): (TensorId, usize, [usize; 2]),
    bits: u8,
    (clamp, zero_point): (Clamp, i32),
) -> Option<TensorId> {
    let shape = [out_features, in_features];
    fits(rows * in_features * out_features, &shape)?;
    let weighted = weighted(random, &shape, out_features, bits, clamp);
    let y = maker.tensor([1, rows, out_features], zero_point);
    maker.node(IntOp::FullyConnected { rows, in_features, out_features, weighted }, &[x], y);
    Some(y)
}

/// Weights, now and then with multipliers above 1.
fn weighted(
    random: &mut Random,
    shape: &[usize],
    channels: usize,
    bits: u8,
    clamp: Clamp,
) -> Weighted {
    let mut weighted = random.weighted(shape, channels, bits, clamp);
    if random.chance(10) {
        weighted.multipliers.iter_mut().for_each(|multiplier| multiplier.exponent += 6);
    }
    weighted
}

fn fits(macs: usize, weights: &[usize]) -> Option<()> {
    (macs <= MAX_MACS && weights.iter().product::<usize>() <= MAX_WEIGHTS).then_some(())
}

/// A program in the making.
#[derive(Default)]
pub(crate) struct Maker {
    tensors: Vec<IntTensor>,
    nodes: Vec<IntNode>,
    pub(crate) inputs: Vec<TensorId>,
}

impl Maker {
    pub(crate) fn tensor(&mut self, shape: [usize; 3], zero_point: i32) -> TensorId {
        let id = TensorId(self.tensors.len());
        let (min, max) = signed_range(8, false);
        let grid = Grid { scale: 0.05, zero_point, min, max };
        self.tensors.push(IntTensor {
            name: format!("t{}", id.0),
            shape,
            dtype: DType::I8,
            bits: 8,
            grid,
        });
        id
    }

    pub(crate) fn node(&mut self, op: IntOp, inputs: &[TensorId], output: TensorId) {
        let name = format!("node{}", self.nodes.len());
        self.nodes.push(IntNode { name, op, inputs: inputs.to_vec(), output });
    }

    pub(crate) fn finish(self, memory: Memory) -> Option<Placed> {
        let border = |id: TensorId| Border::plain(&self.tensors[id.0].shape);
        let named =
            |(index, &id): (usize, &TensorId)| Input::new(format!("x{index}"), id, border(id));
        let inputs: Vec<Input> = self.inputs.iter().enumerate().map(named).collect();
        let last = self.nodes.last()?.output;
        let outputs = vec![Output::new("y", last, border(last))];
        let program = Program {
            name: "sample".into(),
            tensors: self.tensors,
            nodes: self.nodes,
            inputs,
            outputs,
            provenance: Provenance::default(),
        };
        program.place(Kernels::Portable, memory).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_layers_and_networks_are_valid() {
        for &kind in KINDS {
            for &bits in kind.bits() {
                let layers = (0..40).filter_map(|seed| layer(kind, bits, seed)).count();
                assert!(layers >= 10, "{kind:?} of {bits} bits: {layers}");
            }
        }
        for memory in [Memory::Whole, Memory::Reduced] {
            assert!((0..20).filter_map(|seed| network(4, memory, seed)).count() >= 10);
        }
    }
}
