//! Layers with weights.

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, TransposeConvGeometry, Window};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{PackedWeights, pack, packed_len};

use super::builder::{Builder, expressible};
use super::error::Refusal;
use super::shapes::plane;
use super::window::{extent, factor, padding_of, windowed};
use crate::op::{DType, IntOp, Weighted, Weights};
use crate::program::TensorId;
use crate::tflite::Element;
use crate::tflite::bytes::{Numbers, Table};
use crate::tflite::file::Operator;
use crate::tflite::places::{conv, depthwise, options, window};

/// How interpreters derive the multipliers of a layer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// From the product of scales in 64-bit floats.
    Convolution,
    /// The same, but with a single scale from the product in 32-bit floats.
    FullyConnected,
}

/// The options that a layer must have.
fn options_of<'a>(operator: &Operator<'a>) -> Result<Table<'a>, Refusal> {
    operator.options.ok_or_else(|| Refusal::new("expected options, found none"))
}

/// The extents of a filter of so many axes.
fn filter_of<const AXES: usize>(b: &Builder, at: usize) -> Result<[usize; AXES], Refusal> {
    let shape = b.shape(at);
    let found: Option<[usize; AXES]> = shape.try_into().ok();
    found.filter(|extents| extents.iter().all(|&extent| extent > 0)).ok_or_else(|| {
        Refusal::new(format!("expected weights of {AXES} axes, found shape {shape:?}"))
    })
}

pub(super) fn conv2d(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, filter] = [b.input(operator, 0)?, b.input(operator, 1)?];
    let ([height, width, in_channels], table) = (plane(b.shape(x))?, options_of(operator)?);
    let [out_channels, kernel_h, kernel_w, per_group] = filter_of(b, filter)?;
    if !in_channels.is_multiple_of(per_group) {
        return Err(Refusal::new(format!(
            "expected weights whose {per_group} inputs divide {in_channels} channels"
        )));
    }
    let dilation = [factor(&table, conv::DILATION_H)?, factor(&table, conv::DILATION_W)?];
    let (window, output) = windowed(&table, [kernel_h, kernel_w], dilation, [height, width])?;
    let y = b.output(operator)?;
    b.expect_shape(y, &[1, output[0], output[1], out_channels])?;
    let geometry = ConvGeometry {
        input: [height, width],
        output,
        in_channels,
        out_channels,
        groups: in_channels / per_group,
        window,
    };
    let x = b.activation(x)?;
    let y = b.write(y)?;
    let bias = b.optional(operator, 2);
    let mut weighted = layer(b, [filter, 0, out_channels], bias, [x, y], Rule::Convolution)?;
    weighted.clamp = b.bounds(operator, conv::ACTIVATION, y)?;
    b.push(IntOp::Conv2d { geometry, weighted }, &[x], y);
    Ok(())
}

pub(super) fn depthwise(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, filter] = [b.input(operator, 0)?, b.input(operator, 1)?];
    let ([height, width, channels], table) = (plane(b.shape(x))?, options_of(operator)?);
    let [one, kernel_h, kernel_w, out_channels] = filter_of(b, filter)?;
    if one != 1 || channels == 0 || !out_channels.is_multiple_of(channels) {
        return Err(Refusal::new(format!(
            "expected weights of shape [1, height, width, a multiple of {channels}], found {:?}",
            b.shape(filter)
        )));
    }
    let dilation = [factor(&table, depthwise::DILATION_H)?, factor(&table, depthwise::DILATION_W)?];
    let (window, output) = windowed(&table, [kernel_h, kernel_w], dilation, [height, width])?;
    let y = b.output(operator)?;
    b.expect_shape(y, &[1, output[0], output[1], out_channels])?;
    let multiplier = out_channels / channels;
    let geometry =
        DepthwiseGeometry { input: [height, width], output, channels, multiplier, window };
    let x = b.activation(x)?;
    let y = b.write(y)?;
    let bias = b.optional(operator, 2);
    let mut weighted = layer(b, [filter, 3, out_channels], bias, [x, y], Rule::Convolution)?;
    weighted.weights.shape.remove(0);
    weighted.clamp = b.bounds(operator, depthwise::ACTIVATION, y)?;
    b.push(IntOp::DepthwiseConv2d { geometry, weighted }, &[x], y);
    Ok(())
}

pub(super) fn transpose_conv(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [filter, x] = [b.input(operator, 1)?, b.input(operator, 2)?];
    let ([height, width, in_channels], table) = (plane(b.shape(x))?, options_of(operator)?);
    let [out_channels, kernel_h, kernel_w, per_filter] = filter_of(b, filter)?;
    let y = b.output(operator)?;
    let [out_h, out_w, written] = plane(b.shape(y))?;
    if [per_filter, out_channels] != [in_channels, written] {
        return Err(Refusal::new(format!(
            "expected weights of shape [{written}, height, width, {in_channels}], found {:?}",
            b.shape(filter)
        )));
    }
    let kernel = [kernel_h, kernel_w];
    let stride = [extent(&table, window::STRIDE_H)?, extent(&table, window::STRIDE_W)?];
    let padding = padding_of(&table)?;
    let mut pad = [0; 2];
    for (axis, output) in [out_h, out_w].into_iter().enumerate() {
        // The windows are those of a convolution over the output; what falls outside of that is lost.
        let (_, total) = padding.windows(output, stride[axis], kernel[axis]);
        pad[axis] = total / 2;
    }
    let geometry = TransposeConvGeometry {
        input: [height, width],
        output: [out_h, out_w],
        in_channels,
        out_channels,
        groups: 1,
        window: Window { kernel, stride, dilation: [1; 2], pad },
    };
    let x = b.activation(x)?;
    let y = b.write(y)?;
    let bias = b.optional(operator, 3);
    let mut weighted = layer(b, [filter, 0, out_channels], bias, [x, y], Rule::Convolution)?;
    weighted.clamp = b.bounds(operator, conv::ACTIVATION, y)?;
    b.push(IntOp::TransposeConv2d { geometry, weighted }, &[x], y);
    Ok(())
}

