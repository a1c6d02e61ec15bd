//! `burn-ptq compare`.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{demo, run, stderr, stdout};

/// Quantizes the demo's network.
fn quantize(arguments: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), path(folder.path(), ""));
    let output = run(&[&["quantize", "--task", &task, "--out", &out], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn text(arguments: &[&str]) -> String {
    let output = run(&[&["compare"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&text(&[arguments, &["--json"]].concat())).unwrap()
}

/// The kinds of the warnings.
fn kinds(compared: &Value) -> Vec<&str> {
    let warnings = compared["warnings"].as_array().unwrap().iter();
    warnings.map(|warning| warning["kind"].as_str().unwrap()).collect()
}

/// The cost of each model.
fn cost(compared: &Value, what: &str, target: Option<&str>) -> Value {
    let costs = compared["costs"].as_array().unwrap().iter();
    let mut found =
        costs.filter(|cost| cost["what"] == what && cost["target"] == Value::from(target));
    found.next().unwrap_or_else(|| panic!("no {what} on {target:?}"))["values"].clone()
}

#[test]
fn two_widths_differ_in_their_metric_their_costs_and_their_layers() {
    let (wide, narrow) =
        (quantize(&["--preset", "w8a8"]), quantize(&["--weights", "2", "--preset", "nearest"]));
    let [a, b] = [&wide, &narrow].map(|folder| path(folder.path(), ""));
    let task = demo().display().to_string();
    let arguments = [a.as_str(), &b, "--task", &task, "--target", "m4"];
    let compared = json(&arguments);
    assert_eq!(compared["models"][1]["letter"], "B");
    assert_eq!(compared["models"][1]["kind"], "integer");
    assert_eq!(compared["models"][1]["program"], "differs");
    // The metric is what each report states of it.
    let metric = &compared["metrics"][0];
    let report = |folder: &TempDir| -> Value {
        let text = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let reports = [report(&wide), report(&narrow)];
    for (model, report) in metric["models"].as_array().unwrap().iter().zip(&reports) {
        assert_eq!((&model["value"], &model["ci"]), (&report["integer"], &report["integer_ci"]));
    }
    assert_eq!(metric["samples"], 500);
    let against = &metric["models"][1]["against_first"];
    assert_eq!(against["test"]["verdict"], "worse", "{against}");
    let number =
        |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"));
    let difference = number(&against["difference"]);
    let (low, high) =
        (number(&against["test"]["interval"][0]), number(&against["test"]["interval"][1]));
    assert!(low < difference && difference < high && high < 0.0, "{against}");
    // Of 500 samples, those that one of the two alone gets right make the difference.
    let only = number(&against["only_this_right"]) - number(&against["only_first_right"]);
    assert!((only / 500.0 - difference).abs() < 1e-9, "{against}");
    let agreement = number(&against["agreement"]);
    assert!(agreement < 1.0 && agreement > 0.2, "{agreement}");

    let pair = |key: &str| -> Value { reports.iter().map(|report| report[key].clone()).collect() };
    assert_eq!(cost(&compared, "flash_bytes", None), pair("flash_bytes"));
    assert_eq!(cost(&compared, "macs", None), pair("macs"));
    let exported: Value = reports.iter().map(|r| r["exported"]["ram_bytes"].clone()).collect();
    assert_eq!(cost(&compared, "exported_ram_bytes", None), exported);
    let inspected =
        run(&["inspect", &path(narrow.path(), "model.bptq"), "--target", "m4", "--json"]);
    let inspected: Value = serde_json::from_str(&stdout(&inspected)).unwrap();
    for what in ["flash_bytes", "ram_bytes", "instructions"] {
        let found = cost(&compared, what, Some("cortex-m4"));
        assert_eq!(found[1], inspected["costs"][0][what]);
    }

    let layers = compared["layers"].as_array().unwrap();
    assert_eq!(layers.len(), reports[0]["layers"].as_array().unwrap().len());
    for (index, layer) in layers.iter().enumerate() {
        for (model, report) in layer["models"].as_array().unwrap().iter().zip(&reports) {
            let stated = &report["layers"][index];
            for (own, key) in [("bytes", "bytes"), ("weight_bits", "bits"), ("sqnr_db", "sqnr_db")]
            {
                assert_eq!(model[own], stated[key], "{layer}");
            }
        }
        let weighted = !layer["models"][0]["weight_bits"].is_null();
        assert_eq!(layer["models"][1]["integers"]["bits_differ"], weighted, "{layer}");
    }
    let settings: Vec<&str> = (compared["settings"].as_array().unwrap().iter())
        .map(|setting| setting["name"].as_str().unwrap())
        .collect();
    assert!(settings.contains(&"recipe.weights.bits"), "{settings:?}");
    assert!(!settings.contains(&"model_sha256"), "{settings:?}");
    assert_eq!(kinds(&compared), [""; 0]);

    let shown = text(&arguments);
    for words in
        ["worse", "8 / 2", "cortex-m4: flash", "layers differ; A / B", "recipe.weights.bits", " %)"]
    {
        assert!(shown.contains(words), "{words} is not in:\n{shown}");
    }
    // All layers are more rows, and the same figures.
    let few = text(&[&a, &b]);
    let all = text(&[&a, &b, "--all"]);
    assert!(few.contains("no paired test") && few.contains("--task"), "{few}");
    assert!(all.lines().count() >= few.lines().count());
    let stated = json(&[&a, &b]);
    assert_eq!(stated["metrics"], Value::Array(Vec::new()));
    for (stated, report) in stated["stated"].as_array().unwrap().iter().zip(&reports) {
        assert_eq!(stated["integer"], report["integer"]);
        assert_eq!(stated["float_ci"], report["float_ci"]);
    }
    // Reports alone have the same layers and sizes.
    let [c, d] = [&wide, &narrow].map(|folder| path(folder.path(), "report.json"));
    let of_reports = json(&[&c, &d]);
    assert_eq!(of_reports["models"][0]["kind"], "report");
    assert_eq!(
        cost(&of_reports, "exported_flash_bytes", None),
        cost(&compared, "exported_flash_bytes", None)
    );
    assert_eq!(of_reports["layers"][0]["models"][0]["bytes"], layers[0]["models"][0]["bytes"]);
    let mut edited = reports[1].clone();
    (edited["samples"], edited["calibration_sha256"]) = (Value::from(7), Value::from("0123"));
    std::fs::write(&d, edited.to_string()).unwrap();
    assert_eq!(kinds(&json(&[&c, &d])), ["different-calibration-data", "different-evaluations"]);
}

#[test]
fn a_model_is_the_same_as_itself() {
    let folder = quantize(&["--preset", "w4a8"]);
    let (a, task) = (path(folder.path(), "model.bptq"), demo().display().to_string());
    let compared = json(&[&a, &a, "--task", &task]);
    assert_eq!(compared["models"][1]["program"], "same");
    let against = &compared["metrics"][0]["models"][1]["against_first"];
    assert_eq!(
        (&against["difference"], &against["agreement"]),
        (&Value::from(0.0), &Value::from(1.0))
    );
    assert_eq!(against["test"]["verdict"], "same-results");
    assert!(compared["layers"].as_array().unwrap().iter().all(|layer| layer["differs"] == false));
    assert_eq!(compared["settings"], Value::Array(Vec::new()));
    let shown = text(&[&a, &a, "--task", &task]);
    for words in ["B is the same program as A\n", "same results", "100.0 %", "layers differs"] {
        assert!(shown.contains(words), "{words} is not in:\n{shown}");
    }
    assert!(text(&[&a, &a, "--all"]).contains("identical"));
    // Another name changes no output.
    let renamed = quantize(&["--preset", "w4a8", "--name", "renamed"]);
    let b = path(renamed.path(), "model.bptq");
    assert!(text(&[&a, &b]).contains("except for its name and provenance"));
    // A report that does not belong to the model beside it is not taken for its.
    let other = quantize(&["--preset", "w2a8"]);
    std::fs::copy(other.path().join("report.json"), renamed.path().join("report.json")).unwrap();
    let compared = json(&[&path(renamed.path(), ""), &a]);
    assert_eq!(kinds(&compared), ["report-of-another-model"]);
    assert_eq!(compared["stated"], Value::Array(Vec::new()));
}

#[test]
fn a_float_model_stands_beside_its_integer_programs() {
    let (wide, narrow) = (quantize(&["--preset", "w8a8"]), quantize(&["--preset", "w4a8"]));
    let [b, c] = [&wide, &narrow].map(|folder| path(folder.path(), "model.bptq"));
    let (a, task) = (path(&demo(), "model.onnx"), demo().display().to_string());
    let compared = json(&[&a, &b, &c, "--task", &task, "--target", "cortex-m0"]);
    assert_eq!(compared["models"][0]["kind"], "float");
    let evaluated = run(&["evaluate", &a, "--task", &task, "--json"]);
    let evaluated: Value = serde_json::from_str(&stdout(&evaluated)).unwrap();
    let models = compared["metrics"][0]["models"].as_array().unwrap();
    assert_eq!(models[0]["value"], evaluated["value"]);
    assert!(models[0]["against_first"].is_null());
    for model in &models[1..] {
        let test = &model["against_first"]["test"];
        assert!(test["adjusted_p"].as_f64().unwrap() >= test["p"].as_f64().unwrap(), "{test}");
    }
    assert!(cost(&compared, "instructions", Some("cortex-m0"))[0].is_null());
    assert_eq!(kinds(&compared), [""; 0]);
    // Layers have the names that the float model gives them, with batch normalizations folded.
    let layers = compared["layers"].as_array().unwrap();
    let in_all =
        layers.iter().filter(|l| l["models"].as_array().unwrap().iter().all(|m| !m.is_null()));
    assert!(2 * in_all.count() > layers.len());
    // Without the task, a float model does not know how samples become inputs.
    let (x, y) = (path(&demo(), "eval_x.npy"), path(&demo(), "eval_y.npy"));
    let blind = json(&[&a, &b, "--eval", &x, "--labels", &y]);
    assert_eq!(kinds(&blind), ["preprocessing-differs"]);
    let told = json(&[&a, &b, "--eval", &x, "--labels", &y, "--input-scale", "0.0625"]);
    assert_eq!(told["metrics"][0]["models"][0]["value"], evaluated["value"]);
    assert_eq!(kinds(&told), [""; 0]);
    // Another network has another model file and other shapes.
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let unlike = json(&[&path(&models, "sigmoid.onnx"), &b]);
    assert_eq!(kinds(&unlike), ["different-models", "different-shapes"]);
    let output = run(&["compare", &a, &b, "--metric", "top1"]);
    assert!(stderr(&output).contains("--metric") && stderr(&output).contains("--eval"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn metrics_that_are_not_sums_over_samples_are_shown_without_a_test() {
    let folder = quantize(&["--preset", "w2a8"]);
    let b = path(folder.path(), "");
    let (a, task) = (path(&demo(), "model.onnx"), demo().display().to_string());
    let compared = json(&[&a, &b, "--task", &task, "--metric", "iou"]);
    let metric = &compared["metrics"][0];
    assert!(metric["no_test"].as_str().unwrap().contains("top1"), "{metric}");
    let against = &metric["models"][1]["against_first"];
    assert!(against["test"].is_null() && against["agreement"].is_f64(), "{against}");
    assert!(text(&[&a, &b, "--task", &task, "--metric", "iou"]).contains("no test: iou"));
}

#[test]
fn what_cannot_be_compared_is_an_error_that_says_what_can() {
    let folder = quantize(&["--preset", "w8a8"]);
    let at = |name: &str| path(folder.path(), name);
    let (a, task) = (at("model.bptq"), demo().display().to_string());
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        at(name)
    };
    let newer = write("newer.json", "{\"schema_version\": 7}");
    let other = write("other.json", "[1]");
    let recipe = write("recipe.toml", "");
    let broken = write("broken.bptq", "nothing");
    let empty = tempfile::tempdir().unwrap();
    let empty = path(empty.path(), "");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let unlike = path(&models, "sigmoid.onnx");
    for (arguments, words) in [
        (vec![a.as_str()], vec!["expected 2 to 26 models to compare, found 1", "report.json"]),
        (vec![&a, "missing"], vec!["there is no file or folder missing", "model.bptq"]),
        (vec![&a, &empty], vec!["holds neither model.bptq nor report.json"]),
        (vec![&a, &task], vec!["holds neither", "its float model is", "model.onnx"]),
        (vec![&a, &recipe], vec!["does not end in .bptq, .onnx, .tflite or .json"]),
        (vec![&a, &broken], vec!["broken.bptq", "not a .bptq file"]),
        (vec![&a, &newer], vec!["schema_version 7", "update burn-ptq"]),
        (vec![&a, &other], vec!["is not the report of a quantization", "quantize --out"]),
        (vec![&a, &at("report.json"), "--task", &task], vec!["cannot be evaluated", "model.bptq"]),
        (
            vec![&a, &unlike, "--task", &task],
            vec!["model.bptq and", "sigmoid.onnx cannot", "the inputs have the shapes"],
        ),
        (
            vec![&at("report.json"), &at("report.json"), "--target", "m4"],
            vec!["--target", "quantize"],
        ),
        (vec![&a, &a, "--target", "z80"], vec!["z80"]),
        (vec![&a, &a, "--target", "host"], vec!["microcontroller"]),
        (
            vec![&a, &a, "--task", &task, "--output", "nothing"],
            vec!["model.bptq", "no output 'nothing'"],
        ),
    ] {
        let output = run(&[&["compare"], &arguments[..]].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{arguments:?}: '{word}' is not in {text}");
        }
        assert!(output.stdout.is_empty());
    }
}
