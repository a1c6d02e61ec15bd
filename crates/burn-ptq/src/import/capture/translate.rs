//! Captured operations in the vocabulary of ONNX.
//!
//! To add one: a line in `operations.rs` and an arm in [`translation`]. What has none becomes a node of
//! the domain `burn`, which the importer lists together with everything else that it cannot do.

use std::collections::{HashMap, HashSet};

use burn::backend::capture::CapturedGraph;
use burn::backend::ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, FloatOperationIr as Float,
    LinearOpIr, ModuleOperationIr as Layer, NumericOperationIr as Numeric, OperationIr, PadModeIr,
    ScalarIr, TensorId, TensorIr,
};
use burn::tensor::TensorData;
use onnx_ir::{AttributeProto, GraphProto, NodeProto};

use super::layers::{Layer as UnsupportedLayer, calls};
use super::operations::Operation;
use super::proto::{float, graph, int, ints, tensor, value_info};

/// An input of a node.
enum Input<'a> {
    Tensor(&'a TensorIr),
    Integers(Vec<i64>),
    Scalar(f64),
}

use Input::{Integers, Scalar, Tensor};

/// A node before its tensors have names.
struct Translation<'a> {
    operation: Operation,
    inputs: Vec<Input<'a>>,
    attributes: Vec<AttributeProto>,
    output: &'a TensorIr,
}

/// The model that `captured` is: `input` with its shape, `output`, the paths of parameters, and the
/// unsupported layers that some of them belong to.
pub fn translate(
    captured: &CapturedGraph,
    (input, shape): (TensorId, &[usize]),
    output: TensorId,
    paths: &HashMap<TensorId, String>,
    layers: &HashMap<TensorId, UnsupportedLayer>,
) -> GraphProto {
    let mut writer = Writer {
        captured,
        paths,
        graph: graph("input", shape, ""),
        names: HashMap::from([(input, "input".to_string())]),
        taken: HashSet::from(["input".to_string()]),
        owners: HashMap::new(),
        constants: captured.values.keys().copied().filter(|id| *id != input).collect(),
        hard_sigmoids: HashMap::new(),
        means: HashMap::new(),
    };
    let operations = &captured.graph.operations;
    let is_parameter = |id| paths.contains_key(&id);
    let mut next = 0;
    for (call, layer) in calls(captured, layers, is_parameter, has_translation) {
        operations[next..call.start].iter().for_each(|operation| writer.write(operation));
        next = call.end;
        writer.push_layer(layer, &operations[call]);
    }
    operations[next..].iter().for_each(|operation| writer.write(operation));
    writer.graph.output[0].name = writer.names.get(&output).cloned().unwrap_or_default();
    writer.graph
}

struct Writer<'a> {
    captured: &'a CapturedGraph,
    paths: &'a HashMap<TensorId, String>,
    graph: GraphProto,
    /// What tensors that were written are called.
    names: HashMap<TensorId, String>,
    taken: HashSet<String>,
    /// The node that wrote a tensor, by the name that people know.
    owners: HashMap<TensorId, String>,
    /// What does not depend on the input.
    constants: HashSet<TensorId>,
    /// Of what a tensor is the hard sigmoid of slope 1/6.
    hard_sigmoids: HashMap<TensorId, TensorId>,
    /// Of what a tensor is the mean, and over which axes.
    means: HashMap<TensorId, (&'a TensorIr, Vec<usize>)>,
}

impl<'a> Writer<'a> {
    fn write(&mut self, operation: &'a OperationIr) {
        match operation {
            OperationIr::Init(_) | OperationIr::Drop(_) => {}
            OperationIr::BaseFloat(Base::Zeros(o) | Base::Empty(o)) => self.fill(&o.out, 0.0),
            OperationIr::BaseFloat(Base::Ones(o)) => self.fill(&o.out, 1.0),
            OperationIr::NumericFloat(_, Numeric::Full(o)) => self.fill(&o.out, o.value.elem()),
            OperationIr::Module(Layer::Linear(o)) if o.x.shape.len() > 2 => self.push_linear(o),
            _ => match self.peephole(operation).or_else(|| translation(operation)) {
                Some(translation) => self.push(translation),
                None => self.push_unsupported(operation),
            },
        }
    }

