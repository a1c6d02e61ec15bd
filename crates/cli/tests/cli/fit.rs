//! `burn-ptq fit`.

use std::process::Output;

use serde_json::Value;

use crate::support::{demo, run, stderr, stdout};

/// Fits the demo's network to budgets, for a Cortex-M4.
fn fit(budgets: &[&str]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let task = demo().display().to_string();
    let out = folder.path().join("out").display().to_string();
    let start = ["fit", "--task", &task, "--target", "m4", "--json", "--out", &out];
    let output = run(&[&start[..], budgets].concat());
    (folder, output)
}

fn found(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

#[test]
fn bits_fit_the_budget_and_beat_the_uniform_widths_that_do() {
    // Between what all layers at 4 bits and at 2 bits take.
    let (_, output) = fit(&["--flash", "1M"]);
    let free = found(&output);
    let flash_of = |bits: u64| {
        let uniform = free["fit"]["uniform"].as_array().unwrap().iter();
        number(&uniform.clone().find(|each| each["bits"] == bits).unwrap()["taken"]["flash"])
    };
    // Whatever fits, the least loss is taken.
    let uniform = free["fit"]["uniform"].as_array().unwrap().iter();
    let losses = uniform.map(|each| each["loss"].as_f64().unwrap());
    let best = losses.fold(f64::INFINITY, f64::min);
    assert!(free["fit"]["loss"].as_f64().unwrap() <= best);
    let budget = (flash_of(3) + flash_of(2)) / 2;
    let (folder, output) = fit(&["--flash", &budget.to_string()]);
    let fitted = found(&output);
    let fit_of = &fitted["fit"];
    let flash = number(&fit_of["taken"]["flash"]);
    assert!(flash <= budget, "{flash} of {budget}");
    let two = fit_of["uniform"].as_array().unwrap().iter().find(|each| each["bits"] == 2).unwrap();
    assert!(fit_of["loss"].as_f64().unwrap() <= two["loss"].as_f64().unwrap());
    let bits: Vec<u64> =
        (fit_of["layers"].as_array().unwrap().iter()).map(|layer| number(&layer["bits"])).collect();
    assert!(bits.iter().any(|&each| each != bits[0]), "{bits:?}");
    // The report is of the same network, and so is what the command wrote.
    let widths = fitted["layers"].as_array().unwrap().iter();
    let widths: Vec<u64> = widths.filter_map(|layer| layer["bits"].as_u64()).collect();
    assert_eq!(widths, bits);
    let out = folder.path().join("out");
    let model = out.join("model.bptq").display().to_string();
    let inspected = run(&["inspect", &model, "--target", "m4", "--json"]);
    let inspected: Value = serde_json::from_str(&stdout(&inspected)).unwrap();
    assert_eq!(number(&inspected["costs"][0]["flash_bytes"]), flash);
    let written = std::fs::read_to_string(out.join("report.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap()["fit"], *fit_of);
    // The recipe alone gives the same model.
    let again = tempfile::tempdir().unwrap();
    let [recipe, task, to] = [out.join("fitted.toml"), demo(), again.path().join("out")]
        .map(|path| path.display().to_string());
    let output = run(&["quantize", "--task", &task, "--recipe", &recipe, "--out", &to]);
    assert!(output.status.success(), "{}", stderr(&output));
    let bytes = |path: std::path::PathBuf| std::fs::read(path).unwrap();
    assert!(bytes(out.join("model.bptq")) == bytes(again.path().join("out/model.bptq")));
    // A budget that is met exactly is met.
    let (_, output) = fit(&["--flash", &flash.to_string()]);
    assert!(number(&found(&output)["fit"]["taken"]["flash"]) <= flash);
}

#[test]
fn budgets_that_cannot_be_met_end_with_what_can() {
    let (folder, output) = fit(&["--flash", "2k", "--instructions", "10k"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(!folder.path().join("out").exists());
    for words in ["2048 bytes of flash, 10000 instructions", "the least", "largest layers"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    let least: u64 =
        (text.split("is ").nth(1).unwrap().split(' ').next().unwrap()).parse().unwrap();
    // The least of a budget alone can be reached, and a byte less cannot.
    let (_, output) = fit(&["--flash", &least.to_string()]);
    assert_eq!(number(&found(&output)["fit"]["taken"]["flash"]), least);
    let (_, output) = fit(&["--flash", &(least - 1).to_string()]);
    assert_eq!(output.status.code(), Some(2));
    let (_, output) = fit(&["--ram", "100"]);
    assert!(stderr(&output).contains("bytes of RAM"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn missing_and_wrong_arguments_are_errors() {
    for (flags, word) in [
        (&[][..], "no budget"),
        (&["--flash", "0"], "--flash"),
        (&["--flash", "64q"], "--flash"),
        (&["--instructions", "0"], "--instructions"),
        (&["--milliseconds", "5"], "--clock"),
        (&["--milliseconds", "5", "--clock", "80", "--instructions", "1M"], "cannot be used"),
        (&["--milliseconds", "0", "--clock", "80"], "above 0"),
        (&["--flash", "64k", "--max-loss", "-1"], "--max-loss"),
        (&["--flash", "64k", "--weights", "8,9"], "9"),
        (&["--flash", "64k", "--activations", "8,4,2"], "fit.activations"),
        (&["--flash", "64k", "--preset", "w4a9"], "w4a9"),
        (&["--front", "--export", "c"], "cannot be used"),
    ] {
        let (_, output) = fit(flags);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
    let task = demo().display().to_string();
    for (target, word) in [("host", "cortex-m4"), ("z80", "z80")] {
        let line = ["fit", "--task", &task, "--target", target, "--flash", "64k", "--out", "out"];
        let output = run(&line);
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}

#[test]
fn a_recipe_and_milliseconds_say_the_same_as_flags() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("r.toml");
    let text = "name = 'by time'\n[fit]\ntarget = 'm4'\ninstructions = 500000\npresets = true\n";
    std::fs::write(&recipe, text).unwrap();
    let [task, recipe, out] =
        [demo(), recipe, folder.path().join("out")].map(|path| path.display().to_string());
    let by_recipe =
        run(&["quantize", "--task", &task, "--recipe", &recipe, "--json", "--out", &out]);
    let by_recipe = found(&by_recipe);
    // 5 ms at 100 MHz.
    let (_, output) = fit(&["--milliseconds", "5", "--clock", "100"]);
    let by_flags = found(&output);
    assert_eq!(by_recipe["fit"], by_flags["fit"]);
    assert!(number(&by_flags["fit"]["taken"]["instructions"]) <= 500_000);
    assert_eq!(by_recipe["recipe"], by_flags["recipe"]);
    // What is written says all bits, as a quantizer by itself needs them.
    assert!(!by_flags["recipe"].as_str().unwrap().contains("[fit]"));
}

#[test]
fn outputs_get_fewer_bits_where_ram_is_short() {
    let (_, output) = fit(&["--ram", "64k"]);
    let free = found(&output);
    assert!(free["fit"]["narrow"].as_array().unwrap().is_empty());
    let uniform = free["fit"]["uniform"].as_array().unwrap().iter();
    let least = uniform.map(|each| number(&each["taken"]["ram"])).min().unwrap();
    // Weights of fewer bits take less RAM, too: a little less than what helps without narrow outputs.
    let (_, output) = fit(&["--ram", &(least + 64).to_string()]);
    let by_weights = found(&output);
    assert!(number(&by_weights["fit"]["taken"]["ram"]) <= least + 64);
    let budget = (least - 1).to_string();
    let (_, output) = fit(&["--ram", &budget]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("--activations 8,4"), "{}", stderr(&output));
    let (_, output) = fit(&["--ram", &budget, "--activations", "8,4"]);
    let narrow = found(&output);
    let names: Vec<&Value> =
        narrow["fit"]["narrow"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert!(!names.is_empty());
    assert!(number(&narrow["fit"]["taken"]["ram"]) < least);
    for layer in narrow["layers"].as_array().unwrap() {
        if names.contains(&&layer["name"]) {
            assert_eq!(layer["activation_bits"], 4, "{layer}");
        }
    }
}

#[test]
fn the_front_has_networks_that_no_other_beats() {
    let (folder, output) = fit(&["--front"]);
    let front = found(&output);
    let points = front["points"].as_array().unwrap();
    let takes = |point: &Value| {
        let of = |key: &str| point["taken"][key].as_f64().unwrap();
        [of("flash"), of("ram"), of("instructions"), point["loss"].as_f64().unwrap()]
    };
    let mut best = 0;
    for point in points {
        let beats = |other: &&Value| {
            let pairs = takes(other).into_iter().zip(takes(point));
            pairs.clone().all(|(a, b)| a <= b) && pairs.clone().any(|(a, b)| a < b)
        };
        let beaten = points.iter().find(beats).is_some();
        assert_eq!(point["on_front"], !beaten, "{point}");
        let recipe =
            folder.path().join("out").join(format!("{}.toml", point["name"].as_str().unwrap()));
        assert_eq!(recipe.exists(), !beaten);
        best += usize::from(!beaten);
        assert!(point["metric"].is_number());
    }
    assert!(points.len() > 6 && best > 2, "{best} of {}", points.len());
}

#[test]
fn a_metric_that_loses_more_than_allowed_is_an_error() {
    let (folder, output) = fit(&["--flash", "1M", "--max-loss", "100"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(folder.path().join("out/model.bptq").exists());
    // 2 bits alone lose something.
    let (folder, output) = fit(&["--flash", "1M", "--weights", "2", "--max-loss", "0"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("points of top1"), "{}", stderr(&output));
    assert!(!folder.path().join("out").exists());
}
