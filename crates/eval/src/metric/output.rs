//! A model's output, as far as metrics need to know it.

use burn_ptq::graph::ops::UnaryFunction;
use burn_ptq::graph::{Graph, Node, Op};
use burn_ptq_deploy::program::{IntOp, Program};
use burn_ptq_deploy::run::tensor_integers;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::Clamp;

/// The output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutput {
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
    /// The output of a float network.
    pub fn of_graph(graph: &Graph) -> Self {
        let mut value = graph.output;
        let mut ending = Ending::Other;
        // Operations that move elements around change nothing of what they are.
        while let Some(node) = graph.producer(value).map(|index| &graph.nodes[index]) {
            match &node.op {
                Op::Reshape(_) | Op::Permute(_) | Op::Requantize(_) if node.clamp.is_none() => {
                    value = node.inputs[0];
                }
                _ => {
                    ending = Ending::of_node(node);
                    break;
                }
            }
        }
        Self { shape: graph.value(graph.output).shape.clone(), ending }
    }

    /// The output of an integer program.
    pub fn of_program(program: &Program) -> Self {
        let mut tensor = program.output;
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
                IntOp::Transpose { .. } | IntOp::Unpack => {
                    tensor = node.inputs[0];
                    continue;
                }
                IntOp::Conv2d { weighted, .. }
                | IntOp::DepthwiseConv2d { weighted, .. }
                | IntOp::FullyConnected { weighted, .. } => {
                    Ending::of_bounds(weighted.clamp, program.tensors[node.output.0].grid)
                }
                IntOp::Add { clamp, .. } | IntOp::Mul { clamp, .. } => {
                    Ending::of_bounds(*clamp, program.tensors[node.output.0].grid)
                }
                IntOp::AveragePool { .. }
                | IntOp::MaxPool { .. }
                | IntOp::Concat { .. }
                | IntOp::Pad { .. }
                | IntOp::Pack => Ending::Other,
            };
            break;
        }
        Self { shape: program.output_border.source_shape.clone(), ending }
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