    /// What takes several operations in Burn and one in ONNX.
    fn peephole(&mut self, operation: &'a OperationIr) -> Option<Translation<'a>> {
        match operation {
            OperationIr::Activation(Activation::HardSigmoid(o)) => {
                let [alpha, beta] = [o.alpha, o.beta].map(number);
                if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 {
                    self.hard_sigmoids.insert(o.out.id, o.tensor.id);
                }
                None
            }
            OperationIr::NumericFloat(_, Numeric::Mul(o)) => {
                let swish = |x: &TensorIr, y: &TensorIr| {
                    self.hard_sigmoids.get(&y.id).is_some_and(|of| *of == x.id)
                };
                let x = match (swish(&o.lhs, &o.rhs), swish(&o.rhs, &o.lhs)) {
                    (true, _) => &o.lhs,
                    (_, true) => &o.rhs,
                    _ => return None,
                };
                Some(simple(Operation::HardSwish, [Tensor(x)], &o.out))
            }
            OperationIr::NumericFloat(_, Numeric::MeanDim(o)) => {
                let (source, mut axes) = match self.means.get(&o.input.id) {
                    Some((source, axes)) => (*source, axes.clone()),
                    None => (&o.input, Vec::new()),
                };
                axes.push(o.axis);
                axes.sort_unstable();
                self.means.insert(o.out.id, (source, axes.clone()));
                Some(with(Operation::Mean, [Tensor(source)], [ints("axes", axes)], &o.out))
            }
            _ => None,
        }
    }

    fn push(&mut self, translation: Translation<'a>) {
        let Translation { operation, inputs, attributes, output } = translation;
        let op = operation.onnx();
        let tensors = || {
            inputs.iter().filter_map(|i| match i {
                Tensor(t) => Some(*t),
                _ => None,
            })
        };
        let layer = tensors().find_map(|t| self.layer_of(t.id));
        let is_constant = tensors().all(|t| self.constants.contains(&t.id));
        let base = match layer {
            _ if is_constant => "constant".to_string(),
            Some(layer) if !layer.is_empty() => layer,
            _ => snake_case(op),
        };
        if is_constant {
            self.constants.insert(output.id);
        }
        let name = self.unique(&base);
        let inputs = inputs.into_iter().map(|input| self.input(input)).collect();
        self.push_node(name, op, "", inputs, attributes, &[output]);
    }

    /// A linear layer of more than two axes: ONNX has a bias for two only.
    fn push_linear(&mut self, layer: &'a LinearOpIr) {
        let LinearOpIr { x, weight, bias, out } = layer;
        let path = self.layer_of(weight.id).filter(|path| !path.is_empty());
        let name = self.unique(path.as_deref().unwrap_or("linear"));
        let inputs = vec![self.tensor(x.id), self.tensor(weight.id)];
        let Some(bias) = bias else {
            let op = Operation::LinearProduct.onnx();
            return self.push_node(name, op, "", inputs, Vec::new(), &[out]);
        };
        let product = self.unique(&format!("{name}.product"));
        self.graph.node.push(NodeProto {
            name: name.clone(),
            op_type: Operation::LinearProduct.onnx().into(),
            input: inputs,
            output: vec![product.clone()],
            ..Default::default()
        });
        let sum = self.unique(&format!("{name}.sum"));
        let inputs = vec![product, self.tensor(bias.id)];
        self.push_node(sum, Operation::LinearSum.onnx(), "", inputs, Vec::new(), &[out]);
        self.owners.insert(out.id, name);
    }

    /// A node that the importer will refuse, if the output depends on it.
    fn push_unsupported(&mut self, operation: &'a OperationIr) {
        let reads: Vec<&TensorIr> = operation.inputs().collect();
        let op = name_of(operation);
        let after = reads.iter().find_map(|t| self.owners.get(&t.id)).cloned();
        let own = reads.iter().find_map(|t| self.layer_of(t.id)).filter(|l| !l.is_empty());
        let base = match (own, &after) {
            (Some(layer), _) => layer,
            (None, Some(owner)) => format!("{} after {owner}", snake_case(&op)),
            (None, None) => snake_case(&op),
        };
        let name = self.unique(&base);
        let inputs = reads.into_iter().map(|t| self.input(Tensor(t))).collect();
        let outputs: Vec<&TensorIr> = operation.outputs().collect();
        self.push_refused(name, &op, inputs, &outputs);
        // What follows is found by the last layer that is known.
        if let Some(after) = after {
            self.owners.extend(outputs.iter().map(|t| (t.id, after.clone())));
        }
    }

    /// A call of a layer that the importer will refuse, as one node.
    fn push_layer(&mut self, layer: &UnsupportedLayer, operations: &'a [OperationIr]) {
        let written: HashSet<TensorId> =
            operations.iter().flat_map(|o| o.outputs()).map(|t| t.id).collect();
        let mut inputs = Vec::new();
        for read in operations.iter().flat_map(|o| o.inputs()).map(|t| t.id) {
            let name = self.names.get(&read).filter(|_| !written.contains(&read));
            if let Some(name) = name.filter(|name| !inputs.contains(*name)) {
                inputs.push(name.clone());
            }
        }
        let outputs: Vec<&TensorIr> = operations.iter().flat_map(|o| o.outputs()).collect();
        let base = if layer.path.is_empty() { snake_case(&layer.kind) } else { layer.path.clone() };
        let name = self.unique(&base);
        self.push_refused(name, &layer.kind, inputs, &outputs);
    }

    /// A node that the importer will refuse; what it writes has known shapes.
    fn push_refused(&mut self, name: String, op: &str, inputs: Vec<String>, outputs: &[&TensorIr]) {
        self.push_node(name, op, "burn", inputs, Vec::new(), outputs);
        let called = |tensor: &&TensorIr| self.names.get(&tensor.id).cloned();
        let shapes = outputs.iter().filter_map(|t| Some(value_info(&called(t)?, &t.shape)));
        let shapes: Vec<_> = shapes.collect();
        self.graph.value_info.extend(shapes);
    }

    fn push_node(
        &mut self,
        name: String,
        op: &str,
        domain: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
        outputs: &[&TensorIr],
    ) {
        let mut output = Vec::new();
        for (i, tensor) in outputs.iter().enumerate() {
            let called = if i == 0 { name.clone() } else { self.unique(&name) };
            self.names.insert(tensor.id, called.clone());
            self.owners.insert(tensor.id, name.clone());
            output.push(called);
        }
        self.graph.node.push(NodeProto {
            name,
            op_type: op.into(),
            domain: domain.into(),
            input: inputs,
            output,
            attribute: attributes,
            ..Default::default()
        });
    }

    /// The path of the module that the parameter `id` belongs to; empty at the top.
    fn layer_of(&self, id: TensorId) -> Option<String> {
        let path = self.paths.get(&id)?;
        Some(path.rsplit_once('.').map_or(String::new(), |(module, _)| module.into()))
    }

    fn input(&mut self, input: Input) -> String {
        match input {
            Tensor(t) => self.tensor(t.id),
            Integers(values) => {
                let len = values.len();
                self.constant("constant", &TensorData::new(values, [len]))
            }
            Scalar(value) => {
                let data = TensorData::new(vec![value as f32], [0; 0]);
                self.constant("constant", &data)
            }
        }
    }

    /// What a tensor is called; a constant is written when it is first asked for.
    fn tensor(&mut self, id: TensorId) -> String {
        if let Some(name) = self.names.get(&id) {
            return name.clone();
        }
        let Some(data) = self.captured.values.get(&id) else { return id.to_string() };
        let path = self.paths.get(&id).map_or("constant", String::as_str);
        let name = self.constant(path, data);
        self.names.insert(id, name.clone());
        name
    }

    fn constant(&mut self, base: &str, data: &TensorData) -> String {
        let name = self.unique(base);
        self.graph.initializer.push(tensor(&name, data));
        name
    }

    fn fill(&mut self, out: &TensorIr, value: f32) {
        let data = TensorData::full(out.shape.clone(), value);
        let name = self.constant("constant", &data);
        self.names.insert(out.id, name);
        self.constants.insert(out.id);
    }

    /// `base`, numbered where it is taken.
    fn unique(&mut self, base: &str) -> String {
        let numbered = (2..).map(|n| format!("{base}_{n}"));
        let mut names = std::iter::once(base.to_string()).chain(numbered);
        let name = names.find(|name| !self.taken.contains(name)).expect("there is no last number");
        self.taken.insert(name.clone());
        name
    }
}

fn simple<'a, const N: usize>(
    operation: Operation,
    inputs: [Input<'a>; N],
    output: &'a TensorIr,
) -> Translation<'a> {
    with(operation, inputs, [], output)
}

