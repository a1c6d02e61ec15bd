//! What accuracy costs: networks along the budgets that there could be.

use std::collections::BTreeSet;

use burn_ptq::recipe::FitRecipe;
use burn_ptq::{Quantized, Recipe};
use serde::Serialize;

use super::bench::{Bench, Measured, Quantize};
use super::solve::{Goal, Limits};
use super::trials::Trials;
use super::{Budgets, FitError, LayerBits, NarrowOutput, Question, Taken};
use crate::error::Error;
use crate::metric::Interval;

/// Budgets that are tried of flash and of instructions, between the least and the most of them.
const STEPS: usize = 7;

/// Judges a network on evaluation samples, if there are some: the metric of the integer program, with its
/// confidence interval.
pub type Judge<'a> = dyn FnMut(&Quantized) -> Result<Option<(f64, Option<Interval>)>, Error> + 'a;

/// A network of the front, or near it.
#[derive(Clone, Debug, Serialize)]
pub struct FrontPoint {
    /// Its name: `point-1` and so on, by flash.
    pub name: String,
    /// Whether no other point takes no more of anything and loses less.
    pub on_front: bool,
    /// Whether it is within the budgets.
    pub fits: bool,
    /// What it takes, by the tables of costs.
    pub taken: Taken,
    /// How much its predictions differ from the float network's, on calibration samples.
    pub loss: f64,
    /// The standard error of that.
    pub loss_error: f64,
    /// The metric of the integer program on the evaluation samples, which decide nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<f64>,
    /// Its 95 % confidence interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_ci: Option<Interval>,
    /// The layers with their bits.
    pub layers: Vec<LayerBits>,
    /// The recipe.
    #[serde(skip)]
    pub recipe: Recipe,
}

/// What accuracy costs on a target.
#[derive(Clone, Debug, Serialize)]
pub struct Front {
    /// The target.
    pub target: &'static str,
    /// The budgets, of which points may take more.
    pub budgets: Budgets,
    /// The layers whose outputs have fewer bits, because RAM is short.
    pub narrow: Vec<NarrowOutput>,
    /// The networks, by flash.
    pub points: Vec<FrontPoint>,
}

impl Front {
    /// The points that no other beats.
    pub fn best(&self) -> impl Iterator<Item = &FrontPoint> {
        self.points.iter().filter(|point| point.on_front)
    }
}

/// Networks of every width, and of widths chosen for budgets of flash and of instructions between what these
/// take; arguments as those of [`fit`](super::fit()), of which budgets may be missing.
///
/// # Errors
/// As those of [`fit`](super::fit()), but that nothing fits is none.
pub fn front(
    question: Question,
    quantize: &mut Quantize,
    judge: &mut Judge,
) -> Result<Front, Error> {
    let Question { recipe, classifies, device, progress } = question;
    let fit: &FitRecipe = recipe.fit.as_ref().ok_or(FitError::NoBudget)?;
    let budgets = Budgets::from(fit);
    let bench = Bench::new(recipe, fit, classifies, quantize, device, progress)?;
    let mut trials = Trials::new(bench, budgets.ram)?;
    let mut points = Vec::new();
    let mut known: BTreeSet<Vec<usize>> = BTreeSet::new();
    for (index, each) in std::mem::take(&mut trials.uniform).into_iter().enumerate() {
        let chosen = vec![index; trials.names.len()];
        points.push(point(&trials, &chosen, &each.measured, each.recipe, &budgets, judge)?);
        known.insert(chosen);
    }
    for limits in steps(&points) {
        let Some(chosen) = trials.instance.solve(&limits, Goal::Loss) else { continue };
        if known.insert(chosen.clone()) {
            let (recipe, measured) = trials.measure(&chosen)?;
            points.push(point(&trials, &chosen, &measured, recipe, &budgets, judge)?);
        }
    }
    points.sort_by(|a, b| {
        a.taken.flash.cmp(&b.taken.flash).then(a.taken.instructions.cmp(&b.taken.instructions))
    });
    mark(&mut points);
    let bench = trials.bench;
    Ok(Front { target: bench.target.name, budgets, narrow: bench.narrow, points })
}

fn point(
    trials: &Trials,
    chosen: &[usize],
    measured: &Measured,
    recipe: Recipe,
    budgets: &Budgets,
    judge: &mut Judge,
) -> Result<FrontPoint, Error> {
    let (metric, metric_ci) = judge(&measured.quantized)?.unzip();
    Ok(FrontPoint {
        name: String::new(),
        on_front: false,
        fits: measured.taken.fits(budgets),
        taken: measured.taken,
        loss: measured.loss(),
        loss_error: measured.loss_error(),
        metric,
        metric_ci: metric_ci.flatten(),
        layers: trials.layers(chosen),
        recipe,
    })
}

/// Budgets at equal distances between the least and the most that `points` take.
fn steps(points: &[FrontPoint]) -> Vec<Limits> {
    let between = |of: fn(&Taken) -> f64| -> Vec<f64> {
        let values = || points.iter().map(|point| of(&point.taken));
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        let step = |at: usize| low + (high - low) * at as f64 / (STEPS + 1) as f64;
        (1..=STEPS).map(step).filter(|_| high > low).collect()
    };
    let flash = between(|taken| taken.flash as f64);
    let flash = flash.into_iter().map(|flash| Limits { flash: Some(flash), ..Limits::default() });
    let time = between(|taken| taken.instructions as f64);
    let time =
        time.into_iter().map(|most| Limits { instructions: Some(most), ..Limits::default() });
    flash.chain(time).collect()
}

/// Names the points, and marks those that no other beats.
fn mark(points: &mut [FrontPoint]) {
    let all: Vec<(Taken, f64)> = points.iter().map(|point| (point.taken, point.loss)).collect();
    for (index, point) in points.iter_mut().enumerate() {
        let beats = |&(taken, loss): &(Taken, f64)| {
            point.taken.at_least(&taken)
                && loss <= point.loss
                && (taken != point.taken || loss < point.loss)
        };
        point.on_front = !all.iter().any(beats);
        point.name = format!("point-{}", index + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(flash: usize, instructions: u64, loss: f64) -> FrontPoint {
        FrontPoint {
            name: String::new(),
            on_front: false,
            fits: true,
            taken: Taken { flash, ram: 10, instructions },
            loss,
            loss_error: 0.0,
            metric: None,
            metric_ci: None,
            layers: Vec::new(),
            recipe: Recipe::default(),
        }
    }

    #[test]
    fn what_takes_more_and_loses_more_is_not_on_the_front() {
        let mut points = [
            point(10, 40, 0.5),
            point(20, 30, 0.4),
            point(20, 50, 0.4),
            point(30, 60, 0.6),
            point(40, 60, 0.1),
        ];
        mark(&mut points);
        let on_front: Vec<bool> = points.iter().map(|point| point.on_front).collect();
        assert_eq!(on_front, [true, true, false, false, true]);
        assert_eq!(points[4].name, "point-5");
    }

    #[test]
    fn steps_lie_between_the_least_and_the_most() {
        let limits = steps(&[point(80, 7, 0.1), point(16, 7, 0.2)]);
        let flash: Vec<f64> = limits.iter().filter_map(|limits| limits.flash).collect();
        assert_eq!(flash, [24.0, 32.0, 40.0, 48.0, 56.0, 64.0, 72.0]);
        assert!(limits.iter().all(|limits| limits.instructions.is_none()));
    }
}
