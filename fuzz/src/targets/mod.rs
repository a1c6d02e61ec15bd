//! The targets, one file each.

pub mod bptq;
pub mod data;
pub mod onnx;
pub mod quantized;
pub mod recipe;
pub mod report;
pub mod results;
pub mod study;
pub mod tflite;

use std::fs;
use std::path::Path;

/// The files of a folder with this extension, in the order of their names.
fn files(folder: &Path, extension: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder is in the repository");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|own| own == extension));
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("it can be read")).collect()
}
