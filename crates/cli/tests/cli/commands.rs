//! The commands, as they are used.

use std::process::Command;

use crate::support::{burn_ptq, demo, files, run, stderr, stdout};

fn quantize(arguments: &[&str]) -> (tempfile::TempDir, serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    let output =
        run(&[&["quantize", "--task", &task, "--out", &out, "--json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    (folder, serde_json::from_str(&stdout(&output)).unwrap())
}

#[test]
fn quantize_reports_every_documented_field_and_writes_its_files() {
    let (folder, report) = quantize(&["--preset", "w4a8", "--export", "c"]);
    for field in [
        "model",
        "recipe",
        "seed",
        "metric",
        "samples",
        "float",
        "simulated",
        "integer",
        "seconds",
        "flash_bytes",
        "ram_bytes",
        "exported",
        "sqnr_on",
        "sqnr_samples",
        "warnings",
        "macs",
        "layers",
    ] {
        assert!(!report[field].is_null(), "{field} is missing");
    }
    for layer in report["layers"].as_array().unwrap() {
        for field in ["name", "op", "sqnr_db", "bytes", "macs"] {
            assert!(!layer[field].is_null(), "{field} is missing in {layer}");
        }
        assert_eq!(
            layer["op"].as_str().unwrap().contains("Conv"),
            layer["bits"] == 4 && layer["op"] != "FullyConnected"
        );
    }
    let written = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), report);
    let top: Vec<String> =
        files(folder.path()).into_iter().filter(|f| !f.starts_with("c/")).collect();
    assert_eq!(top, ["model.bptq", "report.html", "report.json"]);
    assert!(folder.path().join("c/Makefile").is_file());
}

#[test]
fn schemas_are_printed_and_that_of_reports_describes_what_is_written() {
    let schema = |of: &str| -> serde_json::Value {
        let output = run(&["schema", of]);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    for of in ["recipe", "task", "study", "result-line"] {
        assert!(schema(of)["$schema"].is_string(), "{of}");
    }
    let (_folder, report) = quantize(&["--preset", "nearest", "--explain"]);
    let described = schema("report");
    for key in report.as_object().unwrap().keys() {
        assert!(described["properties"][key].is_object(), "the schema lacks '{key}'");
    }
    for key in described["required"].as_array().unwrap() {
        assert!(report.get(key.as_str().unwrap()).is_some(), "the report lacks {key}");
    }
    assert_eq!(report["schema_version"], 1);
}

#[test]
fn evaluate_finds_the_metrics_that_quantize_reported() {
    let (folder, report) = quantize(&["--weights", "3"]);
    let task = demo().display().to_string();
    let bptq = folder.path().join("model.bptq").display().to_string();
    for (model, key) in [(&bptq, "integer"), (&format!("{task}/model.onnx"), "float")] {
        let output = run(&["evaluate", model, "--task", &task, "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(result["value"], report[key]);
        assert_eq!(result["kind"], key);
        assert_eq!(result["samples"], 500);
    }
}

#[test]
fn inspect_lists_the_layers_of_float_and_integer_models() {
    let (folder, _) = quantize(&[]);
    let bptq = folder.path().join("model.bptq").display().to_string();
    for (model, fields) in [
        (bptq, ["DepthwiseConv2d", "residual_add"]),
        (demo().join("model.onnx").display().to_string(), ["DepthwiseConv", "ChannelAffine"]),
    ] {
        let text = stdout(&run(&["inspect", &model]));
        for field in fields.iter().chain(&["probabilities", "MACs"]) {
            assert!(text.contains(field), "{field} is not in:\n{text}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&stdout(&run(&["inspect", &model, "--json"]))).unwrap();
        assert!(json["macs"].as_u64().unwrap() >= 356_096);
    }
}

#[test]
fn inspect_predicts_what_a_model_costs_on_microcontrollers() {
    let (folder, _) = quantize(&[]);
    let bptq = folder.path().join("model.bptq").display().to_string();
    let costs = |flags: &[&str]| -> serde_json::Value {
        let output = run(&[&["inspect", &bptq, "--json"], flags].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    let all = "cortex-m0,cortex-m3,cortex-m4,cortex-m7,cortex-m33,cortex-m55,rv32";
    let report = costs(&["--target", all, "--clock", "80"]);
    for cost in report["costs"].as_array().unwrap() {
        let number = |key: &str| cost[key].as_f64().unwrap_or_else(|| panic!("{key} of {cost}"));
        assert!(number("code_bytes") > 1000.0 && number("flash_bytes") > number("code_bytes"));
        assert!(number("ram_bytes") > number("arena_bytes"), "{cost}");
        let instructions = number("instructions");
        assert!((instructions / 80_000.0 - number("milliseconds")).abs() < 0.01, "{cost}");
        // Between a quarter and 12 a multiply-accumulate.
        let each = instructions / report["macs"].as_f64().unwrap();
        assert!((0.25..12.0).contains(&each), "{cost}");
    }
    let sums_up = |report: &serde_json::Value| {
        for (at, cost) in report["costs"].as_array().unwrap().iter().enumerate() {
            let layers = report["layers"].as_array().unwrap().iter();
            let sum: u64 = layers.map(|layer| layer["instructions"][at].as_u64().unwrap()).sum();
            let total = cost["instructions"].as_u64().unwrap();
            assert!(sum.abs_diff(total) < 20, "{sum} of layers, {total} in all");
        }
    };
    sums_up(&report);
    // Where activations are packed, there are more operations than layers.
    let (packed, _) = quantize(&["--activations", "4"]);
    let packed = packed.path().join("model.bptq").display().to_string();
    let output = run(&["inspect", &packed, "--json", "--target", all]);
    sums_up(&serde_json::from_str(&stdout(&output)).unwrap());
    let text = stdout(&run(&["inspect", &bptq, "--target", "m4"]));
    assert!(text.contains("cortex-m4") && text.contains("Predicted"), "{text}");
    assert!(!text.contains('?'), "{text}");
    for (flags, word) in [
        (vec!["inspect", &bptq, "--target", "z80"], "z80"),
        (vec!["inspect", &bptq, "--target", "host"], "microcontroller"),
        (vec!["inspect", &bptq, "--clock", "80"], "--target"),
        (vec!["inspect", &bptq, "--target", "m4", "--clock", "0"], "above 0"),
    ] {
        let output = run(&flags);
        assert!(!output.status.success());
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}

#[test]
fn export_writes_code_that_proves_itself() {
    let (folder, _) = quantize(&["--weights", "2"]);
    let bptq = folder.path().join("model.bptq").display().to_string();
    let out = folder.path().join("code").display().to_string();
    let output = run(&["export", &bptq, "--to", "c", "--out", &out]);
    assert!(output.status.success(), "{}", stderr(&output));
    if Command::new("make").arg("--version").output().is_err() {
        eprintln!("SKIPPED export_writes_code_that_proves_itself: apt-get install gcc make");
        return;
    }
    let make = Command::new("make").args(["-s", "-C", &format!("{out}/c"), "test"]).output();
    let text = stdout(&make.unwrap());
    assert!(text.contains("0 differing bytes"), "{text}");
}

#[test]
fn the_same_inputs_and_seed_give_the_same_bytes_with_any_number_of_threads() {
    let files_of = |threads: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
        let output = burn_ptq()
            .env("RAYON_NUM_THREADS", threads)
            .args(["quantize", "--task", &task, "--preset", "w4a4", "--export", "c"])
            .args(["--seed", "3", "--out", &out])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let contents = |name: String| {
            let bytes = std::fs::read(folder.path().join(&name)).unwrap();
            (name, bytes)
        };
        let all = files(folder.path()).into_iter().filter(|name| name != "report.json");
        all.map(contents).collect::<Vec<_>>()
    };
    let first = files_of("2");
    assert!(first.len() > 10);
    assert!(first == files_of("2") && first == files_of("1"));
}

#[test]
fn every_width_runs_and_the_integer_program_follows_the_simulation() {
    for weights in 2..=8 {
        check_width(&["--weights", &weights.to_string()]);
    }
    for activations in [4, 5, 6, 7, 16] {
        check_width(&["--activations", &activations.to_string()]);
    }
    let (_, report) = quantize(&["--weights", "4", "--layer", "stem*:weights=8,activations=16"]);
    assert_eq!(report["layers"].as_array().unwrap()[1]["bits"], 8);
    assert_eq!(report["label"], "W4A8*");
}

fn check_width(arguments: &[&str]) {
    let (_, report) = quantize(arguments);
    let [integer, simulated] = ["integer", "simulated"].map(|k| report[k].as_f64().unwrap());
    println!("{arguments:?}: integer {integer}, simulated {simulated}");
    assert!((integer - simulated).abs() <= 0.02, "{arguments:?}: {integer} and {simulated}");
}

#[test]
fn first_and_last_layers_have_their_own_bits_when_asked() {
    let (_, report) = quantize(&["--preset", "w2a8", "--first-last", "8"]);
    let bits = |layer: &serde_json::Value| layer["bits"].as_u64();
    let bits: Vec<u64> = report["layers"].as_array().unwrap().iter().filter_map(bits).collect();
    assert_eq!((bits[0], bits[bits.len() - 1]), (8, 8), "{bits:?}");
    assert!(bits.len() > 4 && bits[1..bits.len() - 1].iter().all(|&b| b == 2), "{bits:?}");
    assert_eq!(report["label"], "W2A8 8-bit ends");
}

#[test]
fn a_model_is_quantized_without_data_and_the_report_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (demo().join("model.onnx"), folder.path().join("out"));
    let [model, out] = [model, out].map(|path| path.display().to_string());
    let recipe = folder.path().join("r.toml");
    std::fs::write(&recipe, "[calibration.source.data-free]\nsamples = 16\nsteps = 20\n").unwrap();
    let recipe = recipe.display().to_string();
    let output = run(&["quantize", &model, "--recipe", &recipe, "--out", &out, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["calibration"], "data-free");
    assert_eq!(report["calibration_samples"], 16);
    assert_eq!(report["calibration_sha256"], "");
}

#[test]
fn recipe_list_names_every_choice_and_recipe_show_prints_presets() {
    let list = stdout(&run(&["recipe", "list"]));
    for stage in burn_ptq::recipe::catalogue::stages() {
        assert!(list.contains(&format!("{}: {}", stage.key, stage.summary)), "{list}");
        for component in stage.components {
            assert!(list.contains(component.name), "{} is not in:\n{list}", component.name);
            assert!(list.contains(component.summary), "{list}");
        }
    }
    for (name, text) in burn_ptq::recipe::PRESETS {
        assert!(list.contains(&format!("\n  {name} ")), "{name} is not in:\n{list}");
        let shown = stdout(&run(&["recipe", "show", name]));
        assert_eq!(shown, *text);
        assert!(shown.starts_with("# "), "{name} does not say what it is");
    }
    let output = run(&["recipe", "show", "w4a88"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean 'w4a8"), "{}", stderr(&output));
}

#[test]
fn progress_is_plain_lines_when_standard_error_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    let output = run(&["quantize", "--task", &task, "--out", &out]);
    let text = stderr(&output);
    assert!(text.contains("calibrate ...\n"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
    assert!(stdout(&output).contains("top1 on 500 samples: integer"));
}

#[test]
fn the_demo_shows_a_table_and_leaves_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let output = run(&["demo", "--out", &out.display().to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for label in ["W8A8", "W4A8", "W4A4", "W2A8"] {
        let row = text.lines().find(|line| line.starts_with(label)).expect(label);
        // Float, simulated and integer have their intervals.
        assert_eq!(row.matches(" [").count(), 3, "{text}");
    }
    assert!(out.join("w4a8/c/Makefile").is_file() && out.join("w8a8/model.bptq").is_file());
}
