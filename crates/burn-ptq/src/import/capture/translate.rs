//! Captured operations in the vocabulary of ONNX.
//!
//! What has no translation in `vocabulary.rs` becomes a node of the domain `burn`, which the importer
//! lists together with everything else that it cannot do.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use burn::backend::capture::CapturedGraph;
use burn::backend::ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, LinearOpIr,
    ModuleOperationIr as Layer, NumericOperationIr as Numeric, OperationIr, TensorId, TensorIr,
};
use burn::tensor::TensorData;
use onnx_ir::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};

use super::layers::{Layer as UnsupportedLayer, calls};
use super::operations::Operation;
use super::recurrent::{Call, Kind, Parameter, recurrent_calls};
use super::vocabulary::Input::{self, Integers, Nothing, Scalar, Tensor};
use super::vocabulary::{Translation, has_translation, number, simple, translation, with};
use crate::import::onnx::data_type;
use crate::import::proto::{int, ints, string, tensor, typed_value, value_info};

/// An input of a captured `forward`.
#[derive(Clone, Debug)]
pub(super) struct CapturedInput {
    pub id: TensorId,
    pub name: String,
    pub shape: Vec<usize>,
    pub is_integer: bool,
}

/// The model that `captured` is: its inputs; its outputs, of which one without a name is called as what
/// computes it; the paths of parameters, and the unsupported layers that some of them belong to.
pub(super) fn translate(
    captured: &CapturedGraph,
    inputs: &[CapturedInput],
    outputs: &[(TensorId, Option<&str>)],
    paths: &HashMap<TensorId, String>,
    layers: &HashMap<TensorId, UnsupportedLayer>,
    recurrent: &HashMap<TensorId, Parameter>,
) -> GraphProto {
    let is_input = |id: &TensorId| inputs.iter().any(|input| input.id == *id);
    let element = |is_integer| if is_integer { data_type::INT64 } else { data_type::FLOAT };
    let value =
        |input: &CapturedInput| typed_value(&input.name, element(input.is_integer), &input.shape);
    let mut writer = Writer {
        captured,
        paths,
        graph: GraphProto { input: inputs.iter().map(value).collect(), ..Default::default() },
        names: inputs.iter().map(|input| (input.id, input.name.clone())).collect(),
        taken: inputs.iter().map(|input| input.name.clone()).collect(),
        owners: HashMap::new(),
        constants: captured.values.keys().copied().filter(|id| !is_input(id)).collect(),
        hard_sigmoids: HashMap::new(),
        means: HashMap::new(),
        comparisons: HashMap::new(),
    };
    let operations = &captured.graph.operations;
    let is_parameter = |id| paths.contains_key(&id);
    let mut next = 0;
    let known = recurrent_calls(captured, recurrent);
    let unknown = calls(captured, layers, is_parameter, has_translation);
    let apart = |range: &Range<usize>| {
        known
            .iter()
            .all(|call| range.end <= call.operations.start || call.operations.end <= range.start)
    };
    let unknown = unknown.into_iter().filter(|(range, _)| apart(range));
    let mut all: Vec<(Range<usize>, Part)> =
        unknown.map(|(range, layer)| (range, Part::Unsupported(layer))).collect();
    all.extend(known.iter().map(|call| (call.operations.clone(), Part::Recurrent(call))));
    all.sort_by_key(|(range, _)| range.start);
    for (range, part) in all {
        operations[next..range.start].iter().for_each(|operation| writer.write(operation));
        next = range.end;
        match part {
            Part::Unsupported(layer) => writer.push_layer(layer, &operations[range]),
            Part::Recurrent(call) => writer.push_recurrent(call, recurrent),
        }
    }
    operations[next..].iter().for_each(|operation| writer.write(operation));
    for &(output, name) in outputs {
        writer.end_with(output, name);
    }
    writer.graph
}

/// Operations that become one node.
enum Part<'a> {
    Unsupported(&'a UnsupportedLayer),
    Recurrent(&'a Call<'a>),
}

