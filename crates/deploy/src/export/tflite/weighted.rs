//! Layers with weights.

use burn_ptq_kernels::multiplier::Multiplier;

use super::choices::TfLiteOptions;
use super::graph::{Graph, with_batch};
use super::model::Quantization;
use super::options;
use super::window::{Around, crop_to, pad_explicitly, transposed_padding};
use crate::export::shared::refusal::{NOT_DERIVED, Refusal};
use crate::op::{DType, IntOp, Weighted};
use crate::program::{IntNode, IntTensor};
use crate::tflite::schema::{
    CONV_2D, DEPTHWISE_CONV_2D, Element, FULLY_CONNECTED, Padding, TRANSPOSE_CONV,
};

/// How the interpreters derive the multipliers of a layer, and which weights they take two to a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// From a scale for each channel; weights of four bits, with these scales too.
    Convolution,
    /// The same, without weights of four bits.
    Transposed,
    /// By another rule where there is a single scale, with which alone there are weights of four bits.
    FullyConnected,
}

/// How the weights of a layer are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Bits of their grid.
    pub bits: u8,
    /// Bits that each takes.
    pub stored: u8,
    /// Bytes of all of them.
    pub bytes: usize,
}

/// Weights and biases as they are written.
struct Layer {
    filter: usize,
    bias: usize,
}

/// Writes a node with weights; says how these are stored.
pub(super) fn translate(
    graph: &mut Graph,
    node: &IntNode,
    chosen: TfLiteOptions,
) -> Result<Option<Stored>, Refusal> {
    let (Some(&x), y) = (node.inputs.first(), node.output) else { return Ok(None) };
    let (input, output) = (graph.of(x), graph.of(y));
    match &node.op {
        IntOp::Conv2d { geometry: g, weighted } => {
            let [height, width] = g.window.kernel;
            let shape = [g.out_channels, height, width, g.inputs_per_group()];
            let source = graph.read(x, &with_batch([g.input[0], g.input[1], g.in_channels]));
            let (source, padding) =
                pad_explicitly(graph, source, &g.window, g.output, input, Around::Zeros);
            let (layer, stored) =
                layer(graph, weighted, (&shape, 0), [input, output], Rule::Convolution, chosen)?;
            let shape = with_batch([g.output[0], g.output[1], g.out_channels]);
            graph.bounded(y, &shape, weighted.clamp, true, |graph, activation, y| {
                let options =
                    options::conv(padding, g.window.stride, g.window.dilation, activation);
                graph.operator(CONV_2D, options, &[source, layer.filter, layer.bias], y);
            });
            Ok(Some(stored))
        }
        IntOp::DepthwiseConv2d { geometry: g, weighted } => {
            let ([height, width], channels) = (g.window.kernel, g.out_channels());
            let shape = [1, height, width, channels];
            let source = graph.read(x, &with_batch([g.input[0], g.input[1], g.channels]));
            let (source, padding) =
                pad_explicitly(graph, source, &g.window, g.output, input, Around::Zeros);
            let (layer, stored) =
                layer(graph, weighted, (&shape, 3), [input, output], Rule::Convolution, chosen)?;
            let shape = with_batch([g.output[0], g.output[1], channels]);
            graph.bounded(y, &shape, weighted.clamp, true, |graph, activation, y| {
                let (stride, dilation) = (g.window.stride, g.window.dilation);
                let options =
                    options::depthwise(padding, stride, dilation, g.multiplier, activation);
                graph.operator(DEPTHWISE_CONV_2D, options, &[source, layer.filter, layer.bias], y);
            });
            Ok(Some(stored))
        }
        IntOp::TransposeConv2d { geometry: g, weighted } => {
            if g.groups != 1 {
                return Err(Refusal::new("TRANSPOSE_CONV has no groups"));
            }
            if g.window.dilation != [1, 1] {
                return Err(Refusal::new("TRANSPOSE_CONV has no dilation"));
            }
            let [height, width] = g.window.kernel;
            let shape = [g.out_channels, height, width, g.in_channels];
            let source = graph.read(x, &with_batch([g.input[0], g.input[1], g.in_channels]));
            let (layer, stored) =
                layer(graph, weighted, (&shape, 0), [input, output], Rule::Transposed, chosen)?;
            // Where the padding is not the operator's own, it writes the border too, and others cut
            // it off.
            let (padding, border) = match transposed_padding(&g.window, g.output) {
                Some(padding) => (padding, [0, 0]),
                None => (Padding::Valid, g.window.pad),
            };
            let written = [0, 1].map(|axis| g.output[axis] + border[axis]);
            let shape = with_batch([g.output[0], g.output[1], g.out_channels]);
            let whole = with_batch([written[0], written[1], g.out_channels]);
            let extents = graph.integers(&[4], &whole.map(|extent| extent as i32));
            graph.bounded(y, &shape, weighted.clamp, true, |graph, activation, y| {
                let options = options::transpose_conv(padding, g.window.stride, activation);
                let inputs = [extents, layer.filter, source, layer.bias];
                if border == [0, 0] {
                    graph.operator(TRANSPOSE_CONV, options, &inputs, y);
                } else {
                    let bordered = graph.temporary(output, &whole);
                    graph.operator(TRANSPOSE_CONV, options, &inputs, bordered);
                    crop_to(graph, bordered, y, border, g.output);
                }
            });
            Ok(Some(stored))
        }
        IntOp::FullyConnected { rows, in_features, out_features, weighted } => {
            let ends = [input, output];
            if input.dtype != output.dtype {
                return Err(Refusal::new("FULLY_CONNECTED has no 16-bit output of an 8-bit input"));
            }
            if is_better_as_convolution(weighted, ends, chosen) {
                let source = graph.read(x, &[1, *rows, 1, *in_features]);
                let shape = [*out_features, 1, 1, *in_features];
                let (layer, stored) =
                    layer(graph, weighted, (&shape, 0), ends, Rule::Convolution, chosen)?;
                let shape = [1, *rows, 1, *out_features];
                graph.bounded(y, &shape, weighted.clamp, true, |graph, activation, y| {
                    let options = options::conv(Padding::Valid, [1; 2], [1; 2], activation);
                    graph.operator(CONV_2D, options, &[source, layer.filter, layer.bias], y);
                });
                return Ok(Some(stored));
            }
            // One row is read in any shape.
            let source = match rows {
                1 => graph.flat(x),
                _ => graph.read(x, &[*rows, *in_features]),
            };
            let shape = [*out_features, *in_features];
            let (layer, stored) =
                layer(graph, weighted, (&shape, 0), ends, Rule::FullyConnected, chosen)?;
            let shape = [*rows, *out_features];
            graph.bounded(y, &shape, weighted.clamp, true, |graph, activation, y| {
                let inputs = [source, layer.filter, layer.bias];
                graph.operator(FULLY_CONNECTED, options::fused(activation), &inputs, y);
            });
            Ok(Some(stored))
        }
        _ => Ok(None),
    }
}

