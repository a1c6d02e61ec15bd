//! Writing an export as a whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ExportError;

/// The file by which a folder is known as an export, and may be replaced by the next one.
const MARKER: &str = ".burn-ptq-export";

/// A file of an export.
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

/// Writes `files` to `dir`, which does not exist, is empty, or holds an earlier export.
///
/// Everything is written beside `dir` first and then renamed: an error, or the end of the process,
/// leaves what was there before. Returns the paths of the files.
pub fn write_folder(
    dir: &Path,
    exporter: &str,
    files: &[ExportFile],
) -> Result<Vec<PathBuf>, ExportError> {
    let exists = is_replaceable(dir)?;
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(failed("create the folder", parent))?;
    let staging = tempfile::Builder::new()
        .prefix(".burn-ptq-")
        .tempdir_in(parent)
        .map_err(failed("write into the folder", parent))?;
    // An own folder inside, because temporary folders are closed to other users.
    let fresh = staging.path().join("export");
    let marker = ExportFile::text(MARKER, format!("{exporter}\n"));
    for file in files.iter().chain([&marker]) {
        let path = fresh.join(&file.path);
        let folder = path.parent().unwrap_or(&fresh);
        fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
        fs::write(&path, &file.contents).map_err(failed("write the file", &path))?;
    }
    let previous = staging.path().join("previous");
    if exists {
        fs::rename(dir, &previous).map_err(failed("replace the folder", dir))?;
    }
    if let Err(error) = fs::rename(&fresh, dir) {
        if exists {
            fs::rename(&previous, dir).map_err(failed("restore the folder", dir))?;
        }
        return Err(failed("create the folder", dir)(error));
    }
    Ok(files.iter().map(|file| dir.join(&file.path)).collect())
}

/// Whether `dir` exists; an error if what is there must not be replaced.
fn is_replaceable(dir: &Path) -> Result<bool, ExportError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("read the folder", dir)(error)),
    };
    if dir.join(MARKER).is_file() || entries.count() == 0 {
        return Ok(true);
    }
    Err(ExportError::Foreign { path: dir.to_owned() })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Io { action, path, source }
}
