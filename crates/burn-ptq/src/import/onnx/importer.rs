//! The walk over a model's nodes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use onnx_ir::{GraphProto, NodeProto};

use super::attributes::Attributes;
use super::budget::Budget;
use super::constants::{Constant, Extent, fold, shape_of};
use super::error::{Problem, Refusal, Source};
use super::interface::Interface;
use super::options::Options;
use super::order::{display_name, needed_nodes};
use super::{MAX_VALUE_ELEMENTS, interface, is_standard_domain, operators, tensor};
use crate::graph::{Array, BatchNormStatistics, Graph, GraphError, Op, Value, ValueId, ops};

/// After so many problems the rest is not looked at.
const MAX_PROBLEMS: usize = 1000;

/// Operators whose output has the shape of their first input, though they cannot be imported.
const KEEP_SHAPE: &str = "Abs Ceil Celu Cos DequantizeLinear Elu Erf Exp Floor Gelu InstanceNormalization \
    LRN LayerNormalization Log LpNormalization MeanVarianceNormalization Mish PRelu Pow QuantizeLinear \
    Reciprocal Round Selu Shrink Sign Sin Softplus Softsign Sqrt Swish ThresholdedRelu";

/// Operators that mean the same for values without a batch axis: they know no axes, or count them from
/// the last.
const WITHOUT_BATCH: &str = "Add Cast Clip Div Dropout HardSigmoid HardSwish Identity LeakyRelu MatMul Max \
    Min Mul Neg Relu Sigmoid Sub Tanh";

/// What a name in the file stands for.
#[derive(Clone)]
pub(super) enum Binding {
    /// Known before the model runs.
    Constant(Rc<Constant>),
    /// Computed from the input; behind a node that cannot be imported, only the shape holds.
    Value(ValueId),
    /// Behind a node that cannot be imported; what depends on it is not looked at.
    Unknown,
}

/// The graph as it grows, and what limits it.
pub(super) struct Importer<'m> {
    pub graph: Graph,
    pub budget: Budget,
    /// The extent of the batch axis where the file fixes it.
    pub batch: Option<usize>,
    source: Source,
    opset: i64,
    bindings: HashMap<&'m str, Binding>,
    /// How many needed nodes read a name; the model's output counts as one.
    readers: HashMap<&'m str, usize>,
    /// How many needed nodes read a value under any of its names.
    value_readers: HashMap<ValueId, usize>,
    /// The shapes of samples that the file states.
    stated: HashMap<&'m str, Vec<usize>>,
    /// Values that have no batch axis in the file.
    unbatched: HashSet<ValueId>,
}

