//! `burn-ptq boards`, and `--board` of other commands.

use std::process::Output;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::{demo, run, stderr, stdout};

/// The demo's network, quantized.
static MODEL: LazyLock<(tempfile::TempDir, String)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    let output = run(&["quantize", "--task", &task, "--out", &out]);
    assert!(output.status.success(), "{}", stderr(&output));
    let model = folder.path().join("model.bptq").display().to_string();
    (folder, model)
});

fn json(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// The error of a command that must fail as misuse does.
fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    stderr(output)
}

/// The object of a list whose key has this value.
fn one<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|each| each[key] == value);
    found.unwrap_or_else(|| panic!("there is no {value} in {list}"))
}

#[test]
fn boards_are_listed_with_what_they_have() {
    let text = stdout(&run(&["boards"]));
    let line = text.lines().find(|line| line.starts_with("stm32f411 ")).unwrap();
    for cell in ["STM32F411RE", "Cortex-M4", "cortex-m4", "512 KiB", "128 KiB", "100", "NUCLEO"] {
        assert!(line.contains(cell), "{cell} is not in: {line}");
    }
    let all = json(&["boards"]);
    let board = one(&all["boards"], "name", "rp2040");
    assert_eq!(number(&board["flash_bytes"]), 2 << 20);
    assert_eq!(number(&board["ram_bytes"]), 264 << 10);
    assert_eq!(board["target"], "cortex-m0");
    assert!(board["source"].as_str().unwrap().starts_with("https://"));
    assert!(board["aliases"].as_array().unwrap().iter().any(|alias| alias == "pico"));
    assert!(board.get("predicted").is_none());
    // One processor's alone.
    let some = json(&["boards", "--target", "m0"]);
    let names = |list: &Value| list["boards"].as_array().unwrap().len();
    assert!((1..names(&all)).contains(&names(&some)));
    assert!(some["boards"].as_array().unwrap().iter().all(|board| board["target"] == "cortex-m0"));
    assert!(error(&run(&["boards", "--target", "host"])).contains("host"));
    assert!(error(&run(&["boards", "--target", "z80"])).contains("z80"));
}

