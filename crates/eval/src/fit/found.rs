//! Budgets, and what was found within them.

use burn_ptq::Recipe;
use burn_ptq_deploy::cost::Costs;
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::target::Target;
use serde::Serialize;

use super::FitError;

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
    pub(super) fn new(program: &Program, costs: &Costs, target: &Target) -> Result<Self, FitError> {
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
    pub(super) fn lower(&mut self, other: &Self) {
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

/// A layer and its bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerBits {
    /// Its name.
    pub name: String,
    /// The bits of its weights.
    pub bits: u8,
    /// How much the network's predictions change when this layer alone is quantized, at each of
    /// [`WIDTHS`](super::WIDTHS).
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
