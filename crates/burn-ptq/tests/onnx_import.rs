//! Imported models compute what ONNX Runtime computes, before and after the passes of `prepare`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::{FloatModel, Graph, dims3};
use burn_ptq::import::onnx;
use burn_ptq::prepare;
use npyz::NpyFile;

/// The largest error, relative to the output's largest magnitude (at least 1).
const TOLERANCE: f32 = 1e-4;

/// The Python that has the oracles' packages: `BURN_PTQ_PYTHON`, else that of
/// `scripts/install-oracles.sh`. Says on stderr that `test` is skipped if there is none.
fn python(test: &str) -> Option<PathBuf> {
    let python = match std::env::var_os("BURN_PTQ_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => repository().join(".venv/bin/python"),
    };
    if python.exists() {
        return Some(python);
    }
    eprintln!(
        "SKIPPED {test}: no Python at {}; run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON \
         to a Python with the packages of scripts/requirements.txt",
        python.display()
    );
    None
}

/// The folder of the real models, which `BURN_PTQ_ASSETS` names.
fn assets(test: &str) -> Option<PathBuf> {
    let assets = std::env::var_os("BURN_PTQ_ASSETS").map(PathBuf::from);
    let assets = assets.filter(|assets| assets.join("ic/model.onnx").exists());
    if assets.is_none() {
        eprintln!(
            "SKIPPED {test}, the part with real models: set BURN_PTQ_ASSETS to a folder with ic, \
             kws, vww and ad"
        );
    }
    assets
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An array of floats and its shape.
fn read_npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(path).expect("the oracle wrote the array");
    let array = NpyFile::new(&bytes[..]).expect("the oracle wrote an array");
    let shape = array.shape().iter().map(|&d| d as usize).collect();
    (shape, array.into_vec().expect("the oracle wrote floats"))
}

/// The outputs of all samples, one after the other.
fn run(graph: Graph, samples: usize, input: Vec<f32>) -> Vec<f32> {
    let device = Device::flex();
    let [a, b, c] = dims3(&graph.value(graph.input()).shape);
    let input = Tensor::<4>::from_data(TensorData::new(input, [samples, a, b, c]), &device);
    let output = FloatModel::new(Arc::new(graph), &device).forward(input);
    output.into_data().try_to_vec().expect("outputs are floats")
}

/// The largest difference relative to the largest magnitude, which counts as at least 1.
fn relative_error(output: &[f32], expected: &[f32]) -> f32 {
    let magnitude = expected.iter().fold(1.0_f32, |m, y| m.max(y.abs()));
    let error = output.iter().zip(expected).map(|(a, b)| (a - b).abs());
    error.fold(0.0, |m: f32, e| if e.is_nan() { f32::INFINITY } else { m.max(e) }) / magnitude
}

/// The errors of one case as imported and as prepared, or what went wrong.
fn judge(folder: &Path, name: &str) -> Result<[f32; 2], String> {
    let imported =
        onnx::read(&folder.join(format!("{name}.onnx"))).map_err(|e| format!("{name}: {e}"))?;
    imported.verify().map_err(|e| format!("{name}: {e}"))?;
    let prepared = prepare(imported.clone()).map_err(|e| format!("{name}, prepared: {e}"))?;
    // Normalizations in pieces, or with what surrounds them, are one operation.
    let one = ["_pieces", "_keras", "_by_instances", "_of_sum"].iter().any(|n| name.contains(n));
    if one && !name.ends_with("_shared") && prepared.nodes.len() != 1 {
        let found: Vec<_> = prepared.nodes.iter().map(|n| n.op.operator().name()).collect();
        return Err(format!("{name}: expected one operation, found {found:?}"));
    }
    let (input_shape, input) = read_npy(&folder.join(format!("{name}.x.npy")));
    let (output_shape, expected) = read_npy(&folder.join(format!("{name}.y.npy")));
    let mut errors = [0.0; 2];
    for (error, (stage, graph)) in
        errors.iter_mut().zip([("imported", imported), ("prepared", prepared)])
    {
        let shape = &graph.value(graph.output()).shape;
        if output_shape[1..] != *shape {
            return Err(format!(
                "{name}, {stage}: the output is {shape:?}, ONNX Runtime's {output_shape:?}"
            ));
        }
        let output = run(graph, input_shape[0], input.clone());
        assert_eq!(output.len(), expected.len(), "{name}, {stage}");
        *error = relative_error(&output, &expected);
        if *error > TOLERANCE {
            return Err(format!("{name}, {stage}: relative error {error}"));
        }
    }
    Ok(errors)
}

#[test]
fn imported_models_compute_what_onnx_runtime_computes() {
    let test = "imported_models_compute_what_onnx_runtime_computes";
    let Some(python) = python(test) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/cases.py");
    let mut command = Command::new(python);
    command.arg(script).arg(folder.path()).args(assets(test));
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let index = fs::read_to_string(folder.path().join("index.txt")).expect("the oracle's index");
    let results: Vec<_> = index.lines().map(|name| (name, judge(folder.path(), name))).collect();
    let failures: Vec<&String> = results.iter().filter_map(|r| r.1.as_ref().err()).collect();
    for (stage, what) in ["imported", "prepared"].iter().enumerate() {
        let errors = results.iter().filter_map(|(name, r)| Some((r.as_ref().ok()?[stage], *name)));
        let (error, name) = errors.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are cases");
        eprintln!(
            "{} {what} models judged by ONNX Runtime, largest relative error {error:.1e} ({name})",
            results.len()
        );
    }
    for (name, error) in results.iter().filter(|r| r.0.starts_with("asset_")) {
        eprintln!("{name}: {error:?}");
    }
    assert!(results.len() > 1000, "the oracle lost cases: {}", results.len());
    let listed: Vec<String> = failures.iter().map(|f| format!("\n  {f}")).collect();
    assert!(failures.is_empty(), "{}", listed.concat());
}

#[test]
fn definitions_of_operators_are_known_up_to_the_newest() {
    let test = "definitions_of_operators_are_known_up_to_the_newest";
    let Some(python) = python(test) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/versions.py");
    let output = Command::new(python).arg(script).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    let newest: HashMap<&str, i64> = (text.lines())
        .map(|line| line.split_once(' ').expect("a name and a version"))
        .map(|(name, version)| (name, version.parse().expect("a number")))
        .collect();
    assert_eq!(newest["opset"], *onnx::OPSETS.end(), "review the operators of the newest opset");
    assert_eq!(newest["ir_version"], *onnx::IR_VERSIONS.end());
    for operator in onnx::supported_operators() {
        let name = operator.name;
        let found = newest.get(name).unwrap_or_else(|| panic!("{name} is not one of ONNX"));
        assert_eq!(*found, operator.version, "review what has changed in {name}");
    }
}
