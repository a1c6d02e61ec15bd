//! The units of a network that are reconstructed together.

use std::collections::HashSet;
use std::ops::Range;

use super::{Reconstruction, ReconstructionGranularity};
use crate::graph::{Graph, Op, ValueId};

/// Consecutive nodes that are trained together.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The nodes, by index.
    pub nodes: Range<usize>,
    /// What they read from outside.
    pub inputs: Vec<ValueId>,
    /// The values that are compared with the float network's.
    pub targets: Vec<ValueId>,
}

/// The segments of `graph`, in order; together they hold every node.
///
/// # Errors
/// The name in `recipe.blocks` that no node has.
pub fn segments(graph: &Graph, recipe: &Reconstruction) -> Result<Vec<Segment>, String> {
    let layers = units(graph, false);
    let blocks = match recipe.blocks.as_slice() {
        [] => units(graph, true),
        ends => named(graph, ends)?,
    };
    let ranges = match recipe.granularity {
        ReconstructionGranularity::None => Vec::new(),
        ReconstructionGranularity::Layer => layers,
        ReconstructionGranularity::Block => blocks.clone(),
        ReconstructionGranularity::BlockPairs => {
            blocks.chunks(2).map(|pair| pair[0].start..pair[pair.len() - 1].end).collect()
        }
        ReconstructionGranularity::Network => std::iter::once(0..graph.nodes.len()).collect(),
    };
    Ok(ranges.into_iter().map(|nodes| segment(graph, nodes, &blocks)).collect())
}

fn segment(graph: &Graph, nodes: Range<usize>, blocks: &[Range<usize>]) -> Segment {
    let written: HashSet<ValueId> = graph.nodes[nodes.clone()].iter().map(|n| n.output).collect();
    let mut inputs: Vec<ValueId> = Vec::new();
    for input in graph.nodes[nodes.clone()].iter().flat_map(|n| &n.inputs) {
        if !written.contains(input) && !inputs.contains(input) {
            inputs.push(*input);
        }
    }
    // The output of every block that ends inside, and whatever is read after the segment.
    let mut targets: Vec<ValueId> = Vec::new();
    let softmaxes: Vec<usize> = graph.final_softmaxes().collect();
    let behind = behind_softmax(graph);
    for index in nodes.clone() {
        let node = &graph.nodes[index];
        let output = node.output;
        // Logits say more than the probabilities that softmax makes of them.
        if softmaxes.contains(&index) {
            if !targets.contains(&node.inputs[0]) {
                targets.push(node.inputs[0]);
            }
            continue;
        }
        // Behind it are but other grids and orders of the same.
        if behind.contains(&index) {
            continue;
        }
        let ends_block = blocks.iter().any(|block| block.end == index + 1);
        let leaves = graph.nodes[nodes.end..].iter().any(|n| n.inputs.contains(&output));
        if (ends_block || leaves || graph.is_output(output)) && !targets.contains(&output) {
            targets.push(output);
        }
    }
    Segment { nodes, inputs, targets }
}

/// The nodes between a softmax at the end and its output, by index.
fn behind_softmax(graph: &Graph) -> HashSet<usize> {
    let mut behind = HashSet::new();
    for &output in &graph.outputs {
        let Some(softmax) = graph.final_softmax(output) else { continue };
        let mut value = output;
        while let Some(index) = graph.producer(value).filter(|&index| index != softmax) {
            behind.insert(index);
            value = graph.nodes[index].inputs[0];
        }
    }
    behind
}

/// Layers, or with `blocks` residual units and depthwise convolutions with what follows them.
///
/// A unit ends where a single value leaves it. Nodes without weights belong to the unit before.
fn units(graph: &Graph, blocks: bool) -> Vec<Range<usize>> {
    let weighted = |range: &Range<usize>| {
        graph.nodes[range.clone()].iter().filter(|n| n.op.weight_and_bias().is_some()).count()
    };
    let mut units: Vec<Range<usize>> = Vec::new();
    // The steps of a loop are trained together.
    let loops = graph.loops();
    let mut start = 0;
    for end in 1..=graph.nodes.len() {
        let layer_ends = !blocks || values_across(graph, end) <= 1;
        let within = loops.iter().any(|l| l.nodes.start < end && end < l.nodes.end);
        if (!layer_ends || within) && end < graph.nodes.len() {
            continue;
        }
        let range = start..end;
        let opens_block = |unit: &Range<usize>| {
            let nodes = &graph.nodes[unit.clone()];
            blocks
                && weighted(unit) == 1
                && nodes.iter().any(|n| matches!(&n.op, Op::Conv2d(c) if c.is_depthwise()))
        };
        match units.last_mut() {
            Some(last) if weighted(&range) == 0 || weighted(last) == 0 || opens_block(last) => {
                last.end = end;
            }
            _ => units.push(range),
        }
        start = end;
    }
    units
}

