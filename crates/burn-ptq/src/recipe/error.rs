//! What can be wrong with a recipe.

use super::preset_names;
use crate::quant::SchemeError;

/// What is wrong with a recipe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The text is not a recipe.
    #[error("{origin} is not a recipe: {message}")]
    Parse {
        /// The file or preset.
        origin: String,
        /// The parser's message, with line and column.
        message: String,
    },
    /// There is no such preset.
    #[error("unknown preset '{name}': expected one of {}{hint}", preset_names().join(", "))]
    Preset {
        /// The name that was asked for.
        name: String,
        /// A suggestion.
        hint: String,
    },
    /// Unsupported bits.
    #[error(transparent)]
    Bits(#[from] SchemeError),
    /// A number that no run can use.
    #[error("{key} is {found}: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// What was found.
        found: String,
        /// What is expected.
        expected: String,
    },
    /// A layer override that is not a valid glob pattern, or matches no layer.
    #[error("layer '{glob}' {problem}")]
    Layer {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        problem: String,
    },
}
