//! The choice of grids: from statistics to a grid for every value.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burn_ptq_kernels::grid::Grid;
use rayon::prelude::*;

use super::possible::{UNKNOWN, is_zero, possible, smallest_input_scale, smallest_scale};
use super::statistics::{follow_narrowing, grid_statistics};
use super::{JointRange, Mse, RangeMethod, activation_qparams};
use crate::bits::BitPlan;
use crate::event::{Cancelled, Event, Progress};
use crate::graph::ops::OutputGrid;
use crate::graph::prediction::Prediction;
use crate::graph::{Batch, FloatModel, Gate, Graph, ValueId};
use crate::observe::Stats;
use crate::quant::{
    FakeQuantize, QParams, QuantizeError, QuantizedActivation, QuantizedGraph, Range,
};

/// How the grids of activations are chosen.
#[derive(Clone, Copy)]
pub(crate) struct GridChoice<'a> {
    /// The bits of every value.
    pub(crate) plan: &'a BitPlan,
    /// Finds the range of each value by itself.
    pub(crate) range: &'a dyn RangeMethod,
    /// Searches the ranges of all values together, if it wants samples.
    pub(crate) joint: &'a dyn JointRange,
    /// Where the network runs.
    pub(crate) device: &'a Device,
}

/// Decides the grids of activations; the weights are rounded afterwards.
///
/// `graph` has passed [`insert_requantize`](crate::prepare::insert_requantize), which completed the
/// plan; `statistics` belong to the graph before it, whose values have the same indices. `samples`
/// are those of the joint search.
///
/// # Errors
/// If the plan asks for bits that no grid can have, and on cancellation of a joint search.
pub(crate) fn choose_grids(
    graph: Arc<Graph>,
    mut statistics: Vec<Stats>,
    how: GridChoice,
    samples: Batch,
    progress: Progress,
) -> Result<QuantizedGraph, QuantizeError> {
    let plan = how.plan;
    statistics.resize_with(graph.values.len(), Default::default);
    follow_narrowing(&graph, &mut statistics);
    let groups = graph.grid_groups();
    let statistics = grid_statistics(&graph, &groups, &statistics);
    let fixed = fixed_grids(&graph, &groups, plan, &statistics);
    let values = || (0..graph.values.len()).map(ValueId);
    let schemes = values().map(|v| plan.value_scheme(v)).collect::<Result<Vec<_>, _>>()?;
    let ranges = ranges(&graph, &groups, &statistics);
    let zero = |v: usize| is_zero(observed_range(&statistics[v]));
    let grids = |method: &dyn RangeMethod| -> Vec<Grid> {
        let grid = |v: usize| match fixed[v] {
            Some(grid) => grid,
            None if zero(v) => QParams::activation(ranges[v], schemes[v]).grid(0),
            None => activation_qparams(method, &statistics[v].distribution(), schemes[v]).grid(0),
        };
        (0..graph.values.len()).into_par_iter().map(grid).collect()
    };
    let activation = |(v, grid)| QuantizedActivation { bits: plan.value(v), grid };
    let activations = values().zip(grids(how.range)).map(activation).collect();
    let weights = vec![None; graph.nodes.len()];
    let mut quantized = QuantizedGraph { graph: Arc::clone(&graph), activations, weights };
    let power_of_two = plan.power_of_two_activations;
    widen_unreachable(&mut quantized, &groups, &fixed, power_of_two);
    let searched: Vec<ValueId> = values()
        .filter(|&ValueId(v)| groups[v] == v && fixed[v].is_none() && !zero(v))
        .filter(|&v| plan.value(v) < 16)
        .collect();
    if how.joint.samples() > 0 && !searched.is_empty() {
        progress(Event::Stage { stage: "search ranges" });
        let scales_of = |exponent: f32| {
            let grids = grids(&Mse { exponent, ..Mse::default() });
            searched.iter().map(|&v| grids[v.0].scale).collect()
        };
        let network = RangeLoss::new(&quantized, samples, how.device);
        let mut evaluations = 0;
        let mut loss = |scales: &[f32]| {
            evaluations += 1;
            let event = Event::Progress { stage: "search ranges", done: evaluations, total: None };
            let mut candidate = quantized.clone();
            for (&v, &scale) in searched.iter().zip(scales) {
                candidate.set_scale(v, scale);
            }
            progress(event).then(|| network.loss(&candidate))
        };
        let found = how.joint.search(&scales_of, &mut loss).ok_or(Cancelled)?;
        for (&v, scale) in searched.iter().zip(found) {
            let scale = if power_of_two { scale.log2().round().exp2() } else { scale };
            quantized.set_scale(v, scale);
        }
        widen_unreachable(&mut quantized, &groups, &fixed, power_of_two);
    }
    Ok(quantized)
}

