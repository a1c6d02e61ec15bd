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
        number(&uniform.clone().find(|each| each[0] == bits).unwrap()[1]["flash"])
    };
    // Whatever fits, the least loss is taken.
    let losses =
        free["fit"]["uniform"].as_array().unwrap().iter().map(|each| each[2].as_f64().unwrap());
    let best = losses.fold(f64::INFINITY, f64::min);
    assert!(free["fit"]["loss"].as_f64().unwrap() <= best);
    let budget = (flash_of(3) + flash_of(2)) / 2;
    let (folder, output) = fit(&["--flash", &budget.to_string()]);
    let fitted = found(&output);
    let fit_of = &fitted["fit"];
    let flash = number(&fit_of["taken"]["flash"]);
    assert!(flash <= budget, "{flash} of {budget}");
    let two = fit_of["uniform"].as_array().unwrap().iter().find(|each| each[0] == 2).unwrap();
    assert!(fit_of["loss"].as_f64().unwrap() <= two[2].as_f64().unwrap());
    let bits: Vec<u64> =
        (fit_of["layers"].as_array().unwrap().iter()).map(|layer| number(&layer["bits"])).collect();
    assert!(bits.iter().any(|&each| each != bits[0]), "{bits:?}");
    // The report is of the same network, and so is what the command wrote.
    let widths = fitted["report"]["layers"].as_array().unwrap().iter();
    let widths: Vec<u64> = widths.filter_map(|layer| layer["bits"].as_u64()).collect();
    assert_eq!(widths, bits);
    let out = folder.path().join("out");
    let model = out.join("model.bptq").display().to_string();
    let inspected = run(&["inspect", &model, "--target", "m4", "--json"]);
    let inspected: Value = serde_json::from_str(&stdout(&inspected)).unwrap();
    assert_eq!(number(&inspected["costs"][0]["flash_bytes"]), flash);
    let written = std::fs::read_to_string(out.join("fit.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), *fit_of);
    // The recipe alone gives the same model.
    let again = tempfile::tempdir().unwrap();
    let [recipe, task, to] = [out.join("recipe.toml"), demo(), again.path().join("out")]
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
    ] {
        let (_, output) = fit(flags);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
    let task = demo().display().to_string();
    for (target, word) in [("host", "microcontroller"), ("z80", "z80")] {
        let line = ["fit", "--task", &task, "--target", target, "--flash", "64k", "--out", "out"];
        let output = run(&line);
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}
