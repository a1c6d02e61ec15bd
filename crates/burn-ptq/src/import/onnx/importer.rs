//! The walk over a model's nodes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use onnx_ir::{GraphProto, NodeProto};

use super::attributes::Attributes;
use super::budget::Budget;
use super::constants::{Extent, fold, shape_of};
use super::error::{Problem, Refusal, Source};
use super::growing::{Binding, Importer, Site};
use super::interface::Interface;
use super::options::Options;
use super::order::{display_name, needed_nodes};
use super::tensor::data_type;
use super::{interface, is_standard_domain, legacy, operators, tensor};
use crate::graph::ops::Reshape;
use crate::graph::{Graph, GraphError, Value, ValueId};

/// After this many problems, the rest is not examined.
const MAX_PROBLEMS: usize = 1000;

/// Operators whose output has the shape of their first input, though they cannot be imported.
const KEEP_SHAPE: &str = "Abs Ceil Celu Cos DequantizeLinear Elu Erf Exp Floor Gelu InstanceNormalization \
    LRN LayerNormalization Log LpNormalization MeanVarianceNormalization Mish PRelu Pow QuantizeLinear \
    Reciprocal Round Selu Shrink Sign Sin Softplus Softsign Sqrt Swish ThresholdedRelu";

/// Operators that mean the same for values without a batch axis: they do not depend on axes, or
/// count them from the last.
const WITHOUT_BATCH: &str = "Add Cast Clip Div Dropout HardSigmoid HardSwish Identity LeakyRelu MatMul Max \
    Min Mul Neg Relu Sigmoid Sub Tanh";

/// Makes the graph called `name`; `missing` says why initializers have no data.
///
/// # Errors
/// All problems of the model.
pub(super) fn import(
    graph: &GraphProto,
    opset: i64,
    name: &str,
    source: Source,
    options: &Options,
    mut missing: BTreeMap<String, Refusal>,
) -> Result<Graph, Vec<Problem>> {
    let mut outputs: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    outputs.dedup();
    let nodes = needed_nodes(&graph.node, &outputs, source)?;
    let mut readers: HashMap<&str, usize> = HashMap::new();
    for name in nodes.iter().flat_map(|n| &n.input).map(String::as_str).chain(outputs) {
        *readers.entry(name).or_default() += 1;
    }
    let reads = readers.keys().copied().collect();
    let (interface, mut problems) = interface::read(graph, options, &reads, source);
    let mut importer = Importer {
        graph: Graph::new(name, "", vec![1]),
        budget: Budget::new(),
        batch: interface.batch,
        source,
        opset,
        bindings: HashMap::new(),
        readers,
        value_readers: HashMap::new(),
        stated: interface::stated_shapes(graph),
        unbatched: HashSet::new(),
        further: Vec::new(),
        integers: HashSet::new(),
    };
    importer.bind_inputs(&interface);
    importer.bind_initializers(graph, &mut missing, &mut problems);
    for node in nodes {
        if problems.len() > MAX_PROBLEMS {
            break;
        }
        match importer.import_node(node) {
            Ok(bindings) => {
                // Outputs that have none are not read.
                let bindings = bindings.into_iter().chain(std::iter::repeat(Binding::Unknown));
                for (output, binding) in node.output.iter().zip(bindings) {
                    importer.bind(output, binding);
                }
            }
            Err(refusal) => {
                problems.push(refusal.of(display_name(node), operator_name(node, source), source));
                importer.bind_refused(node);
            }
        }
    }
    if problems.is_empty() { importer.finish(&interface.outputs) } else { Err(problems) }
}

/// Whether a node that reads integers gives some: what moves them does; they are computed with as floats
/// alone.
fn integers_given(site: &Site) -> Result<bool, Refusal> {
    match site.op {
        "Gather" => Ok(false),
        "Cast" => {
            let to = site.attributes.int("to", 0)?;
            Ok(i32::try_from(to).is_ok_and(|to| data_type::integers(to).is_some()))
        }
        "Concat" | "Dropout" | "Expand" | "Flatten" | "Identity" | "Reshape" | "Slice"
        | "Split" | "Squeeze" | "Tile" | "Transpose" | "Unsqueeze" => Ok(true),
        _ => Err(Refusal::new(
            "it computes with integers",
            "cast them to floats in front of it, or feed floats",
        )),
    }
}

/// The operator with its domain where it is not a standard one.
fn operator_name(node: &NodeProto, source: Source) -> String {
    if is_standard_domain(&node.domain) || source == Source::Module {
        node.op_type.clone()
    } else {
        format!("{}.{}", node.domain, node.op_type)
    }
}

impl<'m> Importer<'m> {
    fn bind(&mut self, name: &'m str, binding: Binding) {
        if let Binding::Value(id) = binding {
            let readers = self.readers.get(name).copied().unwrap_or(0);
            *self.value_readers.entry(id).or_default() += readers;
        }
        self.bindings.insert(name, binding);
    }

