//! Networks that keep something from one step to the next, on sequences.

use std::path::{Path, PathBuf};
use std::process::Command;

use burn_ptq_deploy::file;

use crate::support::{f32_bytes, run, stderr, stdout, write_npy};

const STEPS: usize = 12;
const FEATURES: usize = 6;

fn model() -> String {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    models.join("cell.onnx").display().to_string()
}

struct Place(tempfile::TempDir);

impl Place {
    /// With 40 sequences to calibrate and 30 to evaluate.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, count, seed) in [("calib", 40, 1_u64), ("eval", 30, 2)] {
            let mut state = seed;
            let mut number = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            };
            let values: Vec<f32> = (0..count * STEPS * FEATURES).map(|_| 2.0 * number()).collect();
            let shape = [count, STEPS, FEATURES];
            write_npy(
                &place.path(&format!("{name}.npy")),
                "<f4",
                false,
                &shape,
                &f32_bytes(&values),
            );
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Quantizes to `out`, with further arguments; returns what was printed.
    fn quantize(&self, arguments: &[&str]) -> String {
        let (model, calib, out) = (model(), self.text("calib.npy"), self.text("out"));
        let base = ["quantize", &model, "--calib", &calib, "--out", &out];
        let output = run(&[&base[..], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], parts: &[&str]) {
        let (model, out) = (model(), self.text("refused"));
        let output = run(&[&["quantize", &model, "--out", &out], arguments].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for part in parts {
            assert!(text.contains(part), "expected {part:?} in:\n{text}");
        }
    }
}

#[test]
fn states_are_found_said_and_kept() {
    let place = Place::new();
    let text = place.quantize(&["--preset", "w8a8"]);
    assert!(
        text.contains("note: the input 'h_in' is a state that becomes the output 'h_out'"),
        "{text}"
    );
    let program = file::read(&place.path("out/model.bptq")).unwrap();
    assert_eq!(program.inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["x"]);
    assert_eq!(program.outputs.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["y"]);
    let [state] = &program.states[..] else { panic!("one state") };
    let [held, next] = [state.input, state.output].map(|id| &program.tensors[id.0]);
    assert_eq!((state.name.as_str(), held.grid, held.bits), ("h_in", next.grid, 8));

    let text = stdout(&run(&["inspect", &place.text("out/model.bptq")]));
    assert!(text.contains("input 'x' [6], a state of 12 B"), "{text}");

    // Declared, nothing is found, and the model is the same.
    let first = std::fs::read(place.path("out/model.bptq")).unwrap();
    let text = place.quantize(&["--preset", "w8a8", "--state", "h_in=h_out"]);
    assert!(!text.contains("is a state"), "{text}");
    assert_eq!(std::fs::read(place.path("out/model.bptq")).unwrap(), first);
}

#[test]
fn the_integer_network_follows_the_float_one_over_all_steps() {
    let place = Place::new();
    place.quantize(&["--preset", "w8a8", "--export", "c"]);
    // What the float network says of each step is the truth here: from it, labels.
    let (model, eval) = (place.text("out/model.bptq"), place.text("eval.npy"));
    let scores = float_scores(&place);
    let argmax =
        |scores: &[f32]| (0..3).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap() as f32;
    let each: Vec<f32> = scores.chunks(3).map(argmax).collect();
    write_npy(&place.path("each.npy"), "<f4", false, &[30, STEPS], &f32_bytes(&each));
    let last: Vec<f32> = each.chunks(STEPS).map(|steps| steps[STEPS - 1]).collect();
    write_npy(&place.path("last.npy"), "<f4", false, &[30], &f32_bytes(&last));
    for (labels, least) in [("each.npy", 0.93), ("last.npy", 0.9)] {
        let labels = place.text(labels);
        let output = run(&["evaluate", &model, "--eval", &eval, "--labels", &labels, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        let metric = json["value"].as_f64().unwrap();
        assert!(metric >= least, "{labels}: {metric}");
        let float = self::model();
        let output = run(&["evaluate", &float, "--eval", &eval, "--labels", &labels, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(json["value"].as_f64(), Some(1.0), "{labels}");
    }
    let made = Command::new("make").args(["-C", &place.text("out/c"), "test"]).output();
    match made {
        Ok(made) => {
            let text = String::from_utf8_lossy(&made.stdout);
            assert!(text.contains("8 samples, 0 differing bytes"), "{text}");
            let header = std::fs::read_to_string(place.path("out/c/cell.h")).unwrap();
            assert!(header.contains("void cell_reset(void);"), "{header}");
        }
        Err(error) => eprintln!("SKIPPED the self-test of a network with states: {error}"),
    }
}

#[test]
fn layers_fitted_to_a_few_sequences_are_measured_on_those_of_evaluation() {
    let place = Place::new();
    let labels: Vec<f32> = (0..30).map(|sequence| (sequence % 3) as f32).collect();
    write_npy(&place.path("labels.npy"), "<f4", false, &[30], &f32_bytes(&labels));
    let (eval, labels) = (place.text("eval.npy"), place.text("labels.npy"));
    let few = ["--preset", "w4a8", "--samples", "2", "--eval", &eval, "--labels", &labels];
    let text = place.quantize(&few);
    assert!(text.contains("output dB: on"), "{text}");
    assert!(text.contains("evaluation samples"), "{text}");
}

/// The scores of all steps of all sequences, by the formulas of `make.py` on the numbers of the model itself.
fn float_scores(place: &Place) -> Vec<f32> {
    let bytes = std::fs::read(model()).unwrap();
    let constant = |name: &str, len: usize| -> Vec<f32> {
        // The name of an initializer stands before its raw data, of which the length is known.
        let key = [&[0x42, name.len() as u8], name.as_bytes(), &[0x4a]].concat();
        let at = bytes.windows(key.len()).position(|window| window == key).expect(name) + key.len();
        let skip = if len * 4 < 128 { 1 } else { 2 };
        let data = &bytes[at + skip..at + skip + len * 4];
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    const HIDDEN: usize = 12;
    let [gate_x, new_x] = ["gate_x", "new_x"].map(|name| constant(name, FEATURES * HIDDEN));
    let [gate_h, new_h] = ["gate_h", "new_h"].map(|name| constant(name, HIDDEN * HIDDEN));
    let [gate_b, new_b] = ["gate_b", "new_b"].map(|name| constant(name, HIDDEN));
    let (score, score_b) = (constant("score", HIDDEN * 3), constant("score_b", 3));
    let through = |x: &[f32], weight: &[f32], outs: usize| -> Vec<f32> {
        (0..outs)
            .map(|o| x.iter().enumerate().map(|(i, x)| x * weight[i * outs + o]).sum())
            .collect()
    };
    let data = std::fs::read(place.path("eval.npy")).unwrap();
    let values = data[data.len() - 30 * STEPS * FEATURES * 4..].chunks_exact(4);
    let values: Vec<f32> = values.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut scores = Vec::new();
    for sequence in values.chunks(STEPS * FEATURES) {
        let mut h = vec![0.0_f32; HIDDEN];
        for x in sequence.chunks(FEATURES) {
            let (from_x, from_h) = (through(x, &gate_x, HIDDEN), through(&h, &gate_h, HIDDEN));
            let gate: Vec<f32> = (0..HIDDEN)
                .map(|i| 1.0 / (1.0 + (-(from_x[i] + from_h[i] + gate_b[i])).exp()))
                .collect();
            let gated: Vec<f32> = gate.iter().zip(&h).map(|(gate, h)| gate * h).collect();
            let (from_x, from_h) = (through(x, &new_x, HIDDEN), through(&gated, &new_h, HIDDEN));
            for i in 0..HIDDEN {
                let candidate = (from_x[i] + from_h[i] + new_b[i]).tanh();
                h[i] += gate[i] * (candidate - h[i]);
            }
            let own = through(&h, &score, 3);
            scores.extend(own.iter().zip(&score_b).map(|(score, bias)| score + bias));
        }
    }
    scores
}

#[test]
fn one_step_of_recurrent_layers_keeps_what_it_keeps() {
    let place = Place::new();
    let values: Vec<f32> =
        (0..24 * STEPS * 5).map(|i| ((i * 37) % 41) as f32 / 12.0 - 1.7).collect();
    write_npy(&place.path("five.npy"), "<f4", false, &[24, STEPS, 5], &f32_bytes(&values));
    for (name, states) in [("gru", &["h0"][..]), ("lstm", &["h0", "c0"])] {
        let model = self::model().replace("cell.onnx", &format!("{name}.onnx"));
        let (calib, out) = (place.text("five.npy"), place.text(name));
        let output =
            run(&["quantize", &model, "--calib", &calib, "--preset", "w8a8", "--out", &out]);
        assert!(output.status.success(), "{}", stderr(&output));
        let program = file::read(&place.path(&format!("{name}/model.bptq"))).unwrap();
        let found: Vec<&str> = program.states.iter().map(|state| state.name.as_str()).collect();
        assert_eq!(found, states);
        let report = std::fs::read_to_string(place.path(&format!("{name}/report.json"))).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let layers = report["layers"].as_array().unwrap().iter();
        let sqnr = layers.filter_map(|layer| layer["sqnr_db"].as_f64());
        assert!(sqnr.fold(f64::INFINITY, f64::min) > 25.0, "{name}: a layer is noisy");
    }
}

#[test]
fn what_cannot_be_a_state_says_what_to_write() {
    let place = Place::new();
    let calib = place.text("calib.npy");
    let refused = |states: &[&str], parts: &[&str]| {
        let states: Vec<&str> = states.iter().flat_map(|state| ["--state", state]).collect();
        place.refuses(&[&["--calib", &calib][..], &states].concat(), parts);
    };
    refused(&["h=h_out"], &["the model has no input `h`; its inputs are x, h_in"]);
    refused(&["h_in=h"], &["the model has no output `h`; its outputs are y, h_out"]);
    refused(&["h_in=y"], &["the input has the shape [12], the output [3]"]);
    refused(
        &["h_in=h_out", "h_in=h_out"],
        &["`h_in` belongs to another state already; give it once"],
    );
    refused(&["h_in"], &["expected INPUT=OUTPUT"]);
    // Data of single steps.
    let flat = place.path("flat.npy");
    write_npy(&flat, "<f4", false, &[8, FEATURES], &f32_bytes(&[0.5; 8 * FEATURES]));
    place.refuses(
        &["--calib", &flat.display().to_string()],
        &["expected sequences of shape [samples, steps, 6] for the input 'x'"],
    );
}

#[test]
fn a_task_names_its_states() {
    let place = Place::new();
    let task = place.path("task");
    std::fs::create_dir(&task).unwrap();
    std::fs::copy(model(), task.join("model.onnx")).unwrap();
    std::fs::copy(place.path("calib.npy"), task.join("calib_x.npy")).unwrap();
    let table = "metric = 'top1'\n[[state]]\ninput = 'h_in'\noutput = 'h_out'\n";
    std::fs::write(task.join("task.toml"), table).unwrap();
    let (task, out) = (task.display().to_string(), place.text("out"));
    let output = run(&["quantize", "--task", &task, "--preset", "w8a8", "--out", &out]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(file::read(&place.path("out/model.bptq")).unwrap().states.len(), 1);
    assert!(!stdout(&output).contains("is a state"));
}
