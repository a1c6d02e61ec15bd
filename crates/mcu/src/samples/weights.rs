//! Layers with weights.

use burn_ptq_deploy::program::{DType, IntOp, TensorId, Weighted};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, TransposeConvGeometry, Window};
use burn_ptq_kernels::params::Clamp;

use super::{Ends, Kind, Maker, Twist, Variant, WIDE, channels, extents, shape, window};
use crate::layers::Random;

/// Multiply-accumulates of a layer, and bytes of its weights, at most.
const MAX_MACS: usize = 300_000;
const MAX_WEIGHTS: usize = 24_000;

/// A bias that leaves no room for sums in the kernels that double them.
const LARGE_BIAS: i32 = 1 << 30;

/// What layers have beside their shapes.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub bits: u8,
    pub clamp: Clamp,
    pub zero_point: i32,
    pub twist: Twist,
}

/// The layer of a variant.
pub(super) fn layer(variant: Variant, random: &mut Random, ends: Ends) -> Option<Maker> {
    let Variant { kind, dtype, bits, twist } = variant;
    let Ends { shape: [height, width, channels], clamp, zero_point } = ends;
    // Kernels that shift doubled sums take no other bounds than those of 8 bits.
    let bounded = Clamp { min: -120, max: 110 };
    let clamp = if twist == Twist::Large { bounded } else { clamp };
    let form = Form { bits, clamp, zero_point, twist };
    let mut maker = Maker::default();
    match kind {
        Kind::Conv if twist == Twist::Unusual => {
            let groups = random.pick(&[1, 2, 2, 3, 4]);
            let per_group = random.pick(&[1, 2, 3, 4, 8, 12, 16]);
            let filters = groups * random.pick(&[1, 2, 3, 4, 6, 8, 16]);
            let x = maker.input(dtype, [height, width, groups * per_group], -128);
            let window = unusual_window(random);
            conv(&mut maker, random, (x, window, filters, groups), form)?;
        }
        Kind::Depthwise if twist == Twist::Unusual => {
            let x = maker.input(dtype, [height, width, channels], -128);
            let multiplier = random.pick(&[1, 1, 2, 3]);
            let window = unusual_window(random);
            depthwise(&mut maker, random, (x, window, multiplier), form)?;
        }
        Kind::Conv => {
            let x = maker.input(dtype, [height, width, channels], -128);
            let window = window(random, &[1, 3, 3, 5]);
            let output = self::channels(random);
            conv(&mut maker, random, (x, window, output, 1), form)?;
        }
        Kind::Depthwise => {
            let x = maker.input(dtype, [height, width, channels], -128);
            let window = window(random, &[3, 3, 3, 5]);
            depthwise(&mut maker, random, (x, window, 1), form)?;
        }
        Kind::TransposeConv => {
            let groups = random.pick(&[1, 1, 1, 2]);
            let [inputs, filters] = [(); 2].map(|()| random.pick(&[1, 2, 3, 4, 8, 12, 16, 24]));
            let plane = [height.min(9), width.min(12)];
            let x = maker.input(dtype, [plane[0], plane[1], groups * inputs], -128);
            transposed(&mut maker, random, (x, groups * filters, groups), form)?;
        }
        _ => {
            let features =
                [random.pick(&[8, 13, 16, 32, 64, 100, 128, 200, 256]), self::channels(random)];
            let rows = random.pick(&[1, 1, 1, 2, 5]);
            let x = maker.input(dtype, [1, rows, features[0]], -128);
            if kind == Kind::WideSums {
                return wide_sums(maker, random, (x, rows, features), form);
            }
            fully_connected(&mut maker, random, (x, rows, features), form)?;
        }
    }
    Some(maker)
}

/// A window that is not square, has gaps between its taps, or has more of them than most kernels take.
fn unusual_window(random: &mut Random) -> Window {
    let kernel = random.pick(&[[1, 3], [1, 5], [1, 9], [3, 1], [2, 2], [3, 3], [3, 3], [9, 9]]);
    let dilation = random.pick(&[1, 1, 2]);
    let pad = random.chance(70);
    Window {
        kernel,
        stride: [random.pick(&[1, 1, 2]), random.pick(&[1, 1, 2, 3])],
        dilation: [dilation; 2],
        pad: kernel.map(|side| if pad { (side - 1) * dilation / 2 } else { 0 }),
    }
}

pub(super) fn conv(
    maker: &mut Maker,
    random: &mut Random,
    (x, window, out_channels, groups): (TensorId, Window, usize, usize),
    form: Form,
) -> Option<TensorId> {
    let [height, width, in_channels] = shape(maker, x);
    let input = [height, width];
    let output = extents(input, &window)?;
    let geometry = ConvGeometry { input, output, in_channels, out_channels, groups, window };
    let shape = [out_channels, window.kernel[0], window.kernel[1], in_channels / groups];
    fits(geometry.macs(), &shape)?;
    let weighted = weighted(maker, x, random, &shape, out_channels, form);
    let y = output_of(maker, x, [output[0], output[1], out_channels], form);
    maker.node(IntOp::Conv2d { geometry, weighted }, &[x], y);
    Some(y)
}

