//! What the report tells of the program beside its metric: costs, the arena, the network's edges, and
//! histograms.

use burn_ptq::Quantized;
use burn_ptq_deploy::cost::targets;
use burn_ptq_deploy::program::{Program, TensorId};
use burn_ptq_deploy::target::Target;
use serde::Serialize;

use super::{ArenaReport, BudgetReport, HistogramReport, Report, StreamReport};
use crate::costs::{CostError, predict};
use crate::fit::Budgets;

/// The microcontroller whose costs are told in detail where none was asked for.
pub const DEFAULT_TARGET: &str = "cortex-m4";

/// What writes a value: an input of the network, or a layer, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The input at this place of `inputs`.
    Input(usize),
    /// The layer at this place of `layers`.
    Layer(usize),
}

impl Source {
    /// What writes the activation `id`.
    pub fn of(program: &Program, id: TensorId) -> Self {
        let layer = program.nodes.iter().position(|node| node.output == id);
        let input = || program.inputs.iter().position(|input| input.tensor == id);
        layer.map_or_else(|| Self::Input(input().unwrap_or(0)), Self::Layer)
    }
}

/// What the operation at `index` of a program reads.
pub fn sources_of_layer(program: &Program, index: usize) -> Vec<Source> {
    let inputs = program.nodes.get(index).map_or(&[][..], |node| &node.inputs);
    inputs.iter().map(|&id| Source::of(program, id)).collect()
}

/// The share that a layer has of the instructions of all.
pub fn share_of(layer: Option<f64>, all: &[Option<f64>]) -> Option<f64> {
    let total: f64 = all.iter().copied().sum::<Option<f64>>()?;
    layer.filter(|_| total > 0.0).map(|count| count / total)
}

impl Report {
    /// Fills in what follows from the quantized network alone; `target` is the microcontroller that costs
    /// are told of in detail, with what the network may take there.
    ///
    /// # Errors
    /// If the arena that a processor's kernels need is too large.
    pub(crate) fn describe(
        &mut self,
        quantized: &Quantized,
        target: Option<(&'static Target, Budgets)>,
    ) -> Result<(), CostError> {
        let (program, graph) = (&quantized.program, &quantized.graph.graph);
        let targets: Vec<_> = targets().collect();
        let predicted = predict(program, &targets)?;
        let name = target.map_or(DEFAULT_TARGET, |(target, _)| target.name);
        let detailed = predicted.iter().find(|each| each.cost.target == name);
        let none = vec![None; program.nodes.len()];
        let instructions = detailed.map_or(&none, |each| &each.nodes);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let count = instructions.get(index).copied().flatten();
            layer.inputs = sources_of_layer(program, index);
            layer.instructions = count.map(|count| count as u64);
            layer.time_share = share_of(count, instructions);
            let source = graph.nodes.iter().position(|node| node.name == layer.name);
            layer.weight_histogram =
                source.and_then(|node| HistogramReport::of_weights(&quantized.graph, node));
            layer.output_histogram = source
                .and_then(|node| HistogramReport::of_value(quantized, graph.nodes[node].output));
        }
        if let Some(streamed) = &quantized.streamed {
            let stream = StreamReport::new(streamed, &targets)?;
            self.warnings.extend(stream.warnings(program));
            self.stream = Some(stream);
        }
        self.target = name;
        self.arena = detailed.map(|each| ArenaReport::new(&each.placed, each.cost.target));
        self.budgets = detailed
            .zip(target)
            .and_then(|(each, (_, budgets))| BudgetReport::new(&budgets, &each.cost));
        self.costs = predicted.into_iter().map(|each| each.cost).collect();
        Ok(())
    }
}
