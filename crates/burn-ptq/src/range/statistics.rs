//! The statistics behind each grid: values that share one are seen together.

use crate::graph::{Graph, Op, ValueId};
use crate::observe::Stats;

/// A node that runs wider than its output is followed by a requantize node that took over the
/// node's observed output: both have its distribution.
pub(super) fn follow_narrowing(graph: &Graph, statistics: &mut [Stats]) {
    for node in &graph.nodes {
        if !matches!(node.op, Op::Requantize(_)) {
            continue;
        }
        let (from, to) = (node.inputs[0].0, node.output.0);
        let source = graph.producer(node.inputs[0]).map(|n| graph.nodes[n].op.operator());
        let mean = source.is_some_and(|operator| operator.averages());
        if !mean && statistics[from].batches == 0 {
            statistics[from] = statistics[to].clone();
        }
    }
}

/// The statistics behind the grid of each value: those of all values that share it, taken together,
/// and for a requantized value those of the value that it was made from.
pub(super) fn grid_statistics(graph: &Graph, groups: &[usize], statistics: &[Stats]) -> Vec<Stats> {
    let mut own = statistics.to_vec();
    for node in &graph.nodes {
        if node.op.operator().averages() {
            // It lies within its input, whose grid it shares.
            own[node.output.0] = Stats::default();
        }
    }
    for node in &graph.nodes {
        if matches!(node.op, Op::Requantize(_)) && own[node.output.0].batches == 0 {
            let (from, to) = (node.inputs[0], node.output);
            own[to.0] = statistics_of(groups, &own, from);
        }
    }
    (0..graph.values.len()).map(|v| statistics_of(groups, &own, ValueId(v))).collect()
}

fn statistics_of(groups: &[usize], own: &[Stats], value: ValueId) -> Stats {
    let mut stats = Stats::default();
    let members = (0..own.len()).filter(|&v| groups[v] == groups[value.0]);
    members.for_each(|v| stats.merge(&own[v]));
    stats
}