fn observed_range(statistics: &Stats) -> Range {
    Range { min: statistics.min, max: statistics.max }
}

/// What each value may hold: what was observed, and where that is only zero, what the
/// operations before it can give.
fn ranges(graph: &Graph, groups: &[usize], statistics: &[Stats]) -> Vec<Range> {
    let mut found: Vec<Range> = statistics.iter().map(observed_range).collect();
    let zero: Vec<bool> = found.iter().map(|&range| is_zero(range)).collect();
    let set = |found: &mut Vec<Range>, value: usize, range: Range| {
        let members = (0..groups.len()).filter(|&v| groups[v] == groups[value]);
        members.for_each(|v| found[v] = range);
    };
    for input in graph.inputs.iter().map(|input| input.0) {
        if zero[input] {
            set(&mut found, input, UNKNOWN);
        }
    }
    for node in &graph.nodes {
        let output = node.output.0;
        if !zero[output] || node.op.operator().output_grid() == OutputGrid::Shared {
            continue;
        }
        let inputs: Vec<Range> = node.inputs.iter().map(|v| found[v.0]).collect();
        let possible = possible(node, &inputs).with_zero();
        let before = if is_zero(found[output]) { possible } else { found[output] };
        let both = Range { min: before.min.min(possible.min), max: before.max.max(possible.max) };
        set(&mut found, output, if is_zero(both) { UNKNOWN } else { both });
    }
    found
}

/// The loss of a network whose activations are rounded and whose weights are not.
struct RangeLoss {
    model: FloatModel,
    inputs: Vec<Tensor<4>>,
    predictions: Vec<Prediction>,
    wanted: Vec<Tensor<4>>,
}

impl RangeLoss {
    fn new(quantized: &QuantizedGraph, samples: Batch, device: &Device) -> Self {
        let graph = &quantized.graph;
        let model = FloatModel::new(Arc::clone(graph), device);
        let inputs = samples.into_tensors(graph, device);
        let predictions = Prediction::all(graph);
        let wanted = Self::run(&model, &inputs, &predictions, |_, value| value);
        Self { model, inputs, predictions, wanted }
    }

    /// Runs the network and returns the predictions' values.
    fn run(
        model: &FloatModel,
        inputs: &[Tensor<4>],
        predictions: &[Prediction],
        round: impl Fn(ValueId, Tensor<4>) -> Tensor<4>,
    ) -> Vec<Tensor<4>> {
        let mut found = vec![None; predictions.len()];
        model.forward_with(inputs.to_vec(), |id, value| {
            let value = round(id, value);
            if let Some(at) = predictions.iter().position(|p| p.value == id) {
                found[at] = Some(value.clone());
            }
            value
        });
        found.into_iter().map(|value| value.expect("a network computes all values")).collect()
    }

    /// The sum over predictions.
    fn loss(&self, quantized: &QuantizedGraph) -> f64 {
        let found = Self::run(&self.model, &self.inputs, &self.predictions, |id, value| {
            FakeQuantize::new(quantized.activations[id.0].grid).forward(value)
        });
        let pairs = self.predictions.iter().zip(found.into_iter().zip(&self.wanted));
        let differences = pairs.map(|(prediction, (found, wanted))| {
            let difference = prediction.difference(found, wanted.clone(), 1.0);
            f64::from(difference.into_scalar::<f32>())
        });
        differences.sum()
    }
}

/// Rounds of widening grids; one, except for cycles of grids that values share.
const ROUNDS_OF_WIDENING: usize = 16;