pub(super) fn fully_connected(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, filter] = [b.input(operator, 0)?, b.input(operator, 1)?];
    let table = options_of(operator)?;
    let format = table.byte(options::FULLY_CONNECTED_FORMAT)?;
    if format != 0 {
        return Err(Refusal::lasting(format!("expected weights in format 0, found {format}")));
    }
    let [out_features, in_features] = filter_of(b, filter)?;
    let elements = b.tensor(x).elements().unwrap_or(0);
    if !elements.is_multiple_of(in_features) {
        return Err(Refusal::new(format!(
            "expected rows of {in_features} elements, found shape {:?}",
            b.shape(x)
        )));
    }
    let rows = elements / in_features;
    let x = b.activation(x)?;
    let y = b.write(b.output(operator)?)?;
    let bias = b.optional(operator, 2);
    let mut weighted = layer(b, [filter, 0, out_features], bias, [x, y], Rule::FullyConnected)?;
    weighted.clamp = b.bounds(operator, options::ACTIVATION, y)?;
    b.push(IntOp::FullyConnected { rows, in_features, out_features, weighted }, &[x], y);
    Ok(())
}

/// The weights in the tensor at `filter`, with output channels along `axis`, and biases; the bounds are the type's.
fn layer(
    b: &mut Builder,
    [filter, axis, channels]: [usize; 3],
    bias: Option<usize>,
    [x, y]: [TensorId; 2],
    rule: Rule,
) -> Result<Weighted, Refusal> {
    b.same_type(x, y)?;
    let (tensor, wide) = (b.tensor(filter), b.of(x).dtype == DType::I16);
    let bits = match tensor.element {
        Ok(Element::Int8) => 8,
        Ok(Element::Int4) if !wide => 4,
        _ => {
            return Err(Refusal::lasting(format!(
                "expected weights of int8, or of int4 with int8 activations, found {}",
                tensor.element_name()
            )));
        }
    };
    let count = tensor.elements().unwrap_or(0);
    let size = packed_len(count, bits);
    if tensor.is_partial || tensor.data.len() != size {
        return Err(Refusal::lasting(format!(
            "expected constant weights of {size} bytes for shape {:?}, found {}",
            tensor.shape,
            tensor.data.len()
        )));
    }
    let scales = tensor.scales;
    if ![1, channels].contains(&scales.len()) || (scales.len() > 1 && tensor.axis != axis as i32) {
        return Err(Refusal::new(format!(
            "expected one scale for the weights or {channels} along axis {axis}, found {} along axis {}",
            scales.len(),
            tensor.axis
        )));
    }
    b.budget.take(2 * count.saturating_add(size).saturating_add(16 * channels))?;
    let points = tensor.zero_points;
    if points.len() > scales.len() || points.iter().any(|point| point != 0) {
        return Err(Refusal::new("expected a zero point of 0 for each scale of the weights"));
    }
    let mut values = vec![0; count];
    PackedWeights { bytes: tensor.data, storage: bits }.unpack(0, &mut values);
    if bits == 8 && values.contains(&i8::MIN) {
        return Err(Refusal::new("expected int8 weights from -127 to 127, found -128"));
    }
    let mut data = vec![0; size];
    pack(&values, bits, &mut data);
    let scales: Vec<f32> = scales.iter().collect();
    let (input, output) = (b.of(x).grid.scale, b.of(y).grid.scale);
    let multiplier = |&scale: &f32| {
        let single = rule == Rule::FullyConnected && scales.len() == 1;
        expressible(match single {
            true => Multiplier::of_product(input, scale, output),
            false => Multiplier::of_scales(input, scale, output),
        })
    };
    let multipliers = scales.iter().map(multiplier).collect::<Result<_, _>>()?;
    let bias = biases(b, bias, channels, wide)?;
    let grid = b.of(y).grid;
    let clamp = burn_ptq_kernels::params::Clamp { min: grid.min, max: grid.max };
    let weights = Weights { shape: tensor.shape.clone(), bits, storage: bits, data, scales };
    Ok(Weighted { weights, bias, multipliers, clamp })
}

fn biases(
    b: &Builder,
    at: Option<usize>,
    channels: usize,
    wide: bool,
) -> Result<Vec<i32>, Refusal> {
    let Some(at) = at else { return Ok(vec![0; channels]) };
    let tensor = b.tensor(at);
    let width = match (tensor.element, wide) {
        (Ok(Element::Int32), false) => 4,
        (Ok(Element::Int64), true) => 8,
        (Ok(Element::Int32), true) => {
            return Err(Refusal::new(
                "expected biases of int64 beside int16 activations, found int32: interpreters sum in 32 bits then",
            ));
        }
        _ => {
            let expected = if wide { "int64" } else { "int32" };
            return Err(Refusal::new(format!(
                "expected biases of {expected}, found {}",
                tensor.element_name()
            )));
        }
    };
    if tensor.is_partial || tensor.data.len() != width * channels {
        return Err(Refusal::new(format!(
            "expected {channels} constant biases, found {} bytes",
            tensor.data.len()
        )));
    }
    if width == 4 {
        return Ok(Numbers::<i32>::of(tensor.data).iter().collect());
    }
    let narrowed = Numbers::<i64>::of(tensor.data).iter().map(i32::try_from);
    narrowed.collect::<Result<_, _>>().map_err(|_| {
        Refusal::new("expected biases of at most 32 bits: give the layer more calibration data")
    })
}
