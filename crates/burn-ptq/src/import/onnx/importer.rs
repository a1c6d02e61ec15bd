//! The walk over a model's nodes.

mod branches;
mod ends;
mod whole;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use onnx_ir::{GraphProto, NodeProto};

use super::attributes::Attributes;
use super::budget::Budget;
use super::canonical::canonical;
use super::constants::{Constant, Elements, Extent, fold, reduce, shape_of};
use super::domain::{is_standard_domain, operator_name};
use super::error::{Problem, Refusal, Source};
use super::growing::{Binding, Importer, Site};
use super::interface::{Interface, Place};
use super::layout::Layout;
use super::options::Options;
use super::order::{display_name, needed_nodes, reads};
use super::quantized::{DEQUANTIZE, QUANTIZE, moved};
use super::steps::Steps;
use super::tensor::data_type;
use super::{blocked, interface, legacy, operators, tensor};
use crate::graph::ops::Reshape;
use crate::graph::{Graph, Value, ValueId};

/// After this many problems, the rest is not examined.
const MAX_PROBLEMS: usize = 1000;

/// Operators whose output has the shape of their first input, though they cannot be imported.
const KEEP_SHAPE: &str = "DequantizeLinear Hardmax LRN QuantizeLinear";

/// A model that was imported.
pub(super) struct Imported {
    pub graph: Graph,
    /// Where the batch is among the axes of each input and output in the file.
    pub inputs: Vec<Layout>,
    pub outputs: Vec<Layout>,
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
    missing: &BTreeMap<String, Refusal>,
) -> Result<Imported, Vec<Problem>> {
    let outputs: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let nodes = needed_nodes(&graph.node, &outputs, source)?;
    let mut fewest: Option<Vec<Problem>> = None;
    // The file says for no axis that it is the batch: the first place that fits is taken.
    for place in interface::places(graph, options, source) {
        let attempt =
            Attempt { graph, opset, name, source, options, missing, nodes: &nodes, place };
        let (problems, across) = match attempt.run() {
            Ok(imported) => return Ok(imported),
            Err(failed) => failed,
        };
        if fewest.as_ref().is_none_or(|fewest| problems.len() < fewest.len()) {
            fewest = Some(problems);
        }
        if !across {
            break;
        }
    }
    Err(fewest.unwrap_or_default())
}

/// An import with the batch in one place.
struct Attempt<'m, 'a> {
    graph: &'m GraphProto,
    opset: i64,
    name: &'a str,
    source: Source,
    options: &'a Options,
    missing: &'a BTreeMap<String, Refusal>,
    nodes: &'a [&'m NodeProto],
    place: Place,
}

impl<'m> Attempt<'m, '_> {
    /// The problems, and whether one of them is that samples of a batch are not kept apart.
    fn run(&self) -> Result<Imported, (Vec<Problem>, bool)> {
        let Self { graph, source, .. } = *self;
        let mut outputs: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
        outputs.dedup();
        let mut readers: HashMap<&str, usize> = HashMap::new();
        let inputs = self.nodes.iter().flat_map(|node| reads(node));
        for name in inputs.chain(outputs) {
            *readers.entry(name).or_default() += 1;
        }
        let reads = readers.keys().copied().collect();
        let (interface, mut problems) =
            interface::read(graph, self.options, &reads, source, self.place);
        let mut importer = Importer {
            graph: Graph::new(self.name, "", vec![1]),
            budget: Budget::new(),
            batch: interface.batch,
            source,
            opset: self.opset,
            bindings: HashMap::new(),
            layouts: HashMap::new(),
            placed: None,
            further_placed: None,
            further: Vec::new(),
            integers: HashSet::new(),
            truths: HashSet::new(),
            places: HashSet::new(),
            whole: false,
            requantize: self.options.requantize,
            kinds: kinds(graph),
            quantized: HashMap::new(),
            steps: Steps::default(),
            readers,
            value_readers: HashMap::new(),
            stated: interface::stated_shapes(graph),
        };
        importer.bind_inputs(&interface);
        importer.bind_initializers(graph, self.missing, &mut problems);
        let mut across = false;
        let known = problems.len();
        let mut written = Vec::new();
        for node in self.nodes {
            if problems.len() > MAX_PROBLEMS {
                break;
            }
            match importer.import_node(node) {
                Ok(()) => {}
                Err(refusal) => {
                    across |= refusal.is_across_batch();
                    let operator = operator_name(node, source);
                    problems.push(refusal.of(display_name(node), operator, source));
                    written.push(node.output.iter().map(String::as_str).collect());
                    importer.bind_refused(node);
                }
            }
        }
        if !problems.is_empty() {
            // Those of the interface are about what they name.
            let ends: Vec<String> = problems[..known].iter().map(|p| p.node.clone()).collect();
            let mut names: Vec<Vec<&str>> = ends.iter().map(|name| vec![name.as_str()]).collect();
            names.extend(written);
            blocked::count(self.nodes, &mut problems, &names);
            return Err((problems, across));
        }
        importer.finish(&interface).map_err(|problems| (problems, false))
    }
}

