//! The error of everything that works with files of data: quantizing a task, judging a network.

use burn_ptq::Cancelled;
use burn_ptq::graph::StateError;
use burn_ptq_deploy::output::OutputError;
use burn_ptq_deploy::run::InputSizeError;

use crate::costs::CostError;
use crate::data::DataError;
use crate::fit::FitError;
use crate::input::InputError;
use crate::metric::{ChoiceError, MetricError};
use crate::task::{ModelError, TaskError};

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network cannot be imported, quantized or exported.
    #[error(transparent)]
    Quantize(burn_ptq::Error),
    /// Data cannot be read, or do not fit the model.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The task description is wrong.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Something that the metric needs is missing or does not fit.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Settings of inputs do not fit the model.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Two classes have one name.
    #[error("two classes are called '{name}'; give each a name of its own")]
    ClassTwice {
        /// The name.
        name: String,
    },
    /// The number of class names fits no output.
    #[error(
        "{found} class names were given, but the model's output '{output}' has shape {shape:?}; give one \
         name an output, or two for a single output"
    )]
    Classes {
        /// How many names.
        found: usize,
        /// The output.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// An input and an output cannot be a state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A network with states is to be calibrated without data.
    #[error(
        "the model keeps states from one step to the next, which only sequences show: give --calib, and a recipe \
         that calibrates with data"
    )]
    StatesWithoutData,
    /// It is not clear which output a metric judges.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// There was nothing to judge with.
    #[error("there are no evaluation samples: a task folder holds them as eval_x.npy")]
    NoEvaluation,
    /// Samples do not fit the integer program.
    #[error(transparent)]
    InputSize(#[from] InputSizeError),
    /// What the network takes on a processor cannot be predicted.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// No bits fit the budgets of a microcontroller.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The output folder cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<burn_ptq::Error> for Error {
    fn from(error: burn_ptq::Error) -> Self {
        match error {
            burn_ptq::Error::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Quantize(error),
        }
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Import(error) => error.into(),
            ModelError::State(error) => error.into(),
        }
    }
}

/// Errors of the pipeline's stages, through the pipeline's own.
macro_rules! through_the_pipeline {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                burn_ptq::Error::from(error).into()
            }
        })*
    };
}

through_the_pipeline!(
    burn_ptq::CalibrateError,
    burn_ptq::import::onnx::ImportError,
    burn_ptq::graph::GraphError,
    burn_ptq::recipe::RecipeError,
    burn_ptq_deploy::export::ExportError,
    burn_ptq_deploy::file::FileError,
);
