//! Weights in files beside the model (external data), which PyTorch writes even for small models.
//!
//! A model may name files in its own folder and below only: no absolute path, no `..`, and no link
//! that leads out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use burn_ptq_deploy::bounded;
use onnx_ir::{GraphProto, TensorProto};

use super::error::Refusal;
use super::limits::MAX_FILE_BYTES;
use super::tensor;

/// The initializers that could not be read, and the files that were.
#[derive(Debug, Default)]
pub(super) struct External {
    /// Why initializers have no data, by name.
    pub refusals: BTreeMap<String, Refusal>,
    /// The content of every file that was read, by the name that the model gives it.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Reads the data of the initializers that have it in files beside `folder`'s model into them.
pub(super) fn load(graph: &mut GraphProto, folder: Option<&Path>) -> External {
    let mut external = External::default();
    for tensor in graph.initializer.iter_mut().filter(|t| tensor::is_external(t)) {
        if let Err(refusal) = external.fill(tensor, folder) {
            external.refusals.insert(tensor.name.clone(), refusal);
        }
    }
    external
}

impl External {
    fn fill(&mut self, tensor: &mut TensorProto, folder: Option<&Path>) -> Result<(), Refusal> {
        let Some(folder) = folder else {
            return Err(Refusal::new(
                "its data is in another file (external data), and the model was read from memory",
                "read the model by its path",
            ));
        };
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key);
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(e) => e.value.trim().parse::<u64>().map(Some).map_err(|_| {
                Refusal::invalid(format!("the {key} of its external data is '{}'", e.value))
            }),
        };
        let location = entry("location").map_or("", |e| e.value.as_str()).to_string();
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let expected = tensor::raw_bytes(tensor)?;
        if length.is_some_and(|length| length != expected as u64) {
            return Err(Refusal::invalid(format!(
                "its external data has {} bytes, but its shape {:?} needs {expected}",
                length.unwrap_or_default(),
                tensor.dims
            )));
        }
        if !self.files.contains_key(&location) {
            let left = MAX_FILE_BYTES.saturating_sub(self.bytes());
            let content = read(folder, &location, left)?;
            self.files.insert(location.clone(), content);
        }
        let content = &self.files[&location];
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let data = start.checked_add(expected).and_then(|end| content.get(start..end));
        let data = data.ok_or_else(|| {
            Refusal::new(
                format!(
                    "its {expected} bytes at offset {offset} lie beyond the end of '{location}', \
                     which has {}",
                    content.len()
                ),
                "copy the file that was exported together with the model beside it",
            )
        })?;
        tensor.raw_data = data.to_vec().into();
        tensor.external_data.clear();
        tensor.data_location = Default::default();
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.files.values().map(|content| content.len() as u64).sum()
    }
}

/// The content of the file that a model in `folder` calls `location`.
fn read(folder: &Path, location: &str, limit: u64) -> Result<Vec<u8>, Refusal> {
    let path = place(folder, location)?;
    let failed = |error: std::io::Error| {
        Refusal::new(
            format!("its data is in '{location}' beside the model, which cannot be read: {error}"),
            "copy that file beside the model, or save the model as one file: \
             onnx.save(model, path, save_as_external_data=False)",
        )
    };
    bounded::read(&path, limit).map_err(failed)
}

/// The path of `location` if it lies in `folder`.
fn place(folder: &Path, location: &str) -> Result<PathBuf, Refusal> {
    let outside = || {
        Refusal::new(
            format!("its data is in '{location}', expected a file in the model's folder"),
            "keep the data beside the model, and name it by its file name",
        )
    };
    let relative = Path::new(location);
    let inside = relative.components().all(|c| matches!(c, Component::Normal(_)));
    if location.is_empty() || !inside || location.contains('\0') {
        return Err(outside());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let path = folder.join(relative);
    // A missing file is told by whoever opens it.
    let (Ok(root), Ok(target)) = (fs::canonicalize(folder), fs::canonicalize(&path)) else {
        return Ok(path);
    };
    if target.starts_with(root) && target.is_file() { Ok(target) } else { Err(outside()) }
}