pub(super) fn depthwise(
    maker: &mut Maker,
    random: &mut Random,
    (x, window, multiplier): (TensorId, Window, usize),
    form: Form,
) -> Option<TensorId> {
    let [height, width, channels] = shape(maker, x);
    let input = [height, width];
    let output = extents(input, &window)?;
    let geometry = DepthwiseGeometry { input, output, channels, multiplier, window };
    let outputs = channels * multiplier;
    let shape = [window.kernel[0], window.kernel[1], outputs];
    fits(geometry.macs(), &shape)?;
    let weighted = weighted(maker, x, random, &shape, outputs, form);
    let y = output_of(maker, x, [output[0], output[1], outputs], form);
    maker.node(IntOp::DepthwiseConv2d { geometry, weighted }, &[x], y);
    Some(y)
}

fn transposed(
    maker: &mut Maker,
    random: &mut Random,
    (x, out_channels, groups): (TensorId, usize, usize),
    form: Form,
) -> Option<TensorId> {
    let [height, width, in_channels] = shape(maker, x);
    let input = [height, width];
    let kernel = random.pick(&[[2, 2], [2, 2], [3, 3], [4, 4], [1, 3], [5, 5]]);
    let stride = random.pick(&[1, 2, 2, 2, 3]);
    let stride = [if kernel[0] == 1 { 1 } else { stride }, stride];
    let pad = kernel.map(|side| if side > 2 && random.chance(50) { 1 } else { 0 });
    let output = [0, 1].map(|axis| {
        ((input[axis] - 1) * stride[axis] + kernel[axis]).saturating_sub(2 * pad[axis]).max(1)
    });
    let window = Window { kernel, stride, dilation: [1; 2], pad };
    let geometry =
        TransposeConvGeometry { input, output, in_channels, out_channels, groups, window };
    let shape = [out_channels, kernel[0], kernel[1], in_channels / groups];
    fits(geometry.macs(), &shape)?;
    let weighted = weighted(maker, x, random, &shape, out_channels, form);
    let y = output_of(maker, x, [output[0], output[1], out_channels], form);
    maker.node(IntOp::TransposeConv2d { geometry, weighted }, &[x], y);
    Some(y)
}

pub(super) fn fully_connected(
    maker: &mut Maker,
    random: &mut Random,
    (x, rows, [in_features, out_features]): (TensorId, usize, [usize; 2]),
    form: Form,
) -> Option<TensorId> {
    let shape = [out_features, in_features];
    fits(rows * in_features * out_features, &shape)?;
    let weighted = weighted(maker, x, random, &shape, out_features, form);
    let y = output_of(maker, x, [1, rows, out_features], form);
    maker.node(IntOp::FullyConnected { rows, in_features, out_features, weighted }, &[x], y);
    Some(y)
}

/// A fully connected layer whose sums have 16 bits.
fn wide_sums(
    mut maker: Maker,
    random: &mut Random,
    (x, rows, [in_features, out_features]): (TensorId, usize, [usize; 2]),
    form: Form,
) -> Option<Maker> {
    let shape = [out_features, in_features];
    fits(rows * in_features * out_features, &shape)?;
    let mut weighted =
        weighted(&maker, x, random, &shape, out_features, Form { clamp: WIDE, ..form });
    // Tiles of layers of which no multiplier is 1/2 or more have fewer words.
    let largest = if random.chance(50) { 0 } else { -1 };
    for multiplier in &mut weighted.multipliers {
        // Most outputs have 14 bits instead of 6.
        multiplier.exponent = (multiplier.exponent + 8).min(largest);
    }
    let y = maker.tensor_of(DType::I16, [1, rows, out_features], 0);
    maker.node(IntOp::FullyConnected { rows, in_features, out_features, weighted }, &[x], y);
    Some(maker)
}

/// A tensor of the type of `x` for an output.
fn output_of(maker: &mut Maker, x: TensorId, shape: [usize; 3], form: Form) -> TensorId {
    let dtype = maker.tensors[x.0].dtype;
    maker.tensor_of(dtype, shape, form.zero_point)
}

/// Weights, now and then with multipliers above 1.
fn weighted(
    maker: &Maker,
    x: TensorId,
    random: &mut Random,
    shape: &[usize],
    channels: usize,
    form: Form,
) -> Weighted {
    let wide = maker.tensors[x.0].dtype == DType::I16;
    let clamp = if wide { WIDE } else { form.clamp };
    let mut weighted = random.weighted(shape, channels, form.bits, clamp);
    let raised = random.chance(10);
    for multiplier in &mut weighted.multipliers {
        // Sums of 16-bit elements are 256 times as large, and so are their outputs.
        multiplier.exponent += if raised && !wide { 6 } else { 0 };
    }
    if form.twist == Twist::Large
        && let Some(first) = weighted.bias.first_mut()
    {
        *first = LARGE_BIAS;
        weighted.multipliers.iter_mut().for_each(|multiplier| {
            multiplier.exponent = multiplier.exponent.min(0);
        });
    }
    weighted
}

fn fits(macs: usize, weights: &[usize]) -> Option<()> {
    (macs <= MAX_MACS && weights.iter().product::<usize>() <= MAX_WEIGHTS).then_some(())
}