    fn bind_inputs(&mut self, interface: &Interface<'m>) {
        for (index, input) in interface.inputs.iter().enumerate() {
            let binding = match &input.sample {
                None => Binding::Unknown,
                // The graph was made with a first input.
                Some(sample) if index == 0 => {
                    let value = Value { name: input.name.into(), shape: sample.clone() };
                    self.graph.values[0] = value;
                    Binding::Value(self.graph.input())
                }
                Some(sample) => Binding::Value(self.graph.add_input(input.name, sample.clone())),
            };
            if let (Binding::Value(id), false) = (&binding, input.has_batch) {
                self.unbatched.insert(*id);
            }
            if let (Binding::Value(id), Some(integers)) = (&binding, input.integers) {
                let place = self.graph.inputs.iter().position(|other| other == id);
                if let Some(place) = place.and_then(|place| self.graph.integers.get_mut(place)) {
                    *place = Some(integers);
                }
                self.integers.insert(input.name);
            }
            self.bind(input.name, binding);
        }
    }

    /// Decodes the initializers that are read.
    fn bind_initializers(
        &mut self,
        graph: &'m GraphProto,
        missing: &mut BTreeMap<String, Refusal>,
        problems: &mut Vec<Problem>,
    ) {
        for name in graph.sparse_initializer.iter().map(|s| s.values.name.as_str()) {
            if !self.readers.contains_key(name) {
                continue;
            }
            let refusal = Refusal::new("it is sparse", "store the tensor as a dense one");
            problems.push(refusal.of(name, "initializer", self.source));
            self.bind(name, Binding::Unknown);
        }
        for tensor in &graph.initializer {
            let name = tensor.name.as_str();
            if !self.readers.contains_key(name) {
                continue;
            }
            let decoded = match missing.remove(name) {
                Some(refusal) => Err(refusal),
                None if self.bindings.contains_key(name) => {
                    Err(Refusal::invalid("two tensors of the model have this name"))
                }
                None => tensor::decode(tensor, &mut self.budget),
            };
            let binding = match decoded {
                Ok(constant) => Binding::Constant(Rc::new(constant)),
                Err(refusal) => {
                    problems.push(refusal.of(name, "initializer", self.source));
                    Binding::Unknown
                }
            };
            self.bind(name, binding);
        }
    }

