//! Weights in files beside the model.

use std::fs;
use std::path::Path;

use burn_ptq::import::onnx::{self, Options};
use onnx_ir::{ModelProto, TensorProto};

use crate::assert_says;
use crate::build::{bytes, model, node, weights};

/// A convolution whose weights are at `location`; the file's bytes are given as entries.
fn external(location: &str, entries: &[(&str, &str)]) -> ModelProto {
    let mut tensor = TensorProto { float_data: vec![], ..weights("w", &[2, 3, 1, 1]) };
    let entries: Vec<_> = [("location", location)].iter().chain(entries).copied().collect();
    tensor.external_data.resize(entries.len(), Default::default());
    for (entry, (key, value)) in tensor.external_data.iter_mut().zip(entries) {
        (entry.key, entry.value) = (key.into(), value.into());
    }
    let conv = node("Conv", &["x", "w"], &["y"], vec![]);
    model(&[3, 8, 8], vec![conv], vec![tensor])
}

/// The six weights, after eight other bytes.
fn data() -> Vec<u8> {
    let mut data = vec![9; 8];
    data.extend((0..6).flat_map(|i| (i as f32).to_le_bytes()));
    data
}

/// Writes the model into `folder` and reads it.
fn read(folder: &Path, model: &ModelProto) -> Result<onnx::Model, String> {
    let path = folder.join("model.onnx");
    fs::write(&path, bytes(model)).unwrap();
    onnx::read_with(&path, &Options::default()).map_err(|error| error.to_string())
}

#[test]
fn weights_beside_the_model_are_read_and_hashed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("parts")).unwrap();
    let entries = [("offset", "8"), ("length", "24")];
    for location in ["model.onnx.data", "parts/weights.bin"] {
        let file = folder.path().join(location);
        fs::write(&file, data()).unwrap();
        let found = read(folder.path(), &external(location, &entries)).expect("a good model");
        let weights = &found.graph.nodes[0].op.parameters()[0].data;
        assert_eq!(*weights, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let again = read(folder.path(), &external(location, &entries[..1])).expect("no length");
        assert_eq!(again.graph.nodes[0].op.parameters()[0].data, *weights);
        let mut changed = data();
        changed[0] = 7;
        fs::write(&file, changed).unwrap();
        let other = read(folder.path(), &external(location, &entries)).expect("a good model");
        assert_ne!(other.sha256, found.sha256, "the hash covers the other file");
    }
}

#[test]
fn files_outside_of_the_models_folder_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::write(outer.path().join("secret"), data()).unwrap();
    let absolute = outer.path().join("secret").display().to_string();
    let mut locations = vec!["../secret", "", ".", "a/../../secret", &absolute];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outer.path().join("secret"), folder.join("link")).unwrap();
        std::os::unix::fs::symlink(outer.path(), folder.join("up")).unwrap();
        locations.extend(["link", "up/secret"]);
    }
    for location in locations {
        let message = read(&folder, &external(location, &[])).expect_err(location);
        assert_says(message, &["'w' (initializer)", "expected a file in the model's folder"]);
    }
}

#[test]
fn data_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = read(folder.path(), &external("none.data", &[])).expect_err("no such file");
    assert_says(missing, &["'none.data' beside the model", "copy that file beside the model"]);
    fs::write(folder.path().join("d"), data()).unwrap();
    let refused = |entries: &[(&str, &str)]| {
        read(folder.path(), &external("d", entries)).expect_err("it does not fit")
    };
    assert_says(refused(&[("offset", "9")]), &["24 bytes at offset 9", "'d', which has 32"]);
    assert_says(refused(&[("offset", "18446744073709551615")]), &["lie beyond the end"]);
    assert_says(refused(&[("length", "25")]), &["has 25 bytes", "needs 24"]);
    assert_says(refused(&[("offset", "-1")]), &["the offset of its external data is '-1'"]);
}
