//! How a network runs on a stream.

use burn_ptq_deploy::streaming::Streaming;
use serde::{Deserialize, Serialize};

/// That exports take a recording frame by frame, and how: `[stream]` of a recipe.
///
/// What is quantized and judged is the network as it is, which sees a whole recording; see
/// [`Program::streamed`](burn_ptq_deploy::program::Program::streamed).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StreamRecipe {
    /// Frames that a call takes; by default the fewest that strides allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// The axis of a sample that is time, counting from 0 without the batch axis; by default the only one that
    /// operations slide along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_axis: Option<usize>,
}

impl From<&StreamRecipe> for Streaming {
    fn from(recipe: &StreamRecipe) -> Self {
        Self { chunk: recipe.chunk, axis: recipe.time_axis }
    }
}
