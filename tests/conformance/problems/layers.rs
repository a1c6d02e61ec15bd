//! Random layers as a strategy of proptest, so that one that fails shrinks: shapes, strides, padding,
//! dilation, bits, zero points at the ends of their grids, accumulators near what 32 bits hold.

use burn_ptq_deploy::program::{DType, IntOp, IntTensor, Weighted, Weights};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, Window};
use burn_ptq_kernels::grid::{Grid, signed_range, weight_range};
use burn_ptq_kernels::multiplier::{MAX_EXPONENT, Multiplier};
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};
use proptest::prelude::*;

use super::draw::Draw;
use super::program::{Program, clamp};
use super::{GENERATORS, Problem};

/// A layer that is larger is not run: many must fit one image.
const MAX_MACS: usize = 300_000;
const MAX_WEIGHTS: usize = 8_000;

/// A program of one operation, or one that ends in it.
#[derive(Clone, Debug)]
pub(crate) enum Case {
    /// With weights.
    Layer(Layer),
    /// Without: the operation's place in [`GENERATORS`], and the seed of its generator.
    Other(usize, u64),
}

/// A layer with weights, before it is known to be a valid program.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    kind: Kind,
    /// Extents of the plane; the rows of a fully connected layer.
    plane: [usize; 2],
    windows: Windows,
    activations: Activations,
    weights: LayerWeights,
    accumulators: Accumulators,
    /// How the outputs lie in their grid.
    fit: f32,
    /// Of weights, biases and inputs.
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Conv { groups: usize, depth: usize, filters: usize },
    Depthwise { channels: usize, multiplier: usize },
    FullyConnected { features: [usize; 2] },
}

/// Windows along both axes.
#[derive(Clone, Copy, Debug)]
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// As much as what a window reaches over, or a little more.
    pad: [usize; 2],
    /// So many fewer than start within the padded input.
    fewer: [usize; 2],
}

#[derive(Clone, Copy, Debug)]
struct Activations {
    wide: bool,
    /// Of the input and the output.
    bits: [u8; 2],
    zero_points: [ZeroPoint; 2],
    inputs: Values,
}

#[derive(Clone, Copy, Debug)]
enum ZeroPoint {
    Zero,
    Min,
    Max,
    At(i8),
}

#[derive(Clone, Copy, Debug)]
struct LayerWeights {
    bits: u8,
    values: Values,
    per_channel: bool,
    rounding_once: bool,
}

#[derive(Clone, Copy, Debug)]
enum Values {
    Zero,
    Any,
    Ends,
}

/// How large biases are.
#[derive(Clone, Copy, Debug)]
enum Accumulators {
    /// As the sums of products.
    Usual,
    /// Accumulators reach the largest that a program may have.
    Largest,
    /// Accumulators are about those from which on they cannot be doubled, which decides the kernel.
    Doubled,
}

/// Cases, one in four without weights.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let others: Vec<usize> = (0..GENERATORS.len())
        .filter(|&index| {
            !["Conv2d", "DepthwiseConv2d", "FullyConnected"].contains(&GENERATORS[index].0)
        })
        .collect();
    prop_oneof![
        3 => layers().prop_map(Case::Layer),
        1 => (prop::sample::select(others), any::<u64>()).prop_map(|(op, seed)| Case::Other(op, seed)),
    ]
}

fn layers() -> impl Strategy<Value = Layer> {
    let parts = (kinds(), [1_usize..13, 1_usize..13], windows(), activations(), weights());
    let accumulators = prop_oneof![
        2 => Just(Accumulators::Usual),
        1 => Just(Accumulators::Largest),
        1 => Just(Accumulators::Doubled),
    ];
    let fit = prop_oneof![4 => 0.4_f32..2.0, 1 => 0.001_f32..30.0];
    (parts, accumulators, fit, any::<u64>()).prop_map(|(parts, accumulators, fit, seed)| {
        let (kind, plane, windows, activations, weights) = parts;
        Layer { kind, plane, windows, activations, weights, accumulators, fit, seed }
    })
}

