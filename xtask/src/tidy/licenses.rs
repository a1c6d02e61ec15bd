//! License texts in packages, and license lines in every file that exports copy.

use std::fs;

use super::collect_all;
use crate::packages::published;
use crate::root;

/// The lines that open a file that exports copy, without their comment signs.
const LICENSE_LINES: [&str; 2] =
    ["SPDX-License-Identifier: MIT OR Apache-2.0", "Copyright (c) 2026 The burn-ptq authors"];

/// A file's text after its license lines, if it has them.
pub(super) fn after_license(text: &str) -> &str {
    LICENSE_LINES.iter().fold(text, |text, line| match text.split_once('\n') {
        Some((first, rest)) if first.contains(line) => rest,
        _ => text,
    })
}

#[test]
fn published_packages_carry_the_license_texts() {
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let text = fs::read(root().join(name)).expect("the license text");
        for package in published().expect("cargo describes the workspace") {
            let path = format!("{}/{name}", package.path);
            let copy = fs::read(root().join(&path));
            let copy = copy.unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(copy == text, "{path} differs from {name}");
        }
    }
}

#[test]
fn packages_contain_the_license_texts() {
    for package in published().expect("cargo describes the workspace") {
        let manifest = root().join(&package.path).join("Cargo.toml");
        let output = crate::cargo()
            .args(["package", "--list", "--allow-dirty", "--offline", "--manifest-path"])
            .arg(manifest)
            .output()
            .expect("cargo runs");
        let files = String::from_utf8_lossy(&output.stdout);
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                files.lines().any(|file| file == name),
                "{} lacks {name}: {errors}",
                package.name
            );
        }
    }
}

#[test]
fn files_that_exports_copy_open_with_their_license() {
    let mut files = Vec::new();
    for folder in ["deploy/c", "deploy/rust", "deploy/onnx", "deploy/tflite", "kernels/src"] {
        collect_all(&root().join("crates").join(folder), &mut files);
    }
    assert!(files.len() > 90, "only {} files", files.len());
    // Documents, and files that consist of the user's samples or are part of another file.
    let exceptions = [
        "README.md",
        "samples.h",
        "library.json",
        "samples.rs.in",
        "model.rs.in",
        "rustfmt.toml",
        "io_input.c",
        "io_output.c",
    ];
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("ASCII");
        let text = fs::read_to_string(&path).expect("text");
        let licensed =
            text.lines().zip(LICENSE_LINES).filter(|(line, expected)| line.contains(expected));
        let expected = if exceptions.contains(&name) { 0 } else { LICENSE_LINES.len() };
        assert_eq!(licensed.count(), expected, "license lines of {}", path.display());
    }
}
