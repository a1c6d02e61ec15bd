//! What a model costs, as tables and JSON have it: predictions for exported C on a microcontroller, and
//! bytes of float parameters.

use burn_ptq::graph::Node;
use burn_ptq_deploy::cost::{Costs, costs};
use burn_ptq_deploy::export::{ExportError, target};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::verify::VerifyError;
use serde::Serialize;

/// What a program is predicted to cost on a processor, in exported C at -O2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The processor.
    pub target: &'static str,
    /// Bytes of flash.
    pub flash_bytes: usize,
    /// Of these, code.
    pub code_bytes: usize,
    /// Bytes of RAM.
    pub ram_bytes: usize,
    /// Of these, the arena; the rest is stack.
    pub arena_bytes: usize,
    /// None if some layer's kernel was never measured.
    pub instructions: Option<u64>,
    /// At one instruction a cycle of the clock that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
}

/// Why nothing can be predicted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// No target has this name.
    #[error(transparent)]
    Target(#[from] ExportError),
    /// The program cannot be placed for the target.
    #[error(transparent)]
    Place(#[from] VerifyError),
    /// The target has no table of costs.
    #[error("nothing is predicted for {target}: name a microcontroller")]
    NoTable {
        /// The target.
        target: String,
    },
}

impl Cost {
    /// What `model` costs on the target called `name`, at a clock of `mhz`, and the instructions of each of
    /// its nodes.
    ///
    /// # Errors
    /// If there is no such target, or nothing is known of what it takes.
    pub fn predict(
        model: &Placed,
        name: &str,
        mhz: Option<f64>,
    ) -> Result<(Self, Vec<Option<f64>>), CostError> {
        let target = target(name)?;
        let placed = model.place_again(target.kernels, Memory::Reduced)?;
        let no_table = || CostError::NoTable { target: name.to_owned() };
        let predicted = costs(&placed, target).ok_or_else(no_table)?;
        let instructions = predicted.instructions();
        let cost = Self {
            target: target.name,
            flash_bytes: predicted.flash_bytes(),
            code_bytes: predicted.code_bytes,
            ram_bytes: predicted.ram_bytes(),
            arena_bytes: predicted.arena_bytes,
            instructions: instructions.map(|count| count as u64),
            milliseconds: mhz.zip(instructions).map(|(mhz, count)| count / mhz / 1000.0),
        };
        Ok((cost, instructions_of(model, &placed, &predicted)))
    }
}

/// The instructions of each node of `model`, of which `placed` is a form with packed activations: packing and
/// unpacking count with the node before.
fn instructions_of(model: &Placed, placed: &Placed, costs: &Costs) -> Vec<Option<f64>> {
    let mut counts = vec![Some(0.0); model.nodes.len()];
    let mut at = 0;
    for (node, cost) in placed.nodes.iter().zip(&costs.nodes) {
        at = model.nodes.iter().position(|own| own.name == node.name).unwrap_or(at);
        if let Some(count) = counts.get_mut(at) {
            *count = count.zip(*cost).map(|(sum, cost)| sum + cost);
        }
    }
    counts
}

/// Bytes of the parameters of a float node, four each.
pub fn float_bytes(node: &Node) -> usize {
    node.op.parameters().iter().map(|parameter| parameter.len() * 4).sum()
}