fn with<'a, const N: usize, const A: usize>(
    operation: Operation,
    inputs: [Input<'a>; N],
    attributes: [AttributeProto; A],
    output: &'a TensorIr,
) -> Translation<'a> {
    Translation { operation, inputs: inputs.into(), attributes: attributes.into(), output }
}

/// Whether `operation` is more than a node that will be refused.
fn has_translation(operation: &OperationIr) -> bool {
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
fn translation(operation: &OperationIr) -> Option<Translation<'_>> {
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
        Numeric::Neg(o) => simple(Operation::Neg, [Tensor(&o.input)], &o.out),
        Numeric::Clamp(o) => bounds(&o.tensor, number(o.min), number(o.max), &o.out),
        Numeric::ClampMin(o) => bounds(&o.lhs, number(o.rhs), f32::MAX.into(), &o.out),
        Numeric::ClampMax(o) => bounds(&o.lhs, f32::MIN.into(), number(o.rhs), &o.out),
        Numeric::Pad(o) => {
            let PadModeIr::Constant(value) = o.mode else { return None };
            let (before, after): (Vec<i64>, Vec<i64>) =
                o.padding.iter().map(|&(a, b)| (a as i64, b as i64)).unzip();
            let pads = Integers([before, after].concat());
            simple(Operation::Pad, [Tensor(&o.input), pads, Scalar(number(value))], &o.out)
        }
        _ => return None,
    })
}

