//! Which channels an activation needs, and which it keeps.
//!
//! A channel is needed if the program's outputs depend on what it holds: not a constant whose share a
//! bias takes, not one that is read with weights of 0. It is kept if memory has it. More are kept than
//! needed: what the caller fills and reads, what an operation reads as a whole, the partners of kept
//! channels, and enough for groups of four, by which kernels work.

use super::interval::Interval;
use super::intervals::intervals;
use super::layer::{Layer, Unweighted};
use super::links::{Link, Links, Pairs, links};
use crate::op::{IntOp, Weighted};
use crate::program::Program;

/// Channels that kernels work on at a time.
const TOGETHER: usize = 4;

/// What is known of the channels of a valid program.
pub(super) struct Analysis<'p> {
    pub program: &'p Program,
    /// Of each node.
    pub links: Vec<Links>,
    /// Of each node with weights.
    pub layers: Vec<Option<Layer<'p>>>,
    /// Of each channel of each tensor.
    pub intervals: Vec<Vec<Interval>>,
    /// Of each channel of each tensor, whether the program's outputs depend on it.
    pub needed: Vec<Vec<bool>>,
    /// Of each node.
    unweighted: Vec<UnweightedChannels>,
}

/// The output channels of a node that need no weights.
#[derive(Default)]
struct UnweightedChannels {
    /// Of each output channel, what it is if it is constant.
    constants: Vec<Option<Unweighted>>,
    /// A channel that varies, whose scale and multiplier others may have.
    typical: Option<usize>,
}

impl<'p> Analysis<'p> {
    pub(super) fn of(program: &'p Program) -> Self {
        let none = program.tensors.iter().map(|tensor| vec![false; tensor.shape[2]]).collect();
        let mut analysis = Self {
            program,
            links: program.nodes.iter().map(|node| links(program, node)).collect(),
            layers: program.nodes.iter().map(|node| Layer::of(program, node)).collect(),
            intervals: intervals(program),
            needed: none,
            unweighted: Vec::new(),
        };
        let nodes = 0..program.nodes.len();
        analysis.unweighted = nodes.map(|node| analysis.unweighted_channels(node)).collect();
        for left in program.left() {
            analysis.needed[left.0].fill(true);
        }
        // The next step reads what this one leaves, node by node.
        for carried in program.carried() {
            analysis.needed[carried.held.0].fill(true);
            analysis.needed[carried.next.0].fill(true);
        }
        // Readers come after what they read.
        for node in (0..program.nodes.len()).rev() {
            analysis.note_what_is_read(node);
        }
        analysis
    }

    /// Marks what a node reads of its inputs, of whose output it is known what is needed.
    fn note_what_is_read(&mut self, index: usize) {
        let node = &self.program.nodes[index];
        for (&id, &link) in node.inputs.iter().zip(&self.links[index].inputs) {
            let mut read = vec![false; self.needed[id.0].len()];
            match (&self.layers[index], link) {
                (_, Link::Whole) => read.fill(true),
                (Some(layer), Link::Weighted | Link::Paired(_)) => {
                    let reads = |&output: &usize| self.unweighted(index, output).is_none();
                    for output in (0..layer.outputs).filter(reads) {
                        self.note_what_weights_read(
                            layer,
                            output,
                            &self.intervals[id.0],
                            &mut read,
                        );
                    }
                }
                (None, Link::Paired(pairs)) => {
                    for (input, output) in pairs.iter() {
                        read[input] |= self.needed[node.output.0][output];
                    }
                }
                // There are none without weights.
                (None, Link::Weighted) => read.fill(true),
            }
            for (needed, read) in self.needed[id.0].iter_mut().zip(read) {
                *needed |= read;
            }
        }
    }

    /// Marks the channels of `inputs` that an output channel cannot do without.
    fn note_what_weights_read(
        &self,
        layer: &Layer,
        output: usize,
        inputs: &[Interval],
        read: &mut [bool],
    ) {
        let mut shares = Vec::new();
        for input in 0..layer.depth {
            let Some(channel) = layer.input_channel(output, input) else { continue };
            match layer.share(output, input, inputs[channel]) {
                Some(0) => {}
                Some(share) => shares.push((channel, share)),
                None => read[channel] = true,
            }
        }
        if !layer.bias_holds(output, shares.iter().map(|&(_, share)| share)) {
            for (channel, _) in shares {
                read[channel] = true;
            }
        }
    }

    /// What the output channels of a node are that need no weights: those that are constant, and those
    /// that may be anything.
    fn unweighted_channels(&self, index: usize) -> UnweightedChannels {
        let node = &self.program.nodes[index];
        let Some(layer) = &self.layers[index] else { return UnweightedChannels::default() };
        let inputs = &self.intervals[node.inputs[0].0];
        let varies = |&output: &usize| layer.output_interval(output, inputs).constant().is_none();
        let Weighted { weights, multipliers, .. } = layer.weighted;
        let scales = &weights.scales;
        let apart = [scales.len(), multipliers.len()] == [layer.outputs; 2];
        // The coarsest weights need the smallest biases.
        let typical = (0..layer.outputs)
            .filter(|_| apart)
            .filter(varies)
            .max_by(|&a, &b| scales[a].total_cmp(&scales[b]));
        let constant = |output: usize| layer.constant(output, inputs, typical);
        UnweightedChannels { constants: (0..layer.outputs).map(constant).collect(), typical }
    }

