//! The ONNX operator that each captured operation is.
//!
//! To add one: a line in `operations.rs` and an arm in [`translation`].

use burn::backend::ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, FloatOperationIr as Float,
    InterpolateModeIr, InterpolateOpIr, ModuleOperationIr as Layer, NumericOperationIr as Numeric,
    OperationIr, PadModeIr, ScalarIr, SliceAssignOpIr, SliceOpIr, TensorIr,
};
use onnx_ir::AttributeProto;

use super::operations::Operation;
use crate::import::proto::{float, int, ints, string};

/// An input of a node.
pub(super) enum Input<'a> {
    Tensor(&'a TensorIr),
    Integers(Vec<i64>),
    Scalar(f64),
    /// An input that is left out.
    Nothing,
}

use Input::{Integers, Nothing, Scalar, Tensor};

/// A node before its tensors have names.
pub(super) struct Translation<'a> {
    pub(super) operation: Operation,
    pub(super) inputs: Vec<Input<'a>>,
    pub(super) attributes: Vec<AttributeProto>,
    pub(super) output: &'a TensorIr,
}

pub(super) fn simple<'a, const N: usize>(
    operation: Operation,
    inputs: [Input<'a>; N],
    output: &'a TensorIr,
) -> Translation<'a> {
    with(operation, inputs, [], output)
}

pub(super) fn with<'a, const N: usize, const A: usize>(
    operation: Operation,
    inputs: [Input<'a>; N],
    attributes: [AttributeProto; A],
    output: &'a TensorIr,
) -> Translation<'a> {
    Translation { operation, inputs: inputs.into(), attributes: attributes.into(), output }
}

/// Whether `operation` is more than a node that will be refused.
pub(super) fn has_translation(operation: &OperationIr) -> bool {
    let fills = matches!(
        operation,
        OperationIr::Init(_)
            | OperationIr::Drop(_)
            | OperationIr::BaseFloat(Base::Zeros(_) | Base::Empty(_) | Base::Ones(_))
            | OperationIr::NumericFloat(_, Numeric::Full(_))
    );
    fills || translation(operation).is_some()
}

/// The ONNX operator that does what `operation` does, if there is one.
pub(super) fn translation(operation: &OperationIr) -> Option<Translation<'_>> {
    match operation {
        OperationIr::BaseFloat(operation) => base(operation),
        OperationIr::NumericFloat(_, operation) => numeric(operation),
        OperationIr::Float(_, operation) => match operation {
            Float::Matmul(o) => {
                Some(simple(Operation::Matmul, [Tensor(&o.lhs), Tensor(&o.rhs)], &o.out))
            }
            Float::Tanh(o) => Some(simple(Operation::Tanh, [Tensor(&o.input)], &o.out)),
            Float::Exp(o) => Some(simple(Operation::Exp, [Tensor(&o.input)], &o.out)),
            Float::Sqrt(o) => Some(simple(Operation::Sqrt, [Tensor(&o.input)], &o.out)),
            Float::Log(o) => Some(simple(Operation::Log, [Tensor(&o.input)], &o.out)),
            Float::Erf(o) => Some(simple(Operation::Erf, [Tensor(&o.input)], &o.out)),
            Float::Sin(o) => Some(simple(Operation::Sin, [Tensor(&o.input)], &o.out)),
            Float::Cos(o) => Some(simple(Operation::Cos, [Tensor(&o.input)], &o.out)),
            Float::Floor(o) => Some(simple(Operation::Floor, [Tensor(&o.input)], &o.out)),
            Float::Ceil(o) => Some(simple(Operation::Ceil, [Tensor(&o.input)], &o.out)),
            Float::Round(o) => Some(simple(Operation::Round, [Tensor(&o.input)], &o.out)),
            Float::PowfScalar(o) => {
                let inputs = [Tensor(&o.lhs), Scalar(number(o.rhs))];
                Some(simple(Operation::Power, inputs, &o.out))
            }
            Float::Recip(o) => Some(simple(Operation::Recip, [Tensor(&o.input)], &o.out)),
            _ => None,
        },
        OperationIr::Module(operation) => layer(operation),
        OperationIr::Activation(operation) => activation(operation),
        _ => None,
    }
}