/// How many values that are written before node `end` are read from it on.
fn values_across(graph: &Graph, end: usize) -> usize {
    let later: HashSet<ValueId> =
        graph.nodes[end..].iter().flat_map(|n| n.inputs.iter().copied()).collect();
    let inputs = graph.inputs.iter().filter(|&input| later.contains(input)).count();
    // A constant is read where it is needed: no block is cut through it.
    let written = graph.nodes[..end].iter().filter(|n| !n.inputs.is_empty());
    inputs + written.filter(|n| later.contains(&n.output)).count()
}

/// Blocks that end with the nodes of these names.
fn named(graph: &Graph, ends: &[String]) -> Result<Vec<Range<usize>>, String> {
    let mut cuts = Vec::new();
    for name in ends {
        let at = graph.nodes.iter().position(|n| n.name == *name).ok_or_else(|| name.clone())?;
        cuts.push(at + 1);
    }
    // A loop is cut behind it.
    for found in graph.loops() {
        let within = |cut: &&mut usize| found.nodes.start < **cut && **cut < found.nodes.end;
        cuts.iter_mut().filter(within).for_each(|cut| *cut = found.nodes.end);
    }
    cuts.push(graph.nodes.len());
    cuts.sort_unstable();
    cuts.dedup();
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    Ok(starts.zip(&cuts).map(|(start, &end)| start..end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Array;
    use crate::graph::ops::{Add, Conv2d, Linear, Reshape, Softmax, Window};

    fn conv(out: usize, input: usize, groups: usize) -> Conv2d {
        Conv2d {
            weight: Array::full([out, input / groups, 1, 1], 0.5),
            bias: Array::full([out], 0.0),
            window: Window::new([1, 1]),
            groups,
        }
    }

    /// A stem, a residual unit of two layers, a depthwise-separable pair, a classifier.
    fn graph() -> Graph {
        let mut graph = Graph::new("g", "x", vec![4, 2, 2]);
        let stem = graph.push("stem", conv(4, 4, 1), &[graph.input()], "a").unwrap();
        let first = graph.push("first", conv(4, 4, 1), &[stem], "b").unwrap();
        let second = graph.push("second", conv(4, 4, 1), &[first], "c").unwrap();
        let sum = graph.push("add", Add, &[stem, second], "d").unwrap();
        let depthwise = graph.push("depthwise", conv(4, 4, 4), &[sum], "e").unwrap();
        let pointwise = graph.push("pointwise", conv(4, 4, 1), &[depthwise], "f").unwrap();
        let flat = graph.push("flat", Reshape { shape: vec![16] }, &[pointwise], "g").unwrap();
        let dense =
            Linear { weight: Array::full([3, 16], 0.1), bias: Array::full([3], 0.0), axis: 0 };
        let logits = graph.push("dense", dense, &[flat], "h").unwrap();
        graph.push("softmax", Softmax { axis: 0 }, &[logits], "i").unwrap();
        graph
    }

    fn ranges(recipe: &Reconstruction) -> Vec<Range<usize>> {
        segments(&graph(), recipe).unwrap().into_iter().map(|s| s.nodes).collect()
    }

    #[test]
    fn blocks_are_residual_units_depthwise_pairs_and_single_layers() {
        let with = |granularity| Reconstruction { granularity, ..Default::default() };
        assert_eq!(ranges(&with(ReconstructionGranularity::Block)), [0..1, 1..4, 4..7, 7..9]);
        assert_eq!(ranges(&with(ReconstructionGranularity::BlockPairs)), [0..4, 4..9]);
        assert_eq!(
            ranges(&with(ReconstructionGranularity::Network)),
            vec![Range { start: 0, end: 9 }]
        );
        let layers = ranges(&with(ReconstructionGranularity::Layer));
        assert_eq!(layers, [0..1, 1..2, 2..4, 4..5, 5..7, 7..9]);
    }

    #[test]
    fn segments_know_what_they_read_and_what_is_compared() {
        let recipe = Reconstruction {
            granularity: ReconstructionGranularity::Network,
            ..Default::default()
        };
        let graph = graph();
        let whole = &segments(&graph, &recipe).unwrap()[0];
        let names = |ids: &[ValueId]| -> Vec<String> {
            ids.iter().map(|id| graph.value(*id).name.clone()).collect()
        };
        assert_eq!(names(&whole.inputs), ["x"]);
        // Logits instead of probabilities at the end.
        assert_eq!(names(&whole.targets), ["a", "d", "g", "h"]);
    }

    #[test]
    fn blocks_can_be_named() {
        let recipe = Reconstruction {
            granularity: ReconstructionGranularity::Block,
            blocks: vec!["first".into(), "depthwise".into()],
            ..Default::default()
        };
        assert_eq!(ranges(&recipe), [0..2, 2..5, 5..9]);
        let recipe = Reconstruction { blocks: vec!["frist".into()], ..recipe };
        assert_eq!(segments(&graph(), &recipe), Err("frist".into()));
    }
}