    /// Binds what a refused node writes, so that the nodes behind it can be looked at.
    fn bind_refused(&mut self, node: &'m NodeProto) {
        let keeps_shape = is_standard_domain(&node.domain)
            && KEEP_SHAPE.split(' ').any(|name| name == node.op_type);
        let input = node.input.first().and_then(|name| self.bindings.get(name.as_str()));
        let mut shape = match input {
            Some(Binding::Value(id)) if keeps_shape => Some(self.shape(*id).to_vec()),
            _ => None,
        };
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            let stated = self.stated.get(output.as_str()).cloned();
            let binding = match stated.or(shape.take()) {
                Some(shape) => self.stand_in(output, shape),
                None => Binding::Unknown,
            };
            self.bind(output, binding);
        }
    }

    /// A value that no node writes: the graph is refused anyway.
    fn stand_in(&mut self, name: &str, shape: Vec<usize>) -> Binding {
        self.graph.values.push(Value { name: name.into(), shape });
        Binding::Value(ValueId(self.graph.values.len() - 1))
    }

    /// What the outputs of `node` stand for, as far as they are known.
    fn import_node(&mut self, node: &'m NodeProto) -> Result<Vec<Binding>, Refusal> {
        let standard = is_standard_domain(&node.domain);
        if !standard || operators::find(&node.op_type).is_none() {
            return Err(operators::unsupported(&node.domain, &node.op_type));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(match self.bindings.get(name.as_str()) {
                _ if name.is_empty() => None,
                Some(Binding::Unknown) => return Ok(Vec::new()),
                Some(binding) => Some(binding.clone()),
                None => {
                    return Err(Refusal::invalid(format!(
                        "it reads '{name}', which nothing writes"
                    )));
                }
            });
        }
        let Some(output) = node.output.first().filter(|o| !o.is_empty()) else {
            return Err(Refusal::invalid("it has no first output"));
        };
        let mut site = Site {
            name: display_name(node),
            op: &node.op_type,
            opset: self.opset,
            attributes: Attributes(&node.attribute),
            output,
            outputs: node.output.iter().map(String::as_str).collect(),
            inputs,
        };
        if self.opset < 7 {
            legacy::modernize(self, &mut site)?;
        }
        let mut bindings = vec![Binding::Unknown; site.outputs.len()];
        if let Some(constant) = self.fold(node, &site)? {
            bindings[0] = constant;
        } else {
            let unbatched = self.check_batch(&site)?;
            self.further.clear();
            let holds = node.input.iter().any(|name| self.integers.contains(name.as_str()));
            if holds && integers_given(&site)? {
                self.integers.extend(node.output.iter().map(String::as_str));
            }
            // Whole numbers are the same as floats.
            bindings[0] = match (holds, site.op) {
                (true, "Cast") => Binding::Value(site.value(0)?),
                _ => operators::import(self, &site)?,
            };
            for (output, id) in std::mem::take(&mut self.further) {
                bindings[output] = Binding::Value(id);
            }
            for binding in &bindings {
                if let (Binding::Value(id), true) = (binding, unbatched) {
                    self.unbatched.insert(*id);
                }
            }
        }
        let unknown = |(name, binding): &(&&str, &Binding)| {
            matches!(binding, Binding::Unknown) && self.readers.contains_key(**name)
        };
        if let Some((output, _)) = site.outputs.iter().zip(&bindings).skip(1).find(unknown) {
            return Err(Refusal::new(
                format!("its additional output '{output}' is used; only the first is supported"),
                "export the model without the use of that output",
            ));
        }
        Ok(bindings)
    }

    /// Whether the node's values have no batch axis in the file, where axes count from another place:
    /// few operators mean the same with and without it.
    fn check_batch(&self, site: &Site) -> Result<bool, Refusal> {
        let mut values = site.inputs.iter().flatten().filter_map(|binding| match binding {
            Binding::Value(id) => Some(*id),
            _ => None,
        });
        if !values.any(|id| self.unbatched.contains(&id)) {
            return Ok(false);
        }
        let mut values = site.inputs.iter().flatten();
        let same = values.all(|binding| match binding {
            Binding::Value(id) => self.unbatched.contains(id),
            Binding::Constant(constant) => site.op == "MatMul" || constant.shape.len() <= 1,
            Binding::Unknown => true,
        });
        if same && WITHOUT_BATCH.split(' ').any(|name| name == site.op) {
            return Ok(true);
        }
        Err(Refusal::new(
            "its input has no batch axis",
            "export the model with a batch as the first axis of its input, and without dropping it \
             (`x.squeeze()` drops every axis of extent 1: give it the axis)",
        ))
    }

    /// Computes a node that depends on constants or shapes alone.
    fn fold(&mut self, node: &NodeProto, site: &Site) -> Result<Option<Binding>, Refusal> {
        if let ("Shape", Some(Some(Binding::Value(id)))) = (site.op, site.inputs.first()) {
            let sample = self.graph.value(*id).shape.iter().map(|&d| Extent::Known(d as i64));
            let batch = (!self.unbatched.contains(id)).then_some(Extent::Batch);
            let extents: Vec<Extent> = batch.into_iter().chain(sample).collect();
            let constant = shape_of(&extents, site.attributes)?;
            return Ok(Some(Binding::Constant(Rc::new(constant))));
        }
        if let ("Identity" | "Dropout", Some(Some(binding @ Binding::Constant(_)))) =
            (site.op, site.inputs.first())
        {
            return Ok(Some(binding.clone()));
        }
        let mut constants = Vec::with_capacity(site.inputs.len());
        for input in &site.inputs {
            constants.push(match input {
                None => None,
                Some(Binding::Constant(constant)) => Some(constant.as_ref()),
                Some(_) => return Ok(None),
            });
        }
        let folded = fold(node, self.opset, &constants, &mut self.budget)?;
        Ok(folded.map(|c| Binding::Constant(Rc::new(c))))
    }

    fn finish(mut self, outputs: &[&str]) -> Result<Graph, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut ends: Vec<ValueId> = Vec::new();
        for &output in outputs {
            let source = self.source;
            let mut error = |problem: &str| {
                let refusal = Refusal::new(problem, "export the model again");
                problems.push(refusal.of(output, "output", source));
            };
            match self.bindings.get(output) {
                Some(Binding::Value(id)) => match self.end(*id, output, outputs.len(), &ends) {
                    Ok(id) => ends.push(id),
                    Err(graph_error) => error(&graph_error.to_string()),
                },
                Some(Binding::Constant(_)) => error("it is a constant, expected a computed value"),
                _ => error("nothing writes it, expected a value that is computed from the input"),
            }
        }
        self.graph.outputs = ends;
        if problems.is_empty() { Ok(self.graph) } else { Err(problems) }
    }

    /// The value of the output called `name`, which `id` is; `others` are outputs already.
    fn end(
        &mut self,
        id: ValueId,
        name: &str,
        outputs: usize,
        others: &[ValueId],
    ) -> Result<ValueId, GraphError> {
        let is_input = self.graph.inputs.contains(&id);
        // Each of several outputs has a name of its own, though it may hold what another holds.
        if outputs > 1 && (is_input || others.contains(&id)) {
            let shape = self.graph.value(id).shape.clone();
            return self.graph.push(name, Reshape { shape }, &[id], name);
        }
        // An `Identity` at the end leaves no node, but its name is the one users know.
        if !is_input {
            self.graph.values[id.0].name = name.into();
        }
        Ok(id)
    }
}
