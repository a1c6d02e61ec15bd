//! Writing results: at any time a path holds what it held before or all that is new.
//!
//! [`write_atomically`] is for one file, [`Transaction`] for files that belong together. What they
//! write has the permissions of any other new file, and is on the disk when they return.

mod transaction;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use transaction::is_staging;
pub use transaction::{Transaction, recover};

/// What the file system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct IoError {
    /// What was tried, such as `read`.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// Why results cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another process writes to the same folder.
    #[error(
        "another burn-ptq is writing to {}; wait until it ends, or choose another folder",
        path.display()
    )]
    Busy {
        /// The folder.
        path: PathBuf,
    },
}

/// For `map_err` on file operations.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IoError {
    let path = path.to_owned();
    move |source| IoError { action, path, source }
}

/// Writes `bytes` to the file at `path`, which holds either the old file or the whole new one at any
/// time. Makes the folder that it lies in.
///
/// A symbolic link stays and the file that it names is replaced; a device or a pipe is written to.
///
/// # Errors
/// If the file system refuses; then the old file is still there.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &behind_links(path)?;
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    let folder = folder_of(path);
    fs::create_dir_all(folder)?;
    remove_abandoned(folder);
    let mut builder = tempfile::Builder::new();
    // A temporary file is private; a result has the permissions of any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(PREFIX).suffix(SUFFIX).rand_bytes(RANDOM).tempfile_in(folder)?;
    // Tells a living process from a dead one; where there are no locks, nothing is taken for dead.
    let _ = file.as_file().try_lock();
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// What the names of unfinished files begin and end with, with this many random characters between.
const PREFIX: &str = ".burn-ptq-";
const SUFFIX: &str = ".partial";
const RANDOM: usize = 6;

/// Younger files may belong to a process that has not locked them yet.
const ABANDONED: Duration = Duration::from_secs(60);

/// Whether an unfinished file has this name.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    random.is_some_and(|r| r.len() == RANDOM && r.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Removes the unfinished files of processes that died from `folder`, as far as possible: files with
/// such a name that nobody holds a lock on and that nobody has written to for a while.
pub(crate) fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !is_unfinished(&entry.file_name()) || !entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            continue;
        }
        let path = entry.path();
        let is_old = |file: &File| {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED))
        };
        let Ok(file) = File::open(&path) else { continue };
        if is_old(&file) && file.try_lock().is_ok() {
            // The next run tries again.
            let _ = fs::remove_file(&path);
        }
    }
}

/// The folder that a file lies in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The path that symbolic links at `path` lead to; it need not exist.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    /// What Linux follows before it takes a chain for a circle.
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
            return Ok(path);
        }
        let link = fs::read_link(&path)?;
        path = folder_of(&path).join(link);
    }
    Err(io::Error::other("symbolic links lead in a circle"))
}

/// Brings the names of a folder's files to the disk.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems sync no folders, and some folders may be written to but not read.
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

/// Elsewhere folders cannot be opened.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::SystemTime;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    #[test]
    fn files_have_the_permissions_of_any_new_file_and_their_folder_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = folder.path().join("plain");
        File::create(&plain).expect("a new file");
        let path = folder.path().join("a/b/model.bptq");
        write_atomically(&path, b"first").expect("written");
        write_atomically(&path, b"second").expect("replaced");
        assert_eq!(fs::read(&path).expect("readable"), b"second");
        assert_eq!(mode(&path), mode(&plain));
        assert_eq!(fs::read_dir(folder.path().join("a/b")).expect("a folder").count(), 1);
    }

    #[test]
    fn what_dead_processes_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = SystemTime::now() - 2 * ABANDONED;
        let make = |name: &str, modified: SystemTime| -> File {
            let file = File::create(folder.path().join(name)).expect("a new file");
            file.set_modified(modified).expect("a time of its own");
            file
        };
        drop(make(".burn-ptq-aB3xY9.partial", old));
        let young = ".burn-ptq-aB3xY8.partial";
        drop(make(young, SystemTime::now()));
        let locked = ".burn-ptq-aB3xY7.partial";
        let writer = make(locked, old);
        writer.try_lock().expect("nobody else has it");
        // Files with other names belong to someone else.
        let others = ["x.partial", ".burn-ptq-notes.partial2", ".burn-ptq-long-name.partial"];
        others.iter().for_each(|name| drop(make(name, old)));
        fs::create_dir(folder.path().join(".burn-ptq-folder.partial")).expect("a folder");

        write_atomically(&folder.path().join("model.bptq"), b"new").expect("written");
        let names = || {
            let entries = fs::read_dir(folder.path()).expect("a folder");
            let mut names: Vec<_> = entries.map(|e| e.expect("there").file_name()).collect();
            names.sort();
            names
        };
        let mut expected = vec![young, locked, ".burn-ptq-folder.partial", "model.bptq"];
        expected.extend(others);
        expected.sort_unstable();
        assert_eq!(names(), expected);

        // Its writer dies, and a transaction is the next run.
        drop(writer);
        drop(Transaction::begin(folder.path()).expect("begun"));
        expected.retain(|name| *name != locked);
        assert_eq!(names(), expected);
    }

    #[test]
    fn symbolic_links_stay_and_lead_to_the_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = folder.path().join("elsewhere");
        let link = folder.path().join("link");
        symlink("elsewhere", &link).expect("a link");
        for text in ["made through a dangling link", "replaced"] {
            write_atomically(&link, text.as_bytes()).expect("written");
            assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
            assert_eq!(fs::read_to_string(&elsewhere).expect("readable"), text);
        }
        let circle = folder.path().join("circle");
        symlink("circle", &circle).expect("a link");
        let error = write_atomically(&circle, b"").expect_err("refused").to_string();
        assert_eq!(error, "symbolic links lead in a circle");
    }

    #[test]
    fn devices_are_written_to_and_folders_refused() {
        write_atomically(Path::new("/dev/null"), b"gone").expect("written");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
        let folder = tempfile::tempdir().expect("a folder");
        write_atomically(folder.path(), b"x").expect_err("a folder is not a file");
        assert_eq!(fs::read_dir(folder.path()).expect("it stays").count(), 0);
    }
}
