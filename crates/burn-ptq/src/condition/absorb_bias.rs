//! High-bias absorption.

use super::layer::{input_blocks, output_channels};
use super::readers::readers;
use super::{ChannelRanges, Conditioning};
use crate::graph::{Clamp, Graph, Node, Op};

/// Moves the part of a high bias that a ReLU never cuts into the bias of the next layer.
///
/// `c = max(0, beta - 3 |gamma|)`, `b1 -= c`, `b2 += sum_k W2_k c_k`, from the parameters that the
/// folded batch normalization left, by which a channel has mean `beta` and deviation `|gamma|` before
/// the ReLU (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction,
/// section 4.1.3). The range of the value between the layers falls by `c`: it helps after
/// equalization has raised biases.
///
/// The float output is kept exactly for inputs that stay above `c` before the ReLU, which are all but
/// one in 700 of a normal distribution at 3 deviations; below, the output changes. Layers are left
/// alone if anything but a ReLU follows, if the output is read by anything but layers with weights
/// through pools and reshapes, or if a reader pads its input with zeros: a zero beside values that
/// were lowered by `c` is another value, and no bias makes up for it, since only windows at the border
/// see it. So in depthwise-separable networks only the depthwise layers' own biases are absorbed.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AbsorbBias {
    /// How many standard deviations below the mean an input may fall without being clipped; more
    /// absorb less.
    pub deviations: f32,
}

impl Default for AbsorbBias {
    fn default() -> Self {
        Self { deviations: 3.0 }
    }
}

impl Conditioning for AbsorbBias {
    fn condition(&self, graph: &mut Graph, _ranges: Option<&ChannelRanges>) -> usize {
        (0..graph.nodes.len()).filter(|&producer| self.absorb(graph, producer)).count()
    }
}

impl AbsorbBias {
    fn absorb(&self, graph: &mut Graph, producer: usize) -> bool {
        let node = &graph.nodes[producer];
        let (Some(Clamp::RELU), Some(statistics)) = (node.clamp, &node.batch_norm) else {
            return false;
        };
        let parameters = statistics.beta.iter().zip(&statistics.gamma);
        let absorbed: Vec<f32> = parameters
            .map(|(beta, gamma)| (beta - self.deviations.max(0.0) * gamma.abs()).max(0.0))
            .collect();
        if absorbed.len() != output_channels(&node.op) || absorbed.iter().all(|&c| c == 0.0) {
            return false;
        }
        let Some(readers) = readers(graph, producer, &shifts) else { return false };
        if readers.consumers.iter().any(|&consumer| pads(&graph.nodes[consumer].op)) {
            return false;
        }
        let node = &mut graph.nodes[producer];
        if let Some((_, bias)) = node.op.weight_and_bias_mut() {
            bias.data.iter_mut().zip(&absorbed).for_each(|(b, c)| *b -= c);
        }
        if let Some(statistics) = &mut node.batch_norm {
            statistics.beta.iter_mut().zip(&absorbed).for_each(|(beta, c)| *beta -= c);
        }
        for consumer in readers.consumers {
            raise(&mut graph.nodes[consumer].op, &absorbed);
        }
        true
    }
}

/// Whether a node, fed with `x - c` for `x >= c >= 0`, gives `y - c`.
fn shifts(node: &Node) -> bool {
    let op = match &node.op {
        Op::AveragePool(pool) => {
            let pads = pool.window.begin != [0; 2] || pool.window.end != pool.ceil_extra;
            !(pads && pool.count_include_pad)
        }
        Op::Conv2d(_) | Op::Linear(_) | Op::ChannelAffine(_) => true,
        Op::MaxPool(_) | Op::Reshape(_) | Op::Rearrange(_) | Op::ResizeLinear(_) => true,
        Op::Add(_)
        | Op::Mul(_)
        | Op::Clip(_)
        | Op::Unary(_)
        | Op::Permute(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Requantize(_)
        | Op::Softmax(_)
        | Op::LogSoftmax(_)
        | Op::MatMul(_)
        | Op::Reduce(_)
        | Op::Normalize(_)
        | Op::TopK(_)
        | Op::Dilate(_)
        | Op::Lookup(_)
        | Op::Binary(_)
        | Op::Step(_)
        | Op::Constant(_) => false,
    };
    op && node.clamp.is_none_or(|clamp| clamp.min <= 0.0 && clamp.max == f32::INFINITY)
}

fn pads(op: &Op) -> bool {
    matches!(op, Op::Conv2d(conv) if !conv.window.is_unpadded())
}

/// Adds to each bias what the layer's weights make of inputs that are higher by `shift`.
fn raise(op: &mut Op, shift: &[f32]) {
    let blocks = input_blocks(op, shift.len());
    let Some((weight, bias)) = op.weight_and_bias_mut() else { return };
    let blocks_per_row = blocks.channels.len() / bias.len();
    let rows = blocks.channels.chunks(blocks_per_row).zip(weight.rows());
    for (bias, (channels, row)) in bias.data.iter_mut().zip(rows) {
        let mut raised = f64::from(*bias);
        for (&c, weights) in channels.iter().zip(row.chunks(blocks.len)) {
            raised += f64::from(shift[c]) * weights.iter().map(|&w| f64::from(w)).sum::<f64>();
        }
        *bias = raised as f32;
    }
}
