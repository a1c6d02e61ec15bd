//! The walk over a file's nodes.

use std::collections::HashMap;
use std::rc::Rc;

use onnx_ir::{GraphProto, NodeProto};

use super::attributes::Attributes;
use super::budget::Budget;
use super::constants::{Constant, Extent, fold, shape_of};
use super::error::{ImportError, Problem, Refusal};
use super::order::{display_name, needed_nodes};
use super::{MAX_VALUE_ELEMENTS, interface, is_standard_domain, operators, tensor};
use crate::graph::{Array, BatchNormStatistics, Graph, GraphError, Op, ValueId, ops};

/// After so many problems the rest is not looked at.
const MAX_PROBLEMS: usize = 1000;

/// What a name in the file stands for.
#[derive(Clone)]
pub(super) enum Binding {
    /// Known before the model runs.
    Constant(Rc<Constant>),
    /// Computed from the input.
    Value(ValueId),
    /// Written by a node that cannot be imported; what depends on it is skipped.
    Failed,
}

/// The graph as it grows, and what limits it.
pub(super) struct Importer<'m> {
    pub graph: Graph,
    pub budget: Budget,
    /// The extent of the batch axis where the file fixes it.
    pub batch: Option<usize>,
    opset: i64,
    bindings: HashMap<&'m str, Binding>,
    /// How many needed nodes read a name; the model's output counts as one.
    readers: HashMap<&'m str, usize>,
    /// How many needed nodes read a value under any of its names.
    value_readers: HashMap<ValueId, usize>,
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

pub(super) fn import(
    graph: &GraphProto,
    opset: i64,
    name: &str,
    file: &str,
) -> Result<Graph, ImportError> {
    let unsupported = |problems| ImportError::Unsupported { name: file.into(), problems };
    let interface = interface::read(graph, file)?;
    let nodes = needed_nodes(&graph.node, interface.output).map_err(unsupported)?;
    let mut readers: HashMap<&str, usize> = HashMap::from([(interface.output, 1)]);
    for input in nodes.iter().flat_map(|n| &n.input) {
        *readers.entry(input).or_default() += 1;
    }
    let mut importer = Importer {
        graph: Graph::new(name, interface.input, interface.sample),
        budget: Budget::new(),
        batch: interface.batch,
        opset,
        bindings: HashMap::new(),
        readers,
        value_readers: HashMap::new(),
    };
    let mut problems = importer.bind_initializers(graph);
    importer.bind(interface.input, Binding::Value(ValueId(0)));
    for node in nodes {
        if problems.len() > MAX_PROBLEMS {
            break;
        }
        let binding = importer.import_node(node).unwrap_or_else(|refusal| {
            problems.push(refusal.of(display_name(node), operator_name(node)));
            Binding::Failed
        });
        if let Some(output) = node.output.first() {
            importer.bind(output, binding);
        }
        // Further outputs are read only where the node was refused for it.
        for output in node.output.iter().skip(1) {
            importer.bind(output, Binding::Failed);
        }
    }
    if !problems.is_empty() {
        return Err(unsupported(problems));
    }
    importer.finish(interface.output, file)
}

/// The operator with its domain where it is not a standard one.
fn operator_name(node: &NodeProto) -> String {
    if is_standard_domain(&node.domain) {
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

    /// Decodes the initializers that are read.
    fn bind_initializers(&mut self, graph: &'m GraphProto) -> Vec<Problem> {
        let mut problems = Vec::new();
        for name in graph.sparse_initializer.iter().map(|s| s.values.name.as_str()) {
            if !self.readers.contains_key(name) {
                continue;
            }
            let refusal = Refusal::new("it is sparse", "store the tensor as a dense one");
            problems.push(refusal.of(name, "initializer"));
            self.bind(name, Binding::Failed);
        }
        for tensor in &graph.initializer {
            if !self.readers.contains_key(tensor.name.as_str()) {
                continue;
            }
            let binding = match tensor::decode(tensor, &mut self.budget) {
                Ok(constant) => Binding::Constant(Rc::new(constant)),
                Err(refusal) => {
                    problems.push(refusal.of(&tensor.name, "initializer"));
                    Binding::Failed
                }
            };
            self.bind(&tensor.name, binding);
        }
        problems
    }

    fn import_node(&mut self, node: &'m NodeProto) -> Result<Binding, Refusal> {
        let supported = is_standard_domain(&node.domain) && operators::is_supported(&node.op_type);
        if !supported {
            return Err(operators::unsupported(&node.op_type));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(match self.bindings.get(name.as_str()) {
                _ if name.is_empty() => None,
                Some(Binding::Failed) => return Ok(Binding::Failed),
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
        operators::import(self, &site)
    }

    /// Computes a node that depends on constants or shapes alone.
    fn fold(&mut self, node: &NodeProto, site: &Site) -> Result<Option<Binding>, Refusal> {
        if let ("Shape", Some(Some(Binding::Value(id)))) = (site.op, site.inputs.first()) {
            let sample = self.graph.value(*id).shape.iter().map(|&d| Extent::Known(d as i64));
            let extents: Vec<Extent> = std::iter::once(Extent::Batch).chain(sample).collect();
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
        let refused = |e: GraphError| {
            let problem = match e {
                GraphError::Shape { problem, .. } => problem,
                order @ GraphError::Order { .. } => order.to_string(),
            };
            Refusal::new(problem, "check the shapes in front of the node")
        };
        let id = self.graph.push(name, op, inputs, output).map_err(refused)?;
        check_elements(&self.graph.value(id).shape)?;
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

    fn finish(mut self, output: &str, file: &str) -> Result<Graph, ImportError> {
        let error = |found: &str| ImportError::Interface {
            name: file.into(),
            what: format!("output '{output}'"),
            expected: "a value that is computed from the input".into(),
            found: found.into(),
            hint: "export the model again".into(),
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
            Some(Binding::Constant(_)) => Err(error("a constant")),
            _ => Err(error("a name that nothing writes")),
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
            _ => Err(Refusal::invalid(format!("expected 2 inputs, found {}", self.inputs.len()))),
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
