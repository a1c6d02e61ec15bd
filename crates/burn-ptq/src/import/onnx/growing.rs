//! The graph as it grows, and a node of the file with its inputs looked up: what operators see.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::attributes::Attributes;
use super::budget::Budget;
use super::constants::Constant;
use super::error::{Refusal, Source};
use super::layout::Layout;
use super::limits::MAX_VALUE_ELEMENTS;
use super::options::Requantize;
use super::quantized::Quantization;
use super::steps::Steps;
use crate::graph::{Array, BatchNormStatistics, Graph, GraphError, Op, ValueId, ops};

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
    /// The extent of the batch axis where the file fixes it; 1 where its values are single samples.
    pub batch: Option<usize>,
    pub source: Source,
    pub opset: i64,
    pub bindings: HashMap<&'m str, Binding>,
    /// Where the batch is in the values of the file.
    pub layouts: HashMap<&'m str, Layout>,
    /// Where the node at hand puts the batch, if it says so.
    pub placed: Option<Layout>,
    /// How many needed nodes read a name; the model's output counts as one.
    pub readers: HashMap<&'m str, usize>,
    /// How many needed nodes read a value under any of its names.
    pub value_readers: HashMap<ValueId, usize>,
    /// The shapes of samples that the file states.
    pub stated: HashMap<&'m str, Vec<usize>>,
    /// The outputs of the node at hand behind the first one, by their place.
    pub further: Vec<(usize, ValueId)>,
    /// Where these have the batch, if not where the first one has it.
    pub further_placed: Option<Layout>,
    /// What holds integers in the file, by name.
    pub integers: HashSet<&'m str>,
    /// What holds truths, by name: 0 and 1.
    pub truths: HashSet<&'m str>,
    /// What holds other whole numbers that are computed, such as places, by name.
    pub places: HashSet<&'m str>,
    /// Whether the node at hand reads whole numbers.
    pub whole: bool,
    /// What of a quantized network is quantized anew.
    pub requantize: Option<Requantize>,
    /// The element types of tensors of integers, by name.
    pub kinds: HashMap<&'m str, i32>,
    /// The grids of values of integers, by name.
    pub quantized: HashMap<&'m str, Quantization>,
    /// The steps of constants that were integers.
    pub steps: Steps,
}

/// One node of the file, with its inputs looked up.
///
/// Operators see the batch in front of every value, whatever the file says: attributes and inputs that
/// count axes are rewritten for that. The operators of `operators/reshape.rs` see those of the file.
#[derive(Clone)]
pub(super) struct Site<'m> {
    pub name: String,
    pub op: &'static str,
    pub opset: i64,
    pub attributes: Attributes<'m>,
    pub output: &'m str,
    /// The names of its outputs; omitted ones are empty.
    pub outputs: Vec<&'m str>,
    /// The inputs; omitted ones are `None`.
    pub inputs: Vec<Option<Binding>>,
    /// Where the batch is in the file's inputs.
    pub layouts: Vec<Layout>,
}

impl<'m> Importer<'m> {
    /// Says what the file calls `name`, and where the batch is in it.
    pub(super) fn bind(&mut self, name: &'m str, binding: Binding, layout: Layout) {
        if let Binding::Value(id) = binding {
            let readers = self.readers.get(name).copied().unwrap_or(0);
            *self.value_readers.entry(id).or_default() += readers;
            self.layouts.insert(name, layout);
        }
        self.bindings.insert(name, binding);
    }
}

