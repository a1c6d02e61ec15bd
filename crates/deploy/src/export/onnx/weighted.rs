//! Layers with weights.

use burn_ptq_kernels::geometry::{TransposeConvGeometry, Window};
use burn_ptq_kernels::packing::{pack, packed_len};

use super::form::Form;
use super::graph::Graph;
use super::scales::{self, OUT_OF_RANGE, SCALES};
use super::schema::{Element, integer};
use super::style::Style;
use super::window::{around, attributes as window_attributes, cropped};
use crate::export::shared::refusal::Refusal;
use crate::export::shared::window::reach;
use crate::op::{DType, IntOp, Weighted};
use crate::program::{IntNode, TensorId};

/// The weights of a layer in the file's order.
struct Weights {
    shape: Vec<usize>,
    values: Vec<i8>,
    /// The axis of the output's channels.
    axis: usize,
}

impl Weights {
    /// Those whose element at `[o, i, y, x]` is `place(o, i, y, x)` of the program's.
    fn new(
        weighted: &Weighted,
        shape: [usize; 4],
        axis: usize,
        place: impl Fn([usize; 4]) -> usize,
    ) -> Self {
        let program = weighted.weights.unpack();
        let mut values = Vec::with_capacity(program.len());
        for o in 0..shape[0] {
            for i in 0..shape[1] {
                for y in 0..shape[2] {
                    let row = (0..shape[3]).map(|x| place([o, i, y, x]));
                    values.extend(row.map(|at| program.get(at).copied().unwrap_or(0)));
                }
            }
        }
        Self { shape: shape.to_vec(), values, axis }
    }
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

impl Stored {
    /// Whether operators read a byte for each weight: those of 2 bits become bytes first.
    pub(super) const fn is_bytes(self) -> bool {
        self.stored != 4
    }
}

/// Writes a node with weights; says how these are stored.
pub(super) fn translate(
    graph: &mut Graph,
    node: &IntNode,
    style: Style,
) -> Result<Option<Stored>, Refusal> {
    let (Some(&x), y) = (node.inputs.first(), node.output) else { return Ok(None) };
    let scales = node.op.weighted().map(|own| scales::of_weights(own, graph.of(x), graph.of(y)));
    // A factor may be 0.
    if scales.into_iter().flatten().any(|scale| scale != 0.0 && !SCALES.contains(&scale)) {
        return Err(OUT_OF_RANGE);
    }
    match &node.op {
        IntOp::Conv2d { geometry: g, weighted } => {
            let ([height, width], depth) = (g.window.kernel, g.inputs_per_group());
            let shape = [g.out_channels, depth, height, width];
            let place = |[o, i, y, x]: [usize; 4]| ((o * height + y) * width + x) * depth + i;
            let weights = Weights::new(weighted, shape, 0, place);
            let planes = [
                [g.input[0], g.input[1], g.in_channels],
                [g.output[0], g.output[1], g.out_channels],
            ];
            let window = (&g.window, g.groups);
            convolution(graph, (weighted, weights), [x, y], planes, window, style).map(Some)
        }
        IntOp::DepthwiseConv2d { geometry: g, weighted } => {
            let ([height, width], channels) = (g.window.kernel, g.out_channels());
            let shape = [channels, 1, height, width];
            let place = |[o, _, y, x]: [usize; 4]| (y * width + x) * channels + o;
            let weights = Weights::new(weighted, shape, 0, place);
            let planes =
                [[g.input[0], g.input[1], g.channels], [g.output[0], g.output[1], channels]];
            let window = (&g.window, g.channels);
            convolution(graph, (weighted, weights), [x, y], planes, window, style).map(Some)
        }
        IntOp::FullyConnected { in_features, out_features, weighted, .. } => {
            let (depth, count) = (*in_features, *out_features);
            let forms = [depth, count].map(|extent| Form::plain(&[extent]));
            if style == Style::QOperator && is_narrow(graph, [x, y]) {
                // The product of integers has no bias.
                let weights = Weights {
                    shape: vec![count, depth, 1, 1],
                    values: weighted.weights.unpack(),
                    axis: 0,
                };
                let planes = [[1, 1, depth], [1, 1, count]];
                let window =
                    Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
                let window = (&window, 1);
                return convolution(graph, (weighted, weights), [x, y], planes, window, style)
                    .map(Some);
            }
            let weights =
                Weights { shape: vec![count, depth], values: weighted.weights.unpack(), axis: 0 };
            let source = graph.float(x, &forms[0]);
            let (layer, stored) = layer(graph, weighted, weights, [x, y]);
            let [weights, bias] = layer;
            let value =
                graph.operator("Gemm", &[&source, &weights, &bias], vec![integer("transB", 1)]);
            let [_, form] = forms;
            graph.write(y, value, form, weighted.clamp);
            Ok(Some(stored))
        }
        IntOp::TransposeConv2d { geometry, weighted } => {
            Ok(Some(transposed(graph, geometry, weighted, [x, y])))
        }
        crate::op::weightless!() => Ok(None),
    }
}

/// Whether activations have 8 bits, as the operators on integers take them.
fn is_narrow(graph: &Graph, ends: [TensorId; 2]) -> bool {
    ends.iter().all(|&id| graph.of(id).dtype == DType::I8)
}

fn convolution(
    graph: &mut Graph,
    (weighted, weights): (&Weighted, Weights),
    [x, y]: [TensorId; 2],
    [input, output]: [[usize; 3]; 2],
    (window, groups): (&Window, usize),
    style: Style,
) -> Result<Stored, Refusal> {
    let extents = [input[0], input[1]];
    let around = around(window, extents, [output[0], output[1]])?;
    let source = graph.integers(x, &Form::planes(input));
    let source = cropped(graph, source, extents, around.used);
    let attributes = window_attributes(window, [window.pad, around.after], Some(groups));
    let form = Form::planes(output);
    if style == Style::QOperator && is_narrow(graph, [x, y]) {
        let (scales, stored) = (
            scales::of_weights(weighted, graph.of(x), graph.of(y)),
            Stored { bits: weighted.weights.bits, stored: 8, bytes: weights.values.len() },
        );
        let [x_scale, x_zero] = graph.grid(x);
        let [y_scale, y_zero] = graph.grid(y);
        let values = weights.values.iter().map(|&value| value as u8).collect();
        let filter = graph.own_constant("weight", Element::Int8, &weights.shape, values);
        let shape: &[usize] = if scales.len() == 1 { &[] } else { &[scales.len()] };
        let filter_scale = graph.reals("weight_scale", shape, &scales);
        let zeros = vec![0; scales.len()];
        let filter_zero = graph.own_constant("weight_zero_point", Element::Int8, shape, zeros);
        let bias = bias(graph, weighted);
        let inputs = [&source, &x_scale, &x_zero, &filter, &filter_scale, &filter_zero, &y_scale];
        let inputs: Vec<&str> =
            inputs.into_iter().chain([&y_zero, &bias]).map(String::as_str).collect();
        let value = graph.operator("QLinearConv", &inputs, attributes);
        graph.write_limited(y, value, form, weighted.clamp);
        return Ok(stored);
    }
    let source = graph.dequantized(x, source);
    let ([filter, bias], stored) = layer(graph, weighted, weights, [x, y]);
    let value = graph.operator("Conv", &[&source, &filter, &bias], attributes);
    graph.write(y, value, form, weighted.clamp);
    Ok(stored)
}

/// Biases of 32 bits.
fn bias(graph: &mut Graph, weighted: &Weighted) -> String {
    let data = weighted.bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
    graph.own_constant("bias", Element::Int32, &[weighted.bias.len()], data)
}

/// Weights and biases as floats.
fn layer(
    graph: &mut Graph,
    weighted: &Weighted,
    weights: Weights,
    [x, y]: [TensorId; 2],
) -> ([String; 2], Stored) {
    let input = graph.of(x);
    let scales = scales::of_weights(weighted, input, graph.of(y));
    let (filter, stored) = filter(graph, weighted, &weights);
    let filter =
        graph.dequantized_constant("weight", filter, &scales, weights.axis, stored.is_bytes());
    ([filter, biases(graph, weighted, &scales, input.grid.scale)], stored)
}

/// Biases as floats.
fn biases(graph: &mut Graph, weighted: &Weighted, scales: &[f32], input: f32) -> String {
    let scales: Vec<f32> = scales.iter().map(|scale| scale * input).collect();
    let bias = bias(graph, weighted);
    graph.dequantized_constant("bias", bias, &scales, 0, false)
}

/// The constant of weights, in the fewest bits that the format has for them.
fn filter(graph: &mut Graph, weighted: &Weighted, weights: &Weights) -> (String, Stored) {
    let bits = weighted.weights.bits;
    let (element, stored) = match bits {
        0..=2 => (Element::Int2, 2),
        3 | 4 => (Element::Int4, 4),
        _ => (Element::Int8, 8),
    };
    let mut data = vec![0; packed_len(weights.values.len(), stored)];
    pack(&weights.values, stored, &mut data);
    let bytes = data.len();
    let mut filter = graph.own_constant("weight", element, &weights.shape, data);
    if element == Element::Int2 {
        // ONNX Runtime would let a convolution read them, and has none that does.
        graph.needs_int2 = true;
        let to = integer("to", Element::Int8.number());
        filter = graph.helper("Cast", "weight_int8", &[&filter], vec![to]);
    }
    (filter, Stored { bits, stored, bytes })
}

fn transposed(
    graph: &mut Graph,
    g: &TransposeConvGeometry,
    weighted: &Weighted,
    [x, y]: [TensorId; 2],
) -> Stored {
    let ([height, width], depth) = (g.window.kernel, g.inputs_per_group());
    let filters = g.filters_per_group();
    let place = |[i, o, y, x]: [usize; 4]| {
        let channel = i / depth.max(1) * filters + o;
        ((channel * height + y) * width + x) * depth + i % depth.max(1)
    };
    let shape = [g.in_channels, filters, height, width];
    let (input, output) = (graph.of(x), graph.of(y));
    let scales = scales::of_weights(weighted, input, output);
    // Scales lie along one axis of the weights: with one filter in a group, along that of the inputs.
    let axis = if g.groups == 1 { 1 } else { 0 };
    let along = scales.len() == 1 || g.groups == 1 || (filters, depth) == (1, 1);
    let weights = Weights::new(weighted, shape, axis, place);
    let source = graph.integers(x, &Form::planes([g.input[0], g.input[1], g.in_channels]));
    // Zeros behind the plane give more of the output where it ends behind the last tap.
    let covered =
        |axis: usize| (g.input[axis] - 1) * g.window.stride[axis] + reach(&g.window, axis);
    let wanted = |axis: usize| g.window.pad[axis] + g.output[axis];
    let more = [0, 1]
        .map(|axis| wanted(axis).saturating_sub(covered(axis)).div_ceil(g.window.stride[axis]));
    let source = if more == [0, 0] {
        graph.dequantized(x, source)
    } else {
        let pads = [0, 0, 0, 0, 0, 0, more[0] as i64, more[1] as i64];
        graph.padded(x, source, &pads, input.grid.zero_point)
    };
    let after =
        [0, 1].map(|axis| covered(axis) + more[axis] * g.window.stride[axis] - wanted(axis));
    let attributes = window_attributes(&g.window, [g.window.pad, after], Some(g.groups));
    let (filter, stored) = filter(graph, weighted, &weights);
    let value = if along {
        let filter =
            graph.dequantized_constant("weight", filter, &scales, weights.axis, stored.is_bytes());
        let bias = biases(graph, weighted, &scales, input.grid.scale);
        graph.operator("ConvTranspose", &[&source, &filter, &bias], attributes)
    } else {
        // Sums of integer weights get the channels' scales, and biases theirs.
        let filter = graph.dequantized_constant("weight", filter, &[1.0], 0, stored.is_bytes());
        let value = graph.operator("ConvTranspose", &[&source, &filter], attributes);
        let channels = [g.out_channels, 1, 1];
        let factors = graph.reals("scales", &channels, &scales);
        let value = graph.operator("Mul", &[&value, &factors], Vec::new());
        let bias = biases(graph, weighted, &scales, input.grid.scale);
        let extents = graph.list("bias_shape", &channels.map(|extent| extent as i64));
        let bias = graph.operator("Reshape", &[&bias, &extents], Vec::new());
        graph.operator("Add", &[&value, &bias], Vec::new())
    };
    let form = Form::planes([g.output[0], g.output[1], g.out_channels]);
    graph.write(y, value, form, weighted.clamp);
    stored
}
