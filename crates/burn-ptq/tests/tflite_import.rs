//! Imported TensorFlow Lite models compute what LiteRT computes, before and after the passes of `prepare`.
//!
//! `tests/tflite/*.tflite` are small networks of Keras, converted by TensorFlow: `scripts/export-float-tflite.py`
//! writes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::{FloatModel, Graph, to_vec};
use burn_ptq::import;
use burn_ptq::import::onnx::{Options, Requantize};
use burn_ptq::prepare;
use npyz::NpyFile;

/// The largest error, relative to the output's largest magnitude (at least 1).
const TOLERANCE: f32 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tflite")
}

fn models() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "tflite")).collect();
    models.sort();
    models
}

fn read_npy(path: &Path) -> Vec<f32> {
    NpyFile::new(&fs::read(path).unwrap()[..]).unwrap().into_vec().unwrap()
}

/// All outputs of all samples, each output by itself.
fn run(graph: Graph, inputs: &[f32]) -> Vec<Vec<f32>> {
    let device = Device::flex();
    let dims = graph.value(graph.input()).dims();
    let samples = inputs.len() / dims.iter().product::<usize>();
    let [a, b, c] = dims;
    let input =
        Tensor::<4>::from_data(TensorData::new(inputs.to_vec(), [samples, a, b, c]), &device);
    let model = FloatModel::new(Arc::new(graph), &device);
    model.forward_all(vec![input]).into_iter().map(to_vec).collect()
}

/// The largest difference relative to the largest magnitude, which counts as at least 1.
fn relative_error(output: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(output.len(), expected.len(), "elements of an output");
    let magnitude = expected.iter().fold(1.0_f32, |m, y| m.max(y.abs()));
    let error = output.iter().zip(expected).map(|(a, b)| (a - b).abs());
    error.fold(0.0, |m: f32, e| if e.is_nan() { f32::INFINITY } else { m.max(e) }) / magnitude
}

#[test]
fn imported_models_compute_what_litert_computes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("BURN_PTQ_PYTHON").map(PathBuf::from);
    let python = python.unwrap_or_else(|| root.join(".venv/bin/python"));
    if !python.exists() {
        eprintln!(
            "SKIPPED imported_models_compute_what_litert_computes: no Python at {}; run \
             scripts/install-oracles.sh, or set BURN_PTQ_PYTHON to a Python with the packages of \
             scripts/requirements.txt",
            python.display()
        );
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let oracle = folder().join("oracle.py");
    let run_oracle =
        Command::new(python).arg(oracle).arg(folder()).arg(out.path()).output().unwrap();
    assert!(run_oracle.status.success(), "{}", String::from_utf8_lossy(&run_oracle.stderr));
    let mut failures = Vec::new();
    for path in models() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let graph = match import::read(&path, &Options::default()) {
            Ok(model) => model.graph,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        graph.verify().unwrap();
        let inputs = read_npy(&out.path().join(format!("{name}.x.npy")));
        let prepared = prepare(graph.clone()).unwrap();
        let nodes: Vec<_> = prepared.nodes.iter().map(|node| prepared.op_name(node)).collect();
        println!("{name}: {}", nodes.join(" "));
        for (stage, graph) in [("imported", graph), ("prepared", prepared)] {
            for (place, output) in run(graph, &inputs).iter().enumerate() {
                let expected = read_npy(&out.path().join(format!("{name}.y{place}.npy")));
                let error = relative_error(output, &expected);
                println!("  {stage}, output {place}: relative error {error:.1e}");
                if error > TOLERANCE {
                    failures.push(format!("{name}, {stage}, output {place}: {error:.1e}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Files of which bytes were changed, cut off, repeated or put in place of others: none panics or takes long.
#[test]
fn damaged_files_are_read_or_refused() {
    let count = std::env::var("BURN_PTQ_TFLITE_DAMAGED").ok();
    let count: usize = count.map_or(20_000, |text| text.parse().expect("a number"));
    let whole: Vec<Vec<u8>> = models().iter().map(|path| fs::read(path).unwrap()).collect();
    let mut state = 20_261_130_u64;
    let mut draw = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let (mut read, mut refused, mut slowest) = (0, 0, std::time::Duration::ZERO);
    for _ in 0..count {
        let mut bytes = whole[draw(whole.len())].clone();
        for _ in 0..=draw(4) {
            let at = draw(bytes.len());
            match draw(6) {
                0 => bytes[at] = draw(256) as u8,
                1 => bytes[at] ^= 1 << draw(8),
                2 => bytes.truncate(at.max(8)),
                3 => {
                    let part: Vec<u8> = bytes[at..bytes.len().min(at + draw(64))].to_vec();
                    let to = draw(bytes.len() - part.len());
                    bytes[to..to + part.len()].copy_from_slice(&part);
                }
                4 => {
                    let at = at / 4 * 4;
                    let number = [0, 1, -1, i32::MAX, i32::MIN, 1 << 20][draw(6)];
                    if let Some(place) = bytes.get_mut(at..at + 4) {
                        place.copy_from_slice(&number.to_le_bytes());
                    }
                }
                _ => bytes[at] = bytes[at].wrapping_add(1),
            }
        }
        let requantize = draw(2) == 0;
        let start = std::time::Instant::now();
        match import::parse(
            &bytes,
            "damaged",
            &Options { requantize: requantize.then_some(Requantize::All), ..Options::default() },
        ) {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        slowest = slowest.max(start.elapsed());
    }
    println!("{count} damaged files: {read} read, {refused} refused, slowest {slowest:.0?}");
    assert!(read > count / 10 && refused > count / 10);
}