fn base(operation: &Base) -> Option<Translation<'_>> {
    let extents = |t: &TensorIr| Integers(t.shape.iter().map(|&d| d as i64).collect());
    Some(match operation {
        Base::Reshape(o) => simple(Operation::Reshape, [Tensor(&o.input), extents(&o.out)], &o.out),
        Base::Expand(o) => simple(Operation::Expand, [Tensor(&o.input), extents(&o.out)], &o.out),
        Base::SwapDims(o) => {
            let mut axes: Vec<usize> = (0..o.input.shape.len()).collect();
            axes.swap(o.dim1, o.dim2);
            with(Operation::Permute, [Tensor(&o.input)], [ints("perm", axes)], &o.out)
        }
        Base::Permute(o) => {
            let axes = o.axes.iter().copied();
            with(Operation::Permute, [Tensor(&o.input)], [ints("perm", axes)], &o.out)
        }
        Base::Slice(o) => slice(o),
        // What is written over as a whole was nothing; steps of a sequence of one are joined so.
        Base::SliceAssign(o) if covers(o) => {
            simple(Operation::Reshape, [Tensor(&o.value), extents(&o.out)], &o.out)
        }
        Base::Flip(o) => {
            let of = |value: i64| Integers(vec![value; o.axes.len()]);
            let axes = Integers(o.axes.iter().map(|&axis| axis as i64).collect());
            let inputs = [Tensor(&o.input), of(-1), of(i64::MIN), axes, of(-1)];
            simple(Operation::Slice, inputs, &o.out)
        }
        Base::RepeatDim(o) => {
            let mut times = vec![1; o.tensor.shape.len()];
            times[o.dim] = o.times as i64;
            simple(Operation::Repeat, [Tensor(&o.tensor), Integers(times)], &o.out)
        }
        Base::Select(o) => {
            let inputs = [Tensor(&o.tensor), Tensor(&o.indices)];
            with(Operation::Select, inputs, [int("axis", o.dim)], &o.out)
        }
        Base::Cat(o) => Translation {
            operation: Operation::Cat,
            inputs: o.tensors.iter().map(Tensor).collect(),
            attributes: vec![int("axis", o.dim)],
            output: &o.out,
        },
        _ => return None,
    })
}

fn numeric(operation: &Numeric) -> Option<Translation<'_>> {
    let bounds =
        |x, min, max, out| simple(Operation::Clamp, [Tensor(x), Scalar(min), Scalar(max)], out);
    Some(match operation {
        Numeric::Add(o) => simple(Operation::Add, [Tensor(&o.lhs), Tensor(&o.rhs)], &o.out),
        Numeric::Sub(o) => simple(Operation::Sub, [Tensor(&o.lhs), Tensor(&o.rhs)], &o.out),
        Numeric::Mul(o) => simple(Operation::Mul, [Tensor(&o.lhs), Tensor(&o.rhs)], &o.out),
        Numeric::Div(o) => simple(Operation::Div, [Tensor(&o.lhs), Tensor(&o.rhs)], &o.out),
        Numeric::AddScalar(o) => {
            simple(Operation::Add, [Tensor(&o.lhs), Scalar(number(o.rhs))], &o.out)
        }
        Numeric::SubScalar(o) => {
            simple(Operation::Sub, [Tensor(&o.lhs), Scalar(number(o.rhs))], &o.out)
        }
        Numeric::MulScalar(o) => {
            simple(Operation::Mul, [Tensor(&o.lhs), Scalar(number(o.rhs))], &o.out)
        }
        Numeric::DivScalar(o) => {
            simple(Operation::Div, [Tensor(&o.lhs), Scalar(number(o.rhs))], &o.out)
        }
        Numeric::Abs(o) => simple(Operation::Abs, [Tensor(&o.input)], &o.out),
        Numeric::Sign(o) => simple(Operation::Sign, [Tensor(&o.input)], &o.out),
        Numeric::Neg(o) => simple(Operation::Neg, [Tensor(&o.input)], &o.out),
        Numeric::Clamp(o) => bounds(&o.tensor, number(o.min), number(o.max), &o.out),
        Numeric::ClampMin(o) => bounds(&o.lhs, number(o.rhs), f32::MAX.into(), &o.out),
        Numeric::ClampMax(o) => bounds(&o.lhs, f32::MIN.into(), number(o.rhs), &o.out),
        Numeric::SumDim(o) => reduction(Operation::Sum, &o.input, o.axis, &o.out),
        Numeric::MaxDim(o) => reduction(Operation::Max, &o.input, o.axis, &o.out),
        Numeric::MinDim(o) => reduction(Operation::Min, &o.input, o.axis, &o.out),
        Numeric::Pad(o) => {
            let (before, after): (Vec<i64>, Vec<i64>) =
                o.padding.iter().map(|&(a, b)| (a as i64, b as i64)).unzip();
            let pads = Integers([before, after].concat());
            let around = |mode| [string("mode", mode)];
            let inputs = [Tensor(&o.input), pads];
            match o.mode {
                PadModeIr::Constant(value) => {
                    let [input, pads] = inputs;
                    simple(Operation::Pad, [input, pads, Scalar(number(value))], &o.out)
                }
                PadModeIr::Reflect => with(Operation::Pad, inputs, around("reflect"), &o.out),
                PadModeIr::Edge => with(Operation::Pad, inputs, around("edge"), &o.out),
            }
        }
        _ => return None,
    })
}