/// Widens grids, before weights are rounded, that are so fine that the operation in front of them
/// could not be rescaled to them, because what it gives is nearly zero.
fn widen_unreachable(
    quantized: &mut QuantizedGraph,
    groups: &[usize],
    fixed: &[Option<Grid>],
    power_of_two: bool,
) {
    let graph = Arc::clone(&quantized.graph);
    // A grid that several operations write may lie before and behind another one.
    for _ in 0..ROUNDS_OF_WIDENING {
        let mut widened = false;
        for node in &graph.nodes {
            let inputs: Vec<Grid> =
                node.inputs.iter().map(|v| quantized.activations[v.0].grid).collect();
            let needed = std::iter::once((node.output, smallest_scale(node, &inputs)))
                .chain(node.inputs.first().map(|&input| (input, smallest_input_scale(node))));
            for (value, smallest) in needed {
                let found = quantized.activations[value.0].grid.scale;
                if f64::from(found) >= smallest || fixed[value.0].is_some() {
                    continue;
                }
                let scale = match power_of_two {
                    true => smallest.log2().ceil().exp2() as f32,
                    // The nearest float may lie below.
                    false => (smallest as f32).next_up(),
                };
                let members = (0..groups.len()).filter(|&v| groups[v] == groups[value.0]);
                members.for_each(|v| quantized.activations[v].grid.scale = scale);
                widened = true;
            }
        }
        if !widened {
            return;
        }
    }
}

/// The scale of 16 bits that a value of a recurrent layer has, as in TensorFlow Lite: a power of two that leaves sums
/// at least 3 integer bits, what functions give none, and a cell as many as it was observed to need.
fn scale_of_gate(gate: Gate, statistics: &Stats) -> Option<f32> {
    let integer_bits = |least: i32| {
        let largest = statistics.min.abs().max(statistics.max.abs());
        (least..=i32::from(i8::MAX)).find(|&bits| largest < (bits as f32).exp2())
    };
    let bits = match gate {
        Gate::Sum => integer_bits(3)?,
        Gate::Cell => integer_bits(0)?,
        Gate::Function => 0,
        Gate::Inner => return None,
    };
    Some(((bits - 15) as f32).exp2())
}

/// The grids that an operation fixes, for values of 8 bits that share theirs with no other source.
fn fixed_grids(
    graph: &Graph,
    groups: &[usize],
    plan: &BitPlan,
    statistics: &[Stats],
) -> Vec<Option<Grid>> {
    let mut sources: Vec<Vec<Option<Grid>>> = vec![Vec::new(); graph.values.len()];
    for input in &graph.inputs {
        sources[groups[input.0]].push(graph.integer_grid(*input).map(|(_, grid)| grid));
    }
    for node in &graph.nodes {
        let group = groups[node.output.0];
        let gate = graph.value(node.output).gate.filter(|_| plan.value(node.output) == 16);
        if let Some(scale) = gate.and_then(|gate| scale_of_gate(gate, &statistics[group])) {
            let (min, max) = (i32::from(i16::MIN), i32::from(i16::MAX));
            let grid = Some(Grid { scale, zero_point: 0, min, max });
            // A cell, its terms and what it is at first have one grid.
            match gate {
                Some(Gate::Cell) => sources[group] = vec![grid],
                _ => sources[group].push(grid),
            }
            continue;
        }
        let grid = match node.op.operator().output_grid() {
            OutputGrid::Shared => continue,
            OutputGrid::Observed => None,
            OutputGrid::Fixed { scale, zero_point, doublings } => {
                let lowest = statistics[groups[node.output.0]].min;
                let reaches = |&scale: &f32| lowest >= -256.0 * scale;
                let scales = (0..=doublings).map(|k| scale * (1_u32 << k) as f32);
                let widest = scale * (1_u32 << doublings) as f32;
                let scale = scales.into_iter().find(reaches).unwrap_or(widest);
                Some(Grid { scale, zero_point, min: -128, max: 127 })
            }
            OutputGrid::Places => {
                let (min, max) = (i32::from(i16::MIN), i32::from(i16::MAX));
                Some(Grid { scale: 1.0, zero_point: 0, min, max })
            }
        };
        sources[groups[node.output.0]].push(grid);
    }
    // What a file gives stays.
    let mut given = vec![None; graph.values.len()];
    for (value, &group) in graph.values.iter().zip(groups) {
        given[group] = given[group].or(value.given);
    }
    let fixed = |v: usize| match sources[groups[v]].as_slice() {
        _ if given[groups[v]].is_some_and(|own| own.bits == plan.value(ValueId(v))) => {
            given[groups[v]].map(|own| own.grid)
        }
        [Some(grid)] if plan.value(ValueId(v)) == if grid.max > 127 { 16 } else { 8 } => {
            Some(*grid)
        }
        _ => None,
    };
    (0..graph.values.len()).map(fixed).collect()
}