#[test]
fn boards_says_on_which_a_model_fits_and_what_is_short_on_the_others() {
    let found = json(&["boards", &MODEL.1]);
    let boards = found["boards"].as_array().unwrap();
    let (mut fits, mut short) = (0, 0);
    for board in boards {
        let predicted = &board["predicted"];
        for (taken, missing) in [("flash_bytes", "flash_bytes"), ("ram_bytes", "ram_bytes")] {
            let short = number(&predicted[taken]).saturating_sub(number(&board[taken]));
            assert_eq!(number(&predicted["missing"][missing]), short, "{board}");
        }
        let enough = ["flash_bytes", "ram_bytes"]
            .iter()
            .all(|key| number(&predicted[*key]) <= number(&board[*key]));
        assert_eq!(predicted["fits"], enough, "{board}");
        *(if enough { &mut fits } else { &mut short }) += 1;
        let cycles = board["clock_mhz"].as_f64().unwrap() * 1000.0;
        let milliseconds = predicted["milliseconds"].as_f64().unwrap();
        let instructions = predicted["instructions"].as_f64().unwrap();
        assert!((milliseconds * cycles - instructions).abs() < 1.0, "{board}");
    }
    assert!(fits > 10, "fits on {fits}, too large for {short}");
    // The figures are those of inspect.
    let inspected = json(&["inspect", &MODEL.1, "--target", "cortex-m4"]);
    let (board, cost) = (one(&found["boards"], "name", "stm32f411"), &inspected["costs"][0]);
    for key in ["flash_bytes", "code_bytes", "ram_bytes", "arena_bytes", "instructions"] {
        assert_eq!(board["predicted"][key], cost[key], "{key}");
    }
    let text = stdout(&run(&["boards", &MODEL.1]));
    let line = text.lines().find(|line| line.starts_with("stm32f411 ")).unwrap();
    assert!(line.ends_with("yes"), "{line}");
    let summary = format!("fits on {fits} of {} boards", boards.len());
    for words in [&summary, "an estimate", "the rest of the firmware"] {
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    let output = run(&["boards", &demo().join("model.onnx").display().to_string()]);
    assert!(error(&output).contains("quantize"), "{}", stderr(&output));
}

#[test]
fn inspect_predicts_costs_on_boards_at_their_clocks() {
    let report = json(&["inspect", &MODEL.1, "--board", "NUCLEO_F411RE,pico", "--target", "m7"]);
    let costs = report["costs"].as_array().unwrap();
    assert_eq!(costs.len(), 3);
    assert!(costs[0].get("board").is_none() && costs[0].get("fits").is_none(), "{}", costs[0]);
    for (cost, board, clock) in [(&costs[1], "stm32f411", 100.0), (&costs[2], "rp2040", 133.0)] {
        assert_eq!(cost["board"], board);
        assert_eq!(cost["fits"], true);
        let expected = cost["instructions"].as_f64().unwrap() / clock / 1000.0;
        assert!((cost["milliseconds"].as_f64().unwrap() - expected).abs() < 1e-9, "{cost}");
    }
    let slow = json(&["inspect", &MODEL.1, "--board", "pico", "--clock", "66.5"]);
    let (slow, fast) = (&slow["costs"][0]["milliseconds"], &costs[2]["milliseconds"]);
    assert!((slow.as_f64().unwrap() - 2.0 * fast.as_f64().unwrap()).abs() < 1e-9);
    let text = stdout(&run(&["inspect", &MODEL.1, "--board", "pico", "--target", "m7"]));
    for words in ["rp2040", "cortex-m7", "fits", "yes", "the rest of the firmware"] {
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    for (line, word) in [
        (["inspect", &MODEL.1, "--board", "stm32f412"], "did you mean 'stm32f411'"),
        (["inspect", &MODEL.1, "--board", "esp32-s3"], "Xtensa"),
        (["inspect", &MODEL.1, "--target", "z80"], "z80"),
    ] {
        let output = run(&line);
        assert!(error(&output).contains(word), "{}", stderr(&output));
    }
}

#[test]
fn float_models_have_costs_before_any_calibration() {
    let float = demo().join("model.onnx").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().join("out"));
    let to = out.display().to_string();
    let line =
        ["quantize", "--task", &task, "--preset", "w4a8", "--keep-all-channels", "--out", &to];
    assert!(run(&line).status.success());
    let model = out.join("model.bptq").display().to_string();
    let before = json(&["inspect", &float, "--target", "m4,m0", "--weights", "4"]);
    let after = json(&["inspect", &model, "--target", "m4,m0"]);
    assert_eq!(before["uncalibrated"], true);
    for (before, after) in
        before["costs"].as_array().unwrap().iter().zip(after["costs"].as_array().unwrap())
    {
        for key in ["ram_bytes", "arena_bytes"] {
            assert_eq!(before[key], after[key], "{key}");
        }
        for key in ["flash_bytes", "instructions"] {
            let (before, after) = (before[key].as_f64().unwrap(), after[key].as_f64().unwrap());
            assert!((before / after - 1.0).abs() < 0.03, "{key}: {before} and {after}");
        }
    }
    let wide = json(&["inspect", &float, "--target", "m4"]);
    assert!(number(&wide["costs"][0]["flash_bytes"]) > number(&before["costs"][0]["flash_bytes"]));
    for (line, word) in [
        (["inspect", &MODEL.1, "--target", "m4", "--weights", "4"], "has the bits"),
        (["inspect", &float, "--target", "m4", "--weights", "9"], "9"),
        (["inspect", &float, "--weights", "4", "--activations", "8"], "--target"),
    ] {
        let output = run(&line);
        assert!(error(&output).contains(word), "{}", stderr(&output));
    }
}

#[test]
fn export_takes_the_target_of_a_board() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let export = |more: &[&str]| {
        run(&[&["export", &MODEL.1, "--to", "c", "--out", &out][..], more].concat())
    };
    let text = error(&export(&["--board", "pico", "--target", "m4"]));
    assert!(text.contains("cortex-m0") && text.contains("cortex-m4"), "{text}");
    assert!(!folder.path().join("out").exists());
    let output = export(&["--board", "portenta-h7"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let makefile = std::fs::read_to_string(folder.path().join("out/c/firmware/Makefile")).unwrap();
    assert!(makefile.contains("-mcpu=cortex-m7"), "{makefile}");
}

#[test]
fn fit_takes_target_and_budgets_of_a_board() {
    let folder = tempfile::tempdir().unwrap();
    let task = demo().display().to_string();
    let out = folder.path().join("out").display().to_string();
    let fit = |more: &[&str]| run(&[&["fit", "--task", &task, "--out", &out][..], more].concat());
    let output = fit(&["--board", "stm32l053", "--flash", "40k", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found["fit"]["target"], "cortex-m0");
    assert_eq!(found["fit"]["budgets"]["flash"], 40 << 10);
    assert_eq!(found["fit"]["budgets"]["ram"], 8 << 10);
    let note = stderr(&output);
    assert!(note.contains("8 KiB of RAM") && note.contains("the rest of the firmware"), "{note}");
    assert!(!note.contains("of flash"), "{note}");
    for (flags, word) in [
        (&["--board", "stm32l053", "--target", "m4"][..], "cortex-m0"),
        (&["--board", "stm32l054"], "did you mean 'stm32l053'"),
        (&["--flash", "64k"], "--target"),
    ] {
        let output = fit(flags);
        assert!(error(&output).contains(word), "{}", stderr(&output));
    }
}
