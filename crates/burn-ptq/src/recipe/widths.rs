//! Which preset serves which widths.

use super::{Recipe, RecipeError};

/// The presets that widths choose from: name, bits of weights, bits of activations.
const BY_WIDTHS: &[(&str, u8, u8)] =
    &[("w8a8", 8, 8), ("w4a8", 4, 8), ("w3a8", 3, 8), ("w2a8", 2, 8), ("w4a4", 4, 4)];

impl Recipe {
    /// The preset for these widths, with its bits set to them.
    ///
    /// Activations decide first: the presets whose activations have the most bits that are not more
    /// than asked for, the fewest of all if there are none. Among these, weights decide likewise. So
    /// W5A8 is `w4a8` with weights of 5 bits, W8A16 is `w8a8`, and W6A6, W3A4 and W2A2 are `w4a4`.
    /// Presets that take minutes are never chosen.
    ///
    /// ```
    /// use burn_ptq::recipe::Recipe;
    ///
    /// assert_eq!(Recipe::for_widths(2, 8)?, Recipe::preset("w2a8")?);
    /// assert_eq!(Recipe::for_widths(5, 8)?.name, "w4a8 at W5A8");
    /// # Ok::<(), burn_ptq::recipe::RecipeError>(())
    /// ```
    ///
    /// # Errors
    /// If there are no such widths.
    pub fn for_widths(weights: u8, activations: u8) -> Result<Self, RecipeError> {
        let widths = |of: fn(&(&str, u8, u8)) -> u8, presets: &[(&str, u8, u8)], asked: u8| {
            let below = presets.iter().map(of).filter(|&bits| bits <= asked).max();
            below.or(presets.iter().map(of).min()).unwrap_or(asked)
        };
        let activation_bits = widths(|p| p.2, BY_WIDTHS, activations);
        let family: Vec<_> = BY_WIDTHS.iter().copied().filter(|p| p.2 == activation_bits).collect();
        let weight_bits = widths(|p| p.1, &family, weights);
        let preset = family.iter().find(|p| p.1 == weight_bits).map_or("w8a8", |p| p.0);
        let recipe = Self::preset(preset)?.at_widths(Some(weights), Some(activations));
        recipe.validate()?;
        Ok(recipe)
    }

    /// The same components with other bits of weights or activations; the name says so.
    pub fn at_widths(mut self, weights: Option<u8>, activations: Option<u8>) -> Self {
        let before = (self.weights.bits, self.activations.bits);
        self.weights.bits = weights.unwrap_or(self.weights.bits);
        self.activations.bits = activations.unwrap_or(self.activations.bits);
        let after = (self.weights.bits, self.activations.bits);
        if before != after {
            self.name = format!("{} at W{}A{}", self.name, after.0, after.1);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_choose_the_nearest_preset_that_is_not_above_them() {
        for (weights, activations, name) in [
            (8, 8, "w8a8"),
            (4, 8, "w4a8"),
            (3, 8, "w3a8"),
            (2, 8, "w2a8"),
            (4, 4, "w4a4"),
            (5, 8, "w4a8 at W5A8"),
            (7, 8, "w4a8 at W7A8"),
            (8, 16, "w8a8 at W8A16"),
            (2, 16, "w2a8 at W2A16"),
            (6, 6, "w4a4 at W6A6"),
            (3, 4, "w4a4 at W3A4"),
            (2, 4, "w4a4 at W2A4"),
            (2, 2, "w4a4 at W2A2"),
            (8, 4, "w4a4 at W8A4"),
        ] {
            let recipe = Recipe::for_widths(weights, activations).unwrap();
            assert_eq!(recipe.name, name);
            assert_eq!((recipe.weights.bits, recipe.activations.bits), (weights, activations));
            let preset = Recipe::preset(name.split(' ').next().unwrap()).unwrap();
            assert_eq!(recipe.rounding, preset.rounding);
            assert_eq!(recipe.conditioning, preset.conditioning);
        }
    }

    #[test]
    fn every_preset_that_takes_seconds_is_the_one_of_its_widths() {
        for (name, ..) in super::super::PRESETS {
            if *name == "nearest" || name.contains('-') {
                continue;
            }
            let recipe = Recipe::preset(name).unwrap();
            let (weights, activations) = (recipe.weights.bits, recipe.activations.bits);
            assert_eq!(Recipe::for_widths(weights, activations).unwrap(), recipe);
        }
    }

    #[test]
    fn widths_that_do_not_exist_are_refused() {
        for (weights, activations, message) in [
            (9, 8, "weights cannot have 9 bits"),
            (0, 8, "0 bits"),
            (8, 9, "9 bits"),
            (8, 1, "1 bit"),
        ] {
            let error = Recipe::for_widths(weights, activations).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
