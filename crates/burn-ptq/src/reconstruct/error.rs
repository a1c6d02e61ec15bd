//! What can go wrong in a reconstruction.

use crate::event::Cancelled;

/// Why a network could not be reconstructed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconstructError {
    /// There is no node that a block could end with.
    #[error(
        "layer '{block}' in reconstruction.blocks is not a node of the model: {}", nodes.join(", ")
    )]
    Block {
        /// The name that was given.
        block: String,
        /// The nodes of the model.
        nodes: Vec<String>,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