fn kinds() -> impl Strategy<Value = Kind> {
    let small_or_large = |end: usize| prop_oneof![2 => 1_usize..9, 1 => 1..end];
    prop_oneof![
        (prop_oneof![2 => Just(1), 1 => 1_usize..5], small_or_large(40), small_or_large(36))
            .prop_map(|(groups, depth, filters)| Kind::Conv { groups, depth, filters }),
        (small_or_large(70), prop_oneof![3 => Just(1), 1 => 1_usize..4])
            .prop_map(|(channels, multiplier)| Kind::Depthwise { channels, multiplier }),
        [small_or_large(700), small_or_large(40)]
            .prop_map(|features| Kind::FullyConnected { features }),
    ]
}

fn windows() -> impl Strategy<Value = Windows> {
    let kernel = || prop_oneof![6 => 1_usize..6, 1 => 1_usize..10];
    let dilation = || prop_oneof![3 => Just(1), 1 => 1_usize..4];
    let fewer = || prop_oneof![2 => Just(0), 1 => 0_usize..8];
    let both = ([kernel(), kernel()], [1_usize..4, 1_usize..4]);
    (both, [dilation(), dilation()], [0_usize..6, 0_usize..6], [fewer(), fewer()]).prop_map(
        |((kernel, stride), dilation, pad, fewer)| Windows { kernel, stride, dilation, pad, fewer },
    )
}

fn activations() -> impl Strategy<Value = Activations> {
    let bits = || prop_oneof![3 => Just(8_u8), 1 => 2_u8..8];
    let zero_point = || {
        prop_oneof![
            Just(ZeroPoint::Zero),
            Just(ZeroPoint::Min),
            Just(ZeroPoint::Max),
            any::<i8>().prop_map(ZeroPoint::At),
        ]
    };
    let wide = prop_oneof![5 => Just(false), 1 => Just(true)];
    (wide, [bits(), bits()], [zero_point(), zero_point()], values()).prop_map(
        |(wide, bits, zero_points, inputs)| Activations { wide, bits, zero_points, inputs },
    )
}

fn weights() -> impl Strategy<Value = LayerWeights> {
    (2_u8..9, values(), any::<bool>(), prop_oneof![5 => Just(false), 1 => Just(true)]).prop_map(
        |(bits, values, per_channel, rounding_once)| LayerWeights {
            bits,
            values,
            per_channel,
            rounding_once,
        },
    )
}

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![1 => Just(Values::Zero), 16 => Just(Values::Any), 5 => Just(Values::Ends)]
}

impl Case {
    /// The program, if it is a valid one.
    pub(crate) fn problem(&self) -> Option<Problem> {
        match self {
            Case::Layer(layer) => layer.problem(),
            Case::Other(op, seed) => GENERATORS[*op].1(&mut Draw::new(*seed)),
        }
    }
}

impl Layer {
    fn problem(&self) -> Option<Problem> {
        let draw = &mut Draw::new(self.seed);
        let (window, planes) = self.windows.over(self.plane);
        let [height, width] = planes;
        let (shapes, weights_shape, channel_axis) = match self.kind {
            Kind::Conv { groups, depth, filters } => (
                [[self.plane[0], self.plane[1], depth * groups], [height, width, filters * groups]],
                vec![filters * groups, window.kernel[0], window.kernel[1], depth],
                0,
            ),
            Kind::Depthwise { channels, multiplier } => (
                [[self.plane[0], self.plane[1], channels], [height, width, channels * multiplier]],
                vec![window.kernel[0], window.kernel[1], channels * multiplier],
                2,
            ),
            Kind::FullyConnected { features: [from, to] } => {
                ([[1, self.plane[0], from], [1, self.plane[0], to]], vec![to, from], 0)
            }
        };
        let input = self.tensor(0, shapes[0], draw.scale(1e-3, 0.5));
        let mut output = self.tensor(1, shapes[1], 1.0);
        let (values, weighted) =
            self.weighted(draw, &weights_shape, channel_axis, input.grid, &mut output)?;
        let op = self.operation(window, shapes, weighted.clone());
        if op.macs() > MAX_MACS || values.len() > MAX_WEIGHTS {
            return None;
        }
        let bytes = self.input_bytes(draw, &input, &values, &weighted, channel_axis);
        let program = Program::with_input(draw, input);
        let x = program.input();
        let problem = program.finish(op, &[x], output)?;
        Some(Problem { input: bytes, ..problem })
    }