/// The element types of the constants and inputs that hold integers.
fn kinds(graph: &GraphProto) -> HashMap<&str, i32> {
    let constants = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor.data_type));
    let nodes = graph.node.iter().filter_map(|node| {
        let value = Attributes(&node.attribute).tensor("value").ok().flatten();
        let output = node.output.first().filter(|_| node.op_type == "Constant");
        Some((output?.as_str(), value?.data_type))
    });
    let inputs = graph.input.iter();
    let inputs = inputs.map(|input| (input.name.as_str(), input.type_.tensor_type().elem_type));
    let integers = |(_, kind): &(&str, i32)| data_type::all_integers(*kind).is_some();
    constants.chain(nodes).chain(inputs).filter(integers).collect()
}

impl<'m> Importer<'m> {
    fn bind_inputs(&mut self, interface: &Interface<'m>) {
        for (index, input) in interface.inputs.iter().enumerate() {
            let binding = match &input.sample {
                None => Binding::Unknown,
                // The graph was made with a first input.
                Some(sample) if index == 0 => {
                    let value = Value {
                        name: input.name.into(),
                        shape: sample.clone(),
                        gate: None,
                        given: None,
                    };
                    self.graph.values[0] = value;
                    Binding::Value(self.graph.input())
                }
                Some(sample) => Binding::Value(self.graph.add_input(input.name, sample.clone())),
            };
            if let (Binding::Value(id), Some(integers)) = (&binding, input.integers) {
                let place = self.graph.inputs.iter().position(|other| other == id);
                if let Some(place) = place.and_then(|place| self.graph.integers.get_mut(place)) {
                    *place = Some(integers);
                }
                self.integers.insert(input.name);
                if self.kinds.get(input.name) == Some(&data_type::BOOL) {
                    self.truths.insert(input.name);
                }
            }
            self.bind(input.name, binding, input.layout);
        }
    }

