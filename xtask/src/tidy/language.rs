//! The language of documents, messages and comments: plain technical English.
//!
//! The phrases below are grammatical and have confused readers all the same. Each comes with what
//! to write instead, and with the longer phrases in which it is right.

use std::path::Path;

use super::{collect, is_test};
use crate::root;

/// A phrase, what to write instead, and where it is right.
type Phrase = (&'static str, &'static str, &'static [&'static str]);

const PHRASES: &[Phrase] = &[
    (" has not,", "does not have, does not support", &[]),
    (" has not.", "does not have, does not support", &[]),
    (" have not.", "do not have, do not support", &[]),
    (
        " is no ",
        "is not a",
        &[
            "there is no ",
            "is no longer",
            "is no better",
            "is no more",
            "is no larger",
            "is no worse",
        ],
    ),
    (" are no ", "are not", &["there are no ", "are no longer", "are no more", "are no better"]),
    ("on the desk", "on the host", &[]),
    (" dear", "expensive", &["dearth"]),
    ("goes on ", "continues", &[]),
    (" go on ", "continue", &[]),
    ("one's own", "custom", &[]),
    ("knows no ", "does not depend on", &[]),
    ("nothing but ", "only", &[]),
    (" as people ", "human-readable, or leave it out", &[]),
    ("what people ", "say what it is", &[]),
    (" for people", "human-readable", &["for people with"]),
    ("a person should", "say what it is", &[]),
    ("in silence", "silently", &[]),
    ("but for ", "except", &["but for each", "but for every"]),
    (" shall ", "should, must", &[]),
    ("must be there", "is required", &[]),
    ("that it got", "name what gave it", &[]),
    ("holds no glob", "is not a valid glob pattern", &[]),
    ("no difference shown", "not significant", &[]),
    ("can mend", "can fix", &[]),
    ("1 bits", "1 bit", &["11 bits", "21 bits", "31 bits"]),
];

/// Folders of generated pages, whose words are those of what generates them.
const GENERATED: &[&str] = &["docs/results/", "docs/reference/"];

/// Every text that people read, by its path from the root.
fn texts() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in
        ["crates", "xtask", "examples", "fuzz", "docs", "scripts", "studies", "tests", "benches"]
    {
        let folder = root().join(folder);
        if folder.is_dir() {
            collect(
                &folder,
                &["rs", "md", "c", "h", "toml", "py", "sh", "in", "txt", "yaml", "yml"],
                &mut paths,
            );
        }
    }
    for entry in std::fs::read_dir(root()).expect("the root").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "md" || extension == "toml") {
            paths.push(path);
        }
    }
    let name =
        |path: &Path| path.strip_prefix(root()).expect("it lies in the root").display().to_string();
    let texts =
        paths.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("a text")));
    let own = file!().replace('\\', "/");
    texts
        .filter(|(name, _)| !own.ends_with(name.as_str()))
        .filter(|(name, _)| !GENERATED.iter().any(|folder| name.starts_with(folder)))
        .collect()
}

/// Whether the phrase at `at` is part of a longer one in which it is right.
fn is_right(text: &str, at: usize, phrase: &str, right: &[&str]) -> bool {
    right.iter().any(|longer| {
        longer.match_indices(phrase.trim()).any(|(before, _)| {
            let lead = phrase.len() - phrase.trim_start().len();
            let start = (at + lead).checked_sub(before);
            start.and_then(|start| text.get(start..)).is_some_and(|rest| rest.starts_with(longer))
        })
    })
}

#[test]
fn texts_are_plain_technical_english() {
    let mut found = Vec::new();
    for (name, text) in texts() {
        let lower = text.to_lowercase();
        for (phrase, instead, right) in PHRASES {
            for (at, _) in lower.match_indices(phrase) {
                if !is_right(&lower, at, phrase, right) {
                    let line = lower[..at].lines().count();
                    found.push(format!("{name}:{line}: {:?}; write: {instead}", phrase.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} phrases:\n{}", found.len(), found.join("\n"));
}

#[test]
fn documentation_is_more_than_one_word() {
    let mut found = Vec::new();
    for (name, text) in texts().into_iter().filter(|(name, _)| name.ends_with(".rs")) {
        // Exports copy the source of the kernels: its text changes what users get.
        if is_test(&name) || name.starts_with("crates/kernels/src/") {
            continue;
        }
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for window in lines.windows(3) {
            let [before, line, after] = window else { continue };
            let Some(words) = line.strip_prefix("/// ") else { continue };
            let alone = !before.starts_with("///") && !after.starts_with("///");
            let plain = words.strip_suffix('.').is_some_and(|w| w.chars().all(char::is_alphabetic));
            if alone && plain {
                found.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(found.is_empty(), "comments that say nothing:\n{}", found.join("\n"));
}

#[test]
fn a_phrase_is_right_in_a_longer_one() {
    let text = "there is no file, and this is no longer one";
    for (at, _) in text.match_indices(" is no ") {
        assert!(is_right(text, at, " is no ", &["there is no ", "is no longer"]));
    }
    let text = "it is no file";
    assert!(!is_right(text, 2, " is no ", &["there is no ", "is no longer"]));
}
