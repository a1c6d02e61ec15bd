//! Bits for each layer that a microcontroller has room and time for.
//!
//! Each width is tried on the whole network, which says how much every layer's quantization alone changes the
//! predictions, and what the layer costs at that width on the target (`burn_ptq_deploy::cost`). An integer
//! linear program chooses the widths with the least sum of losses within the budgets; the
//! network with these widths is quantized, its costs and its loss are measured, and what was measured corrects
//! the next choice. Only calibration samples decide.

mod error;
mod found;
mod solve;

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;
use burn_ptq::recipe::LayerOverride;
use burn_ptq::{Event, Progress, Quantized, Recipe};
use burn_ptq_deploy::cost::{Costs, Table, table, with_table};
use burn_ptq_deploy::export::ExportError;
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::target::Target;

use crate::error::Error;
use crate::explain::{explain, mean_and_error, network_losses};
use crate::metric::Metric;
use crate::opened::OpenTask;
use crate::task::Task;
use solve::{Choice, Goal, Instance, Limits};

pub use error::FitError;
pub use found::{Budgets, Fit, LayerBits, More, Taken};

/// The widths of weights that layers choose from.
pub const WIDTHS: [u8; 4] = [8, 4, 3, 2];

/// How often a choice is quantized and measured at most.
const ROUNDS: usize = 3;

/// A network that was quantized, with what it takes and loses.
struct Measured {
    quantized: Quantized,
    /// The nodes that run on the target, with those that pack activations, and their costs.
    nodes: Vec<String>,
    costs: Costs,
    taken: Taken,
    losses: Vec<f64>,
}

impl Measured {
    fn loss(&self) -> f64 {
        mean_and_error(&self.losses).0
    }
}

/// The best choice so far that fits.
struct Best {
    chosen: Vec<usize>,
    taken: Taken,
    losses: Vec<f64>,
    recipe: Recipe,
}

impl Best {
    /// Takes a choice in place of `best` if it fits and loses less.
    fn keep(
        best: &mut Option<Self>,
        budgets: &Budgets,
        chosen: Vec<usize>,
        measured: &Measured,
        recipe: Recipe,
    ) {
        let loss = measured.loss();
        let better = best.as_ref().is_none_or(|best| loss < mean_and_error(&best.losses).0);
        if better && measured.taken.fits(budgets) {
            let (taken, losses) = (measured.taken, measured.losses.clone());
            *best = Some(Self { chosen, taken, losses, recipe });
        }
    }
}

/// What all measurements have in common.
struct Bench<'a> {
    opened: &'a OpenTask,
    target: &'static Target,
    table: &'static Table,
    classifies: bool,
    device: &'a Device,
    progress: Progress<'a>,
}

impl Bench<'_> {
    fn measure(&self, recipe: &Recipe) -> Result<Measured, Error> {
        let quantizer = self.opened.quantizer(recipe, self.device)?;
        let kept = quantizer.samples_kept();
        let calibrated = self.opened.calibrate(&quantizer, recipe, None, kept, self.progress)?;
        let quantized = quantizer.quantize_calibrated(calibrated, self.progress)?;
        let placed = quantized.program.place_again(self.target.kernels, Memory::Reduced);
        let placed = placed.map_err(ExportError::from)?;
        let costs = with_table(&placed, self.table);
        let taken = Taken::new(&placed, &costs, self.target)?;
        let losses = network_losses(
            &quantized.graph,
            &quantized.noise,
            self.classifies,
            self.device,
            self.progress,
        )?;
        let nodes = placed.nodes.iter().map(|node| node.name.clone()).collect();
        Ok(Measured { quantized, nodes, costs, taken, losses })
    }

    /// How much the predictions change when each layer with weights is quantized alone, by name.
    fn layer_losses(&self, measured: &Measured) -> Result<BTreeMap<String, f64>, Error> {
        let Quantized { graph, noise, .. } = &measured.quantized;
        let found = explain(graph, noise, self.classifies, self.device, self.progress)?;
        Ok(found.layers.into_iter().map(|(_, layer)| (layer.name, layer.loss)).collect())
    }
}

/// The layers with weights of a quantized network, in the order of its program.
fn layers(quantized: &Quantized) -> Vec<String> {
    let weighted = quantized.program.nodes.iter().filter(|node| node.op.weighted().is_some());
    weighted.map(|node| node.name.clone()).collect()
}

