//! Quantized ONNX models become integer programs with the integers and grids of their files, and give what ONNX Runtime
//! gives, except for roundings.
//!
//! `tests/quantized` has small networks, most of them quantized by ONNX Runtime:
//! `scripts/export-quantized-onnx.py` writes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use burn_ptq::graph::{Graph, to_vec};
use burn_ptq::import;
use burn_ptq::import::onnx::{Encodings, Options, Requantize};
use burn_ptq::prepare;
use burn_ptq::{Quantized, Quantizer, Recipe, quantize_as_given};
use burn_ptq_kernels::grid::Grid;
use npyz::NpyFile;

/// Samples that ONNX Runtime and the programs run.
const SAMPLES: usize = 200;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quantized")
}

/// The models, by name.
fn models() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_model = |path: &PathBuf| path.extension().is_some_and(|e| e == "onnx");
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut models: Vec<String> = files.filter(is_model).map(stem).collect();
    models.sort();
    models
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.onnx"))).unwrap()
}

fn as_given(name: &str) -> Quantized {
    with(name, &Options::default())
}

fn with(name: &str, options: &Options) -> Quantized {
    let model =
        import::parse(&bytes(name), name, options).unwrap_or_else(|e| panic!("{name}: {e}"));
    quantize_as_given(model.graph, &model.sha256, &Device::flex())
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The notes of what could not stay, by kind.
fn notes(quantized: &Quantized) -> Vec<&'static str> {
    quantized.float.notes.iter().map(|note| note.kind).collect()
}

/// The bits of the weights of all layers.
fn weight_bits(quantized: &Quantized) -> Vec<u8> {
    let weights = quantized.program.nodes.iter().filter_map(|node| node.op.weighted());
    weights.map(|weighted| weighted.weights.bits).collect()
}

fn read_npy(path: &Path) -> Vec<f32> {
    NpyFile::new(&fs::read(path).unwrap()[..]).unwrap().into_vec().unwrap()
}

/// The integers of the only output of a program for samples.
fn run(quantized: &Quantized, inputs: &[f32]) -> Vec<i32> {
    let device = Device::flex();
    let graph = &quantized.float;
    let dims @ [a, b, c] = graph.value(graph.input()).dims();
    let samples = inputs.len() / dims.iter().product::<usize>();
    let input = TensorData::new(inputs.to_vec(), [samples, a, b, c]);
    let input = Tensor::<4>::from_data(input, &device);
    let output = quantized.forward_all(vec![input]).unwrap().remove(0);
    let grid = output_grid(quantized);
    to_vec(output).into_iter().map(|y| grid.quantize(y)).collect()
}

fn output_grid(quantized: &Quantized) -> Grid {
    quantized.program.output_tensors().next().unwrap().grid
}

/// How far outputs may be from ONNX Runtime's, in steps of their grid, and the share of those that may be more than
/// one step away. It computes in floats, and rounds ties to even.
fn tolerance(name: &str) -> (i32, f64) {
    match name {
        // The kernel of softmax has 8 bits, whose steps are 256 of 16 bits.
        "residual_qdq_int16" => (300, 1.0),
        // Functions of 16 bits are interpolated.
        "functions_qdq_int16" => (40, 1.0),
        // Weights are moved to grids around 0.
        name if name.ends_with("uint8_weights") => (6, 0.1),
        _ => (4, 0.06),
    }
}

