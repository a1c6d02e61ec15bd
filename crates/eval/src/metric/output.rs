//! A model's output, as far as metrics need to know it.

use std::borrow::Cow;

use burn_ptq::graph::ops::UnaryFunction;
use burn_ptq::graph::{Graph, Node, Op};
use burn_ptq_deploy::program::{IntOp, Program};
use burn_ptq_deploy::run::tensor_integers;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::{Clamp, GateFunction};

/// The output of a model that a metric judges.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutput {
    /// Its name.
    pub name: String,
    /// Which of the model's outputs it is.
    pub index: usize,
    /// Where its elements begin among those of all outputs of a sample, one output after the other.
    pub start: usize,
    /// How many elements all outputs of a sample have.
    pub all: usize,
    /// The shape of one sample's output.
    pub shape: Vec<usize>,
    /// What the network ends with.
    pub ending: Ending,
}

/// What a network ends with, and so what its outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A sigmoid, or another function into 0 to 1: probabilities by themselves.
    Sigmoid,
    /// Probabilities of classes.
    Softmax,
    /// Their logarithms.
    LogSoftmax,
    /// Something else: outputs are taken for logits where probabilities are asked for.
    Other,
}

impl ModelOutput {
    /// The only output of a model.
    pub fn new(name: &str, shape: &[usize], ending: Ending) -> Self {
        let (name, shape, all) = (name.into(), shape.to_vec(), shape.iter().product());
        Self { name, index: 0, start: 0, all, shape, ending }
    }

    /// The output of a float network that is called `name`; without a name its only one beside states.
    ///
    /// # Errors
    /// If there is no such output, or there are several to choose from.
    pub fn of_graph(graph: &Graph, name: Option<&str>) -> Result<Self, ChoiceError> {
        let read: Vec<_> =
            graph.read_outputs().into_iter().map(|place| graph.outputs[place]).collect();
        let names = read.iter().map(|&output| graph.value(output).name.as_str());
        let index = chosen(&names.collect::<Vec<_>>(), name)?;
        let output = read[index];
        let mut value = output;
        let mut ending = Ending::Other;
        // Operations that move elements around change nothing of what they are.
        while let Some(node) = graph.producer(value).map(|index| &graph.nodes[index]) {
            match &node.op {
                Op::Reshape(_) | Op::Permute(_) | Op::Rearrange(_) | Op::Requantize(_)
                    if node.clamp.is_none() =>
                {
                    value = node.inputs[0];
                }
                _ => {
                    ending = Ending::of_node(node);
                    break;
                }
            }
        }
        let len = |&output: &burn_ptq::graph::ValueId| graph.value(output).len();
        let before = read[..index].iter().map(len);
        let (start, value) = (before.sum(), graph.value(output));
        let (name, shape) = (value.name.clone(), value.shape.clone());
        Ok(Self { name, index, start, all: read.iter().map(len).sum(), shape, ending })
    }

    /// The output of an integer program that is called `name`; without a name its only one.
    ///
    /// # Errors
    /// If there is no such output, or there are several to choose from.
    pub fn of_program(program: &Program, name: Option<&str>) -> Result<Self, ChoiceError> {
        let names: Vec<&str> = program.outputs.iter().map(|o| o.name.as_str()).collect();
        let index = chosen(&names, name)?;
        let output = &program.outputs[index];
        let mut tensor = output.tensor;
        let mut ending = Ending::Other;
        while let Some(node) = program.nodes.iter().rev().find(|node| node.output == tensor) {
            ending = match &node.op {
                IntOp::Softmax { .. } => Ending::Softmax,
                IntOp::LogSoftmax { .. } => Ending::LogSoftmax,
                IntOp::Table8 { table } => {
                    let tensor = &program.tensors[node.output.0];
                    let bytes: Vec<u8> = table.iter().map(|&q| q as u8).collect();
                    let in_grid =
                        tensor_integers(tensor, &bytes).map(|q| tensor.grid.dequantize(q));
                    Ending::of_values(in_grid)
                }
                IntOp::Table16 { table } => {
                    let grid = program.tensors[node.output.0].grid;
                    Ending::of_values(table.iter().map(|&q| grid.dequantize(i32::from(q))))
                }
                IntOp::Gate { params } => match params.function {
                    GateFunction::Sigmoid => Ending::Sigmoid,
                    GateFunction::Tanh => Ending::Other,
                },
                IntOp::Requantize { clamp, .. } => {
                    let input = program.tensors[node.inputs[0].0].grid;
                    let grid = program.tensors[node.output.0].grid;
                    let reached = Clamp { min: input.min, max: input.max };
                    match Ending::of_bounds(*clamp, grid) {
                        // Where the input goes no further, nothing was clipped.
                        Ending::Sigmoid if Ending::of_bounds(reached, input) == Ending::Other => {
                            Ending::Sigmoid
                        }
                        _ => {
                            tensor = node.inputs[0];
                            continue;
                        }
                    }
                }
                IntOp::Transpose { .. }
                | IntOp::Rearrange { .. }
                | IntOp::Unpack
                | IntOp::Step { .. } => {
                    tensor = node.inputs[0];
                    continue;
                }
                IntOp::Conv2d { weighted, .. }
                | IntOp::DepthwiseConv2d { weighted, .. }
                | IntOp::TransposeConv2d { weighted, .. }
                | IntOp::FullyConnected { weighted, .. } => {
                    Ending::of_bounds(weighted.clamp, program.tensors[node.output.0].grid)
                }
                IntOp::Add { clamp, .. }
                | IntOp::Mul { clamp, .. }
                | IntOp::BatchMatMul { clamp, .. }
                | IntOp::Binary { clamp, .. } => {
                    Ending::of_bounds(*clamp, program.tensors[node.output.0].grid)
                }
                IntOp::Reduce { clamp, .. } | IntOp::Normalize { clamp, .. } => {
                    Ending::of_bounds(*clamp, program.tensors[node.output.0].grid)
                }
                IntOp::TopK { .. }
                | IntOp::Lookup8 { .. }
                | IntOp::Lookup16 { .. }
                | IntOp::AveragePool { .. }
                | IntOp::MaxPool { .. }
                | IntOp::Concat { .. }
                | IntOp::Pad { .. }
                | IntOp::ResizeLinear { .. }
                | IntOp::Pack
                | IntOp::Constant { .. } => Ending::Other,
            };
            break;
        }
        let start = program.output_tensors().take(index).map(|tensor| tensor.len()).sum();
        let (name, shape) = (output.name.clone(), output.border.source_shape.clone());
        Ok(Self { name, index, start, all: program.output_len(), shape, ending })
    }

