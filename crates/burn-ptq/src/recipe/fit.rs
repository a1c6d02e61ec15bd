//! Budgets of a microcontroller, by which the bits of layers are chosen.

use burn_ptq_deploy::cost::targets;
use burn_ptq_deploy::target::target;
use serde::{Deserialize, Serialize};

use super::{Recipe, RecipeError};

/// What a microcontroller has room and time for: `[fit]` of a recipe.
///
/// A [`Quantizer`](crate::Quantizer) needs to know the bits and refuses such a recipe;
/// `burn_ptq_eval::fit` chooses them, in jobs and studies by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FitRecipe {
    /// The processor, such as `cortex-m4`.
    pub target: String,
    /// The most bytes of flash, for constants and the code of kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash: Option<usize>,
    /// The most bytes of RAM, for the arena and the stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram: Option<usize>,
    /// The most instructions of one inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
    /// The most that the metric may lose on evaluation samples, which choose nothing: in points of a hundredth;
    /// of errors, in percent of the float network's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_loss: Option<f64>,
    /// The bits that the weights of a layer choose from.
    pub weights: Vec<u8>,
    /// The bits that activations have, then those that they get where RAM is short, if any; by default those
    /// of the recipe.
    pub activations: Vec<u8>,
    /// Whether every width is quantized by its preset; otherwise all by the components of the recipe.
    pub presets: bool,
}

impl Default for FitRecipe {
    fn default() -> Self {
        Self {
            target: String::new(),
            flash: None,
            ram: None,
            instructions: None,
            max_loss: None,
            weights: vec![8, 4, 3, 2],
            activations: Vec::new(),
            presets: false,
        }
    }
}

impl FitRecipe {
    /// Whether there is a budget.
    pub fn has_budget(&self) -> bool {
        self.flash.is_some() || self.ram.is_some() || self.instructions.is_some()
    }

    /// Checks the target, that there is a budget, and the widths, in `recipe`.
    pub(super) fn check(&self, recipe: &Recipe) -> Result<(), RecipeError> {
        let wrong = |key: &str, found: String, expected: String| {
            Err(RecipeError::Value { key: format!("fit.{key}"), found, expected })
        };
        let wanted = target(&self.target);
        if !targets().any(|target| Some(target) == wanted) {
            let known: Vec<&str> = targets().map(|target| target.name).collect();
            return wrong(
                "target",
                format!("'{}'", self.target),
                format!("one of {}", known.join(", ")),
            );
        }
        if !self.has_budget() {
            let expected = "a budget: fit.flash, fit.ram or fit.instructions";
            return wrong("flash", "not set".into(), expected.into());
        }
        if self.weights.is_empty() {
            return wrong(
                "weights",
                "empty".into(),
                "bits to choose from, such as [8, 4, 2]".into(),
            );
        }
        if self.activations.len() > 2 || self.activations.get(1) > self.activations.first() {
            let expected =
                "the bits of activations and, at most, fewer where RAM is short, as [8, 4]";
            return wrong("activations", format!("{:?}", self.activations), expected.into());
        }
        self.weights.iter().try_for_each(|&bits| recipe.weight_scheme(bits).map(drop))?;
        self.activations.iter().try_for_each(|&bits| recipe.activation_scheme(bits).map(drop))?;
        Ok(())
    }
}

impl Recipe {
    /// Bits of activations, as `[fit]` says if it does; where RAM is short, it may give some outputs fewer.
    pub fn activation_bits(&self) -> u8 {
        let fitted = self.fit.as_ref().and_then(|fit| fit.activations.first());
        fitted.copied().unwrap_or(self.activations.bits)
    }

    /// The recipe that `[fit]` tries `bits` for all weights with: the preset of these widths, or the own
    /// components.
    ///
    /// # Errors
    /// If there are no such widths.
    pub fn tried_at(&self, bits: u8) -> Result<Self, RecipeError> {
        let (own, activations) = (self.clone(), self.activation_bits());
        Ok(match self.fit.as_ref().is_some_and(|fit| fit.presets) {
            true => Self {
                seed: own.seed,
                calibration: own.calibration,
                first_last_bits: own.first_last_bits,
                ..Self::for_widths(bits, activations)?
            },
            false => Self { fit: None, ..own }.at_widths(Some(bits), Some(activations)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_widths_and_targets_that_cannot_be_are_named() {
        let parse = |text: &str| Recipe::parse(text, "r");
        assert!(parse("[fit]\ntarget = 'm4'\nflash = 65536").is_ok());
        for (text, key) in [
            ("target = 'z80'\nflash = 1", "fit.target is 'z80'"),
            ("target = 'host'\nflash = 1", "fit.target is 'host'"),
            ("target = 'm4'", "fit.flash is not set"),
            ("target = 'm4'\nflash = 0", "fit.flash is 0"),
            ("target = 'm4'\nflash = 1\nweights = []", "fit.weights is empty"),
            ("target = 'm4'\nflash = 1\nweights = [9]", "9"),
            ("target = 'm4'\nflash = 1\nactivations = [4, 8]", "fit.activations is [4, 8]"),
            ("target = 'm4'\nflash = 1\nactivations = [8, 4, 2]", "fit.activations is"),
            ("target = 'm4'\nflsh = 1", "did you mean `flash`"),
        ] {
            let error = parse(&format!("[fit]\n{text}")).unwrap_err().to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
