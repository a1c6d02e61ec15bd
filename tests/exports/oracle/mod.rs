//! The Python that runs exported files.

use std::path::{Path, PathBuf};

/// The Python of the oracles, or `None`, said aloud.
pub(crate) fn python(what: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let chosen = std::env::var_os("BURN_PTQ_PYTHON").map(PathBuf::from);
    let path = chosen.unwrap_or_else(|| root.join(".venv/bin/python"));
    if !path.exists() {
        eprintln!("SKIPPED {what}: run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON");
        return None;
    }
    Some(path)
}
