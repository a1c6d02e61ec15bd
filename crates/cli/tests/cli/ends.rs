//! Models with several inputs and outputs, and with inputs of integers.

use std::path::{Path, PathBuf};
use std::process::Command;

use burn_ptq_deploy::file;
use burn_ptq_deploy::program::DType;

use crate::support::{f32_bytes, run, stderr, stdout, write_npy};

fn model(name: &str) -> String {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    models.join(name).display().to_string()
}

/// Samples of `len` numbers from -1 to 1.
fn numbers(samples: usize, len: usize, seed: usize) -> Vec<f32> {
    (0..samples * len).map(|i| ((i * 37 + seed * 11) % 41) as f32 / 20.0 - 1.0).collect()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (seed, name) in ["features", "meta"].into_iter().enumerate() {
            let bytes = f32_bytes(&numbers(32, 3, seed));
            write_npy(&place.path(&format!("{name}.npy")), "<f4", false, &[32, 3], &bytes);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// `NAME=file` for both inputs.
    fn named(&self) -> [String; 2] {
        ["features", "meta"].map(|name| format!("{name}={}", self.text(&format!("{name}.npy"))))
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], parts: &[&str]) {
        let (model, out) = (model("ends.onnx"), self.text("refused"));
        let output = run(&[&["quantize", &model, "--out", &out], arguments].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for part in parts {
            assert!(text.contains(part), "expected {part:?} in:\n{text}");
        }
    }
}

#[test]
fn inputs_and_outputs_are_named_from_the_data_to_the_code() {
    let place = Place::new();
    let [features, meta] = place.named();
    let (ends, out) = (model("ends.onnx"), place.text("out"));
    // The folder holds a file of each name, too.
    let folder = place.0.path().display().to_string();
    let labels: Vec<u8> = (0..32).map(|i| i % 3).collect();
    write_npy(&place.path("y.npy"), "|u1", false, &[32], &labels);
    let y = place.text("y.npy");
    let all = ["quantize", &ends, "--calib", &features, "--calib", &meta, "--out", &out];
    let judged = ["--eval", &folder, "--labels", &y, "--output", "scores", "--export", "c,rust"];
    let scaled = ["--input-scale", "meta=0.5", "--json"];
    let output = run(&[&all[..], &judged, &scaled].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["output"], "scores");
    assert_eq!(report["inputs"][1]["preprocessing"]["scale"], 0.5);
    assert_eq!(report["outputs"][0]["name"], "sum");
    let program = file::read(&place.path("out/model.bptq")).unwrap();
    assert_eq!(program.inputs[1].preprocessing.scale, 0.5);
    let header = std::fs::read_to_string(place.path("out/c/ends.h")).unwrap();
    for function in ["int8_t *ends_input_meta(void)", "const int8_t *ends_output_scores(void)"] {
        assert!(header.contains(function), "{header}");
    }
    if Command::new("make").arg("--version").output().is_ok() {
        let make = Command::new("make").args(["-s", "-C", &place.text("out/c"), "test"]).output();
        let text = stdout(&make.unwrap());
        assert!(text.contains("0 differing bytes"), "{text}");
    }

    let (bptq, dump) = (place.text("out/model.bptq"), place.text("dump"));
    let all = ["evaluate", &bptq, "--eval", &folder, "--labels", &y, "--dump", &dump];
    let output = run(&all);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--output NAME"), "{}", stderr(&output));
    let output = run(&[&all[..], &["--output", "sum"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("top1 of the output 'sum'"), "{}", stdout(&output));
    let size = |name: &str| std::fs::metadata(place.path(&format!("dump/{name}"))).unwrap().len();
    assert_eq!(size("outputs.bin"), size("output_sum.bin") + size("output_scores.bin"));
    assert_eq!(size("input_meta.bin") * 2, size("inputs.bin"));
    // Raw heads need neither labels nor a metric.
    let judged = std::fs::read(place.path("dump/output_scores.bin")).unwrap();
    std::fs::remove_dir_all(place.path("dump")).unwrap();
    let output = run(&["evaluate", &bptq, "--eval", &folder, "--dump", &dump]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("nothing judged"), "{}", stdout(&output));
    assert_eq!(std::fs::read(place.path("dump/output_scores.bin")).unwrap(), judged);
    let output = run(&["inspect", &ends]);
    assert!(stdout(&output).contains("inputs 'features' [3], 'meta' [3], outputs 'sum' [3]"));
}

#[test]
fn data_of_missing_and_unknown_inputs_are_refused_by_name() {
    let place = Place::new();
    let [features, meta] = place.named();
    let alone = place.text("meta.npy");
    place.refuses(&["--calib", &features], &["no samples for the input 'meta' [3]"]);
    place.refuses(&["--calib", &alone], &["one array, but the model has 2 inputs", "NAME=PATH"]);
    place.refuses(&["--calib", &features, "--calib", &alone], &["NAME=PATH", "'features' [3]"]);
    let other = format!("other={alone}");
    place.refuses(&["--calib", &other], &["'other' is not an input of the model", "'meta' [3]"]);
    place.refuses(&["--calib", &features, "--calib", &features], &["given twice"]);
    let both = ["--calib", &features, "--calib", &meta];
    place.refuses(&[&both[..], &["--input-scale", "2"]].concat(), &["--input-scale NAME=F"]);
    let unknown = [&both[..], &["--input-scale", "other=2"]].concat();
    place.refuses(&unknown, &["the input 'other'", "\"meta\""]);
    let output = [&both[..], &["--eval", &features, "--output", "none"]].concat();
    place.refuses(&output, &["no output 'none'", "\"scores\""]);
    write_npy(&place.path("short.npy"), "<f4", false, &[2, 3], &f32_bytes(&[0.5; 6]));
    let short = format!("meta={}", place.text("short.npy"));
    place.refuses(&["--calib", &features, "--calib", &short], &["holds 2 samples", "32"]);
}

#[test]
fn tables_have_columns_of_each_input() {
    let place = Place::new();
    let mut text = "meta.0,features.2,features.0,meta.1,label,features.1,meta.2\n".to_owned();
    for (a, b) in numbers(16, 3, 0).chunks(3).zip(numbers(16, 3, 1).chunks(3)) {
        text += &format!("{},{},{},{},1,{},{}\n", b[0], a[2], a[0], b[1], a[1], b[2]);
    }
    std::fs::write(place.path("x.csv"), text).unwrap();
    let (ends, csv) = (model("ends.onnx"), place.text("x.csv"));
    let hash = |out: &str, arguments: &[&str]| {
        let output = run(&[&["quantize", &ends, "--out", out], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let program = file::read(&Path::new(out).join("model.bptq")).unwrap();
        (program.tensors.clone(), program.nodes.clone())
    };
    let [features, meta] = place.named();
    let arrays = ["--calib", &features, "--calib", &meta, "--samples", "16"];
    assert_eq!(hash(&place.text("a"), &["--calib", &csv]), hash(&place.text("b"), &arrays));
    std::fs::write(place.path("y.csv"), "meta.0,meta.1\n1,2\n").unwrap();
    place.refuses(&["--calib", &place.text("y.csv")], &["features.0 to features.2"]);
}

#[test]
fn a_fixed_batch_on_the_second_axis_is_told_by_the_samples() {
    let place = Place::new();
    let samples = numbers(16, 12, 3);
    let means: Vec<f32> = (samples.chunks(12))
        .flat_map(|steps| [0, 1].map(|at| steps.iter().skip(at).step_by(2).sum::<f32>() / 6.0))
        .collect();
    write_npy(&place.path("x.npy"), "<f4", false, &[16, 6, 2], &f32_bytes(&samples));
    write_npy(&place.path("y.npy"), "<f4", false, &[16, 2], &f32_bytes(&means));
    let (second, x, y) = (model("second.onnx"), place.text("x.npy"), place.text("y.npy"));
    let output =
        run(&["evaluate", &second, "--eval", &x, "--labels", &y, "--metric", "mse", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(result["value"].as_f64().unwrap() < 1e-10, "{result}");
}

#[test]
fn token_ids_are_exact_and_looked_up() {
    let place = Place::new();
    let ids: Vec<i64> = (0..64 * 4).map(|i| (i * 7) % 20 - 10).collect();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    write_npy(&place.path("ids.npy"), "<i8", false, &[64, 4], &bytes);
    let rows = |id: i64| (id + if id < 0 { 10 } else { 0 }) as f32;
    // What the network gives: the mean of rows `[2 id, 2 id + 1] / 4`.
    let means: Vec<f32> = (ids.chunks(4))
        .flat_map(|ids| {
            let mean = ids.iter().map(|&id| rows(id)).sum::<f32>() / 4.0;
            [mean / 2.0, mean / 2.0 + 0.25]
        })
        .collect();
    write_npy(&place.path("y.npy"), "<f4", false, &[64, 2], &f32_bytes(&means));
    let (tokens, ids, y, out) =
        (model("tokens.onnx"), place.text("ids.npy"), place.text("y.npy"), place.text("out"));
    let data = ["--calib", &ids, "--eval", &ids, "--labels", &y, "--metric", "mse"];
    let all =
        [&["quantize", &tokens, "--out", &out, "--export", "c", "--json"], &data[..]].concat();
    let output = run(&all);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(report["float"].as_f64().unwrap() < 1e-10, "{report}");
    assert!(report["integer"].as_f64().unwrap() < 1e-3, "{report}");
    let program = file::read(&place.path("out/model.bptq")).unwrap();
    let tensor = program.input_tensor(&program.inputs[0]);
    assert_eq!((tensor.dtype, tensor.grid.scale, tensor.grid.zero_point), (DType::I8, 1.0, 0));
    if Command::new("make").arg("--version").output().is_ok() {
        let make = Command::new("make").args(["-s", "-C", &place.text("out/c"), "test"]).output();
        let text = stdout(&make.unwrap());
        assert!(text.contains("0 differing bytes"), "{text}");
    }
    // A task may say that nothing is scaled.
    let neutral = ["--input-scale", "1", "--input-mean", "0", "--input-std", "1"];
    for model in [&tokens, &place.text("out/model.bptq")] {
        let output = run(&[&["evaluate", model], &data[2..], &neutral].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let scaled = run(&[&all[..], &["--input-scale", "0.5"]].concat());
    assert_eq!(scaled.status.code(), Some(2));
    assert!(stderr(&scaled).contains("takes whole numbers"), "{}", stderr(&scaled));
}

#[test]
fn a_task_judges_each_of_its_outputs() {
    let place = Place::new();
    let task = place.path("task");
    std::fs::create_dir_all(task.join("calib_x")).unwrap();
    std::fs::create_dir_all(task.join("eval_x")).unwrap();
    std::fs::copy(model("ends.onnx"), task.join("model.onnx")).unwrap();
    for folder in ["calib_x", "eval_x"] {
        for name in ["features.npy", "meta.npy"] {
            std::fs::copy(place.path(name), task.join(folder).join(name)).unwrap();
        }
    }
    let labels: Vec<u8> = (0..32).map(|i| i % 3).collect();
    write_npy(&task.join("eval_y.npy"), "|u1", false, &[32], &labels);
    let targets = f32_bytes(&numbers(32, 3, 5));
    write_npy(&task.join("eval_y_sum.npy"), "<f4", false, &[32, 3], &targets);
    let describe = |text: &str| std::fs::write(task.join("task.toml"), text).unwrap();
    describe("metric = \"top1\"\noutput = \"scores\"\n[outputs.sum]\nmetric = \"mae\"\n");
    let (folder, out) = (task.display().to_string(), place.text("out"));
    let output = run(&["quantize", "--task", &folder, "--out", &out]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("top1 of the output 'scores' on 32 samples: integer"), "{text}");
    assert!(text.contains("\nmae of the output 'sum': integer"), "{text}");
    let report = std::fs::read_to_string(place.path("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let further = &report["further"][0];
    assert_eq!(
        (further["output"].as_str(), further["metric"].as_str()),
        (Some("sum"), Some("mae"))
    );
    let bptq = place.text("out/model.bptq");
    for model in [None, Some(&bptq)] {
        let mut arguments = vec!["evaluate", "--task", &folder, "--json"];
        arguments.extend(model.map(String::as_str));
        let output = run(&arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        let expected = if model.is_some() { &further["integer"] } else { &further["float"] };
        assert_eq!(found["output"], "scores");
        assert_eq!(&found["further"][0]["value"], expected);
        let alone = run(&[&arguments[..], &["--output", "sum"]].concat());
        let alone: serde_json::Value = serde_json::from_str(&stdout(&alone)).unwrap();
        assert_eq!((&alone["metric"], &alone["value"]), (&"mae".into(), expected));
    }
    let output =
        run(&["compare", &format!("{folder}/model.onnx"), &bptq, "--task", &folder, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let compared: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    for (metric, (name, value)) in (compared["metrics"].as_array().unwrap().iter())
        .zip([("scores", &report["integer"]), ("sum", &further["integer"])])
    {
        let integer = &metric["models"][1];
        assert_eq!((&metric["output"], &integer["value"]), (&name.into(), value));
        assert!(integer["against_first"]["test"]["adjusted_p"].is_f64(), "{integer}");
    }
    assert_eq!(compared["metrics"].as_array().unwrap().len(), 2);
    describe("metric = \"top1\"\noutput = \"scores\"\n[outputs.scores]\nmetric = \"mae\"\n");
    let output = run(&["quantize", "--task", &folder, "--out", &out]);
    assert!(stderr(&output).contains("judged twice"), "{}", stderr(&output));
    describe("metric = \"top1\"\noutput = \"scores\"\n[outputs.none]\nmetric = \"mae\"\n");
    let output = run(&["quantize", "--task", &folder, "--out", &out]);
    assert!(stderr(&output).contains("no output 'none'"), "{}", stderr(&output));
}
