//! Why models cannot be compared.

use crate::program::ProgramError;
use std::path::PathBuf;

use burn_ptq_deploy::printable::line;

use super::letters::MOST_MODELS;
use crate::costs::CostError;
use crate::error::Error;
use crate::report::SCHEMA_VERSION;

/// What can be compared, at the end of messages.
const COMPARABLE: &str = "a model.bptq, a model.onnx, a model.tflite, a report.json, or a folder that `burn-ptq quantize \
                          --out` wrote";

/// Why models cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// There are not several models, or too many.
    #[error("expected 2 to {MOST_MODELS} models to compare, found {found}: each is {COMPARABLE}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// Nothing is there.
    #[error("there is no file or folder {}: expected {COMPARABLE}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A folder without a model or a report.
    #[error(
        "the folder {} holds neither model.bptq nor report.json: expected {COMPARABLE}{hint}", path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What it holds instead; empty if nothing is known.
        hint: String,
    },
    /// A file of another kind.
    #[error("{} does not end in .bptq, .onnx, .tflite or .json: expected {COMPARABLE}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// An integer model that cannot be read.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A model that cannot be judged sample by sample.
    #[error(
        "{} keeps states from one call to the next (`{}`), and samples are compared one by one: judge such models each \
         by `burn-ptq evaluate`; of a stream, compare the model that takes a whole recording", path.display(), line(state)
    )]
    Stateful {
        /// The file.
        path: PathBuf,
        /// A state.
        state: String,
    },
    /// A report that cannot be read.
    #[error("cannot read the report {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A JSON file that does not describe a quantization.
    #[error(
        "{} is not the report of a quantization: {problem}; `burn-ptq quantize --out DIR` writes one to \
         DIR/report.json",
        path.display()
    )]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A report of a newer version of burn-ptq.
    #[error(
        "{} has schema_version {found}, this burn-ptq reads up to {SCHEMA_VERSION}; update burn-ptq",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// A report is to be evaluated.
    #[error(
        "{} holds only a report, which cannot be evaluated: name the folder that holds its model.bptq too, or \
         leave out the evaluation data to compare the metrics that reports state",
        path.display()
    )]
    NoModel {
        /// The report, or the folder that holds no other file.
        path: PathBuf,
    },
    /// Models that cannot be evaluated on the same samples.
    #[error(
        "{} and {} cannot be evaluated on the same samples: {what} {first_shapes} in the first and {shapes} \
         in the second; leave out the evaluation data to compare their costs",
        first.display(),
        path.display()
    )]
    Shapes {
        /// The first model.
        first: PathBuf,
        /// The other one.
        path: PathBuf,
        /// What differs, with a verb: `the inputs have the shapes`.
        what: &'static str,
        /// Those of the first.
        first_shapes: String,
        /// Those of the other one.
        shapes: String,
    },
    /// Models that read the same data as different numbers of samples.
    #[error(
        "{} reads the evaluation data as {first_samples} samples, and {} as {samples}: check --window-frames",
        first.display(),
        path.display()
    )]
    Samples {
        /// The first model.
        first: PathBuf,
        /// The other one.
        path: PathBuf,
        /// What the first was judged on.
        first_samples: usize,
        /// What the other one was judged on.
        samples: usize,
    },
    /// A model that the data do not fit.
    #[error("{}: {source}", path.display())]
    Model {
        /// The model.
        path: PathBuf,
        /// Why it could not be.
        source: Box<Error>,
    },
    /// Something that is not about the comparison: a model that cannot be read, data, or cancellation.
    #[error(transparent)]
    Evaluate(#[from] Error),
    /// Nothing can be predicted for a target.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// There is nothing whose cost on a target could be predicted.
    #[error(
        "--target predicts what integer programs cost, and none of these models is one: name a model.bptq, \
         which `burn-ptq quantize` makes"
    )]
    NoProgram,
}
