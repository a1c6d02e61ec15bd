//! The float graph: what importers produce and passes rewrite.
//!
//! A [`Graph`] is plain host data, so that passes are exact and reproducible; [`FloatModel`] is its
//! executable form, a Burn module. Every value has the shape of one sample, without the batch axis;
//! at run time it is a `Tensor<4>` of shape `[batch, d1, d2, d3]`, where missing axes are trailing
//! ones and axes beyond three are merged with the first. Images are NCHW.

use std::sync::Arc;

use burn_ptq_kernels::grid::{Grid, signed_range};
use ops::OutputGrid;

use crate::warning::Warning;

mod array;
mod clamp;
mod given;
mod host;
mod loops;
mod model;
pub mod ops;
mod origin;
pub mod prediction;
mod shape;
mod states;
mod verify;

pub use array::Array;
pub use clamp::Clamp;
pub use given::{GivenGrid, GivenWeights};
pub use host::{Batch, interleaved, to_vec};
pub use loops::StepLoop;
pub(crate) use loops::{Held, run_nodes};
pub use model::FloatModel;
pub(crate) use model::{Parameters, execute, for_batch, single};
pub use ops::{BatchNormStatistics, Op};
pub use origin::Origin;
pub(crate) use shape::strides;
pub use shape::{MAX_AXES, dims3};
pub use states::{StateError, StatePair, extents};
pub use verify::GraphError;

/// A float network.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The model's name.
    pub name: String,
    /// All values that flow between nodes.
    pub values: Vec<Value>,
    /// The nodes in the order of execution.
    pub nodes: Vec<Node>,
    /// The values that the caller feeds, at least one.
    pub inputs: Vec<ValueId>,
    /// The values that the caller reads, at least one and none twice. Nodes may read them too, and an
    /// input may be one.
    pub outputs: Vec<ValueId>,
    /// For each input, the whole numbers that it may hold, if it holds no others.
    pub integers: Vec<Option<Integers>>,
    /// What it keeps from one call to the next. These inputs and outputs are like others in here: a batch
    /// holds states as it holds samples. Programs keep them.
    pub states: Vec<StatePair>,
    /// The module that it was captured from; `None` for graphs from files.
    pub origin: Option<Arc<Origin>>,
    /// What of a network that is quantized already could not stay as it is, and other remarks of importers.
    pub notes: Vec<Warning>,
}

/// The whole numbers of an integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integers {
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

/// Index into [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// A value that flows between nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The name in the source model.
    pub name: String,
    /// The shape of one sample: one to [`MAX_AXES`] axes, the batch axis left out.
    pub shape: Vec<usize>,
    /// What it is in a recurrent layer, whose errors add up from step to step: such values have more bits.
    pub gate: Option<Gate>,
    /// The grid that the file gives it, in a network that is quantized already.
    pub given: Option<GivenGrid>,
}

/// What a value is in a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// A sum, or a part of one, that a gate's function reads.
    Sum,
    /// What a sigmoid or a hyperbolic tangent gives.
    Function,
    /// The cell of an LSTM, and the two products that it is the sum of: on one grid.
    Cell,
    /// Anything else that the layer does not give.
    Inner,
}

impl Value {
    /// The number of elements of one sample.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a sample has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape at run time, see [`dims3`].
    pub fn dims(&self) -> [usize; 3] {
        dims3(&self.shape)
    }
}

/// An operation in a [`Graph`].
#[derive(Clone, Debug)]
pub struct Node {
    /// The name in the source model.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// A fused activation: bounds that the output is clamped to (ReLU is `0..inf`).
    pub clamp: Option<Clamp>,
    /// The batch normalization that was imported here or folded into this node.
    pub batch_norm: Option<BatchNormStatistics>,
    /// The grid that the file gives its weights, in a network that is quantized already.
    pub given: Option<Arc<GivenWeights>>,
    /// The values that it reads, in order.
    pub inputs: Vec<ValueId>,
    /// The value that it writes.
    pub output: ValueId,
}