/// Chooses the bits of each layer's weights for `target` within `budgets`; activations have `activations` bits.
///
/// # Errors
/// If nothing fits, if the target is not known, as [`crate::job::run`] else, and on cancellation.
pub fn fit(
    task: &Task,
    target: &'static Target,
    budgets: Budgets,
    activations: u8,
    seed: Option<u64>,
    device: &Device,
    progress: Progress,
) -> Result<Fit, Error> {
    if budgets == Budgets::default() {
        return Err(FitError::NoBudget.into());
    }
    let table = table(target).ok_or(FitError::NoTable { target: target.name })?;
    let opened = OpenTask::open(task, true)?;
    let classifies = opened.evaluation.as_ref().is_some_and(|e| e.metric == Metric::Top1);
    let bench = Bench { opened: &opened, target, table, classifies, device, progress };
    let recipe_of = |bits: u8| -> Result<Recipe, Error> {
        let mut recipe = Recipe::for_widths(bits, activations)?;
        recipe.seed = seed.unwrap_or(recipe.seed);
        Ok(recipe)
    };
    let mut uniform = Vec::new();
    for bits in WIDTHS {
        Event::Stage { stage: "try a width" }.tell(progress)?;
        let measured = bench.measure(&recipe_of(bits)?)?;
        let losses = bench.layer_losses(&measured)?;
        uniform.push((bits, measured, losses));
    }
    let names = layers(&uniform[0].1.quantized);
    if names.is_empty() {
        return Err(FitError::NoLayers.into());
    }
    let mut instance = instance(&names, &uniform, table);
    let largest = largest(&names, &instance);
    // The least of each that was measured.
    let mut least = uniform[0].1.taken;
    uniform.iter().for_each(|(_, measured, _)| least.lower(&measured.taken));
    let out_of_ram = budgets.ram.is_some_and(|most| least.ram > most);
    // What the predictions of single layers missed, of a whole network's.
    let mut margin = Limits { flash: Some(0.0), instructions: Some(0.0) };
    let mut tried: BTreeSet<Vec<usize>> = BTreeSet::new();
    let mut best: Option<Best> = None;
    for round in 1..=ROUNDS {
        if out_of_ram {
            break;
        }
        let limits = limits(&budgets, &margin);
        let Some(chosen) = instance.solve(&limits, Goal::Loss) else { break };
        if !tried.insert(chosen.clone()) {
            break;
        }
        let recipe = mixed(&names, &instance, &chosen, &recipe_of)?;
        Event::Stage { stage: "measure a choice" }.tell(progress)?;
        let measured = bench.measure(&recipe)?;
        least.lower(&measured.taken);
        let found = [measured.taken.flash as f64, measured.taken.instructions as f64];
        let predicted = [instance.flash(&chosen), instance.instructions(&chosen)];
        let missed = [0, 1].map(|i| (found[i] - predicted[i]).ceil());
        margin = Limits { flash: Some(missed[0]), instructions: Some(missed[1]) };
        if round < ROUNDS {
            let losses = bench.layer_losses(&measured)?;
            correct(&mut instance, &names, &chosen, &losses);
        }
        Best::keep(&mut best, &budgets, chosen, &measured, recipe);
    }
    // A single width that fits may be better than what single layers promise of a mixture.
    for (index, (bits, measured, _)) in uniform.iter().enumerate() {
        let chosen = vec![index; names.len()];
        Best::keep(&mut best, &budgets, chosen, measured, recipe_of(*bits)?);
    }
    // What predictions just missed may still be there, among the choices that take the least.
    for goal in [Goal::Flash, Goal::Instructions] {
        let choice = instance.solve(&Limits::default(), goal).filter(|_| best.is_none());
        let Some(chosen) = choice.filter(|chosen| tried.insert(chosen.clone())) else { continue };
        let recipe = mixed(&names, &instance, &chosen, &recipe_of)?;
        let measured = bench.measure(&recipe)?;
        least.lower(&measured.taken);
        Best::keep(&mut best, &budgets, chosen, &measured, recipe);
    }
    let Some(Best { chosen, taken, losses, recipe }) = best else {
        return Err(FitError::TooSmall { budgets, least, largest }.into());
    };
    let more = more(&instance, &budgets, &margin);
    let (loss, loss_error) = mean_and_error(&losses);
    let layers =
        names.iter().zip(&instance.layers).zip(&chosen).map(|((name, choices), &choice)| {
            LayerBits {
                name: name.clone(),
                bits: choices[choice].bits,
                losses: choices.iter().map(|choice| choice.loss).collect(),
                constants: choices.iter().map(|choice| choice.constants as usize).collect(),
                instructions: choices.iter().map(|choice| choice.instructions as u64).collect(),
            }
        });
    Ok(Fit {
        target: target.name,
        budgets,
        layers: layers.collect(),
        taken,
        uniform: uniform.iter().map(|(bits, m, _)| (*bits, m.taken, m.loss())).collect(),
        loss,
        loss_error,
        more,
        measured: tried.len(),
        recipe,
    })
}