    fn tensor(&self, side: usize, shape: [usize; 3], scale: f32) -> IntTensor {
        let Activations { wide, bits, zero_points, .. } = self.activations;
        let bits = if wide { 16 } else { bits[side] };
        let (min, max) = signed_range(bits, false);
        let zero_point = match zero_points[side] {
            _ if wide => 0,
            ZeroPoint::Zero => 0,
            ZeroPoint::Min => min,
            ZeroPoint::Max => max,
            ZeroPoint::At(value) => i32::from(value).clamp(min, max),
        };
        let dtype = if wide { DType::I16 } else { DType::I8 };
        let grid = Grid { scale, zero_point, min, max };
        IntTensor { name: String::new(), shape, dtype, bits, grid }
    }

    fn operation(&self, window: Window, shapes: [[usize; 3]; 2], weighted: Weighted) -> IntOp {
        let [input, output] = shapes.map(|[height, width, _]| [height, width]);
        match self.kind {
            Kind::Conv { groups, .. } => {
                let [in_channels, out_channels] = shapes.map(|[_, _, channels]| channels);
                let geometry =
                    ConvGeometry { input, output, in_channels, out_channels, groups, window };
                IntOp::Conv2d { geometry, weighted }
            }
            Kind::Depthwise { channels, multiplier } => {
                let geometry = DepthwiseGeometry { input, output, channels, multiplier, window };
                IntOp::DepthwiseConv2d { geometry, weighted }
            }
            Kind::FullyConnected { features: [in_features, out_features] } => {
                let rows = self.plane[0];
                IntOp::FullyConnected { rows, in_features, out_features, weighted }
            }
        }
    }

    /// Weights with biases and multipliers; sets the output's scale.
    fn weighted(
        &self,
        draw: &mut Draw,
        shape: &[usize],
        channel_axis: usize,
        input: Grid,
        output: &mut IntTensor,
    ) -> Option<(Vec<i8>, Weighted)> {
        let LayerWeights { bits, values, per_channel, rounding_once } = self.weights;
        let (len, channels) = (shape.iter().product::<usize>(), shape[channel_axis]);
        let (low, high) = weight_range(bits);
        let values: Vec<i8> = (0..len).map(|_| values.draw(draw, [low, high], 0) as i8).collect();
        let storage = storage_bits(bits);
        let mut data = vec![0; packed_len(len, storage)];
        pack(&values, storage, &mut data);

        let magnitude = if self.activations.wide { 1 << 15 } else { 128 + input.zero_point.abs() };
        let mut products = vec![0_i64; channels];
        for (index, &value) in values.iter().enumerate() {
            products[channel_of(index, len, channels, channel_axis)] +=
                i64::from(value).abs() * i64::from(magnitude);
        }
        let limit = match self.accumulators {
            _ if self.activations.wide => None,
            Accumulators::Usual => None,
            Accumulators::Largest => Some(i64::from(i32::MAX)),
            Accumulators::Doubled => Some(1 << 30),
        };
        let largest = products.iter().copied().max().unwrap_or(0).clamp(1, i64::from(i32::MAX));
        let bias: Vec<i64> = (products.iter())
            .map(|&products| match limit {
                None => i64::from(draw.within(-(largest as i32 / 2), largest as i32 / 2)),
                Some(limit) => {
                    let below = i64::from(draw.within(0, 2));
                    let above = i64::from(i32::from(limit == 1 << 30));
                    let bias = limit - products - below + above;
                    if draw.chance(50) { bias } else { -bias }
                }
            })
            .collect();
        let bias: Option<Vec<i32>> =
            bias.into_iter().map(|bias| i32::try_from(bias).ok()).collect();

        // Outputs take about a quarter of their grid.
        let spread = match limit {
            Some(limit) => limit as f32 / 2.0,
            None => largest as f32 / ((len / channels) as f32).sqrt() / 2.0,
        };
        let base = draw.scale(1e-3, 0.1);
        let steps = (output.grid.max - output.grid.min) as f32 / 4.0;
        output.grid.scale = input.scale * base * spread / steps * self.fit;
        let scales: Vec<f32> = match per_channel {
            true => (0..channels).map(|_| base * draw.scale(0.3, 3.0)).collect(),
            false => vec![base],
        };
        let multiplier = |&scale: &f32| {
            let multiplier = Multiplier::of_scales(input.scale, scale, output.grid.scale)?;
            Some(if rounding_once { multiplier.rounding_once() } else { multiplier })
        };
        let mut multipliers = scales.iter().map(multiplier).collect::<Option<Vec<_>>>()?;
        if draw.chance(5) && !self.activations.wide {
            // As large as it can be, which programs with small accumulators may have.
            multipliers[0] =
                Multiplier { quantized: i32::MAX, exponent: draw.within(0, MAX_EXPONENT) };
        }
        let weights = Weights { shape: shape.to_vec(), bits, storage, data, scales };
        let clamp = clamp(draw, output.grid);
        Some((values, Weighted { weights, bias: bias?, multipliers, clamp }))
    }

