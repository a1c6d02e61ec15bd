//! Networks that are quantized to see what they take and lose.

use std::collections::BTreeMap;

use burn::tensor::Device;
use burn_ptq::recipe::{FitRecipe, LayerOverride};
use burn_ptq::{Event, Progress, Quantized, Recipe};
use burn_ptq_deploy::cost::{Costs, Table, table, with_table};
use burn_ptq_deploy::export::{ExportError, target};
use burn_ptq_deploy::place::lifetime::{held_bytes, live_spans};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::Target;

use super::{FitError, NarrowOutput, Taken};
use crate::error::Error;
use crate::explain::{explain, mean_and_error, network_losses};

/// Quantizes the network that bits are chosen for, by a recipe.
pub type Quantize<'a> = dyn FnMut(&Recipe) -> Result<Quantized, Error> + 'a;

/// A network that was quantized, with what it takes and loses.
#[derive(Debug)]
pub(super) struct Measured {
    pub quantized: Quantized,
    /// The nodes that run on the target, with those that pack activations, and their costs.
    pub nodes: Vec<String>,
    pub costs: Costs,
    /// Bytes of RAM in use while each of them runs.
    pub ram: Vec<usize>,
    pub taken: Taken,
    losses: Vec<f64>,
}

impl Measured {
    /// How much the predictions differ from the float network's.
    pub(super) fn loss(&self) -> f64 {
        mean_and_error(&self.losses).0
    }

    /// The standard error of that.
    pub(super) fn loss_error(&self) -> f64 {
        mean_and_error(&self.losses).1
    }

    /// The bits of the weights of a layer; `None` if nothing is left of it.
    pub(super) fn bits(&self, layer: &str) -> Option<u8> {
        let mut nodes = self.quantized.program.nodes.iter();
        nodes.find(|node| node.name == layer)?.op.weighted().map(|weighted| weighted.weights.bits)
    }

    /// The layers with weights, in the order of execution.
    pub(super) fn layers(&self) -> Vec<String> {
        let nodes = self.quantized.program.nodes.iter();
        nodes.filter(|node| node.op.weighted().is_some()).map(|node| node.name.clone()).collect()
    }
}

/// What all measurements have in common.
pub(super) struct Bench<'a, 'q> {
    recipe: &'a Recipe,
    pub fit: &'a FitRecipe,
    pub target: &'static Target,
    pub table: &'static Table,
    quantize: &'a mut Quantize<'q>,
    classifies: bool,
    device: &'a Device,
    pub progress: Progress<'a>,
    /// Layers whose outputs have fewer bits than others.
    pub narrow: Vec<NarrowOutput>,
}

impl<'a, 'q> Bench<'a, 'q> {
    /// A bench for `fit`, which is that of `recipe`.
    ///
    /// # Errors
    /// If nothing is known of the target.
    pub(super) fn new(
        recipe: &'a Recipe,
        fit: &'a FitRecipe,
        classifies: bool,
        quantize: &'a mut Quantize<'q>,
        device: &'a Device,
        progress: Progress<'a>,
    ) -> Result<Self, Error> {
        let target = target(&fit.target)?;
        let table = table(target).ok_or(FitError::NoTable { target: target.name })?;
        let narrow = Vec::new();
        Ok(Self { recipe, fit, target, table, quantize, classifies, device, progress, narrow })
    }

    /// The recipe with `bits` for the weights of all layers but `others`. What the recipe itself says of
    /// single layers stays.
    ///
    /// # Errors
    /// If there are no such widths.
    pub(super) fn recipe(&self, bits: u8, others: Vec<LayerOverride>) -> Result<Recipe, Error> {
        let mut recipe = self.recipe.tried_at(bits)?;
        let narrow = self.narrow.iter().map(|output| {
            let name = glob::Pattern::escape(&output.name);
            LayerOverride { name, weights: None, activations: Some(output.bits) }
        });
        let chosen: Vec<LayerOverride> = narrow.chain(others).collect();
        if !chosen.is_empty() {
            recipe.name = format!("{} with bits that fit", recipe.name);
        }
        // The last that matches wins.
        recipe.layers = chosen.into_iter().chain(self.recipe.layers.iter().cloned()).collect();
        recipe.validate()?;
        Ok(recipe)
    }

    /// Quantizes by `recipe`, as the network is on the target.
    pub(super) fn place(&mut self, recipe: &Recipe) -> Result<(Quantized, Placed), Error> {
        let quantized = (self.quantize)(recipe)?;
        let placed = quantized.program.place_again(self.target.kernels, Memory::Reduced);
        Ok((quantized, placed.map_err(ExportError::from)?))
    }

    /// Bytes of RAM on the target.
    pub(super) fn ram(&self, placed: &Placed) -> usize {
        with_table(placed, self.table).ram_bytes()
    }

    /// Quantizes by `recipe` and measures the result.
    pub(super) fn measure(&mut self, recipe: &Recipe) -> Result<Measured, Error> {
        let (quantized, placed) = self.place(recipe)?;
        let costs = with_table(&placed, self.table);
        let taken = Taken::new(&placed, &costs, self.target)?;
        let (graph, noise) = (&quantized.graph, &quantized.noise);
        let losses = network_losses(graph, noise, self.classifies, self.device, self.progress)?;
        let nodes = placed.nodes.iter().map(|node| node.name.clone()).collect();
        let ram = in_use(&placed).iter().map(|bytes| bytes + costs.stack_bytes).collect();
        Ok(Measured { quantized, nodes, costs, ram, taken, losses })
    }

    /// How much the predictions change when each layer is quantized alone, by name.
    pub(super) fn layer_losses(&self, of: &Quantized) -> Result<BTreeMap<String, f64>, Error> {
        let Quantized { graph, noise, .. } = of;
        let found = explain(graph, noise, self.classifies, self.device, self.progress)?;
        Ok(found.layers.into_iter().map(|(_, layer)| (layer.name, layer.loss)).collect())
    }

    /// Tells that a stage begins.
    pub(super) fn begin(&self, stage: &'static str) -> Result<(), Error> {
        Ok(Event::Stage { stage }.tell(self.progress)?)
    }
}

/// The tensors that are in memory during a step, of those that are live during spans of steps.
pub(super) fn alive(live: &[(usize, usize)], step: usize) -> impl Iterator<Item = usize> {
    let spans = live.iter().enumerate();
    spans.filter(move |(_, span)| span.0 <= step && step <= span.1).map(|(tensor, _)| tensor)
}

/// The bytes of the arena up to the last that is in use while each node runs; the arena has as many as the
/// most of them.
pub(super) fn in_use(placed: &Placed) -> Vec<usize> {
    let live = live_spans(placed, placed.streams());
    let held = held_bytes(placed, placed.streams());
    let end = |step: usize| {
        let scratch = placed.scratch(step);
        let ends =
            alive(&live, step).map(|tensor| placed.placement().offsets[tensor] + held[tensor]);
        ends.max().unwrap_or(0).max(scratch.offset + scratch.bytes)
    };
    (0..placed.nodes.len()).map(end).collect()
}
