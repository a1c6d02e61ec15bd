//! The shape of the source, as tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// Lines that a file may have, tests and tables aside.
const MAX_LINES: usize = 800;

/// Names that say nothing of what a module is for.
const EMPTY_NAMES: &[&str] = &["utils", "helpers", "common", "manager", "engine", "misc"];

/// Where numbers are rounded outside the kernels, and why that decides no integer of a running
/// program.
const ROUNDING: &[(&str, &str)] = &[
    ("crates/burn-ptq/src/correct/affine.rs", "factors on scales that are powers of two"),
    ("crates/burn-ptq/src/quant/fake_quantize.rs", "equal to the kernels by a property test"),
    ("crates/burn-ptq/src/quant/qparams.rs", "zero points, and scales that are powers of two"),
    ("crates/burn-ptq/src/range/on_grid.rs", "looks for a grid on which weights lie already"),
    ("crates/burn-ptq/src/quantized.rs", "biases become integers; scales that are powers of two"),
    (
        "crates/burn-ptq/src/reconstruct/variables.rs",
        "weights become integers at the end of tuning",
    ),
    ("crates/burn-ptq/src/round/learn.rs", "straight-through rounding of weights while learning"),
];

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "examples", "fuzz"] {
        collect(&root().join(folder), &mut files);
    }
    let relative = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("it lies in the root").display().to_string();
        let text = fs::read_to_string(&path).expect("a source file is text");
        (name, text)
    };
    files.into_iter().map(relative).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut all = Vec::new();
    collect_all(folder, &mut all);
    files.extend(all.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")));
}

/// Every file below a folder, but for what was built.
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
    name.contains("/tests/") || name.ends_with("/tests.rs")
}

/// The lines that open a file that exports copy, without their comment signs.
const LICENSE_LINES: [&str; 2] =
    ["SPDX-License-Identifier: MIT OR Apache-2.0", "Copyright (c) 2026 The burn-ptq authors"];

/// A file's text after its license lines, if it has them.
fn after_license(text: &str) -> &str {
    LICENSE_LINES.iter().fold(text, |text, line| match text.split_once('\n') {
        Some((first, rest)) if first.contains(line) => rest,
        _ => text,
    })
}

#[test]
fn every_file_opens_with_what_it_is() {
    for (name, text) in sources() {
        assert!(after_license(&text).starts_with("//! "), "{name} does not open with //!");
    }
}

#[test]
fn no_file_is_too_long() {
    for (name, text) in sources().into_iter().filter(|(name, _)| !is_test(name)) {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name} has {lines} lines");
    }
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

#[test]
fn files_that_the_architecture_names_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there");
    // Paths are short for those in the library, in the exporters or in the C runtime.
    let folders = [
        "",
        "crates/burn-ptq/src",
        "crates/eval/src",
        "crates/study/src",
        "crates/deploy/src",
        "crates/deploy/src/export",
        "crates/deploy/c/runtime",
        "crates/cli/src",
    ];
    let is_path = |code: &str| {
        let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        let extensions = [".rs", ".py", ".sh", ".h", ".toml", ".txt"];
        plain && (code.contains('/') || extensions.iter().any(|e| code.ends_with(e)))
    };
    // Every other piece between backticks is code. These are not files of the repository.
    let elsewhere = ["task.toml"];
    let code = text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = code.filter(|code| is_path(code) && !elsewhere.contains(code)).collect();
    assert!(paths.len() > 50, "only {} paths were recognized", paths.len());
    for path in paths {
        let exists = folders.iter().any(|folder| root().join(folder).join(path).exists());
        assert!(exists, "ARCHITECTURE.md names {path}, which does not exist");
    }
}

/// Packages that are published.
const PUBLISHED: &[&str] = &["kernels", "deploy", "burn-ptq", "eval", "study", "cli"];

#[test]
fn published_packages_carry_the_license_texts() {
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let text = fs::read(root().join(name)).expect("the license text");
        for package in PUBLISHED {
            let copy = fs::read(root().join("crates").join(package).join(name));
            let copy = copy.unwrap_or_else(|error| panic!("crates/{package}/{name}: {error}"));
            assert!(copy == text, "crates/{package}/{name} differs from {name}");
        }
    }
}

#[test]
fn packages_contain_the_license_texts() {
    for package in PUBLISHED {
        let manifest = root().join("crates").join(package).join("Cargo.toml");
        let output = crate::cargo()
            .args(["package", "--list", "--allow-dirty", "--offline", "--manifest-path"])
            .arg(manifest)
            .output()
            .expect("cargo runs");
        let files = String::from_utf8_lossy(&output.stdout);
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(files.lines().any(|file| file == name), "{package} lacks {name}: {errors}");
        }
    }
}

#[test]
fn files_that_exports_copy_open_with_their_license() {
    let mut files = Vec::new();
    for folder in ["crates/deploy/c", "crates/deploy/rust", "crates/kernels/src"] {
        collect_all(&root().join(folder), &mut files);
    }
    assert!(files.len() > 90, "only {} files", files.len());
    // Text for people, and files that consist of the user's samples or are part of another file.
    let exceptions = ["README.md", "samples.h", "samples.rs.in", "model.rs.in", "rustfmt.toml"];
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("ASCII");
        let text = fs::read_to_string(&path).expect("text");
        let licensed =
            text.lines().zip(LICENSE_LINES).filter(|(line, expected)| line.contains(expected));
        let expected = if exceptions.contains(&name) { 0 } else { LICENSE_LINES.len() };
        assert_eq!(licensed.count(), expected, "license lines of {}", path.display());
    }
}
