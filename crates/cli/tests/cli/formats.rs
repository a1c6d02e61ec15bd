//! Models of other formats: TensorFlow Lite files, float and quantized, in every command; conversions.

use std::fs;
use std::path::{Path, PathBuf};

use burn_ptq_deploy::import;
use burn_ptq_deploy::program::TensorId;

use crate::support::{f32_bytes, run, stderr, stdout, write_npy};

/// A float network of Keras for a sensor, `[64, 6]` to four classes.
fn float() -> String {
    of_repository("crates/burn-ptq/tests/tflite/sensor.tflite")
}

/// A quantized network of 16 by 16 pixels in three channels, and ten classes.
fn quantized() -> String {
    of_repository("tests/imports/files/resnet8.tflite")
}

fn of_repository(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file).display().to_string()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Random samples of a shape.
    fn samples(&self, name: &str, count: usize, shape: &[usize]) -> String {
        let len: usize = shape.iter().product();
        let number = |i: usize| ((i * 7919 + 13) % 2003) as f32 / 1001.0 - 1.0;
        let values: Vec<f32> = (0..count * len).map(number).collect();
        let shape: Vec<usize> = [&[count], shape].concat();
        write_npy(&self.path(name), "<f4", false, &shape, &f32_bytes(&values));
        self.text(name)
    }
}

#[track_caller]
fn succeeds(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[track_caller]
fn refuses(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for part in parts {
        assert!(text.contains(part), "expected {part:?} in:\n{text}");
    }
}

#[test]
fn a_float_tensorflow_lite_model_is_quantized_like_any_other() {
    let place = Place::new();
    let samples = place.samples("x.npy", 64, &[64, 6]);
    let (model, out) = (float(), place.text("out"));
    let listed = succeeds(&["inspect", &model]);
    assert!(listed.contains("Conv") && listed.contains("Softmax"), "{listed}");
    let said = succeeds(&[
        "quantize", &model, "--calib", &samples, "--preset", "w4a8", "--export", "c,tflite",
        "--out", &out,
    ]);
    assert!(said.contains("sensor, W4A8"), "{said}");
    let exported = place.path("out/tflite").read_dir().unwrap().flatten();
    let tflite = exported
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "tflite"));
    let tflite = tflite.expect("an exported file").display().to_string();
    // What was exported is read as an integer program.
    let listed = succeeds(&["inspect", &tflite, "--target", "cortex-m4"]);
    assert!(listed.contains("cortex-m4"), "{listed}");
}

#[test]
fn formats_of_a_program_lead_to_each_other() {
    let place = Place::new();
    let files = ["a.bptq", "a.tflite", "b.bptq", "a.onnx", "q.onnx"].map(|name| place.text(name));
    let [bptq, tflite, again, onnx, qoperator] = files.each_ref().map(String::as_str);
    succeeds(&["convert", &quantized(), bptq, "--name", "net"]);
    succeeds(&["convert", bptq, tflite]);
    succeeds(&["convert", tflite, again, "--name", "net"]);
    assert_eq!(fs::read(bptq).unwrap(), fs::read(again).unwrap(), "there and back");
    let said = succeeds(&["convert", bptq, onnx]);
    assert!(said.contains("a.onnx"), "{said}");
    succeeds(&["convert", bptq, qoperator, "--qoperator"]);
    let contains = |path: &str, name: &str| {
        fs::read(path).unwrap().windows(name.len()).any(|part| part == name.as_bytes())
    };
    assert!(contains(onnx, "QuantizeLinear") && !contains(onnx, "QLinearConv"));
    assert!(contains(qoperator, "QLinearConv"));
    // Nodes have the first of the names that the converter joined.
    let listed = succeeds(&["inspect", bptq]);
    assert!(listed.contains("functional_1/activation_1/Relu") && !listed.contains(';'), "{listed}");
}

#[test]
fn a_quantized_tensorflow_lite_model_is_judged_exported_and_quantized_anew() {
    let place = Place::new();
    let samples = place.samples("x.npy", 40, &[16, 16, 3]);
    let labels: Vec<String> = (0..40).map(|i| (i % 10).to_string()).collect();
    fs::write(place.path("y.txt"), labels.join("\n")).unwrap();
    let (model, bptq, y) = (quantized(), place.text("net.bptq"), place.text("y.txt"));
    succeeds(&["convert", &model, &bptq]);
    let judged = |model: &str| {
        let said = succeeds(&["evaluate", model, "--eval", &samples, "--labels", &y]);
        let (_, metric) = said.split_once("(integer): ").expect("a metric");
        metric.lines().next().map(str::to_owned)
    };
    assert_eq!(judged(&model), judged(&bptq));
    let said = succeeds(&["export", &model, "--to", "c,rust", "--out", &place.text("code")]);
    assert!(said.contains("code/c") && said.contains("code/rust"), "{said}");
    let quantize = ["quantize", &model, "--calib", &samples, "--out", &place.text("out")];
    refuses(&quantize, &["quantized already", "burn-ptq convert", "--requantize"]);
    let said = succeeds(&[&quantize[..], &["--requantize", "--preset", "w4a8"]].concat());
    assert!(said.contains("resnet8, W4A8"), "{said}");
}

/// A small quantized network of ONNX Runtime.
fn quantized_onnx(name: &str) -> String {
    of_repository(&format!("crates/burn-ptq/tests/quantized/{name}"))
}

/// What a layer computes with.
#[derive(Debug, PartialEq)]
struct Layer {
    weights: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<i32>,
    /// The grids of its input and output.
    grids: [String; 2],
}