/// A reduction over one axis, which stays with an extent of 1.
fn reduction<'a>(
    operation: Operation,
    input: &'a TensorIr,
    axis: usize,
    out: &'a TensorIr,
) -> Translation<'a> {
    let axes = Integers(vec![axis as i64]);
    match operation {
        // Its axes are an input in the version of the operators that is written, the others' an attribute.
        Operation::Sum => simple(operation, [Tensor(input), axes], out),
        _ => with(operation, [Tensor(input)], [ints("axes", [axis])], out),
    }
}

fn activation(operation: &Activation) -> Option<Translation<'_>> {
    Some(match operation {
        Activation::Relu(o) => simple(Operation::Relu, [Tensor(&o.input)], &o.out),
        Activation::PRelu(o) => simple(Operation::Prelu, [Tensor(&o.lhs), Tensor(&o.rhs)], &o.out),
        Activation::LeakyRelu(o) => {
            with(Operation::LeakyRelu, [Tensor(&o.lhs)], [float("alpha", number(o.rhs))], &o.out)
        }
        Activation::Gelu(o) => simple(Operation::Gelu, [Tensor(&o.input)], &o.out),
        Activation::Sigmoid(o) => simple(Operation::Sigmoid, [Tensor(&o.input)], &o.out),
        Activation::HardSigmoid(o) => {
            let slope = [float("alpha", number(o.alpha)), float("beta", number(o.beta))];
            with(Operation::HardSigmoid, [Tensor(&o.tensor)], slope, &o.out)
        }
        Activation::Softmax(o) => {
            with(Operation::Softmax, [Tensor(&o.input)], [int("axis", o.axis)], &o.out)
        }
        Activation::LogSoftmax(o) => {
            with(Operation::LogSoftmax, [Tensor(&o.input)], [int("axis", o.axis)], &o.out)
        }
        _ => return None,
    })
}

