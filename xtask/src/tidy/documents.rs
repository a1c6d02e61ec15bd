//! What documents say of the repository is true: files, links, tests, warnings.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::sources;
use crate::root;

/// Where files lie that ARCHITECTURE.md names by the end of their path.
const FOLDERS: &[&str] = &[
    "",
    "crates/burn-ptq/src",
    "crates/eval/src",
    "crates/study/src",
    "crates/deploy/src",
    "crates/deploy/src/export",
    "crates/deploy/c/runtime",
    "crates/cli/src",
];

/// Documents that name files of the repository between backticks, and how many at least.
const NAMING: &[(&str, usize)] = &[("ARCHITECTURE.md", 50), ("CONTRIBUTING.md", 50)];

/// Files that documents name but users own.
const ELSEWHERE: &[&str] = &["task.toml"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every document in Markdown, by its path from the root.
fn documents() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && !path.is_symlink() {
                folders.push(path);
            } else if name.ends_with(".md") {
                paths.push(path);
            }
        }
    }
    let relative =
        |path: &Path| path.strip_prefix(root()).expect("it lies in the root").display().to_string();
    paths.iter().map(|path| relative(path)).map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn files_that_documents_name_exist() {
    let is_path = |code: &str| {
        let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        let extensions = [".rs", ".py", ".sh", ".h", ".c", ".toml", ".txt", ".md"];
        plain
            && !code.starts_with('.')
            && (code.contains('/') || extensions.iter().any(|e| code.ends_with(e)))
    };
    // Files of users, and ones that a recipe tells to write.
    let is_elsewhere = |code: &str| ELSEWHERE.contains(&code) || code.contains("NAME");
    for (document, least) in NAMING {
        let text = read(document);
        // Every other piece between backticks is code.
        let code = text.split('`').skip(1).step_by(2);
        let paths: Vec<&str> = code.filter(|code| is_path(code) && !is_elsewhere(code)).collect();
        assert!(paths.len() > *least, "{document}: only {} paths were recognized", paths.len());
        // What CONTRIBUTING.md names is to be opened: its paths are complete.
        let folders = if *document == "ARCHITECTURE.md" { FOLDERS } else { &FOLDERS[..1] };
        for path in paths {
            let exists = folders.iter().any(|folder| root().join(folder).join(path).exists());
            assert!(exists, "{document} names {path}, which does not exist");
        }
    }
}

/// The anchors of a document, as GitHub makes them of its headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut checked = 0;
    for (path, text) in documents() {
        let folder = root().join(&path).parent().expect("a file has a folder").to_path_buf();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let (target, anchor) = link.0.split_once('#').unwrap_or((link.0, ""));
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            let file = if target.is_empty() { root().join(&path) } else { folder.join(target) };
            assert!(file.exists(), "{path} links to {target}, which does not exist");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&file).expect("a document");
                let found = anchors(&text).iter().any(|known| known == anchor);
                assert!(found, "{path} links to {target}#{anchor}: no such heading");
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were recognized");
}

/// The folder of a package.
fn folder_of(package: &str) -> &str {
    match package {
        "burn-ptq" => "crates/burn-ptq",
        "burn-ptq-examples" => "examples",
        "burn-ptq-fuzz" => "fuzz",
        "xtask" => "xtask",
        other => other.strip_prefix("burn-ptq-").expect("a package of the workspace"),
    }
}

#[test]
fn tests_that_documents_tell_to_run_exist() {
    let mut checked = 0;
    for (path, text) in documents() {
        for command in text.split("cargo test ").skip(1) {
            let command = command.split(['`', '\n']).next().unwrap_or_default();
            let mut words = command.split_whitespace();
            let (mut package, mut test) = (None, None);
            while let Some(word) = words.next() {
                match word {
                    "-p" => package = words.next(),
                    "--test" => test = words.next(),
                    _ => {}
                }
            }
            let Some(package) = package else { continue };
            let folder = folder_of(package);
            let home = [folder.to_owned(), format!("crates/{folder}")]
                .into_iter()
                .find(|home| root().join(home).join("Cargo.toml").exists());
            let home = home.unwrap_or_else(|| panic!("{path}: there is no package {package}"));
            if let Some(test) = test {
                let home = root().join(home);
                let tests = home.join("tests");
                let manifest = fs::read_to_string(home.join("Cargo.toml")).expect("a manifest");
                // A package of tests only lists them.
                let exists = tests.join(format!("{test}.rs")).exists()
                    || tests.join(test).is_dir()
                    || manifest.contains(&format!("[[test]]\nname = \"{test}\"\n"));
                assert!(exists, "{path}: {package} has no test {test}");
            }
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} commands were recognized");
}

#[test]
fn every_warning_has_an_entry_in_the_guide() {
    let mut kinds = BTreeSet::new();
    for (name, text) in sources().into_iter().filter(|(name, _)| name.contains("/src/")) {
        if name.ends_with("tests.rs") || name.starts_with("xtask/") {
            continue;
        }
        for constructor in ["Warning::new(", "warn("] {
            let calls = text.split(constructor).skip(1);
            let first = calls.filter_map(|call| call.trim_start().strip_prefix('"'));
            kinds.extend(first.filter_map(|call| Some(call.split_once('"')?.0.to_owned())));
        }
    }
    assert!(kinds.len() > 10, "only {kinds:?} were recognized");
    let guide = read("docs/guide/src/troubleshooting.md");
    let entries: BTreeSet<String> =
        guide.lines().filter_map(|line| line.strip_prefix("### ")).map(String::from).collect();
    assert_eq!(kinds, entries, "warnings of the source, and entries of troubleshooting.md");
    for entry in guide.split("### ").skip(1) {
        let whole = entry.contains("**Cause.**") && entry.contains("**Cure.**");
        assert!(whole, "an entry without cause or cure: {entry}");
    }
}

#[test]
fn the_readme_is_a_landing_page() {
    let text = read("README.md");
    assert!(text.lines().count() < 200, "what is longer belongs into the guide");
    for command in ["cargo run --release -- demo", "cargo xtask test"] {
        assert!(text.contains(command), "the README does not show {command}");
    }
}

#[test]
fn every_chapter_is_in_the_summary_of_the_guide() {
    let summary = read("docs/guide/src/SUMMARY.md");
    for (path, _) in documents() {
        let Some(name) = path.strip_prefix("docs/guide/src/") else { continue };
        let listed = name == "SUMMARY.md" || summary.contains(&format!("({name})"));
        assert!(listed, "{name} is not in SUMMARY.md");
    }
}
