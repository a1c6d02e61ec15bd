//! What the report's figures were measured on, and how layers are ranked.

use crate::support::{demo, run, stderr, stdout};

fn report(arguments: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let output = run(&[&["quantize", "--json", "--out", &out], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

fn demo_file(name: &str) -> String {
    demo().join(name).display().to_string()
}

#[test]
fn the_noise_of_layers_is_measured_on_samples_that_they_were_not_fitted_to() {
    let task = demo().display().to_string();
    // Biases alone are fitted, to the first 128 of 256.
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("r.toml").display().to_string();
    let text = "weights = { bits = 4, range = 'mse' }\ncorrection = { bias = { samples = 128 } }\n";
    std::fs::write(&recipe, text).unwrap();
    let nearest = report(&["--task", &task, "--recipe", &recipe]);
    assert_eq!(nearest["sqnr_on"], "held-out");
    assert_eq!(nearest["sqnr_samples"], 64);
    // All are rounded on.
    let rounded = report(&["--task", &task, "--preset", "w2a8"]);
    assert_eq!(rounded["sqnr_on"], "evaluation samples");
    let (model, calib) = (demo_file("model.onnx"), demo_file("calib_x.npy"));
    let flags = [&model, "--calib", &calib, "--input-scale", "0.0625", "--preset", "w2a8"];
    let alone = report(&flags);
    assert_eq!(alone["sqnr_on"], "calibration samples that layers were fitted to");
}

#[test]
fn without_other_samples_the_table_says_that_layers_were_fitted_to_these() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let (model, calib) = (demo_file("model.onnx"), demo_file("calib_x.npy"));
    let output = run(&[
        "quantize",
        &model,
        "--calib",
        &calib,
        "--input-scale",
        "0.0625",
        "--preset",
        "w2a8",
        "--out",
        &out,
    ]);
    let text = stdout(&output);
    assert!(
        text.contains("fitted dB: on 64 calibration samples that layers were fitted to"),
        "{text}"
    );
    assert!(!text.contains("output dB"), "{text}");
}

#[test]
fn explain_ranks_layers_by_predictions_with_errors_and_the_metric_beside() {
    let task = demo().display().to_string();
    let report = report(&["--task", &task, "--preset", "w2a8", "--explain"]);
    let explained = &report["explain"];
    assert_eq!(explained["loss"], "kl-divergence");
    assert_eq!(explained["evaluation_samples"], 500);
    let layers = explained["layers"].as_array().unwrap();
    let number = |layer: &serde_json::Value, key: &str| layer[key].as_f64().unwrap();
    assert!(layers.is_sorted_by(|a, b| number(a, "loss") >= number(b, "loss")));
    for layer in layers {
        assert!(number(layer, "loss") >= 0.0 && number(layer, "loss_error") > 0.0, "{layer}");
        assert!(number(layer, "lost_error") >= 0.0, "{layer}");
        let lost = report["float"].as_f64().unwrap() - number(layer, "metric");
        assert!((number(layer, "lost") - lost).abs() < 1e-9, "{layer}");
    }
    // Each layer with weights once, and nothing that only moves or pools.
    let named = |name: &serde_json::Value| layers.iter().filter(|l| l["name"] == *name).count();
    for layer in report["layers"].as_array().unwrap() {
        let moves = ["Reshape", "Transpose", "AveragePool", "MaxPool", "Requantize"];
        let is_layer = !moves.iter().any(|op| layer["op"].as_str().unwrap().contains(op));
        assert_eq!(named(&layer["name"]), usize::from(is_layer), "{layer}");
    }
}

#[test]
fn explain_needs_no_evaluation_data() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let (model, calib) = (demo_file("model.onnx"), demo_file("calib_x.npy"));
    let output = run(&[
        "quantize",
        &model,
        "--calib",
        &calib,
        "--input-scale",
        "0.0625",
        "--weights",
        "2",
        "--explain",
        "--out",
        &out,
    ]);
    let text = stdout(&output);
    assert!(text.contains("kl-divergence of the network's predictions on 64"), "{text}");
    assert!(text.contains("only this layer quantized") && !text.contains("lost"), "{text}");
}

#[test]
fn exported_figures_come_first_and_are_those_of_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    let output =
        run(&["quantize", "--task", &task, "--export", "c", "--out", &out, "--preset", "w4a8"]);
    let text = stdout(&output);
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let exported = report["exported"]["ram_bytes"].as_u64().unwrap();
    assert!(exported < report["ram_bytes"].as_u64().unwrap(), "{report}");
    let line = text.lines().find(|line| line.starts_with("exported: ")).expect("a line of sizes");
    assert!(line.contains(&format!("RAM {exported} B")), "{line}");
    let at = |what: &str| line.find(what).expect(what);
    assert!(at("exported:") < at("model.bptq"), "{line}");
}