fn layer(operation: &Layer) -> Option<Translation<'_>> {
    Some(match operation {
        Layer::Conv1d(o) => {
            let (inputs, how) = ([Some(&o.x), Some(&o.weight), o.bias.as_ref()], &o.options);
            conv(
                Operation::Conv1d,
                inputs,
                [how.stride, how.dilation],
                &how.padding,
                how.groups,
                &o.out,
            )
        }
        Layer::Conv2d(o) => {
            let (inputs, how) = ([Some(&o.x), Some(&o.weight), o.bias.as_ref()], &o.options);
            conv(
                Operation::Conv2d,
                inputs,
                [how.stride, how.dilation],
                &how.padding,
                how.groups,
                &o.out,
            )
        }
        Layer::ConvTranspose1d(o) => {
            let (inputs, how) = ([Some(&o.x), Some(&o.weight), o.bias.as_ref()], &o.options);
            conv_transpose(
                Operation::ConvTranspose1d,
                inputs,
                [how.stride, how.padding, how.padding_out, how.dilation],
                how.groups,
                &o.out,
            )
        }
        Layer::ConvTranspose2d(o) => {
            let (inputs, how) = ([Some(&o.x), Some(&o.weight), o.bias.as_ref()], &o.options);
            conv_transpose(
                Operation::ConvTranspose2d,
                inputs,
                [how.stride, how.padding, how.padding_out, how.dilation],
                how.groups,
                &o.out,
            )
        }
        Layer::Linear(o) => match &o.bias {
            Some(bias) => {
                simple(Operation::Linear, [Tensor(&o.x), Tensor(&o.weight), Tensor(bias)], &o.out)
            }
            None => simple(Operation::LinearProduct, [Tensor(&o.x), Tensor(&o.weight)], &o.out),
        },
        Layer::Embedding(o) => {
            let inputs = [Tensor(&o.weights), Tensor(&o.indices)];
            with(Operation::Embedding, inputs, [int("axis", 0)], &o.out)
        }
        Layer::BatchNorm(o) => {
            let inputs = [&o.x, &o.gamma, &o.beta, &o.mean, &o.variance].map(Tensor);
            with(Operation::BatchNorm, inputs, [float("epsilon", number(o.epsilon))], &o.out)
        }
        Layer::LayerNorm(o) => Translation {
            operation: Operation::LayerNorm,
            inputs: [Some(&o.input), Some(&o.gamma), o.beta.as_ref()]
                .into_iter()
                .flatten()
                .map(Tensor)
                .collect(),
            attributes: vec![
                int("axis", o.input.shape.len().saturating_sub(1)),
                float("epsilon", number(o.epsilon)),
            ],
            output: &o.out,
        },
        Layer::AvgPool1d(o) => {
            let attributes = [
                ints("kernel_shape", [o.kernel_size]),
                ints("strides", [o.stride]),
                ints("pads", [o.padding; 2]),
                int("count_include_pad", o.count_include_pad.into()),
                int("ceil_mode", o.ceil_mode.into()),
            ];
            with(Operation::AvgPool1d, [Tensor(&o.x)], attributes, &o.out)
        }
        Layer::AvgPool2d(o) => {
            let attributes = [
                ints("kernel_shape", o.kernel_size),
                ints("strides", o.stride),
                ints("pads", [o.padding, o.padding].concat()),
                int("count_include_pad", o.count_include_pad.into()),
                int("ceil_mode", o.ceil_mode.into()),
            ];
            with(Operation::AvgPool2d, [Tensor(&o.x)], attributes, &o.out)
        }
        Layer::AdaptiveAvgPool1d(o) => adaptive(&o.x, &[o.output_size], &o.out)?,
        Layer::AdaptiveAvgPool2d(o) => adaptive(&o.x, &o.output_size, &o.out)?,
        Layer::Interpolate(o) => interpolate(o)?,
        Layer::MaxPool1d(o) => {
            let how = [[o.kernel_size], [o.stride], [o.padding], [o.dilation]];
            max_pool(&o.x, how, o.ceil_mode, &o.out)
        }
        Layer::MaxPool1dWithIndices(o) => {
            let how = [[o.kernel_size], [o.stride], [o.padding], [o.dilation]];
            max_pool(&o.x, how, o.ceil_mode, &o.out)
        }
        Layer::MaxPool2d(o) => {
            let how = [o.kernel_size, o.stride, o.padding, o.dilation];
            max_pool(&o.x, how, o.ceil_mode, &o.out)
        }
        Layer::MaxPool2dWithIndices(o) => {
            let how = [o.kernel_size, o.stride, o.padding, o.dilation];
            max_pool(&o.x, how, o.ceil_mode, &o.out)
        }
        _ => return None,
    })
}

fn conv<'a, const D: usize>(
    operation: Operation,
    inputs: [Option<&'a TensorIr>; 3],
    [stride, dilation]: [[usize; D]; 2],
    padding: &[(usize, usize); D],
    groups: usize,
    output: &'a TensorIr,
) -> Translation<'a> {
    let attributes = vec![
        ints("strides", stride),
        ints("pads", around(padding)),
        ints("dilations", dilation),
        int("group", groups),
    ];
    let inputs = inputs.into_iter().flatten().map(Tensor).collect();
    Translation { operation, inputs, attributes, output }
}

fn conv_transpose<'a, const D: usize>(
    operation: Operation,
    inputs: [Option<&'a TensorIr>; 3],
    [stride, padding, padding_out, dilation]: [[usize; D]; 4],
    groups: usize,
    output: &'a TensorIr,
) -> Translation<'a> {
    let attributes = vec![
        ints("strides", stride),
        ints("pads", [padding, padding].concat()),
        ints("output_padding", padding_out),
        ints("dilations", dilation),
        int("group", groups),
    ];
    let inputs = inputs.into_iter().flatten().map(Tensor).collect();
    Translation { operation, inputs, attributes, output }
}

