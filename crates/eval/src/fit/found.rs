//! What a network takes, and what was found within budgets.

use burn_ptq::recipe::FitRecipe;
use burn_ptq::{Quantized, Recipe};
use burn_ptq_deploy::cost::Costs;
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::target::Target;
use serde::Serialize;

use super::FitError;

/// What a network may take on a microcontroller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Budgets {
    /// Bytes of flash, for constants and code.
    pub flash: Option<usize>,
    /// Bytes of RAM, for the arena and the stack.
    pub ram: Option<usize>,
    /// Instructions of one inference.
    pub instructions: Option<u64>,
}

impl From<&FitRecipe> for Budgets {
    fn from(fit: &FitRecipe) -> Self {
        Self { flash: fit.flash, ram: fit.ram, instructions: fit.instructions }
    }
}

/// What something takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

    /// Whether `other` takes no more of anything.
    pub(super) fn at_least(&self, other: &Self) -> bool {
        other.flash <= self.flash
            && other.ram <= self.ram
            && other.instructions <= self.instructions
    }
}

/// A layer and its bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LayerBits {
    /// Its name.
    pub name: String,
    /// The bits of its weights.
    pub bits: u8,
    /// What it would cost at each of the widths, in the order of [`Fit::widths`].
    pub choices: Vec<LayerChoice>,
}

/// A layer at some bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LayerChoice {
    /// The bits of its weights.
    pub bits: u8,
    /// How much the network's predictions change when this layer alone is quantized.
    pub loss: f64,
    /// Bytes of its constants.
    pub constants: usize,
    /// Its instructions.
    pub instructions: u64,
}

/// What a little more of a budget would buy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct More {
    /// How much more, in words.
    pub what: &'static str,
    /// The share of the sum of losses that it saves.
    pub saves: f64,
}

/// A network whose layers all choose the same width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UniformNetwork {
    /// The bits of weights.
    pub bits: u8,
    /// What it takes.
    pub taken: Taken,
    /// How much its predictions differ from the float network's.
    pub loss: f64,
}

/// The bits that were found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fit {
    /// The target.
    pub target: &'static str,
    /// The budgets.
    pub budgets: Budgets,
    /// The widths that layers chose from.
    pub widths: Vec<u8>,
    /// The layers with their bits, in the order of execution.
    pub layers: Vec<LayerBits>,
    /// The bits of activations, except those of `narrow` and of the model's inputs and outputs.
    pub activations: u8,
    /// The layers whose outputs have fewer bits, because RAM is short.
    pub narrow: Vec<NarrowOutput>,
    /// What the network takes, by the tables of costs.
    pub taken: Taken,
    /// The networks of a single width.
    pub uniform: Vec<UniformNetwork>,
    /// How much the predictions of the chosen network differ from the float network's.
    pub loss: f64,
    /// The standard error of that.
    pub loss_error: f64,
    /// What a little more of each budget would buy.
    pub more: Vec<More>,
    /// The choices that were quantized and measured, besides networks of a single width.
    pub measured: usize,
}

/// A layer whose outputs have fewer bits than others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NarrowOutput {
    /// The layer.
    pub name: String,
    /// The bits of its outputs.
    pub bits: u8,
}

/// The bits that were found, and the network that has them.
#[derive(Debug)]
pub struct Found {
    /// The bits, with what they take.
    pub fit: Fit,
    /// The recipe with these bits.
    pub recipe: Recipe,
    /// What it quantizes the network to.
    pub quantized: Quantized,
}
