//! The network at each width, and what layers would cost and lose by that.

use std::collections::{BTreeMap, BTreeSet};

use burn_ptq::Recipe;
use burn_ptq::recipe::LayerOverride;
use burn_ptq_deploy::cost::Table;

use super::bench::{Bench, Measured};
use super::narrow::narrow;
use super::solve::{Choice, Instance};
use super::{FitError, LayerBits, LayerChoice, UniformNetwork};
use crate::error::Error;

/// How often outputs are narrowed anew because the network took more RAM than the trial of it.
const NARROWINGS: usize = 2;

/// The network with the same bits for all weights.
pub(super) struct Uniform {
    bits: u8,
    pub recipe: Recipe,
    pub measured: Measured,
    /// By layer.
    losses: BTreeMap<String, f64>,
}

impl Uniform {
    fn new(bench: &mut Bench, bits: u8) -> Result<Self, Error> {
        bench.begin("try a width")?;
        let recipe = bench.recipe(bits, Vec::new())?;
        let measured = bench.measure(&recipe)?;
        let losses = bench.layer_losses(&measured.quantized)?;
        Ok(Self { bits, recipe, measured, losses })
    }

    pub(super) fn facts(&self) -> UniformNetwork {
        let Self { bits, measured, .. } = self;
        UniformNetwork { bits: *bits, taken: measured.taken, loss: measured.loss() }
    }
}

/// The networks of a single width, and the choices that follow from them.
pub(super) struct Trials<'a, 'q> {
    pub bench: Bench<'a, 'q>,
    pub uniform: Vec<Uniform>,
    /// The layers with weights, in the order of execution.
    pub names: Vec<String>,
    pub instance: Instance,
}

impl<'a, 'q> Trials<'a, 'q> {
    /// Tries each width, with outputs so narrow that the network takes at most `ram` bytes, if that can be.
    ///
    /// # Errors
    /// As those of quantizing, and if the network has no layers with weights.
    pub(super) fn new(mut bench: Bench<'a, 'q>, ram: Option<usize>) -> Result<Self, Error> {
        let mut uniform = Vec::new();
        // What the trial of the network's memory missed.
        let mut margin = 0;
        for again in 0..=NARROWINGS {
            if let Some(most) = ram {
                bench.begin("narrow outputs")?;
                bench.narrow = narrow(&mut bench, most.saturating_sub(margin))?;
            }
            uniform.clear();
            for &bits in &bench.fit.weights {
                uniform.push(Uniform::new(&mut bench, bits)?);
            }
            let least = uniform.iter().map(|each: &Uniform| each.measured.taken.ram).min();
            let over = ram.zip(least).map_or(0, |(most, least)| least.saturating_sub(most));
            if over == 0 || bench.fit.activations.len() < 2 || again == NARROWINGS {
                break;
            }
            margin += over;
        }
        let names = uniform.first().map_or(Vec::new(), |each| each.measured.layers());
        if names.is_empty() {
            return Err(FitError::NoLayers.into());
        }
        let instance = instance(&names, &uniform, bench.table);
        Ok(Self { bench, uniform, names, instance })
    }

    /// Quantizes and measures the network with these choices.
    pub(super) fn measure(&mut self, chosen: &[usize]) -> Result<(Recipe, Measured), Error> {
        let recipe = self.mixed(chosen)?;
        self.bench.begin("measure a choice")?;
        let measured = self.bench.measure(&recipe)?;
        Ok((recipe, measured))
    }

    /// The recipe of the fewest chosen bits, with those of each layer.
    fn mixed(&self, chosen: &[usize]) -> Result<Recipe, Error> {
        let layers = || self.instance.layers.iter().zip(chosen);
        let bits = || layers().map(|(layer, &choice)| layer[choice].bits);
        let fewest = bits().min().unwrap_or(8);
        let others = self.names.iter().zip(bits()).filter(|&(_, bits)| bits != fewest);
        let others = others.map(|(name, bits)| LayerOverride {
            name: glob::Pattern::escape(name),
            weights: Some(bits),
            activations: None,
        });
        self.bench.recipe(fewest, others.collect())
    }

