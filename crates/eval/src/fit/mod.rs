//! Bits for each layer that a microcontroller has room and time for.
//!
//! Each width is tried on the whole network, which says how much every layer's quantization alone changes the
//! predictions, and what the layer costs at that width on the target (`burn_ptq_deploy::cost`). An integer
//! linear program chooses the widths with the least sum of losses within the budgets; the
//! network with these widths is quantized, its costs and its loss are measured, and what was measured corrects
//! the next choice. Only calibration samples decide.

mod solve;

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;
use burn_ptq::recipe::LayerOverride;
use burn_ptq::{Event, Progress, Quantized, Recipe};
use burn_ptq_deploy::cost::{Costs, Table, table, with_table};
use burn_ptq_deploy::export::ExportError;
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::target::Target;
use serde::Serialize;

use crate::error::Error;
use crate::explain::{explain, mean_and_error, network_losses};
use crate::metric::Metric;
use crate::opened::OpenTask;
use crate::task::Task;
use solve::{Choice, Goal, Instance, Limits};

/// The widths of weights that layers choose from.
pub const WIDTHS: [u8; 4] = [8, 4, 3, 2];

/// How often a choice is quantized and measured at most.
const ROUNDS: usize = 3;

/// What a network may take on a microcontroller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Budgets {
    /// Bytes of flash, for constants and code.
    pub flash: Option<usize>,
    /// Bytes of RAM, for the arena and the stack.
    pub ram: Option<usize>,
    /// Instructions of one inference.
    pub instructions: Option<u64>,
}

/// What something takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Taken {
    /// Bytes of flash, for constants and code.
    pub flash: usize,
    /// Bytes of RAM, for the arena and the stack.
    pub ram: usize,
    /// Instructions of one inference.
    pub instructions: u64,
}

impl Taken {
    fn new(program: &Program, costs: &Costs, target: &Target) -> Result<Self, FitError> {
        let unknown = || {
            let unknown = costs.nodes.iter().zip(&program.nodes).find(|(each, _)| each.is_none());
            let node = unknown.map_or(String::new(), |(_, node)| node.name.clone());
            FitError::Unknown { node, target: target.name }
        };
        Ok(Self {
            flash: costs.flash_bytes(),
            ram: costs.ram_bytes(),
            instructions: costs.instructions().ok_or_else(unknown)?.ceil() as u64,
        })
    }

    /// Lowers each to that of `other`, where that is less.
    fn lower(&mut self, other: &Self) {
        self.flash = self.flash.min(other.flash);
        self.ram = self.ram.min(other.ram);
        self.instructions = self.instructions.min(other.instructions);
    }

    /// Whether it is within `budgets`.
    pub fn fits(&self, budgets: &Budgets) -> bool {
        budgets.flash.is_none_or(|most| self.flash <= most)
            && budgets.ram.is_none_or(|most| self.ram <= most)
            && budgets.instructions.is_none_or(|most| self.instructions <= most)
    }
}

/// Why no bits were found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// No budget was given.
    #[error("there is no budget: give --flash, --ram or --instructions")]
    NoBudget,
    /// The target has no table of costs.
    #[error("nothing is known of what {target} takes: name a microcontroller, such as cortex-m4")]
    NoTable {
        /// The target.
        target: &'static str,
    },
    /// A kernel was never measured.
    #[error(
        "'{node}' runs on a kernel whose instructions on {target} were never measured: what the network costs \
         there is not known; try another target"
    )]
    Unknown {
        /// The name of its node.
        node: String,
        /// The target.
        target: &'static str,
    },
    /// The network has no layer with weights.
    #[error("the network has no layer with weights: there are no bits to choose")]
    NoLayers,
    /// No choice of bits is within the budgets.
    #[error(
        "no bits of weights fit {}: the least, each by itself, is {} bytes of flash, {} bytes of RAM and {} \
         instructions; the largest layers are {}. Activations of fewer bits (--activations 4) take less RAM, \
         and a smaller network takes less of everything",
        shown(budgets), least.flash, least.ram, least.instructions, largest.join(", ")
    )]
    TooSmall {
        /// The budgets.
        budgets: Budgets,
        /// The least that can be reached of each, whatever the others.
        least: Taken,
        /// The layers that take the most, with what.
        largest: Vec<String>,
    },
}

/// Budgets in words.
fn shown(budgets: &Budgets) -> String {
    let parts = [
        budgets.flash.map(|bytes| format!("{bytes} bytes of flash")),
        budgets.ram.map(|bytes| format!("{bytes} bytes of RAM")),
        budgets.instructions.map(|count| format!("{count} instructions")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A layer and its bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerBits {
    /// Its name.
    pub name: String,
    /// The bits of its weights.
    pub bits: u8,
    /// How much the network's predictions change when this layer alone is quantized, at each of [`WIDTHS`].
    pub losses: Vec<f64>,
    /// Bytes of its constants at each of them.
    pub constants: Vec<usize>,
    /// Its instructions at each of them.
    pub instructions: Vec<u64>,
}

/// What a little more of a budget would buy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct More {
    /// How much more, in words.
    pub what: &'static str,
    /// The share of the sum of losses that it saves.
    pub saves: f64,
}

/// The bits that were found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The target.
    pub target: &'static str,
    /// The budgets.
    pub budgets: Budgets,
    /// The layers with their bits, in the order of execution.
    pub layers: Vec<LayerBits>,
    /// What the network takes, by the tables of costs.
    pub taken: Taken,
    /// What the networks of a single width take, with the change of their predictions, by their bits.
    pub uniform: Vec<(u8, Taken, f64)>,
    /// How much the predictions of the chosen network differ from the float network's, and the standard error.
    pub loss: f64,
    /// The standard error of that.
    pub loss_error: f64,
    /// What a little more of each budget would buy.
    pub more: Vec<More>,
    /// The choices that were quantized and measured.
    pub measured: usize,
    /// The recipe with these bits.
    #[serde(skip)]
    pub recipe: Recipe,
}

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
    for _ in 0..ROUNDS {
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
        let losses = bench.layer_losses(&measured)?;
        correct(&mut instance, &names, &chosen, &losses);
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