struct Writer<'a> {
    captured: &'a CapturedGraph,
    paths: &'a HashMap<TensorId, String>,
    graph: GraphProto,
    /// What tensors that were written are called.
    names: HashMap<TensorId, String>,
    taken: HashSet<String>,
    /// The node that wrote a tensor, by its familiar name.
    owners: HashMap<TensorId, String>,
    /// What does not depend on the input.
    constants: HashSet<TensorId>,
    /// Of what a tensor is the hard sigmoid of slope 1/6.
    hard_sigmoids: HashMap<TensorId, TensorId>,
    /// Of what a tensor is the mean, and over which axes.
    means: HashMap<TensorId, (&'a TensorIr, Vec<usize>)>,
    /// Which tensor a mask finds below which other one.
    comparisons: HashMap<TensorId, (TensorId, TensorId)>,
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

    /// Makes `output` one of the graph's.
    fn end_with(&mut self, output: TensorId, name: Option<&str>) {
        let written = self.tensor(output);
        let name = name.map_or_else(|| written.clone(), str::to_string);
        let ends = |values: &[ValueInfoProto]| values.iter().any(|value| value.name == written);
        if name != written && (ends(&self.graph.input) || ends(&self.graph.output)) {
            // It has a name already: an input's or another output's.
            self.graph.node.push(NodeProto {
                name: name.clone(),
                op_type: "Identity".into(),
                input: vec![written],
                output: vec![name.clone()],
                ..Default::default()
            });
        } else if name != written {
            if self.taken.contains(&name) {
                let other = self.unique(&name);
                self.rename(&name, &other);
            }
            self.rename(&written, &name);
            self.names.insert(output, name.clone());
        }
        self.taken.insert(name.clone());
        self.graph.output.push(ValueInfoProto { name, ..Default::default() });
    }

    /// Gives a value another name; nodes keep theirs.
    fn rename(&mut self, from: &str, to: &str) {
        let graph = &mut self.graph;
        let of_nodes = graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
        let constants = graph.initializer.iter_mut().map(|tensor| &mut tensor.name);
        let known = graph.value_info.iter_mut().map(|value| &mut value.name);
        for name in of_nodes.chain(constants).chain(known).chain(self.names.values_mut()) {
            if name == from {
                *name = to.into();
            }
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
            OperationIr::NumericFloat(_, Numeric::Lower(o)) => {
                self.comparisons.insert(o.out.id, (o.lhs.id, o.rhs.id));
                None
            }
            OperationIr::BaseFloat(Base::MaskWhere(o)) => {
                let (below, above) = *self.comparisons.get(&o.mask.id)?;
                let (kept, other) = (&o.tensor, &o.value);
                if [below, above] == [kept.id, other.id] {
                    return Some(simple(Operation::Larger, [Tensor(kept), Tensor(other)], &o.out));
                }
                if [below, above] == [other.id, kept.id] {
                    return Some(simple(Operation::Smaller, [Tensor(kept), Tensor(other)], &o.out));
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

    /// A recurrent layer over a sequence: ONNX has the steps before the batch, and an axis of directions.
    fn push_recurrent(&mut self, call: &Call, parameters: &HashMap<TensorId, Parameter>) {
        let base =
            if call.layer.is_empty() { snake_case(call.kind.onnx()) } else { call.layer.clone() };
        let name = self.unique(&base);
        let part = |writer: &mut Self, op: &str, what: &str, inputs: Vec<String>, attributes| {
            let output = writer.unique(&format!("{name}.{what}"));
            writer.graph.node.push(NodeProto {
                name: output.clone(),
                op_type: op.into(),
                input: inputs,
                output: vec![output.clone()],
                attribute: attributes,
                ..Default::default()
            });
            output
        };
        let x = self.tensor(call.x.id);
        let mut inputs = vec![part(self, "Transpose", "x", vec![x], vec![ints("perm", [1, 0, 2])])];
        let constants = call.constants(self.captured, parameters).into_iter().flatten();
        for (what, data) in ["W", "R", "B"].iter().zip(constants) {
            inputs.push(self.constant(&format!("{name}.{what}"), &data));
        }
        inputs.push(String::new());
        let front = self.input(Integers(vec![0]));
        for (what, initial) in ["h0", "c0"].iter().zip(&call.initial) {
            let initial = self.tensor(initial.id);
            inputs.push(part(self, "Unsqueeze", what, vec![initial, front.clone()], Vec::new()));
        }
        let hidden = call.sequence.shape.to_vec()[2];
        let mut attributes = vec![int("hidden_size", hidden)];
        if call.reverse {
            attributes.push(string("direction", "reverse"));
        }
        if call.kind == Kind::Gru {
            attributes.push(int("linear_before_reset", usize::from(call.reset_after)));
        }
        let outputs: Vec<String> = ["y", "h", "c"][..1 + call.last.len()]
            .iter()
            .map(|o| self.unique(&format!("{name}.{o}")))
            .collect();
        self.graph.node.push(NodeProto {
            name: name.clone(),
            op_type: call.kind.onnx().into(),
            input: inputs,
            output: outputs.clone(),
            attribute: attributes,
            ..Default::default()
        });
        let order = vec![ints("perm", [2, 0, 1, 3])];
        let steps = part(self, "Transpose", "steps", vec![outputs[0].clone()], order);
        let axis = self.input(Integers(vec![2]));
        let sequence = part(self, "Squeeze", "sequence", vec![steps, axis], Vec::new());
        self.names.insert(call.sequence.id, sequence);
        self.owners.insert(call.sequence.id, name.clone());
        for ((what, last), output) in ["last", "cell"].iter().zip(&call.last).zip(&outputs[1..]) {
            let last_name =
                part(self, "Squeeze", what, vec![output.clone(), front.clone()], Vec::new());
            self.names.insert(last.id, last_name);
            self.owners.insert(last.id, name.clone());
        }
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
            Nothing => String::new(),
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

/// The variant of an operation, such as `Gelu`.
pub(super) fn name_of(operation: &OperationIr) -> String {
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
