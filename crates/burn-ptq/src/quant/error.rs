//! Why a network cannot be put on grids.

use super::SchemeError;
use crate::event::Cancelled;

/// Why grids could not be chosen, or weights not rounded to them.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The recipe asks for bits that are not supported.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
