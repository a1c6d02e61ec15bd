//! Folders of exports: which files the exporter wrote, which were changed by hand, and what may be
//! written.
//!
//! A folder's manifest lists every file that was written, with its SHA-256. The next export replaces
//! or removes what is still as it was written, and touches nothing else:
//!
//! - files that the user added are kept;
//! - files that the user adapts to a board or project ([`is_adapted`]) are written once: where they
//!   were changed, they stay, and the export says so;
//! - where another file was changed, or lies where a file would go, the export is refused, before
//!   anything changes: a network beside half of another one would give wrong outputs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ExportError;
use crate::output::{OutputError, Transaction, failed, is_staging, is_unfinished, recover};

/// The manifest, by which a folder is known as an export. `sha256sum -c` reads it too.
const MANIFEST: &str = ".burn-ptq-export";

const HEAD: &str = "\
# The files of this folder that burn-ptq wrote, with their SHA-256. The next export replaces those that
# are still the same, keeps changed files of a board or project, and refuses to replace other ones.
";

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFile {
    /// The path inside the folder, with forward slashes.
    pub path: String,
    /// What it holds.
    pub contents: Vec<u8>,
}

impl ExportFile {
    /// A text file.
    pub fn text(path: impl Into<String>, contents: impl Into<String>) -> Self {
        Self { path: path.into(), contents: contents.into().into_bytes() }
    }
}

/// A file that was changed by hand and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// Whether this export would have written another file than the one before.
    pub outdated: bool,
}

/// What an export does with the files of its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// All files of the export, whether they changed or not.
    pub files: Vec<PathBuf>,
    /// Files that were changed by hand and are kept.
    pub kept: Vec<Kept>,
}

/// Whether a file is meant to be adapted to a board or project.
fn is_adapted(path: &str) -> bool {
    let generated = ["firmware/layers.h"];
    let project = [
        "CMakeLists.txt",
        "Cargo.toml",
        "Makefile",
        "examples/stream.rs",
        "idf_component.yml",
        "library.json",
        "library.properties",
        "main.c",
        "mlperf-tiny/Makefile",
        "mlperf-tiny/port.c",
    ];
    let of_board = ["firmware/", "zephyr/"].iter().any(|folder| path.starts_with(folder));
    (of_board && !generated.contains(&path)) || project.contains(&path) || path.ends_with(".pdsc")
}

/// Checks that an export may be written to `dir`: there is no such folder, it is empty, or it holds an
/// export whose files are as they were written, except those meant to be adapted.
///
/// # Errors
/// If it may not.
pub fn check_folder(dir: &Path) -> Result<(), ExportError> {
    recover(dir)?;
    let Some(manifest) = Manifest::read(dir)? else { return Ok(()) };
    let mut changed = Vec::new();
    for (path, hash) in &manifest.hashes {
        if !is_adapted(path) && contents(&dir.join(path))?.is_some_and(|c| hash_of(&c) != *hash) {
            changed.push(path.clone());
        }
    }
    refuse(dir, changed)
}