/// All layers of a program.
fn layers(model: &str) -> Vec<Layer> {
    let program = import::read(Path::new(model)).unwrap();
    let layers = program.nodes.iter().filter_map(|node| {
        let weighted = node.op.weighted()?;
        let grid = |id: TensorId| format!("{:?}", program.tensors[id.0].grid);
        let scales = &weighted.weights.scales;
        let channels = weighted.bias.len();
        let scales = (0..channels).map(|c| scales[if scales.len() == 1 { 0 } else { c }]).collect();
        let grids = [grid(node.inputs[0]), grid(node.output)];
        let (weights, bias) = (weighted.weights.unpack(), weighted.bias.clone());
        Some(Layer { weights, scales, bias, grids })
    });
    layers.collect()
}

#[test]
fn a_program_comes_back_from_onnx_with_its_integers_and_scales() {
    let place = Place::new();
    let out = place.text("out");
    let mut models = vec![quantized()];
    for preset in ["w8a8", "w4a8", "w2a8"] {
        let out = format!("{out}-{preset}");
        let demo = of_repository("crates/cli/demo");
        succeeds(&["quantize", "--task", &demo, "--preset", preset, "--out", &out]);
        models.push(format!("{out}/model.bptq"));
    }
    for model in models {
        for form in [&[][..], &["--qoperator"]] {
            let (onnx, back) = (place.text("a.onnx"), place.text("b.bptq"));
            succeeds(&[&["convert", &model, &onnx][..], form].concat());
            succeeds(&["convert", &onnx, &back]);
            let (own, found) = (layers(&model), layers(&back));
            assert_eq!(own.len(), found.len(), "{model} {form:?}");
            for (own, found) in own.iter().zip(&found) {
                assert_eq!(own, found, "{model} {form:?}");
            }
        }
    }
}

#[test]
fn a_quantized_onnx_model_is_taken_by_every_command() {
    let place = Place::new();
    let samples = place.samples("x.npy", 40, &[3, 8, 8]);
    let labels: Vec<String> = (0..40).map(|i| (i % 10).to_string()).collect();
    fs::write(place.path("y.txt"), labels.join("\n")).unwrap();
    let (model, bptq, y) =
        (quantized_onnx("residual_qdq_int8.onnx"), place.text("net.bptq"), place.text("y.txt"));
    let said = succeeds(&["convert", &model, &bptq]);
    assert!(said.contains("net.bptq"), "{said}");
    let judged = |model: &str| {
        let said = succeeds(&["evaluate", model, "--eval", &samples, "--labels", &y]);
        let (_, metric) = said.split_once("(integer): ").expect("a metric");
        metric.lines().next().map(str::to_owned)
    };
    assert_eq!(judged(&model), judged(&bptq));
    let listed = succeeds(&["inspect", &model, "--target", "cortex-m4"]);
    assert!(listed.contains("cortex-m4") && listed.contains("conv1_node"), "{listed}");
    let said = succeeds(&["export", &model, "--to", "c,tflite", "--out", &place.text("code")]);
    assert!(said.contains("code/c") && said.contains("code/tflite"), "{said}");
    // Its integers stay, or everything is quantized anew.
    let out = place.text("out");
    let quantize = ["quantize", &model, "--calib", &samples, "--out", &out];
    succeeds(&quantize);
    assert_eq!(layers(&format!("{out}/model.bptq")), layers(&bptq));
    let widths = [&quantize[..], &["--weights", "4"]].concat();
    refuses(&widths, &["quantized already", "leave out --weights", "--requantize"]);
    let said = succeeds(&[&widths[..], &["--requantize"]].concat());
    assert!(said.contains("W4A8"), "{said}");
    succeeds(&[&widths[..], &["--requantize", "weights"]].concat());
}

#[test]
fn encodings_make_a_float_model_a_quantized_one() {
    let place = Place::new();
    let [own, other] = ["own.bptq", "other.bptq"].map(|name| place.text(name));
    let (float, encodings) =
        (quantized_onnx("residual_float.onnx"), quantized_onnx("residual_float.encodings"));
    succeeds(&["convert", &float, &own, "--encodings", &encodings]);
    succeeds(&["convert", &quantized_onnx("residual_qdq_int8.onnx"), &other]);
    assert_eq!(layers(&own), layers(&other));
    let anything = place.text("x.json");
    fs::write(&anything, "{}").unwrap();
    let convert = ["convert", &float, &own, "--encodings"];
    refuses(&[&convert[..], &[&anything]].concat(), &["x.json", "AIMET", "expected 'encodings'"]);
    refuses(&["convert", &other, &own, "--encodings", &encodings], &["about .onnx files"]);
}

#[test]
fn what_cannot_be_converted_says_why() {
    let place = Place::new();
    let out = place.text("out.bptq");
    refuses(&["convert", &float(), &out], &["sensor.tflite", "not an integer model", "quantize"]);
    refuses(
        &["convert", &quantized(), &place.text("out.h5")],
        &["out.h5", ".bptq, .tflite or .onnx"],
    );
    refuses(&["convert", &quantized(), &out, "--qoperator"], &["--qoperator"]);
    refuses(&["convert", &place.text("none.tflite"), &out], &["none.tflite"]);
    let bytes = fs::read(quantized()).unwrap();
    for (name, part) in [("cut.tflite", &bytes[..bytes.len() / 2]), ("short.tflite", &bytes[..6])] {
        fs::write(place.path(name), part).unwrap();
        refuses(&["inspect", &place.text(name)], &[name]);
        refuses(&["convert", &place.text(name), &out], &[name]);
    }
    assert!(!place.path("out.bptq").exists(), "no file is left");
}
