//! Compiled runtimes, which outlive the toolchains that asked for them: programs of a target differ, their
//! runtime does not.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tempfile::TempDir;

use crate::error::{McuError, failed};
use crate::toolchain::new_folder;

/// A folder with objects and headers.
#[derive(Debug)]
pub(crate) enum Runtime {
    /// In cargo's folder, for all that is compiled there.
    Kept(PathBuf),
    /// For one toolchain.
    Own(TempDir),
}

impl Runtime {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Own(folder) => folder.path(),
        }
    }
}

/// One lock for each runtime: tests that run at the same time ask for the same ones.
static LOCKS: LazyLock<Mutex<HashMap<String, Arc<Mutex<()>>>>> = LazyLock::new(Mutex::default);

/// The runtime of a fingerprint, of everything that it depends on; `compile` fills a folder if there is none.
pub(crate) fn kept(
    fingerprint: &str,
    compile: impl FnOnce(&Path) -> Result<(), McuError>,
) -> Result<Runtime, McuError> {
    let Some(folder) = folder() else {
        let own = new_folder()?;
        compile(own.path())?;
        return Ok(Runtime::Own(own));
    };
    kept_in(&folder, fingerprint, compile).map(Runtime::Kept)
}

fn kept_in(
    folder: &Path,
    fingerprint: &str,
    compile: impl FnOnce(&Path) -> Result<(), McuError>,
) -> Result<PathBuf, McuError> {
    let lock = {
        let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(fingerprint.to_owned()).or_default().clone()
    };
    let _locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = folder.join(fingerprint);
    if kept.is_dir() {
        return Ok(kept);
    }
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let new = tempfile::tempdir_in(folder).map_err(failed("create a folder in", folder))?;
    compile(new.path())?;
    // Whole or not at all; another process may have been faster.
    match fs::rename(new.path(), &kept) {
        Err(error) if !kept.is_dir() => Err(failed("create", &kept)(error)),
        _ => Ok(kept),
    }
}

/// Where runtimes stay: in cargo's folder, if this program is in one.
fn folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let cargos = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file())?;
    Some(cargos.join("tmp").join("runtimes-of-boards"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_compiled_once_and_again_after_a_failure() {
        let folder = new_folder().expect("a folder");
        let kept = |compile: &dyn Fn(&Path) -> Result<(), McuError>| {
            kept_in(folder.path(), "fingerprint", compile)
        };
        assert!(kept(&|_| Err(McuError::NoBoard { target: "a test" })).is_err());
        let object = |folder: &Path| folder.join("a.o");
        let first = kept(&|new| fs::write(object(new), "code").map_err(failed("write", new)));
        let second = kept(&|_| panic!("compiled twice")).expect("kept");
        assert_eq!(first.expect("compiled"), second);
        assert!(object(&second).is_file());
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
    }
}