/// Puts the changes that write `files` as an export to the folder `inside` of a transaction's folder,
/// or to that folder itself if `inside` is empty, into the transaction.
///
/// # Errors
/// If the folder holds files of someone else, or files that were changed; see [`check_folder`].
pub fn stage_folder(
    transaction: &mut Transaction,
    inside: &str,
    exporter: &str,
    files: &[ExportFile],
) -> Result<Written, ExportError> {
    let dir = transaction.root().join(inside);
    if !inside.is_empty() {
        check_folder(&dir)?;
    }
    let old = Manifest::read(&dir)?.unwrap_or_default();
    let at = |path: &str| match inside {
        "" => path.to_owned(),
        _ => format!("{inside}/{path}"),
    };
    let mut new = Manifest { exporter: exporter.to_owned(), hashes: BTreeMap::new() };
    let (mut changes, mut refused) = (Vec::new(), Vec::new());
    let mut written = Written::default();
    for file in files {
        let (path, hash) = (file.path.as_str(), hash_of(&file.contents));
        let before = old.hashes.get(path);
        written.files.push(dir.join(path));
        match contents(&dir.join(path))? {
            Some(found) if found == file.contents => {}
            Some(found) if before.is_some_and(|before| hash_of(&found) == *before) => {
                changes.push(file);
            }
            None => changes.push(file),
            Some(_) if is_adapted(path) => {
                let outdated = before != Some(&hash);
                written.kept.push(Kept { path: dir.join(path), outdated });
                // It stays known as changed.
                new.hashes.extend(before.map(|before| (path.to_owned(), before.clone())));
                continue;
            }
            Some(_) => {
                refused.push(path.to_owned());
                continue;
            }
        }
        new.hashes.insert(path.to_owned(), hash);
    }
    let mut stale = Vec::new();
    for (path, hash) in &old.hashes {
        if files.iter().any(|file| file.path == *path) {
            continue;
        }
        match contents(&dir.join(path))? {
            Some(found) if hash_of(&found) == *hash => stale.push(path),
            Some(_) if is_adapted(path) => {
                written.kept.push(Kept { path: dir.join(path), outdated: true });
            }
            Some(_) => refused.push(path.clone()),
            None => {}
        }
    }
    refuse(&dir, refused)?;
    for file in changes {
        transaction.write(&at(&file.path), &file.contents)?;
    }
    for path in stale {
        transaction.remove(&at(path));
    }
    if new != old {
        transaction.write(&at(MANIFEST), new.to_text().as_bytes())?;
    }
    Ok(written)
}

/// Writes `files` as an export to the folder `dir`.
///
/// # Errors
/// If the folder must not or cannot be written; then nothing has changed.
pub fn write_folder(
    dir: &Path,
    exporter: &str,
    files: &[ExportFile],
) -> Result<Written, ExportError> {
    check_folder(dir)?;
    let mut transaction = Transaction::begin(dir)?;
    let written = stage_folder(&mut transaction, "", exporter, files)?;
    transaction.commit()?;
    Ok(written)
}

fn refuse(dir: &Path, files: Vec<String>) -> Result<(), ExportError> {
    if files.is_empty() {
        return Ok(());
    }
    Err(ExportError::Changed { path: dir.to_owned(), files })
}

/// The files that an exporter wrote.
#[derive(Debug, Default, PartialEq, Eq)]
struct Manifest {
    exporter: String,
    /// SHA-256 in hexadecimal digits, by path.
    hashes: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of the export in `dir`; `None` if there is no such folder, or nothing in it but what
    /// interrupted writes have left.
    fn read(dir: &Path) -> Result<Option<Self>, ExportError> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(OutputError::from(failed("read the folder", dir)(error)).into());
            }
        };
        let is_own = |name: &OsStr| is_staging(name) || is_unfinished(name);
        match contents(&dir.join(MANIFEST))? {
            Some(text) => Ok(Some(Self::parse(&String::from_utf8_lossy(&text)))),
            None if entries.flatten().all(|entry| is_own(&entry.file_name())) => Ok(None),
            None => Err(ExportError::Foreign { path: dir.to_owned() }),
        }
    }

    fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let (hash, path) = line.split_once("  ")?;
            // A manifest may come from anywhere: it must not lead out of its folder.
            let inside = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
            (hash.len() == 64 && inside).then(|| (path.to_owned(), hash.to_owned()))
        };
        Self {
            exporter: text
                .lines()
                .find_map(|line| line.strip_prefix("# exporter: "))
                .unwrap_or_default()
                .to_owned(),
            hashes: text.lines().filter_map(entry).collect(),
        }
    }

    fn to_text(&self) -> String {
        let lines = self.hashes.iter().map(|(path, hash)| format!("{hash}  {path}\n"));
        format!("{HEAD}# exporter: {}\n{}", self.exporter, lines.collect::<String>())
    }
}

/// What a file holds, if there is one. Anything other than a file differs from every file.
fn contents(path: &Path) -> Result<Option<Vec<u8>>, OutputError> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error).into()),
    }
}

fn hash_of(contents: &[u8]) -> String {
    Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect()
}
