//! What checks of an evaluation look at.

use burn_ptq::warnings::Scaling;

/// What is known of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvaluationFacts {
    /// The metric's name.
    pub metric: &'static str,
    /// Whether larger is better.
    pub higher_is_better: bool,
    /// Evaluated samples.
    pub samples: usize,
    /// The metric of a network that ignores its input; absent if unknown.
    pub chance: Option<f64>,
    /// The float network's metric.
    pub float: Option<Found>,
    /// The integer program's metric.
    pub integer: Option<Found>,
    /// How much worse the integer program is, on the same samples.
    pub lost: Option<Found>,
    /// The share of the inputs' elements that lie outside the integer program's input grid.
    pub clipped: Option<f64>,
    /// Another scaling of the inputs with which the float network is far better, and its metric.
    pub rescaled: Option<(Scaling, f64)>,
}

/// A number that was estimated from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// Fewer samples tell nothing from chance.
const FEWEST: usize = 20;

impl EvaluationFacts {
    /// Whether `found` cannot be told from chance, or is worse: the difference is less than two
    /// standard errors.
    pub(super) fn is_near_chance(&self, found: Found) -> bool {
        let Some(chance) = self.chance.filter(|_| self.samples >= FEWEST) else { return false };
        let above = if self.higher_is_better { found.value - chance } else { chance - found.value };
        above <= 2.0 * found.error.max(f64::EPSILON)
    }
}
