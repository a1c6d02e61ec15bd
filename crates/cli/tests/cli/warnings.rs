//! Warnings: none on runs that are as they should be, the right one on others.

use std::path::Path;

use crate::support::{demo, run, stderr, stdout, write_npy};

fn report(arguments: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let output = run(&[&["quantize", "--json", "--out", &out], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    let printed = serde_json::from_str(&stdout(&output)).unwrap();
    let written = std::fs::read_to_string(Path::new(&out).join("report.json")).unwrap();
    assert_eq!(printed, serde_json::from_str::<serde_json::Value>(&written).unwrap());
    printed
}

fn kinds(arguments: &[&str]) -> Vec<String> {
    let report = report(arguments);
    let warnings = report["warnings"].as_array().unwrap();
    for warning in warnings {
        println!("{arguments:?}: {}; {}", warning["message"], warning["hint"]);
    }
    warnings.iter().map(|warning| warning["kind"].as_str().unwrap().to_string()).collect()
}

/// The demo's task with other calibration samples.
fn with_calibration(count: usize, pixel: impl Fn(usize, usize) -> u8) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calib.npy");
    let pixels = (0..count).flat_map(|i| (0..64).map(move |j| (i, j)));
    let data: Vec<u8> = pixels.map(|(i, j)| pixel(i, j)).collect();
    write_npy(&path, "|u1", false, &[count, 1, 8, 8], &data);
    let (task, path) = (demo().display().to_string(), path.display().to_string());
    kinds(&["--task", &task, "--calib", &path])
}

#[test]
fn the_demo_has_no_warnings_by_any_preset_of_seconds() {
    let task = demo().display().to_string();
    for (preset, _) in burn_ptq::recipe::PRESETS.iter().filter(|(name, _)| !name.contains("best")) {
        assert_eq!(kinds(&["--task", &task, "--preset", preset]), [""; 0], "{preset}");
    }
}

#[test]
fn calibration_that_says_nothing_is_named() {
    let kinds = with_calibration(64, |_, _| 0);
    assert_eq!(kinds[0], "calibration-constant");
    let kinds = with_calibration(64, |_, j| (j % 17) as u8);
    assert_eq!(kinds[0], "calibration-samples-equal");
    let kinds = with_calibration(1, |_, j| (j % 17) as u8);
    assert_eq!(kinds[0], "calibration-samples-equal");
}

#[test]
fn few_samples_are_counted_against_the_width() {
    let task = demo().display().to_string();
    assert_eq!(
        kinds(&["--task", &task, "--samples", "40", "--preset", "w4a8"]),
        ["calibration-too-few"]
    );
    assert_eq!(kinds(&["--task", &task, "--samples", "40", "--preset", "w8a8"]), [""; 0]);
}

/// The hints of the warnings of one kind that name an input scaling.
fn advised(warnings: &serde_json::Value, kind: &str) -> Option<String> {
    let warnings = warnings.as_array().unwrap();
    let warning = warnings.iter().find(|warning| warning["kind"] == kind)?;
    let hint = warning["hint"].as_str().unwrap();
    hint.find("--input-scale").map(|at| hint[at..].to_string())
}

#[test]
fn a_wrong_input_scaling_is_named_with_the_right_flags() {
    // Levels of 0 to 16, for which no usual factor is the right one.
    let task = demo().display().to_string();
    for wrong in ["16", "1", "0.00392157", "0.0009"] {
        let report = report(&["--task", &task, "--input-scale", wrong]);
        let warnings = &report["warnings"];
        let kinds: Vec<_> = warnings.as_array().unwrap().iter().map(|w| &w["kind"]).collect();
        assert!(!kinds.contains(&&serde_json::json!("layer-noisy")), "{wrong}: {kinds:?}");
        let unlike = advised(warnings, "calibration-unlike-training");
        assert_eq!(unlike.as_deref(), Some("--input-scale 0.0625"), "{wrong}: {warnings}");
        if let Some(near_chance) = advised(warnings, "float-near-chance") {
            assert_eq!(near_chance, "--input-scale 0.0625", "{wrong}: {warnings}");
        }
    }
}

#[test]
fn labels_of_other_samples_leave_the_float_model_near_chance() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("y.npy");
    // Labels in an order of their own.
    let data: Vec<u8> =
        (0..500_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 28) as u8 % 10).collect();
    write_npy(&labels, "|u1", false, &[500], &data);
    let (task, labels) = (demo().display().to_string(), labels.display().to_string());
    let eval = demo().join("eval_x.npy").display().to_string();
    let kinds = kinds(&["--task", &task, "--eval", &eval, "--labels", &labels]);
    assert_eq!(kinds, ["float-near-chance"]);
}

#[test]
fn inputs_that_calibration_never_saw_are_counted_as_clipped() {
    let folder = tempfile::tempdir().unwrap();
    let [model, eval, labels] =
        ["model.onnx", "eval_x.npy", "eval_y.npy"].map(|f| demo().join(f).display().to_string());
    let calib = folder.path().join("dark.npy");
    // Calibration by digits of half the brightness.
    let original = std::fs::read(demo().join("calib_x.npy")).unwrap();
    let start = original.len() - 256 * 64;
    let dark: Vec<u8> = original[start..].iter().map(|pixel| pixel / 2).collect();
    write_npy(&calib, "|u1", false, &[256, 1, 8, 8], &dark);
    let calib = calib.display().to_string();
    let kinds = kinds(&[
        &model,
        "--calib",
        &calib,
        "--eval",
        &eval,
        "--labels",
        &labels,
        "--input-scale",
        "0.0625",
    ]);
    assert!(kinds.contains(&"inputs-clipped".to_string()), "{kinds:?}");
}

#[test]
fn two_bits_by_rounding_to_nearest_are_named_when_they_guess() {
    let task = demo().display().to_string();
    let arguments =
        ["--task", &task, "--preset", "nearest", "--weights", "2", "--activations", "2"];
    let report = report(&arguments);
    let (integer, kind) = (report["integer"].as_f64().unwrap(), &report["warnings"][0]["kind"]);
    assert!(integer < 0.7, "{integer}");
    assert!(kind == "integer-near-chance" || kind == "integer-far-below-float", "{kind}");
}

#[test]
fn evaluate_warns_too_and_names_the_scaling() {
    let task = demo().display().to_string();
    let warnings = |arguments: &[&str]| {
        let output = run(&[&["evaluate", "--json", "--task", &task], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        found["warnings"].clone()
    };
    assert_eq!(warnings(&[]), serde_json::json!([]));
    // As if the pixels had been turned into -1000 to -984.
    let far = warnings(&["--input-mean", "1000"]);
    assert_eq!(far[0]["kind"], "float-near-chance", "{far}");
    let small = warnings(&["--input-scale", "0.0009"]);
    let advice = advised(&small, "float-near-chance");
    assert_eq!(advice.as_deref(), Some("--input-scale 0.0625"), "{small}");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    assert!(run(&["quantize", "--task", &task, "--out", &out]).status.success());
    let model = folder.path().join("model.bptq").display().to_string();
    assert_eq!(warnings(&[&model]), serde_json::json!([]));
    let output = run(&["evaluate", &model, "--task", &task, "--input-scale", "1"]);
    let text = stdout(&output);
    assert!(text.contains("warning: ") && text.contains("are clipped"), "{text}");
}

#[test]
fn warnings_stand_at_the_end_of_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    let output = run(&["quantize", "--task", &task, "--out", &out, "--samples", "8"]);
    let text = stdout(&output);
    assert!(text.contains("warning: only 8 calibration samples for 8 bits"), "{text}");
}
