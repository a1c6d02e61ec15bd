//! Bits for each layer that a microcontroller has room and time for.
//!
//! Each width is tried on the whole network, which says how much every layer's quantization alone changes the
//! predictions, and what the layer costs at that width on the target (`burn_ptq_deploy::cost`). An integer
//! linear program chooses the widths with the least sum of losses within the budgets; the
//! network with these widths is quantized, its costs and its loss are measured, and what was measured corrects
//! the next choice. Where RAM is short, outputs of layers get fewer bits before that. Only calibration samples
//! decide.

mod bench;
mod error;
mod found;
mod front;
mod narrow;
mod solve;
mod trials;

use std::collections::BTreeSet;

use burn::tensor::Device;
use burn_ptq::{Progress, Recipe};

use crate::error::Error;
use bench::{Bench, Measured};
use solve::{Choice, Goal, Instance, Limits};
use trials::Trials;

pub use bench::Quantize;
pub use error::FitError;
pub use found::{
    Budgets, Fit, Found, LayerBits, LayerChoice, More, NarrowOutput, Taken, UniformNetwork,
};
pub use front::{Front, FrontPoint, Judge, front};

/// How often a choice is quantized and measured at most.
const ROUNDS: usize = 3;

/// What bits are asked for.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The recipe, with its `[fit]`.
    pub recipe: &'a Recipe,
    /// Whether the outputs are logits of classes.
    pub classifies: bool,
    /// Where float networks run.
    pub device: &'a Device,
    /// Is told how far the job has come, and cancels it.
    pub progress: Progress<'a>,
}

/// The best choice so far that fits.
struct Best {
    chosen: Vec<usize>,
    measured: Measured,
    recipe: Recipe,
}

impl Best {
    /// Takes a choice in place of `best` if it fits and loses less.
    fn keep(
        best: &mut Option<Self>,
        budgets: &Budgets,
        chosen: Vec<usize>,
        measured: Measured,
        recipe: Recipe,
    ) {
        let better = best.as_ref().is_none_or(|best| measured.loss() < best.measured.loss());
        if better && measured.taken.fits(budgets) {
            *best = Some(Self { chosen, measured, recipe });
        }
    }
}

/// Chooses bits for the network that `quantize` quantizes, by the `[fit]` of a recipe.
///
/// `quantize` is called with recipes that say all bits; it must be the same network each time, with the same
/// calibration samples.
///
/// # Errors
/// If the recipe has no `[fit]` or a wrong one, if nothing fits, if costs on the target are not known, as
/// `quantize` else, and on cancellation.
pub fn fit(question: Question, quantize: &mut Quantize) -> Result<Found, Error> {
    let Question { recipe, classifies, device, progress } = question;
    let fit = recipe.fit.as_ref().filter(|fit| fit.has_budget()).ok_or(FitError::NoBudget)?;
    recipe.validate()?;
    let budgets = Budgets::from(fit);
    let bench = Bench::new(recipe, fit, classifies, quantize, device, progress)?;
    let mut trials = Trials::new(bench, budgets.ram)?;
    let largest = largest(&trials.names, &trials.instance);
    // The least of each that was measured.
    let mut least = trials.uniform[0].measured.taken;
    trials.uniform.iter().for_each(|each| least.lower(&each.measured.taken));
    let out_of_ram = budgets.ram.is_some_and(|most| least.ram > most);
    // What the predictions of single layers missed, of a whole network's.
    let mut margin = Limits { flash: Some(0.0), ram: Some(0.0), instructions: Some(0.0) };
    let mut tried: BTreeSet<Vec<usize>> = BTreeSet::new();
    let mut best: Option<Best> = None;
    for round in 1..=ROUNDS {
        if out_of_ram {
            break;
        }
        let limits = limits(&budgets, &margin);
        let Some(chosen) = trials.instance.solve(&limits, Goal::Loss) else { break };
        if !tried.insert(chosen.clone()) {
            break;
        }
        let (recipe, measured) = trials.measure(&chosen)?;
        least.lower(&measured.taken);
        margin = missed(&trials.instance, &chosen, &measured.taken);
        if round < ROUNDS {
            trials.correct(&chosen, &measured)?;
        }
        Best::keep(&mut best, &budgets, chosen, measured, recipe);
    }
    let uniform: Vec<UniformNetwork> = trials.uniform.iter().map(|each| each.facts()).collect();
    // A single width that fits may be better than what single layers promise of a mixture.
    for (index, each) in std::mem::take(&mut trials.uniform).into_iter().enumerate() {
        let chosen = vec![index; trials.names.len()];
        Best::keep(&mut best, &budgets, chosen, each.measured, each.recipe);
    }
    // What predictions just missed may still be there, among the choices that take the least.
    for goal in [Goal::Flash, Goal::Instructions] {
        let choice = trials.instance.solve(&Limits::default(), goal);
        let Some(chosen) = choice.filter(|_| best.is_none() && !out_of_ram) else { continue };
        if tried.insert(chosen.clone()) {
            let (recipe, measured) = trials.measure(&chosen)?;
            least.lower(&measured.taken);
            Best::keep(&mut best, &budgets, chosen, measured, recipe);
        }
    }
    let Some(Best { chosen, measured, recipe }) = best else {
        let narrower = fit.activations.len() > 1;
        return Err(FitError::TooSmall { budgets, least, largest, narrower }.into());
    };
    let fit = Fit {
        target: trials.bench.target.name,
        budgets,
        widths: fit.weights.clone(),
        layers: trials.layers(&chosen),
        activations: question.recipe.activation_bits(),
        taken: measured.taken,
        uniform,
        loss: measured.loss(),
        loss_error: measured.loss_error(),
        more: more(&trials.instance, &budgets, &margin),
        measured: tried.len(),
        narrow: trials.bench.narrow,
    };
    Ok(Found { fit, recipe, quantized: measured.quantized })
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
        ram: less(budgets.ram.map(|bytes| bytes as f64), margin.ram),
        instructions: less(budgets.instructions.map(|count| count as f64), margin.instructions),
    }
}

/// What the predictions of a choice missed.
fn missed(instance: &Instance, chosen: &[usize], taken: &Taken) -> Limits {
    let missed = |taken: f64, predicted: f64| Some((taken - predicted).ceil());
    Limits {
        flash: missed(taken.flash as f64, instance.flash(chosen)),
        ram: missed(taken.ram as f64, instance.ram(chosen)),
        instructions: missed(taken.instructions as f64, instance.instructions(chosen)),
    }
}

/// A million instructions, of which a budget has many.
const MILLION: f64 = 1e6;

/// What 1 KiB more of flash or RAM, and a million instructions or a tenth more, would save of the losses.
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
    if let Some(ram) = at.ram {
        let then = loss_at(&Limits { ram: Some(ram + 1024.0), ..at });
        more.extend(then.map(|then| More { what: "1 KiB of RAM", saves: 1.0 - then / now }));
    }
    if let Some(count) = at.instructions {
        let (added, what) = match count < 5.0 * MILLION {
            true => (0.1 * count, "a tenth of the instructions"),
            false => (MILLION, "1 M instructions"),
        };
        let then = loss_at(&Limits { instructions: Some(count + added), ..at });
        more.extend(then.map(|then| More { what, saves: 1.0 - then / now }));
    }
    more
}
