//! Why no bits were found.

use super::{Budgets, Taken};

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
    /// There is nothing to judge the metric by.
    #[error(
        "--max-loss (fit.max_loss) is about the metric on evaluation samples, of which there are none: give --eval"
    )]
    NoMetric,
    /// The network that fits loses too much.
    #[error(
        "the network that fits loses {lost:.2} points of {metric} on evaluation samples, and at most {most} were \
         allowed: give it more flash, RAM or instructions, or allow a larger --max-loss"
    )]
    Loses {
        /// The metric.
        metric: &'static str,
        /// The loss, in points of a hundredth, or in percent.
        lost: f64,
        /// The most that was allowed.
        most: f64,
    },
    /// No choice of bits is within the budgets.
    #[error(
        "no bits of weights fit {}: the least, each by itself, is {} bytes of flash, {} bytes of RAM and {} \
         instructions; the largest layers are {}. {}A smaller network takes less of everything",
        shown(budgets), least.flash, least.ram, least.instructions, largest.join(", "),
        if *narrower { "" } else { "Activations of fewer bits (--activations 8,4) take less RAM. " }
    )]
    TooSmall {
        /// The budgets.
        budgets: Budgets,
        /// The least that can be reached of each, whatever the others.
        least: Taken,
        /// The layers that take the most, with what.
        largest: Vec<String>,
        /// Whether activations could have had fewer bits.
        narrower: bool,
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