/// Whether a convolution can have a fully connected layer's multipliers or packed weights, and the layer
/// itself cannot.
fn is_better_as_convolution(
    weighted: &Weighted,
    ends: [&IntTensor; 2],
    chosen: TfLiteOptions,
) -> bool {
    if channel_scales(weighted, ends, Rule::Convolution).is_err() {
        return false;
    }
    match channel_scales(weighted, ends, Rule::FullyConnected) {
        // A layer with one output has one scale, of which a convolution derives another multiplier.
        Err(_) => true,
        // Weights of four bits with a scale for each channel.
        Ok(scales) => {
            are_packed(weighted, ends[0], chosen) && single_scale(weighted, &scales, ends).is_none()
        }
    }
}

/// Whether weights have so few bits that two fit a byte, and may be written so.
fn are_packed(weighted: &Weighted, input: &IntTensor, chosen: TfLiteOptions) -> bool {
    weighted.weights.bits <= 4 && input.dtype == DType::I8 && !chosen.whole_bytes
}

/// Weights of `shape` with output channels along `axis`, and biases.
fn layer(
    graph: &mut Graph,
    weighted: &Weighted,
    (shape, axis): (&[usize], usize),
    [input, output]: [&IntTensor; 2],
    rule: Rule,
    chosen: TfLiteOptions,
) -> Result<(Layer, Stored), Refusal> {
    let Weighted { weights, bias, .. } = weighted;
    let mut scales = channel_scales(weighted, [input, output], rule)?;
    let single = match rule {
        Rule::FullyConnected => single_scale(weighted, &scales, [input, output]),
        Rule::Convolution | Rule::Transposed => None,
    };
    let packed = are_packed(weighted, input, chosen)
        && match rule {
            Rule::Convolution => true,
            Rule::Transposed => false,
            Rule::FullyConnected => single.is_some(),
        };
    if let (true, Some(single)) = (packed, single) {
        scales = vec![single];
    }
    let zero_points = vec![0; scales.len()];
    let values = weights.unpack();
    let (kind, data) = if packed {
        (Element::Int4, pairs(&values))
    } else {
        (Element::Int8, values.iter().map(|&value| value as u8).collect())
    };
    let bytes = data.len();
    let own = Quantization { scales: scales.clone(), zero_points: zero_points.clone(), axis };
    let filter = graph.constant(shape, kind, Some(own), data);
    let scales = scales.iter().map(|scale| input.grid.scale * scale).collect();
    let own = Quantization { scales, zero_points, axis: 0 };
    let (kind, data) = match input.dtype {
        DType::I16 => {
            let wide = bias.iter().flat_map(|&bias| i64::from(bias).to_le_bytes());
            (Element::Int64, wide.collect())
        }
        DType::I8 | DType::I4 => {
            (Element::Int32, bias.iter().flat_map(|bias| bias.to_le_bytes()).collect())
        }
    };
    let bias = graph.constant(&[bias.len()], kind, Some(own), data);
    let stored = Stored { bits: weights.bits, stored: if packed { 4 } else { 8 }, bytes };
    Ok((Layer { filter, bias }, stored))
}

