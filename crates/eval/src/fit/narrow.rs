//! Fewer bits for outputs of layers, where RAM is short.
//!
//! The arena is as large as its fullest moment. While it is too large, the output that is in memory then and
//! whose fewer bits change the predictions least gets fewer bits; at the end, those that were not needed get
//! theirs back. The planner itself says what each choice takes.

use std::collections::{BTreeMap, BTreeSet};

use burn_ptq::correct::CorrectionChoice;
use burn_ptq::recipe::CalibrationRecipe;
use burn_ptq::reconstruct::Reconstruction;
use burn_ptq::round::RoundingChoice;
use burn_ptq::{Quantized, Recipe};
use burn_ptq_deploy::op::IntOp;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::place::lifetime::live_spans;

use super::NarrowOutput;
use super::bench::{Bench, alive, in_use};
use crate::error::Error;

/// Samples that memory does not depend on, but grids want some of.
const SAMPLES: usize = 16;

/// The outputs that get the fewest bits that activations may have, so that RAM is at most `most` bytes, or as
/// many as help.
///
/// # Errors
/// As those of quantizing.
pub(super) fn narrow(bench: &mut Bench, most: usize) -> Result<Vec<NarrowOutput>, Error> {
    let &[wide, bits] = bench.fit.activations.as_slice() else { return Ok(Vec::new()) };
    if wide == bits {
        return Ok(Vec::new());
    }
    let mut trial = Trial { bench, bits };
    let (mut network, mut placed) = trial.place(&[])?;
    if trial.bench.ram(&placed) <= most {
        return Ok(Vec::new());
    }
    let losses = trial.losses()?;
    let mut chosen: Vec<String> = Vec::new();
    let mut tried = BTreeSet::new();
    while trial.bench.ram(&placed) > most {
        let candidates = at_peak(&network, &placed, bits);
        let loss = |name: &String| losses.get(name).copied().unwrap_or(0.0);
        let open = candidates.into_iter().filter(|name| !tried.contains(name));
        let Some(next) = open.min_by(|a, b| loss(a).total_cmp(&loss(b))) else { break };
        tried.insert(next.clone());
        chosen.push(next);
        (network, placed) = trial.place(&chosen)?;
    }
    let least = trial.bench.ram(&placed).max(most);
    let mut by_loss = chosen.clone();
    let loss = |name: &String| losses.get(name).copied().unwrap_or(0.0);
    by_loss.sort_by(|a, b| loss(b).total_cmp(&loss(a)));
    for name in by_loss {
        let without: Vec<String> = chosen.iter().filter(|&other| *other != name).cloned().collect();
        let (_, placed) = trial.place(&without)?;
        if trial.bench.ram(&placed) <= least {
            chosen = without;
        }
    }
    Ok(chosen.into_iter().map(|name| NarrowOutput { name, bits }).collect())
}

/// Quantizes quickly: only memory counts.
struct Trial<'t, 'a, 'q> {
    bench: &'t mut Bench<'a, 'q>,
    bits: u8,
}

impl Trial<'_, '_, '_> {
    fn place(&mut self, narrow: &[String]) -> Result<(Quantized, Placed), Error> {
        let output = |name: &String| NarrowOutput { name: name.clone(), bits: self.bits };
        self.bench.narrow = narrow.iter().map(output).collect();
        let recipe = self.recipe();
        self.bench.narrow.clear();
        let recipe = recipe?;
        let calibration =
            CalibrationRecipe { samples: Some(SAMPLES), ..recipe.calibration.clone() };
        let quick = Recipe {
            calibration,
            rounding: RoundingChoice::Nearest(Default::default()),
            reconstruction: Reconstruction::default(),
            correction: CorrectionChoice::NoCorrection(Default::default()),
            ..recipe
        };
        self.bench.place(&quick)
    }

    /// The recipe of the widest weights.
    fn recipe(&self) -> Result<Recipe, Error> {
        let widest = self.bench.fit.weights.iter().copied().max().unwrap_or(8);
        self.bench.recipe(widest, Vec::new())
    }

    /// How much the predictions change when the output of one layer alone has fewer bits, by name.
    fn losses(&mut self) -> Result<BTreeMap<String, f64>, Error> {
        let mut recipe = self.recipe()?;
        recipe.activations.bits = self.bits;
        let (network, _) = self.bench.place(&recipe)?;
        self.bench.layer_losses(&network)
    }
}

/// The layers whose outputs are in memory when the arena is full, and have more than `bits` bits.
fn at_peak(network: &Quantized, placed: &Placed, bits: u8) -> BTreeSet<String> {
    let live = live_spans(placed, placed.streams());
    let ends = in_use(placed);
    let most = ends.iter().copied().max().unwrap_or(0);
    let full = (0..ends.len()).filter(|&step| ends[step] == most);
    let tensors: BTreeSet<usize> = full.flat_map(|step| alive(&live, step)).collect();
    let graph = &network.graph.graph;
    let groups = graph.grid_groups();
    let layer = |tensor: usize| {
        if placed.tensors[tensor].bits <= bits {
            return None;
        }
        let node = placed.nodes.iter().find(|node| node.output.0 == tensor)?;
        // What is unpacked to be read has its bits from what was packed.
        if matches!(node.op, IntOp::Pack | IntOp::Unpack) {
            return None;
        }
        let node = graph.nodes.iter().find(|own| own.name == node.name)?;
        // Values that share a grid have the bits of the first of them.
        let first = groups[node.output.0];
        graph.nodes.iter().find(|node| node.output.0 == first).map(|node| node.name.clone())
    };
    tensors.into_iter().filter_map(layer).collect()
}