    /// Its elements among those of all outputs of samples.
    pub fn of_all<'a>(&self, outputs: &'a [f32]) -> Cow<'a, [f32]> {
        if self.all == self.len() {
            return Cow::Borrowed(outputs);
        }
        let own = self.start..self.start + self.len();
        outputs.chunks(self.all).flat_map(|sample| &sample[own.clone()]).copied().collect()
    }

    /// The number of a sample's outputs.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a sample has no outputs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The index of the output called `name`; without a name the only one.
fn chosen(names: &[&str], name: Option<&str>) -> Result<usize, ChoiceError> {
    let known = || names.iter().map(|name| (*name).to_owned()).collect();
    match (name, names) {
        (Some(name), _) => names
            .iter()
            .position(|other| *other == name)
            .ok_or_else(|| ChoiceError::Unknown { found: name.to_owned(), known: known() }),
        (None, [_]) => Ok(0),
        (None, _) => Err(ChoiceError::Several { known: known() }),
    }
}

/// An output that cannot be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// No output has the name.
    #[error("the model has no output '{found}': its outputs are {known:?}")]
    Unknown {
        /// The name.
        found: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// It was not said which output is meant.
    #[error(
        "the model has {} outputs, {known:?}: say which of them the metric judges with --output NAME, or \
         `output` in task.toml",
        known.len()
    )]
    Several {
        /// The names that there are.
        known: Vec<String>,
    },
}

/// How far the upper bound of probabilities may be from 1: some networks keep them off it.
const NEARLY_ONE: f32 = 1e-3;

impl Ending {
    fn of_node(node: &Node) -> Self {
        let bounded = |min: f32, max: f32| min >= 0.0 && (max - 1.0).abs() <= NEARLY_ONE;
        match &node.op {
            Op::Softmax(_) => Self::Softmax,
            Op::LogSoftmax(_) => Self::LogSoftmax,
            Op::Unary(unary) => match unary.function {
                UnaryFunction::Sigmoid | UnaryFunction::HardSigmoid { .. } => Self::Sigmoid,
                _ => Self::Other,
            },
            Op::Clip(clip) if bounded(clip.bounds.min, clip.bounds.max) => Self::Sigmoid,
            _ if node.clamp.is_some_and(|clamp| bounded(clamp.min, clamp.max)) => Self::Sigmoid,
            _ => Self::Other,
        }
    }

    /// The ending whose table holds these values: a table from 0 to 1 is that of a sigmoid.
    fn of_values(values: impl Iterator<Item = f32>) -> Self {
        let (low, high) =
            values.fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(x), high.max(x)));
        if low >= 0.0 && high <= 1.0 { Self::Sigmoid } else { Self::Other }
    }

    /// The ending of an operation with these bounds: a clip to 0 to 1 is taken for a sigmoid.
    fn of_bounds(bounds: Clamp, grid: Grid) -> Self {
        let [low, high] = [bounds.min, bounds.max].map(|q| grid.dequantize(q));
        let is_one = (high - 1.0).abs() <= 0.5 * grid.scale + NEARLY_ONE;
        if low >= 0.0 && is_one { Self::Sigmoid } else { Self::Other }
    }

    /// The output above which the probability is above `threshold`, and what that is in words.
    pub(super) fn limit(self, threshold: f64) -> (f64, String) {
        let logit = (threshold / (1.0 - threshold)).ln();
        match self {
            Self::Sigmoid => (threshold, format!("outputs of the sigmoid above {threshold}")),
            Self::Softmax => (threshold, format!("probabilities of the softmax above {threshold}")),
            Self::LogSoftmax => {
                (threshold.ln(), format!("probabilities of the log-softmax above {threshold}"))
            }
            Self::Other => (
                logit,
                format!(
                    "the model does not end with a sigmoid, so its outputs are taken as logits: those \
                     above {logit:.4} (probability {threshold})"
                ),
            ),
        }
    }
}