    /// What becomes of an output channel of a node with weights that needs none of them; `None` if it
    /// needs them.
    pub(super) fn unweighted(&self, index: usize, output: usize) -> Option<Unweighted> {
        let id = self.program.nodes[index].output;
        let channel = self.layers[index].as_ref().and_then(|layer| layer.output_channel(output));
        let UnweightedChannels { constants, typical } = &self.unweighted[index];
        // What nobody needs may be anything.
        let anything = Unweighted { bias: 0, like: typical.unwrap_or(output) };
        let needed = channel.is_none_or(|channel| self.needed[id.0][channel]);
        if needed { constants[output] } else { Some(anything) }
    }

    /// For each channel of each tensor, whether it stays.
    pub(super) fn kept(&self) -> Vec<Vec<bool>> {
        let program = self.program;
        let mut kept = self.needed.clone();
        for given in program.given() {
            kept[given.0].fill(true);
        }
        for (node, links) in program.nodes.iter().zip(&self.links) {
            if !links.free {
                kept[node.output.0].fill(true);
            }
            for (id, link) in node.inputs.iter().zip(&links.inputs) {
                if *link == Link::Whole {
                    kept[id.0].fill(true);
                }
            }
        }
        let mut keeping = Keeping { partners: self.partners(), kept };
        for tensor in 0..program.tensors.len() {
            keeping.join_partners(tensor);
        }
        for node in program.nodes.iter().filter(|node| chooses_its_channels(&node.op)) {
            keeping.fill(node.output.0, TOGETHER);
        }
        // No tensor is empty.
        for tensor in 0..program.tensors.len() {
            keeping.fill(tensor, 1);
        }
        keeping.kept
    }

    /// For each tensor, the others whose channels go with its own.
    fn partners(&self) -> Vec<Vec<(usize, Pairs, Side)>> {
        let mut partners = vec![Vec::new(); self.program.tensors.len()];
        for (node, links) in self.program.nodes.iter().zip(&self.links) {
            for (id, link) in node.inputs.iter().zip(&links.inputs) {
                if let Link::Paired(pairs) = *link {
                    partners[id.0].push((node.output.0, pairs, Side::Input));
                    partners[node.output.0].push((id.0, pairs, Side::Output));
                }
            }
        }
        partners
    }
}

/// Which of two tensors' channels come first in pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

/// The channels that are kept so far.
struct Keeping {
    partners: Vec<Vec<(usize, Pairs, Side)>>,
    kept: Vec<Vec<bool>>,
}

impl Keeping {
    /// Keeps whole groups of channels of a tensor, at least one.
    fn fill(&mut self, tensor: usize, group: usize) {
        let channels = &mut self.kept[tensor];
        let count = channels.iter().filter(|&&kept| kept).count();
        let wanted = count.max(1).next_multiple_of(group);
        let gone = channels.iter_mut().filter(|kept| !**kept);
        for kept in gone.take(wanted - count) {
            *kept = true;
        }
        self.join_partners(tensor);
    }

    /// Keeps the partners of a tensor's kept channels, and theirs.
    fn join_partners(&mut self, tensor: usize) {
        let mut changed = vec![tensor];
        while let Some(tensor) = changed.pop() {
            for &(partner, pairs, side) in &self.partners[tensor] {
                let mut grew = false;
                for (input, output) in pairs.iter() {
                    let (own, other) = match side {
                        Side::Input => (input, output),
                        Side::Output => (output, input),
                    };
                    if self.kept[tensor][own] && !self.kept[partner][other] {
                        self.kept[partner][other] = true;
                        grew = true;
                    }
                }
                if grew {
                    changed.push(partner);
                }
            }
        }
    }
}

/// Whether the number of channels that the operation writes is its own choice, not its input's.
fn chooses_its_channels(op: &IntOp) -> bool {
    match op {
        IntOp::Conv2d { .. }
        | IntOp::TransposeConv2d { .. }
        | IntOp::FullyConnected { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. } => true,
        IntOp::DepthwiseConv2d { .. }
        | IntOp::Add { .. }
        | IntOp::Mul { .. }
        | IntOp::AveragePool { .. }
        | IntOp::MaxPool { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::BatchMatMul { .. }
        | IntOp::Reduce { .. }
        | IntOp::Normalize { .. }
        | IntOp::TopK { .. }
        | IntOp::Rearrange { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Step { .. }
        | IntOp::Binary { .. } => false,
    }
}
