//! The shape of the source, of documents and of dependencies, as tests.

mod circles;
mod dependencies;
mod documents;
mod imports;
mod language;
mod licenses;

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// Lines that a file may have, tests and tables aside.
const MAX_LINES: usize = 500;

/// Files that may stand at the top of the quantizer's source.
const MAX_FILES_AT_THE_TOP: usize = 8;

/// Names that say nothing of what a module is for.
const EMPTY_NAMES: &[&str] = &["utils", "helpers", "common", "manager", "engine", "misc"];

/// Where numbers are rounded outside the kernels, and why that decides no integer of a running
/// program.
const ROUNDING: &[(&str, &str)] = &[
    ("crates/burn-ptq/src/correct/affine.rs", "factors on scales that are powers of two"),
    ("crates/burn-ptq/src/graph/ops/lookup.rs", "ids that floats stand for"),
    ("crates/burn-ptq/src/graph/ops/unary.rs", "models may round: the function itself"),
    (
        "crates/burn-ptq/src/import/onnx/quantized/encodings.rs",
        "zero points that a file has as floats",
    ),
    (
        "crates/burn-ptq/src/import/onnx/quantized/linear.rs",
        "constants as the standard of ONNX rounds them",
    ),
    (
        "crates/burn-ptq/src/import/onnx/quantized/moved.rs",
        "bounds that were integers become these again",
    ),
    ("crates/burn-ptq/src/prepare/given.rs", "weights that lie on the grid of a file"),
    ("crates/burn-ptq/src/round/layerwise.rs", "weights that lie on the grid of a file"),
    ("crates/burn-ptq/src/quant/fake_quantize.rs", "equal to the kernels by a property test"),
    ("crates/burn-ptq/src/quant/qparams.rs", "zero points, and scales that are powers of two"),
    ("crates/burn-ptq/src/range/on_grid.rs", "looks for a grid on which weights lie already"),
    ("crates/burn-ptq/src/quant/quantized_graph.rs", "biases become integers"),
    ("crates/burn-ptq/src/quant/simulate.rs", "integers of a grid that floats stand for"),
    ("crates/burn-ptq/src/range/choose.rs", "scales that are powers of two"),
    (
        "crates/burn-ptq/src/reconstruct/variables.rs",
        "weights become integers at the end of tuning",
    ),
    ("crates/deploy/src/cost/table.rs", "digits of numbers in a text"),
    ("crates/burn-ptq/src/round/learn.rs", "straight-through rounding of weights while learning"),
];

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "xtask", "examples", "fuzz"] {
        collect(&root().join(folder), &["rs"], &mut files);
    }
    let relative = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("it lies in the root").display().to_string();
        let text = fs::read_to_string(&path).expect("a source file is text");
        (name, text)
    };
    files.into_iter().map(relative).collect()
}

/// Adds the files below `folder` that end in one of `extensions`.
fn collect(folder: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) {
    let mut all = Vec::new();
    collect_all(folder, &mut all);
    let known = |path: &PathBuf| {
        path.extension().is_some_and(|found| extensions.iter().any(|known| found == *known))
    };
    files.extend(all.into_iter().filter(known));
}

/// Every file below a folder, except what was built.
fn collect_all(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => collect_all(&path, files),
            false => files.push(path),
        }
    }
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs")
}

#[test]
fn every_file_opens_with_what_it_is() {
    for (name, text) in sources() {
        assert!(
            licenses::after_license(&text).starts_with("//! "),
            "{name} does not open with //!"
        );
    }
}

#[test]
fn no_file_is_too_long() {
    for (name, text) in sources() {
        if is_test(&name) {
            continue;
        }
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name} has {lines} lines");
    }
}

#[test]
fn the_top_of_the_quantizer_is_small() {
    let top = fs::read_dir(root().join("crates/burn-ptq/src")).expect("the source");
    let files = top.flatten().filter(|entry| entry.path().is_file());
    let names: Vec<_> = files.map(|entry| entry.file_name()).collect();
    assert!(names.len() <= MAX_FILES_AT_THE_TOP, "{} files: {names:?}", names.len());
}

#[test]
fn module_names_say_what_is_inside() {
    for (name, _) in sources() {
        let path = Path::new(&name).with_extension("");
        for part in path.iter().filter_map(|part| part.to_str()) {
            assert!(!EMPTY_NAMES.contains(&part), "{name}: '{part}' says nothing");
        }
    }
}

#[test]
fn only_the_kernels_round_but_for_known_places() {
    let rounds = |text: &str| text.contains(".round()") || text.contains(".round_ties_even()");
    let outside = |name: &str| name.contains("/src/") && !name.starts_with("crates/kernels/");
    let own = file!().replace('\\', "/");
    let sources = sources().into_iter().filter(|(name, _)| outside(name) && !own.ends_with(name));
    let found: Vec<String> =
        sources.filter(|(_, text)| rounds(text)).map(|(name, _)| name).collect();
    for name in &found {
        assert!(
            ROUNDING.iter().any(|(known, _)| known == name),
            "{name} rounds: call the kernels, or add it to ROUNDING with the reason"
        );
    }
    for (known, _) in ROUNDING {
        assert!(found.iter().any(|name| name == known), "{known} rounds no more: take it off");
    }
}