fn activation(operation: &Activation) -> Option<Translation<'_>> {
    Some(match operation {
        Activation::Relu(o) => simple(Operation::Relu, [Tensor(&o.input)], &o.out),
        Activation::LeakyRelu(o) => {
            with(Operation::LeakyRelu, [Tensor(&o.lhs)], [float("alpha", number(o.rhs))], &o.out)
        }
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
        Layer::Linear(o) => match &o.bias {
            Some(bias) => {
                simple(Operation::Linear, [Tensor(&o.x), Tensor(&o.weight), Tensor(bias)], &o.out)
            }
            None => simple(Operation::LinearProduct, [Tensor(&o.x), Tensor(&o.weight)], &o.out),
        },
        Layer::BatchNorm(o) => {
            let inputs = [&o.x, &o.gamma, &o.beta, &o.mean, &o.variance].map(Tensor);
            with(Operation::BatchNorm, inputs, [float("epsilon", number(o.epsilon))], &o.out)
        }
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

fn number(scalar: ScalarIr) -> f64 {
    scalar.elem()
}

/// The variant of an operation, such as `Gelu`.
fn name_of(operation: &OperationIr) -> String {
    // `Group(Variant(Fields { .. }))`, where a group of numbers says their type before the variant.
    let text = format!("{operation:?}");
    let head = text.split('{').next().unwrap_or_default();
    let groups: Vec<&str> = head.split('(').collect();
    let variant = groups.len().checked_sub(2).and_then(|i| groups.get(i)).unwrap_or(&head);
    variant.rsplit(' ').next().unwrap_or_default().to_string()
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    let mut before = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
        before = letter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_are_those_that_people_write() {
        for (name, expected) in
            [("Relu", "relu"), ("GlobalAveragePool", "global_average_pool"), ("MatMul", "mat_mul")]
        {
            assert_eq!(snake_case(name), expected);
        }
    }
}