/// Values of four bits, two to a byte, the first in the low bits.
fn pairs(values: &[i8]) -> Vec<u8> {
    let nibble = |value: &i8| *value as u8 & 0xF;
    let pair = |pair: &[i8]| match pair {
        [low, high] => nibble(low) | nibble(high) << 4,
        [low] => nibble(low),
        _ => 0,
    };
    values.chunks(2).map(pair).collect()
}

/// A scale for each channel from which the interpreters derive its multiplier.
fn channel_scales(
    weighted: &Weighted,
    [input, output]: [&IntTensor; 2],
    rule: Rule,
) -> Result<Vec<f32>, Refusal> {
    let Weighted { weights, bias, multipliers, .. } = weighted;
    let of = |channel: usize| {
        let scale = weights.scales.get(channel).or(weights.scales.first())?;
        let multiplier = multipliers.get(channel).or(multipliers.first())?;
        let derived = |scale| {
            // A layer of one channel counts as one with a single scale.
            if rule == Rule::FullyConnected && bias.len() == 1 {
                Multiplier::of_product(input.grid.scale, scale, output.grid.scale)
            } else {
                Multiplier::of_scales(input.grid.scale, scale, output.grid.scale)
            }
        };
        let gives = |scale: &f32| derived(*scale) == Some(*multiplier);
        std::iter::once(*scale).chain(near(*scale)).find(gives)
    };
    let scales = (0..bias.len()).map(of).collect::<Option<_>>();
    scales.ok_or_else(|| if output.bits < 8 { Refusal::few_bits() } else { NOT_DERIVED })
}

/// The scale of a fully connected layer whose channels have the same one, if the interpreters, which
/// derive the multiplier of such a layer by another rule, derive the same.
fn single_scale(
    weighted: &Weighted,
    scales: &[f32],
    [input, output]: [&IntTensor; 2],
) -> Option<f32> {
    let &first = scales.first()?;
    let derived = Multiplier::of_product(input.grid.scale, first, output.grid.scale)?;
    let same = scales.iter().all(|&scale| scale == first)
        && weighted.multipliers.iter().all(|&multiplier| multiplier == derived);
    same.then_some(first)
}

/// The numbers next to a scale.
fn near(scale: f32) -> impl Iterator<Item = f32> {
    [-2_i32, -1, 1, 2]
        .into_iter()
        .filter_map(move |steps| scale.to_bits().checked_add_signed(steps))
        .map(f32::from_bits)
        .filter(|near| near.is_finite() && *near > 0.0)
}