#[test]
fn programs_give_what_onnx_runtime_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("BURN_PTQ_PYTHON").map(PathBuf::from);
    let python = python.unwrap_or_else(|| root.join(".venv/bin/python"));
    if !python.exists() {
        eprintln!(
            "SKIPPED programs_give_what_onnx_runtime_gives: no Python at {}; run scripts/install-oracles.sh, or set \
             BURN_PTQ_PYTHON to a Python with the packages of scripts/requirements.txt",
            python.display()
        );
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command.arg(folder().join("oracle.py")).arg(folder()).arg(out.path()).arg(SAMPLES.to_string());
    let oracle = command.output().unwrap();
    assert!(oracle.status.success(), "{}", String::from_utf8_lossy(&oracle.stderr));
    let mut failures = Vec::new();
    for name in models().into_iter().filter(|name| !name.ends_with("_float")) {
        let read = |what: &str| read_npy(&out.path().join(format!("{name}.{what}.npy")));
        let (inputs, expected) = (read("x"), read("y"));
        let quantized = as_given(&name);
        let grid = output_grid(&quantized);
        // Bytes are those of the grid, without a sign.
        let is_bytes = name.ends_with("integer_ends");
        let integer = |y: f32| if is_bytes { y as i32 - 128 } else { grid.quantize(y) };
        let pairs = run(&quantized, &inputs).into_iter().zip(expected.into_iter().map(integer));
        let steps: Vec<i32> = pairs.map(|(own, expected)| (own - expected).abs()).collect();
        let beyond = |most: i32| steps.iter().filter(|&&s| s > most).count();
        let (differ, far) = (beyond(0), beyond(1));
        let worst = steps.iter().copied().max().unwrap_or(0);
        println!(
            "{name}: {} outputs, {differ} differ, {far} by more than a step, at most {worst}; notes {:?}",
            steps.len(),
            notes(&quantized)
        );
        let (most, share) = tolerance(&name);
        if worst > most || far as f64 > share * steps.len() as f64 {
            failures.push(name);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn integers_and_scales_are_those_of_the_file() {
    for name in [
        "residual_qdq_int8",
        "residual_qdq_uint8",
        "functions_qoperator",
        "residual_qdq_float_weights",
    ] {
        let quantized = as_given(name);
        assert!(notes(&quantized).is_empty(), "{name}: {:?}", quantized.float.notes);
        let anew = Options { requantize: Some(Requantize::All), ..Options::default() };
        let floats = import::parse(&bytes(name), name, &anew).unwrap().graph;
        assert!(!floats.is_quantized());
        let layers = |graph: &Graph| -> Vec<Vec<f32>> {
            let layers = graph.nodes.iter().filter_map(|node| node.op.weight_and_bias());
            layers.map(|(weight, _)| weight.data.clone()).collect()
        };
        let expected = layers(&prepare(floats).unwrap());
        let found = quantized.graph.weights.iter().flatten();
        let found: Vec<Vec<f32>> = found
            .map(|weights| {
                assert_eq!(weights.bits, 8);
                weights.dequantize(&[weights.values.len()]).data
            })
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn widths_are_those_of_the_file() {
    assert_eq!(weight_bits(&as_given("residual_qdq_int4")), [4; 4]);
    assert_eq!(weight_bits(&as_given("residual_qdq_int8")), [8; 4]);
    let narrow = as_given("residual_clipped");
    assert!(notes(&narrow).is_empty(), "{:?}", narrow.float.notes);
    let bits = |quantized: &Quantized| -> Vec<u8> {
        let mut bits: Vec<u8> = quantized.program.tensors.iter().map(|t| t.bits).collect();
        bits.sort_unstable();
        bits.dedup();
        bits
    };
    assert_eq!(bits(&as_given("residual_qdq_int8")), [8]);
    assert!(bits(&narrow).contains(&4), "{:?}", bits(&narrow));
    assert!(bits(&as_given("functions_qdq_int16")).contains(&16));
}

#[test]
fn what_could_not_stay_is_said() {
    let moved = as_given("residual_qdq_uint8_weights");
    assert!(notes(&moved).contains(&"weights-changed"), "{:?}", moved.float.notes);
    assert!(moved.warnings.iter().any(|warning| warning.kind == "weights-changed"));
}

#[test]
fn encodings_beside_a_float_model_say_what_a_quantized_one_says() {
    let text = fs::read_to_string(folder().join("residual_float.encodings")).unwrap();
    let encodings = Some(Encodings::parse(&text, "residual_float.encodings").unwrap());
    let options = Options { encodings, ..Options::default() };
    let (own, other) = (with("residual_float", &options), as_given("residual_qdq_int8"));
    assert!(notes(&own).is_empty(), "{:?}", own.float.notes);
    let inputs: Vec<f32> = (0..20 * 192).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
    assert_eq!(run(&own, &inputs), run(&other, &inputs));
    let scales = |quantized: &Quantized| -> Vec<f32> {
        quantized
            .graph
            .weights
            .iter()
            .flatten()
            .flat_map(|weights| weights.scales.clone())
            .collect()
    };
    assert_eq!(scales(&own), scales(&other));
}

#[test]
fn what_is_not_quantized_throughout_takes_data() {
    let model = import::parse(&bytes("residual_float"), "net", &Options::default()).unwrap();
    let error = quantize_as_given(model.graph, "", &Device::flex()).unwrap_err().to_string();
    for part in
        ["not quantized throughout", "no grid for", "float weights in 4 layers", "calibration data"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_part_may_be_quantized_anew() {
    let name = "residual_qdq_int8";
    let only = Options { requantize: Some(Requantize::Weights), ..Options::default() };
    let graph = import::parse(&bytes(name), name, &only).unwrap().graph;
    let (kept, recipe) = (as_given(name), Recipe::preset("w4a8").unwrap());
    let batch = Tensor::<4>::random([16, 3, 8, 8], Distribution::Normal(0.0, 1.0), &Device::flex());
    let quantized = Quantizer::new(recipe).keeping_all_channels().quantize(graph, [batch]).unwrap();
    assert_eq!(weight_bits(&quantized), [4; 4]);
    let grids = |quantized: &Quantized| -> Vec<Grid> {
        let given = quantized.graph.graph.values.iter().zip(&quantized.graph.activations);
        given.filter(|(value, _)| value.given.is_some()).map(|(_, own)| own.grid).collect()
    };
    assert_eq!(grids(&quantized), grids(&kept), "activations keep the grids of the file");
}

#[test]
fn nothing_of_the_file_but_its_weights_stays_where_all_is_quantized_anew() {
    let anew = Options { requantize: Some(Requantize::All), ..Options::default() };
    for name in models() {
        let graph = import::parse(&bytes(&name), &name, &anew).unwrap().graph;
        assert!(!prepare(graph).unwrap().is_quantized(), "{name}");
    }
}

/// Files of which bytes were changed, cut off or repeated: none panics or takes long.
#[test]
fn damaged_files_are_read_or_refused() {
    let count = std::env::var("BURN_PTQ_QDQ_DAMAGED").ok();
    let count: usize = count.map_or(5_000, |text| text.parse().expect("a number"));
    let whole: Vec<Vec<u8>> = models().iter().map(|name| bytes(name)).collect();
    let encodings = fs::read_to_string(folder().join("residual_float.encodings")).unwrap();
    let mut state = 20_261_201_u64;
    let mut draw = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let (mut read, mut programs, mut refused, mut slowest) = (0, 0, 0, Duration::ZERO);
    for round in 0..count {
        let mut bytes = whole[draw(whole.len())].clone();
        for _ in 0..=draw(4) {
            let at = draw(bytes.len());
            match draw(5) {
                0 => bytes[at] = draw(256) as u8,
                1 => bytes[at] ^= 1 << draw(8),
                2 if draw(4) == 0 => bytes.truncate(at.max(8)),
                3 => {
                    let part: Vec<u8> = bytes[at..bytes.len().min(at + draw(64))].to_vec();
                    let to = draw(bytes.len() - part.len());
                    bytes[to..to + part.len()].copy_from_slice(&part);
                }
                _ => bytes[at] = bytes[at].wrapping_add(1),
            }
        }
        let mut text = encodings.clone().into_bytes();
        let at = draw(text.len());
        text[at] = b"0123456789[]{},\"-."[draw(18)];
        let requantize = [None, Some(Requantize::All), Some(Requantize::Weights)][draw(3)];
        let encodings = Encodings::parse(&String::from_utf8_lossy(&text), "damaged").ok();
        let encodings = encodings.filter(|_| draw(4) == 0);
        let options = Options { requantize, encodings, ..Options::default() };
        let start = Instant::now();
        match import::parse(&bytes, "damaged", &options) {
            Ok(model) => {
                read += 1;
                // The rest of the way takes longer.
                if round % 8 == 0 {
                    match quantize_as_given(model.graph, "", &Device::flex()) {
                        Ok(_) => programs += 1,
                        Err(error) => {
                            let text = error.to_string();
                            assert!(!text.is_empty() && !text.contains("is a bug"), "{text}");
                        }
                    }
                }
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        slowest = slowest.max(start.elapsed());
    }
    println!(
        "{count} damaged files: {read} read, {programs} of every eighth of them programs, {refused} refused, slowest \
         {slowest:.0?}"
    );
    assert!(read > count / 20 && refused > count / 20 && programs > 0);
}