    /// Decodes the initializers that are read.
    fn bind_initializers(
        &mut self,
        graph: &'m GraphProto,
        missing: &BTreeMap<String, Refusal>,
        problems: &mut Vec<Problem>,
    ) {
        for name in graph.sparse_initializer.iter().map(|s| s.values.name.as_str()) {
            if !self.readers.contains_key(name) {
                continue;
            }
            let refusal = Refusal::new("it is sparse", "store the tensor as a dense one");
            problems.push(refusal.of(name, "initializer", self.source));
            self.bind(name, Binding::Unknown, Layout::FIRST);
        }
        for tensor in &graph.initializer {
            let name = tensor.name.as_str();
            if !self.readers.contains_key(name) {
                continue;
            }
            let decoded = match missing.get(name) {
                Some(refusal) => Err(refusal.clone()),
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
            self.bind(name, binding, Layout::FIRST);
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
            self.bind(output, binding, Layout::FIRST);
        }
    }

    /// A value that no node writes: the graph is refused anyway.
    fn stand_in(&mut self, name: &str, shape: Vec<usize>) -> Binding {
        self.graph.values.push(Value { name: name.into(), shape, gate: None, given: None });
        Binding::Value(ValueId(self.graph.values.len() - 1))
    }

    fn import_node(&mut self, node: &'m NodeProto) -> Result<(), Refusal> {
        let operator = operators::find(&node.op_type);
        let Some(operator) = operator.filter(|_| is_standard_domain(&node.domain)) else {
            return Err(operators::unsupported(&node.domain, &node.op_type));
        };
        let mut inputs = Vec::with_capacity(node.input.len());
        let mut layouts = Vec::with_capacity(node.input.len());
        for name in &node.input {
            layouts.push(self.layouts.get(name.as_str()).copied().unwrap_or(Layout::FIRST));
            inputs.push(match self.bindings.get(name.as_str()) {
                _ if name.is_empty() => None,
                Some(Binding::Unknown) => {
                    self.bind_outputs(node, &[], Layout::FIRST);
                    return Ok(());
                }
                Some(binding) => Some(binding.clone()),
                None => {
                    return Err(Refusal::invalid(format!(
                        "it reads '{name}', which nothing writes"
                    )));
                }
            });
        }
        let mut site = Site {
            name: display_name(node),
            op: operator.name,
            opset: self.opset,
            attributes: Attributes(&node.attribute),
            // One that nobody wants may be left out.
            output: node.output.iter().map(String::as_str).find(|o| !o.is_empty()).unwrap_or(""),
            outputs: node.output.iter().map(String::as_str).collect(),
            inputs,
            layouts,
        };
        if self.opset < 7 {
            legacy::modernize(&self.graph, &mut site)?;
        }
        if site.op == "If" {
            let branch = branches::branch_of(&site)?;
            return self.import_branch(node, branch);
        }
        match site.op {
            QUANTIZE => return self.quantize_linear(node, &site),
            DEQUANTIZE => return self.dequantize_linear(node, &site),
            _ => {}
        }
        if let Some(constants) = self.fold(node, &site)? {
            if let (Some(moved), [Binding::Constant(constant)]) =
                (moved(&self.steps, &site), &constants[..])
                && let Some([Binding::Constant(steps)]) = self.fold(node, &moved)?.as_deref()
            {
                self.steps.insert(constant, steps.as_ref().clone());
            }
            self.keep_kind(node);
            self.bind_outputs(node, &constants, Layout::FIRST);
            return Ok(());
        }
        if site.output.is_empty() {
            return Err(Refusal::invalid("it has no output"));
        }
        self.placed = None;
        self.further_placed = None;
        self.further.clear();
        let holds = self.reads_integers(node);
        self.whole = holds || node.input.iter().any(|name| self.places.contains(name.as_str()));
        if holds && whole::integers_given(&site)? {
            self.integers.extend(node.output.iter().map(String::as_str));
        }
        let mut quantization = self.integers_moved(node, &mut site)?;
        let canonical = canonical(self, &site)?;
        let nodes = self.graph.nodes.len();
        let mut first = match self.cast_whole(node, &site)? {
            Some(whole) => whole,
            None => operators::import(self, &canonical.site(&site))?,
        };
        self.keep_whole(node, &site)?;
        self.give_weights(&canonical.site(&site), nodes);
        if let (Some(own), "Clip") = (quantization, site.op) {
            let (value, narrowed) = self.clipped(&site, first, own)?;
            (first, quantization) = (value, Some(narrowed));
        }
        if let Some(quantization) = quantization {
            let outputs = node.output.iter().map(String::as_str);
            self.quantized.extend(outputs.map(|output| (output, quantization)));
            self.keep_kind(node);
        }
        let mut layout = self.placed.take().unwrap_or(canonical.layout);
        let mut bindings = vec![Binding::Unknown; site.outputs.len()];
        bindings[0] = Binding::Value(first);
        for (output, id) in std::mem::take(&mut self.further) {
            bindings[output] = Binding::Value(id);
        }
        if canonical.scalar {
            for (index, binding) in bindings.iter_mut().enumerate() {
                if let Binding::Value(id) = binding {
                    *id = self.as_scalar(&site, index, *id)?;
                }
            }
        }
        layout.scalar |= canonical.scalar;
        let unknown = |(name, binding): &(&&str, &Binding)| {
            matches!(binding, Binding::Unknown) && self.readers.contains_key(**name)
        };
        if let Some((output, _)) = site.outputs.iter().zip(&bindings).skip(1).find(unknown) {
            return Err(Refusal::new(
                format!("its additional output '{output}' is used; only the first is supported"),
                "export the model without the use of that output",
            ));
        }
        let further = self.further_placed.take().unwrap_or(layout);
        for (index, (output, binding)) in node.output.iter().zip(bindings).enumerate() {
            if !output.is_empty() {
                self.bind(output, binding, if index == 0 { layout } else { further });
            }
        }
        Ok(())
    }

    /// What moves integers gives some of the same type.
    fn keep_kind(&mut self, node: &'m NodeProto) {
        let of_input = node.input.first().and_then(|name| self.kinds.get(name.as_str())).copied();
        let cast =
            Attributes(&node.attribute).int("to", 0).ok().and_then(|to| i32::try_from(to).ok());
        let kind = if node.op_type == "Cast" { cast } else { of_input };
        if let Some(kind) = kind {
            self.kinds.extend(node.output.iter().map(|output| (output.as_str(), kind)));
        }
    }

    /// A value whose samples have one element, as one axis.
    fn as_scalar(&mut self, site: &Site, index: usize, id: ValueId) -> Result<ValueId, Refusal> {
        if self.shape(id) == [1] {
            return Ok(id);
        }
        let part = format!("scalar{index}");
        self.push_part(site, &part, Reshape { shape: vec![1] }, &[id])
    }

    /// Binds what a node writes; outputs without a binding are read only behind what was refused.
    fn bind_outputs(&mut self, node: &'m NodeProto, bindings: &[Binding], layout: Layout) {
        for (index, output) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
            let binding = bindings.get(index).cloned().unwrap_or(Binding::Unknown);
            self.bind(output, binding, layout);
        }
    }

