//! Data in common formats: samples, which are streamed, and labels.
//!
//! | form | file |
//! |---|---|
//! | .npy, every plain type, byte order and order of axes | `npy.rs`, `dense.rs` |
//! | .npz, one array or the named one | `npz.rs` |
//! | tables in text, and labels one per line | `table.rs`, `columns.rs` |
//! | folders of files, or of one folder per class | `folder.rs` |
//! | PNG and JPEG images, WAV recordings | `images.rs`, `waves.rs` |
//! | sequences of steps, for networks with states | `sequences.rs` |
//!
//! `samples.rs` reads all of them as one input of a model, `inputs.rs` as all of its inputs, `read.rs` small arrays (`array.rs`) into memory. Nothing
//! that a file promises takes memory before its length was checked, and memory does not grow with the
//! number of samples.

mod array;
mod columns;
mod dense;
mod error;
mod fit;
mod folder;
mod images;
mod inputs;
mod location;
mod notes;
mod npy;
mod npz;
mod read;
mod samples;
mod sequences;
mod table;
#[cfg(test)]
mod tests;
mod waves;

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

pub use array::{Array, Values};
pub use burn_ptq_deploy::preprocess::Preprocessing;
pub use error::DataError;
pub(crate) use inputs::with_label_column;
pub use inputs::{Inputs, SamplePaths};
pub(crate) use npy::printable;
pub use read::read_array;
pub use samples::{Samples, stored_sample_shape};
pub use sequences::steps_of;
pub(crate) use sequences::{are_of_steps, by_steps};

/// What an array is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Samples,
    Labels,
}

impl Role {
    /// Names that arrays of an archive usually have, in lower case.
    const fn usual_names(self) -> &'static [&'static str] {
        match self {
            Role::Samples => &[
                "x", "calib_x", "eval_x", "x_calib", "x_eval", "x_train", "x_test", "x_val",
                "data", "samples", "images", "inputs", "input",
            ],
            Role::Labels => &[
                "y", "calib_y", "eval_y", "y_calib", "y_eval", "y_train", "y_test", "y_val",
                "labels", "label", "targets", "target",
            ],
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Role::Samples => "samples",
            Role::Labels => "labels",
        }
    }
}

/// The SHA-256 of a file, as hexadecimal digits.
///
/// # Errors
/// If the file cannot be read.
pub fn hash_file(path: &Path) -> Result<String, DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    let (mut file, _) = location::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
