//! The error of the pipeline: the sum of the errors of its stages.
//!
//! No stage imports this file: each returns an error of its own, or [`Cancelled`] where nothing else
//! can go wrong.

use burn_ptq_deploy::export::ExportError;
use burn_ptq_deploy::file::FileError;
use burn_ptq_deploy::preprocess::PreprocessingError;
use burn_ptq_deploy::run::InputSizeError;

use crate::calibrate::synthesize::SynthesizeError;
use crate::calibrate::{BatchShapeError, CalibrateError, SeveralEnds};
use crate::event::Cancelled;
use crate::graph::GraphError;
use crate::import::onnx::ImportError;
use crate::lower::LowerError;
use crate::quant::QuantizeError;
use crate::recipe::RecipeError;
use crate::reconstruct::ReconstructError;

/// Why a network could not be quantized, run, saved or exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The graph breaks an invariant.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The recipe is wrong, or does not fit the graph.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Data-free calibration has nothing to start from.
    #[error(transparent)]
    Synthesize(SynthesizeError),
    /// The calibration data are missing, unreadable or do not fit the network.
    #[error(transparent)]
    Calibrate(CalibrateError),
    /// Grids cannot have the bits that were asked for.
    #[error(transparent)]
    Quantize(QuantizeError),
    /// The network cannot be reconstructed as the recipe says.
    #[error(transparent)]
    Reconstruct(ReconstructError),
    /// A calibration was made for another recipe.
    #[error(transparent)]
    Calibrated(#[from] CalibratedError),
    /// The preprocessing to be recorded does not fit the model's input.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// A layer has no integer form.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// An input does not fit the model.
    #[error(transparent)]
    BatchShape(#[from] BatchShapeError),
    /// A network of several inputs or outputs was used as one of a single one.
    #[error(transparent)]
    Ends(#[from] SeveralEnds),
    /// An input does not fit the integer program.
    #[error(transparent)]
    InputSize(#[from] InputSizeError),
    /// The program's file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The program cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A network that was to stay as its file gives it is not quantized throughout.
    #[error(transparent)]
    OpenGrids(#[from] OpenGrids),
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What a quantized network leaves open: it takes calibration data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct OpenGrids {
    /// Values without a grid, by name.
    pub values: Vec<String>,
    /// Layers whose weights are floats, by name.
    pub layers: Vec<String>,
}

impl OpenGrids {
    /// How many names are shown.
    const SHOWN: usize = 5;

    fn text(&self) -> String {
        let list = |names: &[String]| {
            let shown: Vec<String> =
                names.iter().take(Self::SHOWN).map(|name| format!("'{name}'")).collect();
            let more = if names.len() > Self::SHOWN { ", ..." } else { "" };
            format!("{}{more}", shown.join(", "))
        };
        let mut parts = Vec::new();
        if !self.values.is_empty() {
            let s = if self.values.len() == 1 { "" } else { "s" };
            parts.push(format!(
                "no grid for {} value{s} ({})",
                self.values.len(),
                list(&self.values)
            ));
        }
        if !self.layers.is_empty() {
            let s = if self.layers.len() == 1 { "" } else { "s" };
            parts.push(format!(
                "float weights in {} layer{s} ({})",
                self.layers.len(),
                list(&self.layers)
            ));
        }
        format!(
            "the model is not quantized throughout: it has {}; `burn-ptq quantize` with calibration data keeps what the \
             file gives and quantizes the rest",
            parts.join(", and ")
        )
    }
}

/// Why a calibration cannot serve a recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibratedError {
    /// It was made by a recipe that differs in what calibration depends on.
    #[error(
        "this calibration was made by a recipe with another `{key}`: calibrate again by this recipe"
    )]
    Recipe {
        /// The key that differs.
        key: &'static str,
    },
    /// Later stages look at more samples than were kept.
    #[error(
        "{kept} samples were kept of this calibration, and the recipe looks at {needed}: calibrate \
         again, keeping as many as `Quantizer::samples_kept` says"
    )]
    Samples {
        /// How many were kept.
        kept: usize,
        /// How many are needed.
        needed: usize,
    },
}

impl From<SynthesizeError> for Error {
    fn from(error: SynthesizeError) -> Self {
        match error {
            SynthesizeError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Synthesize(error),
        }
    }
}

impl From<CalibrateError> for Error {
    fn from(error: CalibrateError) -> Self {
        match error {
            CalibrateError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Calibrate(error),
        }
    }
}

impl From<QuantizeError> for Error {
    fn from(error: QuantizeError) -> Self {
        match error {
            QuantizeError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Quantize(error),
        }
    }
}

impl From<ReconstructError> for Error {
    fn from(error: ReconstructError) -> Self {
        match error {
            ReconstructError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Reconstruct(error),
        }
    }
}
