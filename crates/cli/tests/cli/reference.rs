//! What the command generates about itself: reference pages, completions, manual pages.

use std::path::{Path, PathBuf};

use crate::support::{files, run, stderr, stdout};

/// The committed pages.
fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference")
}

#[test]
fn the_reference_pages_are_up_to_date() {
    let output = run(&["reference", "--check", committed().to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_stale_or_missing_page_is_named_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(run(&["reference", path]).status.success());
    let written = files(folder.path());
    assert_eq!(written, files(&committed()), "docs/reference holds generated pages only");
    std::fs::write(folder.path().join(&written[0]), "old").unwrap();
    std::fs::remove_file(folder.path().join(&written[1])).unwrap();
    let error = stderr(&run(&["reference", "--check", path]));
    assert!(error.contains(&written[0]) && error.contains(&written[1]), "{error}");
    assert!(!error.contains(&written[2]), "{error}");
    assert_eq!(stdout(&run(&["reference", path])).lines().count(), 2);
    assert!(run(&["reference", "--check", path]).status.success());
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(&run(&["completions", shell]));
        for word in ["quantize", "evaluate", "inspect", "export", "ablate", "demo", "calib"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let page = stdout(&run(&["man"]));
    assert!(page.contains(".TH burn-ptq 1") && page.contains("quantize"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    assert!(run(&["man", "--out", folder.path().to_str().unwrap()]).status.success());
    let pages = files(folder.path());
    for command in ["burn-ptq.1", "burn-ptq-quantize.1", "burn-ptq-ablate-merge.1"] {
        assert!(pages.iter().any(|page| page == command), "no {command} in {pages:?}");
    }
}
