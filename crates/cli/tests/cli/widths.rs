//! Which recipe flags choose, and what it is called.

use crate::support::{demo, run, stderr, stdout};

/// The recipe of the report, its label, and the bytes of the integer model.
fn quantized(arguments: &[&str]) -> (String, String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    let output =
        run(&[&["quantize", "--task", &task, "--out", &out, "--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let text = |key: &str| report[key].as_str().unwrap().to_string();
    let bytes = std::fs::read(folder.path().join("model.bptq")).unwrap();
    (text("recipe"), text("label"), bytes)
}

fn name(arguments: &[&str]) -> String {
    let (recipe, ..) = quantized(arguments);
    recipe.lines().next().unwrap().trim_start_matches("name = ").trim_matches('"').to_string()
}

#[test]
fn widths_alone_are_the_preset_of_these_widths() {
    for (widths, preset) in [
        (&["--weights", "2"][..], "w2a8"),
        (&["--weights", "3", "--activations", "8"], "w3a8"),
        (&["--weights", "4", "--activations", "4"], "w4a4"),
        (&[], "w8a8"),
    ] {
        let (recipe, _, bytes) = quantized(widths);
        let (expected, _, expected_bytes) = quantized(&["--preset", preset]);
        assert_eq!(recipe, expected);
        assert!(bytes == expected_bytes, "{widths:?} and {preset} differ");
    }
}

#[test]
fn widths_without_a_preset_take_the_nearest_below_and_say_so() {
    for (widths, expected) in [
        (["5", "8"], "w4a8 at W5A8"),
        (["6", "6"], "w4a4 at W6A6"),
        (["3", "4"], "w4a4 at W3A4"),
        (["8", "16"], "w8a8 at W8A16"),
    ] {
        assert_eq!(name(&["--weights", widths[0], "--activations", widths[1]]), expected);
    }
}

#[test]
fn a_preset_with_widths_keeps_its_components() {
    let (recipe, label, _) = quantized(&["--preset", "nearest", "--weights", "4"]);
    assert!(recipe.contains("name = \"nearest at W4A8\"") && recipe.contains("[rounding.nearest]"));
    assert_eq!(label, "W4A8");
    let (recipe, ..) = quantized(&["--preset", "w4a4", "--activations", "8"]);
    assert!(recipe.contains("name = \"w4a4 at W4A8\"") && recipe.contains("strength = 0.7"));
    assert_eq!(name(&["--preset", "w4a8", "--weights", "4"]), "w4a8");
}

#[test]
fn a_recipe_file_with_flags_is_named_after_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    std::fs::write(&path, "name = 'mine'\nrounding = 'gptq'\n").unwrap();
    let path = path.display().to_string();
    let name = name(&["--recipe", &path, "--weights", "6", "--seed", "1", "--samples", "64"]);
    assert_eq!(name, "mine at W6A8 with --samples, --seed");
}

#[test]
fn the_result_says_which_recipe_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    let flags = ["--weights", "5", "--layer", "stem*:weights=8", "--first-last", "8"];
    let output = run(&[&["quantize", "--task", &task, "--out", &out][..], &flags].concat());
    let text = stdout(&output);
    assert!(text.contains("recipe w4a8 at W5A8 with --first-last, --layer;"), "{text}");
}

#[test]
fn widths_that_do_not_exist_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (task, out) = (demo().display().to_string(), folder.path().display().to_string());
    for (flag, bits) in [("--weights", "1"), ("--weights", "9"), ("--activations", "9")] {
        let output = run(&["quantize", "--task", &task, "--out", &out, flag, bits]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(&format!("{bits} bit")), "{}", stderr(&output));
    }
}