/// ONNX lists what stands before every axis, then what stands after.
fn around(padding: &[(usize, usize)]) -> Vec<usize> {
    padding.iter().map(|p| p.0).chain(padding.iter().map(|p| p.1)).collect()
}

fn max_pool<'a, const D: usize>(
    x: &'a TensorIr,
    [kernel, stride, padding, dilation]: [[usize; D]; 4],
    ceil_mode: bool,
    out: &'a TensorIr,
) -> Translation<'a> {
    let attributes = [
        ints("kernel_shape", kernel),
        ints("strides", stride),
        ints("pads", [padding, padding].concat()),
        ints("dilations", dilation),
        int("ceil_mode", ceil_mode.into()),
    ];
    let operation = if D == 1 { Operation::MaxPool1d } else { Operation::MaxPool2d };
    with(operation, [Tensor(x)], attributes, out)
}

/// Whether an assignment writes every element.
fn covers(operation: &SliceAssignOpIr) -> bool {
    let whole = |(axis, &extent): (usize, &usize)| {
        operation.ranges.get(axis).is_none_or(|range| {
            let end = range.end.map_or(extent as isize, |end| end);
            (range.start, range.step) == (0, 1) && end == extent as isize
        })
    };
    operation.tensor.shape.iter().enumerate().all(whole)
}

/// The ranges of the axes that are not taken as a whole.
fn slice(operation: &SliceOpIr) -> Translation<'_> {
    let SliceOpIr { tensor, ranges, out } = operation;
    let mut bounds = [(); 4].map(|()| Vec::new());
    for (axis, range) in ranges.iter().enumerate() {
        let extent = tensor.shape[axis] as i64;
        let wrap = |place: isize| if place < 0 { place as i64 + extent } else { place as i64 };
        let (start, end) = (wrap(range.start), range.end.map_or(extent, wrap));
        let step = range.step as i64;
        // Burn walks back from the end of a range, ONNX from its start.
        let (first, last) = match step {
            ..0 if start == 0 => (end - 1, i64::MIN),
            ..0 => (end - 1, start - 1),
            _ => (start, end),
        };
        if (start, end, step) != (0, extent, 1) {
            for (list, value) in bounds.iter_mut().zip([first, last, axis as i64, step]) {
                list.push(value);
            }
        }
    }
    let [starts, ends, axes, steps] = bounds.map(Integers);
    simple(Operation::Slice, [Tensor(tensor), starts, ends, axes, steps], out)
}

/// An image of another size.
fn interpolate(operation: &InterpolateOpIr) -> Option<Translation<'_>> {
    let InterpolateOpIr { x, options, out, .. } = operation;
    let linear = if options.align_corners { "align_corners" } else { "pytorch_half_pixel" };
    let (mode, coordinates, nearest) = match options.mode {
        InterpolateModeIr::Nearest => ("nearest", "asymmetric", "floor"),
        InterpolateModeIr::NearestExact => ("nearest", "half_pixel", "round_prefer_ceil"),
        InterpolateModeIr::Bilinear => ("linear", linear, "floor"),
        InterpolateModeIr::Bicubic | InterpolateModeIr::Lanczos3 => return None,
    };
    let sizes = Integers(out.shape.iter().map(|&d| d as i64).collect());
    let attributes = [
        string("mode", mode),
        string("coordinate_transformation_mode", coordinates),
        string("nearest_mode", nearest),
    ];
    let inputs = [Tensor(x), Nothing, Nothing, sizes];
    Some(with(Operation::Interpolate, inputs, attributes, out))
}

/// A pool whose windows have one size, which they have where the output's extents divide the input's.
fn adaptive<'a>(x: &'a TensorIr, output: &[usize], out: &'a TensorIr) -> Option<Translation<'a>> {
    let input: Vec<usize> = x.shape.iter().skip(2).copied().collect();
    if output.iter().all(|&o| o == 1) {
        return Some(simple(Operation::GlobalPool, [Tensor(x)], out));
    }
    let even = input.iter().zip(output).all(|(i, o)| *o > 0 && i.is_multiple_of(*o));
    let window = || input.iter().zip(output).map(|(i, o)| i / o);
    let attributes = || [ints("kernel_shape", window()), ints("strides", window())];
    even.then(|| with(Operation::AdaptivePool, [Tensor(x)], attributes(), out))
}

pub(super) fn number(scalar: ScalarIr) -> f64 {
    scalar.elem()
}