impl Importer<'_> {
    /// Appends the node for `site` and returns its value.
    pub(super) fn push(
        &mut self,
        site: &Site,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        self.push_as(site.name.clone(), site.output.into(), op.into(), inputs)
    }

    /// Appends a node for output `index` of `site` and returns its value.
    pub(super) fn push_output(
        &mut self,
        site: &Site,
        index: usize,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        let name = match index {
            0 => site.name.clone(),
            _ => format!("{}/{index}", site.name),
        };
        self.push_as(name, site.outputs[index].into(), op.into(), inputs)
    }

    /// Whether a needed node, or the caller, reads the value called `name`.
    pub(super) fn is_read(&self, name: &str) -> bool {
        self.readers.contains_key(name)
    }

    /// Appends a further node that `site` needs, named after it and `part`.
    pub(super) fn push_part(
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
            Op::Conv2d(_) | Op::Dilate(_) | Op::AveragePool(_) | Op::MaxPool(_) => {
                "check its kernel_shape, strides and pads, and check the shapes in front of the node"
            }
            _ => "check the shapes in front of the node",
        };
        let refused = |e: GraphError| {
            let problem = match e {
                GraphError::Shape { problem, .. } => problem,
                other @ (GraphError::Order { .. }
                | GraphError::Ends { .. }
                | GraphError::Loop { .. }) => other.to_string(),
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

    /// Appends a constant as a value; samples of the node at hand have `rank` axes, with which the
    /// constant's last axes are aligned.
    pub(super) fn push_constant(
        &mut self,
        site: &Site,
        constant: &Constant,
        rank: usize,
    ) -> Result<ValueId, Refusal> {
        let shape = sample_shape(constant, rank)?;
        let mut array = self.array(constant)?;
        if let Some(x) = array.data.iter().find(|x| !x.is_finite()) {
            let problem = format!("a constant that it computes with holds {x}");
            return Err(Refusal::new(problem, "train or export the model again"));
        }
        array.shape = shape;
        // Those of one node follow each other.
        let own = format!("{}/constant", site.output);
        let earlier = self.graph.nodes.iter().rev().map_while(|node| {
            let name = &self.graph.value(node.output).name;
            name.starts_with(&own).then_some(())
        });
        let part = match earlier.count() {
            0 => "constant".to_string(),
            count => format!("constant{}", count + 1),
        };
        self.push_part(site, &part, ops::Constant { array }, &[])
    }

    /// Appends a batch normalization, whose statistics stay with the node.
    pub(super) fn push_batch_norm(
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
    pub(super) fn shape(&self, id: ValueId) -> &[usize] {
        &self.graph.value(id).shape
    }

    /// A copy of a constant as a parameter of a node.
    pub(super) fn array(&mut self, constant: &Constant) -> Result<Array, Refusal> {
        self.budget.allocate(&constant.shape, size_of::<f32>())?;
        constant.to_array()
    }

    /// Makes `site` refer to `id`, into whose node it was merged.
    pub(super) fn merge(&mut self, site: &Site, id: ValueId) -> ValueId {
        self.graph.values[id.0].name = site.output.into();
        id
    }

    /// The node that writes `id`, if only the node at hand reads the value.
    pub(super) fn exclusive_producer(&mut self, id: ValueId) -> Option<&mut crate::graph::Node> {
        // Values after the inputs are pushed together with their nodes.
        let index = id.0.checked_sub(self.graph.inputs.len());
        let index = index.filter(|_| self.value_readers.get(&id) == Some(&1))?;
        self.graph.nodes.get_mut(index).filter(|n| n.output == id)
    }
}

/// The shape of a constant beside samples of `rank` axes: numpy aligns the last axes, and the batch
/// axis in front is 1.
pub(super) fn sample_shape(constant: &Constant, rank: usize) -> Result<Vec<usize>, Refusal> {
    let leading = constant.shape.len().saturating_sub(rank);
    if constant.shape[..leading].iter().any(|&extent| extent != 1) || constant.len() == 0 {
        return Err(Refusal::new(
            format!(
                "a constant of shape {:?} meets samples of {rank} axes: it differs from sample to \
                 sample of a batch, or adds an axis in front of it",
                constant.shape
            ),
            "export the model so that every sample is computed on its own",
        ));
    }
    let missing = rank.saturating_sub(constant.shape.len());
    Ok([&vec![1; missing], &constant.shape[leading..]].concat())
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
    /// Where the batch is in input `index`.
    pub(super) fn layout(&self, index: usize) -> Layout {
        self.layouts.get(index).copied().unwrap_or(Layout::FIRST)
    }

    fn input(&self, index: usize) -> Option<&Binding> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    /// Input `index`, which must be computed from the model's input.
    pub(super) fn value(&self, index: usize) -> Result<ValueId, Refusal> {
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
    pub(super) fn optional(
        &self,
        index: usize,
        what: &str,
    ) -> Result<Option<Rc<Constant>>, Refusal> {
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
    pub(super) fn constant(&self, index: usize, what: &str) -> Result<Rc<Constant>, Refusal> {
        self.optional(index, what)?
            .ok_or_else(|| Refusal::invalid(format!("its {what} (input {index}) is missing")))
    }

    /// Both inputs of an operation that takes values or constants.
    pub(super) fn pair(&self) -> Result<(&Binding, &Binding), Refusal> {
        match (&self.inputs[..], self.input(0), self.input(1)) {
            ([_, _], Some(a), Some(b)) => Ok((a, b)),
            _ => Err(Refusal::new(
                format!("expected 2 inputs, found {}", self.inputs.len()),
                "export the model with a chain of nodes of two inputs",
            )),
        }
    }

    /// Integers that a later opset made an input: attribute `name` or input `index`.
    pub(super) fn integers(&self, name: &str, index: usize) -> Result<Option<Vec<i64>>, Refusal> {
        match self.optional(index, name)? {
            Some(constant) => constant.to_integers().map(Some),
            None => Ok(self.attributes.ints(name)?.map(<[i64]>::to_vec)),
        }
    }
}