    /// Inputs; where accumulators are to be large, those that make the products of some channel
    /// point away from zero, as its bias does.
    fn input_bytes(
        &self,
        draw: &mut Draw,
        input: &IntTensor,
        values: &[i8],
        weighted: &Weighted,
        channel_axis: usize,
    ) -> Vec<u8> {
        let Grid { zero_point, min, max, .. } = input.grid;
        let channels = weighted.bias.len();
        let inputs: Vec<i32> = match self.accumulators {
            Accumulators::Usual => (0..input.len())
                .map(|_| self.activations.inputs.draw(draw, [min, max], zero_point))
                .collect(),
            _ => {
                let channel = draw.below(channels);
                let of_channel: Vec<i32> = (values.iter().enumerate())
                    .filter(|(i, _)| {
                        channel_of(*i, values.len(), channels, channel_axis) == channel
                    })
                    .map(|(_, &value)| i32::from(value))
                    .collect();
                let sign = weighted.bias[channel].signum();
                (0..input.len())
                    .map(|i| if of_channel[i % of_channel.len()] * sign < 0 { min } else { max })
                    .collect()
            }
        };
        match input.dtype {
            DType::I16 => inputs.into_iter().flat_map(|x| (x as i16).to_le_bytes()).collect(),
            _ => inputs.into_iter().map(|x| x as u8).collect(),
        }
    }
}

/// The output channel of a weight: channels lie along the first axis or the last.
fn channel_of(index: usize, len: usize, channels: usize, channel_axis: usize) -> usize {
    if channel_axis == 0 { index / (len / channels) } else { index % channels }
}

impl Windows {
    /// The windows over a plane, and how many there are.
    fn over(&self, plane: [usize; 2]) -> (Window, [usize; 2]) {
        let Windows { kernel, stride, dilation, .. } = *self;
        let pad = [0, 1].map(|axis| self.pad[axis].min((kernel[axis] - 1) * dilation[axis] + 2));
        let counts = [0, 1].map(|axis| {
            // Some lie in the padding alone.
            let all = (plane[axis] + 2 * pad[axis]).div_ceil(stride[axis]);
            all.saturating_sub(self.fewer[axis]).max(1)
        });
        (Window { kernel, stride, dilation, pad }, counts)
    }
}

impl Values {
    fn draw(self, draw: &mut Draw, [min, max]: [i32; 2], zero: i32) -> i32 {
        match self {
            Values::Zero => zero,
            Values::Any => draw.within(min, max),
            Values::Ends => draw.pick(&[min, max]),
        }
    }
}