type Uniform = (u8, Measured, BTreeMap<String, f64>);

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
    let place =
        |measured: &Measured, name: &str| measured.nodes.iter().position(|node| node == name);
    let choice = |(bits, measured, losses): &Uniform, name: &String| {
        // A layer of which nothing is left at some width costs nothing there.
        let at = place(measured, name);
        Choice {
            bits: *bits,
            loss: losses.get(name).copied().unwrap_or(0.0),
            constants: at.map_or(0.0, |at| measured.costs.constants[at] as f64),
            instructions: at.and_then(|at| measured.costs.nodes[at]).unwrap_or(0.0),
            pieces: at.map_or(Vec::new(), |at| needs(&measured.costs.functions[at])),
        }
    };
    let layers: Vec<Vec<Choice>> =
        names.iter().map(|name| uniform.iter().map(|each| choice(each, name)).collect()).collect();
    let (_, first, _) = &uniform[0];
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

/// The three layers that take most flash at the fewest bits, with what.
fn largest(names: &[String], instance: &Instance) -> Vec<String> {
    let least = |choices: &Vec<Choice>| {
        choices.iter().map(|choice| choice.constants).fold(f64::INFINITY, f64::min) as usize
    };
    let mut sizes: Vec<(usize, &String)> = instance.layers.iter().map(least).zip(names).collect();
    sizes.sort_by(|a, b| b.cmp(a));
    sizes.iter().take(3).map(|(bytes, name)| format!("{name} ({bytes} B)")).collect()
}

fn limits(budgets: &Budgets, margin: &Limits) -> Limits {
    let less = |budget: Option<f64>, missed: Option<f64>| {
        budget.map(|budget| budget - missed.unwrap_or(0.0))
    };
    Limits {
        flash: less(budgets.flash.map(|bytes| bytes as f64), margin.flash),
        instructions: less(budgets.instructions.map(|count| count as f64), margin.instructions),
    }
}

/// The recipe of the fewest chosen bits, with those of each layer.
fn mixed(
    names: &[String],
    instance: &Instance,
    chosen: &[usize],
    recipe_of: &dyn Fn(u8) -> Result<Recipe, Error>,
) -> Result<Recipe, Error> {
    let bits = || instance.layers.iter().zip(chosen).map(|(layer, &choice)| layer[choice].bits);
    let fewest = bits().min().unwrap_or(8);
    let mut recipe = recipe_of(fewest)?;
    let others = names.iter().zip(bits()).filter(|&(_, bits)| bits != fewest);
    recipe.layers.extend(others.map(|(name, bits)| LayerOverride {
        name: glob::Pattern::escape(name),
        weights: Some(bits),
        activations: None,
    }));
    if !recipe.layers.is_empty() {
        recipe.name = format!("{} with bits that fit", recipe.name);
    }
    Ok(recipe)
}

/// Puts the losses that layers have beside each other in place of those that they had in networks of a single
/// width: what a layer is rounded to makes up for what others lost before it.
fn correct(
    instance: &mut Instance,
    names: &[String],
    chosen: &[usize],
    losses: &BTreeMap<String, f64>,
) {
    for ((name, choices), &choice) in names.iter().zip(&mut instance.layers).zip(chosen) {
        if let Some(&loss) = losses.get(name) {
            choices[choice].loss = loss;
        }
    }
}

/// What 1 KiB more of flash, or a tenth more of instructions, would save of the losses.
fn more(instance: &Instance, budgets: &Budgets, margin: &Limits) -> Vec<More> {
    let loss_at =
        |limits: &Limits| instance.solve(limits, Goal::Loss).map(|chosen| instance.loss(&chosen));
    let at = limits(budgets, margin);
    let Some(now) = loss_at(&at).filter(|&loss| loss > 0.0) else { return Vec::new() };
    let mut more = Vec::new();
    if let Some(flash) = at.flash {
        let then = loss_at(&Limits { flash: Some(flash + 1024.0), ..at });
        more.extend(then.map(|then| More { what: "1 KiB of flash", saves: 1.0 - then / now }));
    }
    if let Some(count) = at.instructions {
        let then = loss_at(&Limits { instructions: Some(count * 1.1), ..at });
        more.extend(
            then.map(|then| More { what: "a tenth more instructions", saves: 1.0 - then / now }),
        );
    }
    more
}