    /// Puts the losses that layers have beside each other in place of those that they had in networks of a
    /// single width: what a layer is rounded to makes up for what others lost before it.
    pub(super) fn correct(&mut self, chosen: &[usize], measured: &Measured) -> Result<(), Error> {
        let losses = self.bench.layer_losses(&measured.quantized)?;
        for ((name, choices), &choice) in
            self.names.iter().zip(&mut self.instance.layers).zip(chosen)
        {
            if let Some(&loss) = losses.get(name) {
                choices[choice].loss = loss;
            }
        }
        Ok(())
    }

    /// The layers with their chosen bits.
    pub(super) fn layers(&self, chosen: &[usize]) -> Vec<LayerBits> {
        let facts = |choice: &Choice| LayerChoice {
            bits: choice.bits,
            loss: choice.loss,
            constants: choice.constants as usize,
            instructions: choice.instructions as u64,
        };
        let layers = self.names.iter().zip(&self.instance.layers).zip(chosen);
        let layers = layers.map(|((name, choices), &choice)| LayerBits {
            name: name.clone(),
            bits: choices[choice].bits,
            choices: choices.iter().map(facts).collect(),
        });
        layers.collect()
    }
}

/// The choices of all layers, from networks of single widths.
fn instance(names: &[String], uniform: &[Uniform], table: &Table) -> Instance {
    let pieces: Vec<&String> = table.code.keys().collect();
    let needs = |functions: &[String]| -> Vec<usize> {
        let names = functions.iter().filter_map(|function| table.needs.get(function)).flatten();
        let mut found: Vec<usize> =
            names.filter_map(|name| pieces.binary_search(&name).ok()).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let choice = |Uniform { bits, measured, losses, .. }: &Uniform, name: &String| {
        // A layer of which nothing is left at some width costs nothing there.
        let at = measured.nodes.iter().position(|node| node == name);
        Choice {
            // Some have bits of their own, whatever the others have.
            bits: measured.bits(name).unwrap_or(*bits),
            loss: losses.get(name).copied().unwrap_or(0.0),
            constants: at.map_or(0.0, |at| measured.costs.constants[at] as f64),
            instructions: at.and_then(|at| measured.costs.nodes[at]).unwrap_or(0.0),
            ram: at.map_or(0.0, |at| measured.ram[at] as f64),
            pieces: at.map_or(Vec::new(), |at| needs(&measured.costs.functions[at])),
        }
    };
    let layers: Vec<Vec<Choice>> =
        names.iter().map(|name| uniform.iter().map(|each| choice(each, name)).collect()).collect();
    let Some(Uniform { measured: first, .. }) = uniform.first() else {
        return Instance::default();
    };
    let others = || {
        let nodes = first.nodes.iter().enumerate();
        nodes.filter(|(_, node)| !names.contains(node)).map(|(index, _)| index)
    };
    let mut needed: Vec<usize> =
        others().flat_map(|index| needs(&first.costs.functions[index])).collect();
    needed.sort_unstable();
    needed.dedup();
    let code: f64 = first.costs.code_bytes as f64;
    let mut instance = Instance {
        layers,
        pieces: table.code.values().map(|&bytes| bytes as f64).collect(),
        constants: others().map(|index| first.costs.constants[index] as f64).sum(),
        instructions: others().filter_map(|index| first.costs.nodes[index]).sum(),
        ram: others().map(|index| first.ram[index] as f64).fold(0.0, f64::max),
        needed,
    };
    // Code of the calls, which no kernel brings.
    let all: BTreeSet<usize> = (instance.needed.iter())
        .chain(instance.layers.iter().flat_map(|layer| &layer[0].pieces))
        .copied()
        .collect();
    let kernels: f64 = all.iter().map(|&piece| instance.pieces[piece]).sum();
    instance.constants += (code - kernels).max(0.0);
    instance
}