    /// Computes a node that depends on constants or shapes alone.
    fn fold(&mut self, node: &NodeProto, site: &Site) -> Result<Option<Vec<Binding>>, Refusal> {
        let constant = |constant: Constant| Some(vec![Binding::Constant(Rc::new(constant))]);
        if let ("Shape" | "Size", Some(Some(Binding::Value(id)))) = (site.op, site.inputs.first()) {
            let known = |d| Extent::Known(d as i64);
            let sample = self.shape(*id);
            let extents = site.layout(0).whole(sample, known, |d| Extent::Batch(d as i64));
            let shape = shape_of(&extents, site.attributes)?;
            if site.op == "Shape" {
                return Ok(constant(shape));
            }
            return reduce("ReduceProd", &shape, &[], false, &mut self.budget).map(constant);
        }
        match (site.op, &site.inputs[..]) {
            // Weights and samples are finite, and so is what is computed from them.
            ("IsNaN", [Some(Binding::Value(_))]) => {
                let elements = Elements::Integer(vec![Extent::Known(0)]);
                return Ok(constant(Constant { shape: Vec::new(), elements }));
            }
            ("Identity" | "Dropout", [Some(binding @ Binding::Constant(_)), ..]) => {
                return Ok(Some(vec![binding.clone()]));
            }
            // Values are floats.
            ("CastLike", [Some(Binding::Constant(input)), Some(Binding::Value(_))]) => {
                let elements = Elements::Float(input.to_floats()?);
                return Ok(constant(Constant { shape: input.shape.clone(), elements }));
            }
            _ => {}
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
        let bind = |constant| Binding::Constant(Rc::new(constant));
        Ok(folded.map(|constants| constants.into_iter().map(bind).collect()))
    }
}
