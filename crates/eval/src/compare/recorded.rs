//! What a comparison reads of `report.json`, which someone may have edited: unknown fields are ignored, and
//! every field but the version may be missing.

use std::path::Path;

use burn_ptq_deploy::bounded;
use serde::Deserialize;

use super::CompareError;
use crate::metric::Interval;
use crate::report::SCHEMA_VERSION;

/// The largest report that is read: 16 MiB.
const MAX_BYTES: u64 = 16 << 20;

/// A report, as far as it is compared; see [`Report`](crate::report::Report) for its fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Recorded {
    pub task: Option<String>,
    pub model_sha256: Option<String>,
    pub calibration_sha256: Option<String>,
    pub calibration: Option<String>,
    pub calibration_samples: Option<usize>,
    pub version: Option<String>,
    pub recipe: Option<String>,
    pub label: Option<String>,
    pub seed: Option<u64>,
    pub metric: Option<String>,
    pub output: Option<String>,
    pub samples: Option<usize>,
    pub float: Option<f64>,
    pub float_ci: Option<Interval>,
    pub integer: Option<f64>,
    pub integer_ci: Option<Interval>,
    pub exported: RecordedSize,
    pub flash_bytes: Option<usize>,
    pub ram_bytes: Option<usize>,
    pub macs: Option<usize>,
    pub layers: Vec<RecordedLayer>,
    pub inputs: Vec<RecordedEnd>,
    pub outputs: Vec<RecordedEnd>,
}

/// Flash and RAM of an export.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordedSize {
    pub flash_bytes: Option<usize>,
    pub ram_bytes: Option<usize>,
}

/// An operation of the program.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordedLayer {
    pub name: String,
    pub op: Option<String>,
    pub bits: Option<u8>,
    pub activation_bits: Option<u8>,
    pub sqnr_db: Option<f64>,
    pub bytes: Option<usize>,
    pub macs: Option<usize>,
}

/// An input or an output.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordedEnd {
    pub shape: Vec<usize>,
}

impl Recorded {
    /// Reads the report at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, CompareError> {
        let text = bounded::read_to_string(path, MAX_BYTES)
            .map_err(|source| CompareError::Read { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Reads a report's text, which errors call `path`.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, CompareError> {
        /// A newer report may have fields of other types: its version is read before them.
        #[derive(Deserialize)]
        struct Version {
            schema_version: Option<u64>,
        }
        let wrong = |problem: String| CompareError::Report { path: path.into(), problem };
        let Version { schema_version } =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        match schema_version {
            Some(found) if found > u64::from(SCHEMA_VERSION) => {
                return Err(CompareError::Version { path: path.into(), found });
            }
            Some(_) => {}
            None => return Err(wrong("it has no schema_version".into())),
        }
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))
    }
}