impl Graph {
    /// The value `id`.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The first input, which most graphs have alone.
    pub fn input(&self) -> ValueId {
        self.inputs[0]
    }

    /// The first output, which most graphs have alone.
    pub fn output(&self) -> ValueId {
        self.outputs[0]
    }

    /// Whether the caller reads `id`.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.outputs.contains(&id)
    }

    /// The number of elements of a sample: those of all inputs, one after the other.
    pub fn sample_len(&self) -> usize {
        self.inputs.iter().map(|&id| self.value(id).len()).sum()
    }

    /// The node that writes `id`, by index; `None` for an input.
    pub fn producer(&self, id: ValueId) -> Option<usize> {
        self.nodes.iter().position(|n| n.output == id)
    }

    /// The nodes that read `id`, by index.
    pub fn consumers(&self, id: ValueId) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&n| self.nodes[n].inputs.contains(&id)).collect()
    }

    /// The nodes at the end, by index, through which elements only move to `output`, such as a
    /// flatten; none if some other operation writes it, or some node reads it.
    pub fn moves_before(&self, output: ValueId) -> Vec<usize> {
        let mut nodes = Vec::new();
        let mut value = output;
        while let Some(index) = self.producer(value) {
            let node = &self.nodes[index];
            let moves = node.op.reorders() && node.clamp.is_none();
            let others = self.consumers(value).len() - usize::from(value != output);
            // Another output that stands between has its place in memory.
            let read = value != output && self.is_output(value);
            if !moves || others > 0 || read {
                break;
            }
            nodes.push(index);
            value = node.inputs[0];
        }
        nodes.reverse();
        nodes
    }

    /// The value whose elements `output` holds, perhaps in another order or shape.
    pub fn computed(&self, output: ValueId) -> ValueId {
        self.moves_before(output).first().map_or(output, |&first| self.nodes[first].inputs[0])
    }

    /// The softmax or log-softmax whose probabilities are `output`, by index, whatever moves them
    /// afterwards.
    pub(crate) fn final_softmax(&self, output: ValueId) -> Option<usize> {
        let mut index = self.producer(self.computed(output))?;
        // A softmax of 8 bits may be followed by another grid.
        while matches!(self.nodes[index].op, Op::Requantize(_)) {
            index = self.producer(self.nodes[index].inputs[0])?;
        }
        self.nodes[index].op.operator().class_axis().map(|_| index)
    }

    /// The softmax and log-softmax nodes that outputs end in, by index.
    pub(crate) fn final_softmaxes(&self) -> impl Iterator<Item = usize> {
        self.outputs.iter().filter_map(|&output| self.final_softmax(output))
    }

    /// The bits and the grid of an input that holds whole numbers and loses none of them: ids of rows,
    /// and integers of 8 bits. `None` for others, whose grid follows from what is observed.
    pub(crate) fn integer_grid(&self, input: ValueId) -> Option<(u8, Grid)> {
        let grid = |bits: u8, zero_point: i32| {
            let (min, max) = signed_range(bits, false);
            Some((bits, Grid { scale: 1.0, zero_point, min, max }))
        };
        if let Some(rows) = self.rows_looked_up(input) {
            return grid(if rows <= 1 << 7 { 8 } else { 16 }, 0);
        }
        match self.integers_of(input)? {
            Integers { min: 0, max: 255 } => grid(8, -128),
            Integers { min: -128, max: 127 } => grid(8, 0),
            _ => None,
        }
    }

    /// The integer type that an input has in the model, if it has one.
    fn integers_of(&self, input: ValueId) -> Option<Integers> {
        let place = self.inputs.iter().position(|&id| id == input)?;
        self.integers.get(place).copied().flatten()
    }

    /// The least of the whole numbers that an input may hold, as far as a byte goes, and how many there are;
    /// `None` for an input that holds other numbers.
    pub(crate) fn whole_numbers(&self, input: ValueId) -> Option<(i64, i64)> {
        if let Some(rows) = self.rows_looked_up(input) {
            return Some((0, rows.max(1) as i64));
        }
        let Integers { min, max } = self.integers_of(input)?;
        let (min, max) = (min.clamp(-128, 0), max.clamp(0, 255));
        Some((min, max - min + 1))
    }

    /// The most rows of a table that `value`, perhaps moved, holds ids of.
    fn rows_looked_up(&self, value: ValueId) -> Option<usize> {
        let reader = |index: usize| {
            let node = &self.nodes[index];
            match &node.op {
                Op::Lookup(lookup) => Some(lookup.rows()),
                op if op.operator().moves_elements() => self.rows_looked_up(node.output),
                _ => None,
            }
        };
        self.consumers(value).into_iter().filter_map(reader).max()
    }

    /// The values that share one grid, as the index of a representative for each value; a state and what it
    /// becomes do.
    pub fn grid_groups(&self) -> Vec<usize> {
        let mut group: Vec<usize> = (0..self.values.len()).collect();
        let is_cell = |value: &ValueId| self.value(*value).gate == Some(Gate::Cell);
        for node in &self.nodes {
            let sums_up = matches!(node.op, Op::Add(_)) && is_cell(&node.output);
            let one_grid = sums_up && node.inputs.iter().all(is_cell);
            if node.op.operator().output_grid() != OutputGrid::Shared && !one_grid {
                continue;
            }
            for input in &node.inputs {
                let (from, to) = (group[input.0], group[node.output.0]);
                group.iter_mut().filter(|g| **g == to).for_each(|g| *g = from);
            }
        }
        for state in &self.states {
            let (input, output) = (self.inputs[state.input], self.outputs[state.output]);
            let (from, to) = (group[input.0], group[output.0]);
            group.iter_mut().filter(|g| **g == to).for_each(|g| *g = from);
        }
        group
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> usize {
        let sum = |nodes: &[Node]| nodes.iter().map(|n| self.macs_once(n)).sum::<usize>();
        let again = |found: &StepLoop| (found.steps - 1) * sum(&self.nodes[found.nodes.clone()]);
        sum(&self.nodes) + self.loops().iter().map(again).sum::<usize>()
    }

    /// Multiply-accumulates of one node, in all steps of its loop.
    pub fn node_macs(&self, node: &Node) -> usize {
        self.macs_once(node) * self.producer(node.output).map_or(1, |index| self.runs(index))
    }

    /// Multiply-accumulates of one node each time that it runs.
    fn macs_once(&self, node: &Node) -> usize {
        let inputs: Vec<&[usize]> =
            node.inputs.iter().map(|&i| self.value(i).shape.as_slice()).collect();
        match self.dilation_of(node) {
            // Zeros between the elements are not multiplied.
            Some((dilate, op)) => {
                let [_, height, width] = self.value(dilate.inputs[0]).dims();
                height * width * op.weight.len()
            }
            None => node.op.operator().macs(&inputs, &self.value(node.output).shape),
        }
    }

    /// What `node` computes, as users of ONNX know it.
    pub fn op_name(&self, node: &Node) -> &'static str {
        match self.dilation_of(node) {
            Some(_) => "ConvTranspose",
            None => node.op.operator().name(),
        }
    }

    /// The node that spreads the input of the convolution `node`, which it alone reads: the two are a
    /// transposed convolution.
    pub(crate) fn dilation_of<'a>(&'a self, node: &'a Node) -> Option<(&'a Node, &'a ops::Conv2d)> {
        let Op::Conv2d(conv) = &node.op else { return None };
        let [input] = node.inputs[..] else { return None };
        let dilate = &self.nodes[self.producer(input)?];
        let plain = ops::Window::new(conv.window.kernel);
        let fits = matches!(dilate.op, Op::Dilate(_))
            && ops::Window { dilation: conv.window.dilation, ..plain } == conv.window
            && !self.is_output(input)
            && self.consumers(input).len() == 1;
        fits.then_some((dilate, conv))
    }
}