/// One node of the file, with its inputs looked up.
pub(super) struct Site<'m> {
    pub name: String,
    pub op: &'m str,
    pub opset: i64,
    pub attributes: Attributes<'m>,
    pub output: &'m str,
    /// How many outputs the node names.
    pub outputs: usize,
    /// The inputs; omitted ones are `None`.
    pub inputs: Vec<Option<Binding>>,
}

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
    };
    importer.bind_inputs(&interface);
    importer.bind_initializers(graph, &mut missing, &mut problems);
    for node in nodes {
        if problems.len() > MAX_PROBLEMS {
            break;
        }
        match importer.import_node(node) {
            Ok(binding) => {
                if let Some(output) = node.output.first() {
                    importer.bind(output, binding);
                }
                // Further outputs are read only where the node was refused for it.
                for output in node.output.iter().skip(1) {
                    importer.bind(output, Binding::Unknown);
                }
            }
            Err(refusal) => {
                problems.push(refusal.of(display_name(node), operator_name(node, source), source));
                importer.bind_refused(node);
            }
        }
    }
    match interface.outputs[..] {
        [output] if problems.is_empty() => importer.finish(output).map_err(|p| vec![p]),
        _ => Err(problems),
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

    /// The first input is the graph's; a model with more is refused, but looked at whole.
    fn bind_inputs(&mut self, interface: &Interface<'m>) {
        for (index, input) in interface.inputs.iter().enumerate() {
            let binding = match &input.sample {
                None => Binding::Unknown,
                Some(sample) if index == 0 => {
                    let value = Value { name: input.name.into(), shape: sample.clone() };
                    self.graph.values[0] = value;
                    Binding::Value(self.graph.input)
                }
                Some(sample) => self.stand_in(input.name, sample.clone()),
            };
            if let (Binding::Value(id), false) = (&binding, input.has_batch) {
                self.unbatched.insert(*id);
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

    fn import_node(&mut self, node: &'m NodeProto) -> Result<Binding, Refusal> {
        let standard = is_standard_domain(&node.domain);
        if !standard || operators::find(&node.op_type).is_none() {
            return Err(operators::unsupported(&node.domain, &node.op_type));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(match self.bindings.get(name.as_str()) {
                _ if name.is_empty() => None,
                Some(Binding::Unknown) => return Ok(Binding::Unknown),
                Some(binding) => Some(binding.clone()),
                None => {
                    return Err(Refusal::invalid(format!(
                        "it reads '{name}', which nothing writes"
                    )));
                }
            });
        }
        let extra = |o: &&String| self.readers.contains_key(o.as_str());
        if let Some(output) = node.output.iter().skip(1).find(extra) {
            return Err(Refusal::new(
                format!("its additional output '{output}' is used; only the first is supported"),
                "export the model without the use of that output",
            ));
        }
        let Some(output) = node.output.first().filter(|o| !o.is_empty()) else {
            return Err(Refusal::invalid("it has no first output"));
        };
        let site = Site {
            name: display_name(node),
            op: &node.op_type,
            opset: self.opset,
            attributes: Attributes(&node.attribute),
            output,
            outputs: node.output.iter().filter(|o| !o.is_empty()).count(),
            inputs,
        };
        if let Some(constant) = self.fold(node, &site)? {
            return Ok(constant);
        }
        let unbatched = self.check_batch(&site)?;
        let binding = operators::import(self, &site)?;
        if let (Binding::Value(id), true) = (&binding, unbatched) {
            self.unbatched.insert(*id);
        }
        Ok(binding)
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

    /// Lets a value stand without its batch axis, which had an extent of 1.
    pub fn drop_batch(&mut self, id: ValueId) {
        self.unbatched.insert(id);
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

    /// Appends the node for `site` and returns its value.
    pub fn push(
        &mut self,
        site: &Site,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        self.push_as(site.name.clone(), site.output.into(), op.into(), inputs)
    }

    /// Appends a further node that `site` needs, named after it and `part`.
    pub fn push_part(
        &mut self,
        site: &Site,
        part: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        let [name, output] = [&site.name, site.output].map(|n| format!("{n}/{part}"));
        self.push_as(name, output, op.into(), inputs)
    }

    fn push_as(
        &mut self,
        name: String,
        output: String,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        let hint = match op {
            Op::Conv2d(_) | Op::AveragePool(_) | Op::MaxPool(_) => {
                "check its kernel_shape, strides and pads, and check the shapes in front of the node"
            }
            _ => "check the shapes in front of the node",
        };
        let refused = |e: GraphError| {
            let problem = match e {
                GraphError::Shape { problem, .. } => problem,
                order @ GraphError::Order { .. } => order.to_string(),
            };
            Refusal::new(problem, hint)
        };
        self.budget.node()?;
        let id = self.graph.push(name, op, inputs, output).map_err(refused)?;
        let shape = &self.graph.value(id).shape;
        check_elements(shape)?;
        self.budget.compute(shape)?;
        Ok(id)
    }

    /// Appends a batch normalization, whose statistics stay with the node.
    pub fn push_batch_norm(
        &mut self,
        site: &Site,
        statistics: BatchNormStatistics,
        input: ValueId,
    ) -> Result<ValueId, Refusal> {
        let id = self.push(site, ops::ChannelAffine::from_batch_norm(&statistics), &[input])?;
        if let Some(node) = self.graph.nodes.last_mut() {
            node.batch_norm = Some(statistics);
        }
        Ok(id)
    }

    /// The shape of one sample of a value.
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.graph.value(id).shape
    }

    /// A copy of a constant as a parameter of a node.
    pub fn array(&mut self, constant: &Constant) -> Result<Array, Refusal> {
        self.budget.allocate(&constant.shape, size_of::<f32>())?;
        constant.to_array()
    }

    /// Lets `site` stand for `id`, into whose node it was merged.
    pub fn merge(&mut self, site: &Site, id: ValueId) -> ValueId {
        self.graph.values[id.0].name = site.output.into();
        id
    }

    /// The node that writes `id`, if only the node at hand reads the value.
    pub fn exclusive_producer(&mut self, id: ValueId) -> Option<&mut crate::graph::Node> {
        // Values after the input are pushed together with their nodes.
        let index = id.0.checked_sub(1).filter(|_| self.value_readers.get(&id) == Some(&1))?;
        self.graph.nodes.get_mut(index).filter(|n| n.output == id)
    }

    fn finish(mut self, output: &str) -> Result<Graph, Problem> {
        let error = |problem: &str| {
            let refusal = Refusal::new(problem, "export the model again");
            Err(refusal.of(output, "output", self.source))
        };
        match self.bindings.get(output) {
            Some(Binding::Value(id)) => {
                self.graph.output = *id;
                // An `Identity` at the end leaves no node, but its name is the one users know.
                if *id != self.graph.input {
                    self.graph.values[id.0].name = output.into();
                }
                Ok(self.graph)
            }
            Some(Binding::Constant(_)) => error("it is a constant, expected a computed value"),
            _ => error("nothing writes it, expected a value that is computed from the input"),
        }
    }
}

/// Refuses values that no device of the kind this is made for could hold.
pub(super) fn check_elements(shape: &[usize]) -> Result<(), Refusal> {
    let elements = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    if elements.is_some_and(|n| n <= MAX_VALUE_ELEMENTS) {
        return Ok(());
    }
    Err(Refusal::new(
        format!("a sample of {shape:?} has more than {MAX_VALUE_ELEMENTS} elements"),
        "models for microcontrollers are smaller",
    ))
}

impl Site<'_> {
    fn input(&self, index: usize) -> Option<&Binding> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    /// Input `index`, which must be computed from the model's input.
    pub fn value(&self, index: usize) -> Result<ValueId, Refusal> {
        match self.input(index) {
            Some(Binding::Value(id)) => Ok(*id),
            Some(_) => Err(Refusal::new(
                format!("input {index} is a constant, but {} wants a computed value", self.op),
                "swap the inputs or fold the node when exporting",
            )),
            None => Err(Refusal::invalid(format!("input {index} is missing"))),
        }
    }

    /// Input `index`, which must be a constant, or `None` where it is omitted.
    pub fn optional(&self, index: usize, what: &str) -> Result<Option<Rc<Constant>>, Refusal> {
        match self.input(index) {
            None => Ok(None),
            Some(Binding::Constant(constant)) => Ok(Some(constant.clone())),
            Some(_) => Err(Refusal::new(
                format!("its {what} is computed at run time, expected a constant"),
                "export the model with fixed parameters (constant folding on)",
            )),
        }
    }

    /// Input `index`, which must be a constant.
    pub fn constant(&self, index: usize, what: &str) -> Result<Rc<Constant>, Refusal> {
        self.optional(index, what)?
            .ok_or_else(|| Refusal::invalid(format!("its {what} (input {index}) is missing")))
    }

    /// Both inputs of an operation that takes values or constants.
    pub fn pair(&self) -> Result<(&Binding, &Binding), Refusal> {
        match (&self.inputs[..], self.input(0), self.input(1)) {
            ([_, _], Some(a), Some(b)) => Ok((a, b)),
            _ => Err(Refusal::new(
                format!("expected 2 inputs, found {}", self.inputs.len()),
                "export the model with a chain of nodes of two inputs",
            )),
        }
    }

    /// Integers that a later opset made an input: attribute `name` or input `index`.
    pub fn integers(&self, name: &str, index: usize) -> Result<Option<Vec<i64>>, Refusal> {
        match self.optional(index, name)? {
            Some(constant) => constant.to_integers().map(Some),
            None => Ok(self.attributes.ints(name)?.map(<[i64]>::to_vec)),
        }
    }
}
