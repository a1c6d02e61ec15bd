//! Metrics on networks that pass their input on, with data and labels in common formats.

use std::path::{Path, PathBuf};

use crate::support::{demo, f32_bytes, run, stderr, stdout, write_npy};

/// A folder with samples for one of the networks in `tests/models`.
struct Place {
    folder: tempfile::TempDir,
    model: String,
}

impl Place {
    fn new(model: &str, shape: &[usize], samples: &[f32]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_npy(&folder.path().join("x.npy"), "<f4", false, shape, &f32_bytes(samples));
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
        Self { folder, model: models.join(model).display().to_string() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn labels(&self, descr: &str, shape: &[usize], bytes: &[u8]) -> &Self {
        write_npy(&self.path("y.npy"), descr, false, shape, bytes);
        self
    }

    fn evaluate(&self, arguments: &[&str]) -> std::process::Output {
        let [x, y] = ["x.npy", "y.npy"].map(|name| self.text(name));
        let mut all = vec!["evaluate", &self.model, "--eval", &x];
        if self.path("y.npy").exists() {
            all.extend(["--labels", &y]);
        }
        run(&[&all, arguments].concat())
    }

    #[track_caller]
    fn finds(&self, arguments: &[&str], text: &str) {
        let output = self.evaluate(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        let found = stdout(&output);
        assert!(found.contains(text), "expected {text:?} in:\n{found}");
    }

    /// Expects a refusal before anything runs.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.evaluate(arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(!text.contains("evaluate ..."), "evaluation had begun:\n{text}");
        for part in parts {
            assert!(text.contains(part), "expected {part:?} in:\n{text}");
        }
    }
}

#[test]
fn one_sigmoid_output_is_judged_at_a_threshold_and_the_text_says_so() {
    let place = Place::new("sigmoid.onnx", &[4, 1], &[-2.0, 3.0, 0.5, -1.0]);
    place.labels("|b1", &[4], &[0, 1, 1, 0]);
    place.finds(&[], "(float): top1 1.0000 [0.510, 1.000] on 4 samples");
    place.finds(&[], "binary accuracy; positive: outputs of the sigmoid above 0.5");
    place.finds(&["--metric", "binary", "--threshold", "0.9"], "binary 0.7500 [");
    place.finds(&["--metric", "f1", "--threshold", "0.9"], "f1 0.6667 [");
    place.finds(&["--metric", "auc"], "auc 1.0000 [");
    place.refuses(&["--metric", "top5"], &["needs several classes"]);
    place.labels("<i2", &[4], &[2_i16, 1, 1, 2].map(i16::to_le_bytes).concat());
    place.refuses(&[], &["y.npy hold 1 (2 times), 2 (2 times)", "subtract 1"]);
    place.refuses(&["--metric", "binary", "--threshold", "1.5"], &["between 0 and 1"]);
    place.refuses(&["--metric", "topk"], &["top5"]);
    place.refuses(&["--metric", "accuracy"], &["top1", "binary", "reconstruction"]);
}

#[test]
fn regressions_are_compared_with_targets_and_never_with_nothing() {
    let place = Place::new("two.onnx", &[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    place.refuses(&["--metric", "mse"], &["--labels", "[samples, 2]", "--metric reconstruction"]);
    place.finds(
        &["--metric", "reconstruction"],
        "reconstruction 0.0000 [0.0000, 0.0000] on 3 samples",
    );
    place.labels("<f4", &[3, 2], &f32_bytes(&[0.1, 1.0, 2.0, 3.3, 4.0, 5.0]));
    // (.01 + 0 + 0 + .09 + 0 + 0) / 6
    place.finds(&["--metric", "mse"], "mse 0.0167 [0.0000, ");
    place.finds(&["--metric", "mae"], "mae 0.0667 [0.0000, ");
    place.finds(&["--metric", "r2"], "r2 0.99");
    place.labels("<i8", &[3, 2], &[0_i64, 1, 2, 3, 4, 4].map(i64::to_le_bytes).concat());
    place.finds(&["--metric", "mse"], "mse 0.1667 [");
    place.labels("<f4", &[2, 3], &f32_bytes(&[0.0; 6]));
    place.refuses(&["--metric", "mse"], &["2 samples", "[2, 3]", "3 samples", "axis 1"]);
    place.labels("<f4", &[3, 1], &f32_bytes(&[0.0; 3]));
    place.refuses(&["--metric", "mse"], &["[3, 1]", "[2]", "[samples, 2]"]);
}

#[test]
fn class_labels_have_many_forms() {
    let place = Place::new("two.onnx", &[3, 2], &[0.0, 1.0, 3.0, 2.0, 4.0, 5.0]);
    for (descr, shape, bytes) in [
        ("<u2", &[3][..], [1_u16, 0, 1].map(u16::to_le_bytes).concat()),
        ("<u8", &[3], [1_u64, 0, 1].map(u64::to_le_bytes).concat()),
        ("|b1", &[3], vec![1, 0, 1]),
        ("<f4", &[3, 1], f32_bytes(&[1.0, 0.0, 1.0])),
        ("<f8", &[3, 2], [0.0_f64, 1.0, 1.0, 0.0, 0.0, 1.0].map(f64::to_le_bytes).concat()),
        ("|u1", &[3, 2], vec![0, 1, 1, 0, 0, 1]),
    ] {
        place.labels(descr, shape, &bytes).finds(&[], "top1 1.0000 [0.439, 1.000] on 3 samples");
    }
    place.labels("|i1", &[3], &[1, 2, 1]);
    place.refuses(&[], &["run from 1 to 2 and none is 0", "numpy: y - 1"]);
    place.labels("|i1", &[3], &[0xff, 9, 1]);
    place.refuses(
        &[],
        &["2 of 3 labels", "the classes 0 to 1", "-1 (1 time), 9 (1 time)", "sample 0"],
    );
    place.labels("|u1", &[2, 2], &[0, 1, 1, 0]);
    place.refuses(&[], &["labels of 2 samples", "[2, 2]", "x.npy holds 3 samples"]);
    place.labels("|u1", &[3, 2], &[0, 1, 1, 1, 1, 0]);
    place.refuses(&[], &["not one-hot", "--metric multilabel"]);
    place.finds(&["--metric", "multilabel"], "multilabel 0.6667 [");
    place.finds(&["--metric", "multilabel"], "label_accuracy");
}

#[test]
fn steps_in_time_are_judged_each() {
    let outputs = [0.0, 1.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5];
    let place = Place::new("steps.onnx", &[1, 2, 4], &outputs);
    place.labels("|u1", &[1, 4], &[1, 0, 1, 1]);
    place.finds(&[], "top1 0.7500 [");
    place.finds(&[], "4 places of each sample, with 2 classes in outputs of shape [2, 4]");
    place.labels("|u1", &[1], &[1]);
    place.refuses(&[], &["[samples, 4]", "[samples, 2]"]);
}

#[test]
fn json_and_reports_hold_intervals_and_the_confusion_matrix() {
    let place = Place::new("two.onnx", &[4, 2], &[0.0, 1.0, 3.0, 2.0, 4.0, 5.0, 9.0, 1.0]);
    place.labels("|u1", &[4], &[1, 0, 0, 0]);
    let output = place.evaluate(&["--json"]);
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found["value"], 0.75);
    let [low, high] = [0, 1].map(|end| found["ci"][end].as_f64().unwrap());
    assert!((low - 0.300_642).abs() < 1e-6 && (high - 0.954_413).abs() < 1e-6, "{low} {high}");
    assert_eq!(found["confusion"]["counts"], serde_json::json!([[2, 1], [0, 1]]));

    let [x, y, out] = ["x.npy", "y.npy", "out"].map(|name| place.text(name));
    let arguments = ["quantize", &place.model, "--calib", &x, "--eval", &x, "--labels", &y];
    let output = run(&[&arguments[..], &["--out", &out]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("top1 on 4 samples: integer 0.7500 [0.301, 0.954], simulated")
    );
    let report = std::fs::read_to_string(place.path("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    for network in ["float", "simulated", "integer"] {
        assert_eq!(report[network], 0.75);
        assert_eq!(report[format!("{network}_ci")], found["ci"]);
    }
    assert_eq!(report["confusion"]["float"], found["confusion"]["counts"]);
    assert_eq!(report["confusion"]["integer"], found["confusion"]["counts"]);
}

#[test]
fn a_dump_holds_what_the_evaluation_read_and_wrote() {
    let place = Place::new("two.onnx", &[3, 2], &[0.0, 1.0, -1.0, 0.5, 0.25, -0.5]);
    place.labels("|u1", &[3], &[1, 1, 0]);
    let [x, y, out, dump] = ["x.npy", "y.npy", "out", "dump"].map(|name| place.text(name));
    let data = ["--eval", &x, "--labels", &y];
    let output =
        run(&[&["quantize", &place.model, "--calib", &x, "--out", &out], &data[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let model = place.text("out/model.bptq");
    let dumps = |samples: &str| {
        let arguments = ["evaluate", &model, "--dump", &dump, "--dump-samples", samples];
        let output = run(&[&arguments, &data[..]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let read = |name: &str| std::fs::read(place.path("dump").join(name)).unwrap();
        (read("inputs.bin"), read("outputs.bin"), stderr(&output))
    };
    let (inputs, outputs, text) = dumps("32");
    assert_eq!((inputs.len(), outputs.len()), (6, 6));
    assert!(text.contains("all 3 samples were written"), "{text}");
    let program = burn_ptq_deploy::file::read(Path::new(&model)).unwrap();
    let reference = burn_ptq_deploy::run::Path::Reference;
    let expected = burn_ptq_deploy::run::run_batch(&program, reference, &inputs).unwrap();
    assert_eq!(outputs, expected);
    let (two, outputs_of_two, text) = dumps("2");
    assert_eq!((&two[..], &outputs_of_two[..]), (&inputs[..4], &outputs[..4]));
    assert!(!text.contains("no more"), "{text}");
}

#[test]
fn studies_compare_errors_and_refuse_metrics_without_a_paired_test() {
    let samples: Vec<f32> = (0..64).map(|i| ((i * 37) % 64) as f32 / 64.0).collect();
    let place = Place::new("two.onnx", &[32, 2], &samples);
    place.labels("<f4", &[32, 2], &f32_bytes(&samples));
    let study = |metric: &str| {
        let text = format!(
            "name = 's'\ndraws = 2\n[base]\ncalibration.samples = 16\n[[task]]\nname = 'two'\n\
             model = '{}'\ncalibration = 'x.npy'\nevaluation = 'x.npy'\nlabels = 'y.npy'\n\
             metric = '{metric}'\n[[experiment]]\nquestion = 'q'\n[[experiment.axis]]\n\
             key = 'weights.bits'\nvalues = [2, 8]\n",
            place.model
        );
        std::fs::write(place.path("s.toml"), text).unwrap();
        run(&["ablate", &place.text("s.toml"), "--out", &place.text(metric)])
    };
    let output = study("mse");
    assert!(output.status.success(), "{}", stderr(&output));
    let report = std::fs::read_to_string(place.path("mse/report.md")).unwrap();
    assert!(report.contains("mean squared error"), "{report}");
    let output = study("f1");
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(
        text.contains("task 'two': metric f1: ") && text.contains("sample by sample"),
        "{text}"
    );
}

#[test]
fn the_demos_metric_has_an_interval() {
    let output = run(&["evaluate", "--task", &demo().display().to_string()]);
    let text = stdout(&output);
    assert!(text.contains("top1 0.9960 [0.986, 0.999] on 500 samples"), "{text}");
}
