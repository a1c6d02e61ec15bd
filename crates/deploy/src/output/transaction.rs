//! Files that belong together: all of them change, or none.
//!
//! Everything is written into a staging folder inside the folder of the results first. Then a file
//! `commit` lists the steps to take, and each step moves one file. A process that dies before that
//! file exists has changed nothing; one that dies later leaves the list, and the next one that works
//! in the folder takes the remaining steps ([`recover`]). An error while steps are taken undoes them.
//! A locked file tells a living process from a dead one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use super::{OutputError, failed, folder_of, remove_abandoned, sync_folder};

/// What the names of staging folders begin with.
const PREFIX: &str = ".burn-ptq-staging-";
const LOCK: &str = "lock";
const COMMIT: &str = "commit";
/// What the lock file holds, so that no other folder is taken for staging.
const NOTE: &str =
    "Work in progress of burn-ptq; its next run in this folder completes or drops it.\n";

/// Changes to the files of a folder, which take place together.
#[derive(Debug)]
pub struct Transaction {
    root: PathBuf,
    staging: Staging,
    steps: Vec<Step>,
    /// Folders that did not exist before, the innermost last.
    created: Vec<PathBuf>,
    done: bool,
}

/// A step: the path of a file inside the folder, with forward slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Moves the staged file to its place.
    Place(String),
    /// Takes the file away.
    Remove(String),
}

impl Transaction {
    /// Prepares changes in the folder `root`, which is made if there is none; completes or drops what
    /// a process that died has left there.
    ///
    /// # Errors
    /// If the folder cannot be written, or another process is writing to it.
    pub fn begin(root: &Path) -> Result<Self, OutputError> {
        let mut created = Vec::new();
        let mut missing = root;
        while !missing.as_os_str().is_empty() && !missing.exists() {
            created.insert(0, missing.to_owned());
            missing = folder_of(missing);
        }
        fs::create_dir_all(root).map_err(failed("create the folder", root))?;
        recover(root)?;
        remove_abandoned(root);
        let staging = Staging::new(root).map_err(failed("write into the folder", root))?;
        Ok(Self { root: root.to_owned(), staging, steps: Vec::new(), created, done: false })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Replaces or makes the file at `path` inside the folder, in its turn.
    ///
    /// # Errors
    /// If it cannot be written, such as on a full disk.
    pub fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), OutputError> {
        let staged = self.staging.fresh(path);
        let write = || {
            fs::create_dir_all(folder_of(&staged))?;
            let mut file = File::create(&staged)?;
            file.write_all(contents)?;
            file.sync_all()
        };
        write().map_err(failed("write", &self.root.join(path)))?;
        self.steps.push(Step::Place(path.to_owned()));
        Ok(())
    }

    /// Takes the file at `path` away, in its turn; a file that is written again later is missing in
    /// between.
    pub fn remove(&mut self, path: &str) {
        if fs::symlink_metadata(self.root.join(path)).is_ok() {
            self.steps.push(Step::Remove(path.to_owned()));
        }
    }

    /// Takes all steps, in order.
    ///
    /// # Errors
    /// If the file system refuses; then the folder is as it was.
    pub fn commit(mut self) -> Result<(), OutputError> {
        self.write_commit().map_err(failed("write into the folder", &self.root))?;
        if let Err((begun, error)) = take(&self.root, &self.staging, &self.steps) {
            undo(&self.root, &self.staging, &self.steps[..begun]);
            return Err(error);
        }
        self.done = true;
        sync(&self.root, &self.steps);
        Ok(())
    }

    fn write_commit(&self) -> io::Result<()> {
        let mut text = String::new();
        for step in &self.steps {
            let (word, path) = match step {
                Step::Place(path) => ("place", path),
                Step::Remove(path) => ("remove", path),
            };
            text.push_str(&format!("{word} {path}\n"));
        }
        let unfinished = self.staging.path.join("unfinished");
        let mut file = File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, self.staging.path.join(COMMIT))?;
        sync_folder(&self.staging.path)
    }
}

impl Drop for Transaction {
    /// Removes the staging folder, and the folders that were made for changes that did not happen.
    fn drop(&mut self) {
        self.staging.remove();
        if !self.done {
            for folder in self.created.iter().rev() {
                // Fails where others have put something, as it should.
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// Completes what a process that died had decided to do in the folder `root`, and removes what one
/// had only prepared. Nothing happens if `root` does not exist.
///
/// # Errors
/// If another process is writing to the folder, or a file cannot be moved.
pub fn recover(root: &Path) -> Result<(), OutputError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read the folder", root)(error).into()),
    };
    for entry in entries {
        let path = entry.map_err(failed("read the folder", root))?.path();
        let Some(staging) = Staging::abandoned(&path).map_err(failed("open", &path))? else {
            continue;
        };
        let Some(staging) = staging else {
            return Err(OutputError::Busy { path: root.to_owned() });
        };
        match fs::read_to_string(staging.path.join(COMMIT)) {
            Ok(text) => {
                let steps = parse(&text);
                take(root, &staging, &steps).map_err(|(_, error)| error)?;
                sync(root, &steps);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", &staging.path.join(COMMIT))(error).into()),
        }
        staging.remove();
    }
    Ok(())
}

/// Whether a folder's entry of this name is a staging folder.
pub(crate) fn is_staging(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX))
}

fn parse(text: &str) -> Vec<Step> {
    let step = |line: &str| {
        let (verb, path) = line.split_once(' ')?;
        // The folder may come from anywhere: its steps must not lead out of it.
        let inside = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        match verb {
            "place" if inside => Some(Step::Place(path.to_owned())),
            "remove" if inside => Some(Step::Remove(path.to_owned())),
            _ => None,
        }
    };
    text.lines().filter_map(step).collect()
}

/// A staging folder, locked by this process.
#[derive(Debug)]
struct Staging {
    path: PathBuf,
    /// Locked until it is closed.
    _lock: File,
}

impl Staging {
    fn new(root: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?;
        let mut lock = File::create(folder.path().join(LOCK))?;
        lock.try_lock().map_err(|error| io::Error::other(error.to_string()))?;
        lock.write_all(NOTE.as_bytes())?;
        Ok(Self { path: folder.keep(), _lock: lock })
    }

    /// The staging folder at `path`, if it is one: itself, if its process has died.
    fn abandoned(path: &Path) -> io::Result<Option<Option<Self>>> {
        if !path.file_name().is_some_and(is_staging)
            || !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
        {
            return Ok(None);
        }
        let mut lock = match File::options().read(true).write(true).open(path.join(LOCK)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Some(None)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut note = String::new();
        lock.read_to_string(&mut note)?;
        // A process that died right after it made the file has left it empty.
        let own = note == NOTE || note.is_empty();
        Ok(own.then(|| Some(Self { path: path.to_owned(), _lock: lock })))
    }

    /// Where a file waits for its step.
    fn fresh(&self, path: &str) -> PathBuf {
        self.path.join("new").join(path)
    }

    /// Where the file that was there before is kept.
    fn previous(&self, path: &str) -> PathBuf {
        self.path.join("old").join(path)
    }

    /// Removes the folder, the list of steps first. What stays is left to the next run.
    fn remove(&self) {
        let _ = fs::remove_file(self.path.join(COMMIT));
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Takes the steps that have not been taken yet. On an error, returns how many were begun.
fn take(root: &Path, staging: &Staging, steps: &[Step]) -> Result<(), (usize, OutputError)> {
    for (index, step) in steps.iter().enumerate() {
        take_one(root, staging, step).map_err(|error| (index + 1, error))?;
    }
    Ok(())
}

fn take_one(root: &Path, staging: &Staging, step: &Step) -> Result<(), OutputError> {
    match step {
        Step::Place(path) => {
            let (fresh, previous) = (staging.fresh(path), staging.previous(path));
            let target = root.join(path);
            if !exists(&fresh) {
                return Ok(());
            }
            let place = || {
                fs::create_dir_all(folder_of(&target))?;
                if exists(&target) && !exists(&previous) {
                    fs::create_dir_all(folder_of(&previous))?;
                    // A second name, so that the file is never missing.
                    fs::hard_link(&target, &previous)
                        .or_else(|_| fs::copy(&target, &previous).map(drop))?;
                }
                fs::rename(&fresh, &target)
            };
            Ok(place().map_err(failed("write", &target))?)
        }
        Step::Remove(path) => {
            let (target, previous) = (root.join(path), staging.previous(path));
            if exists(&previous) || !exists(&target) {
                return Ok(());
            }
            let remove = || {
                fs::create_dir_all(folder_of(&previous))?;
                fs::rename(&target, &previous)
            };
            remove().map_err(failed("replace", &target))?;
            remove_empty_folders(root, path);
            Ok(())
        }
    }
}

/// Takes steps back, as far as the file system lets it.
fn undo(root: &Path, staging: &Staging, steps: &[Step]) {
    // Nothing may take these steps again.
    let _ = fs::remove_file(staging.path.join(COMMIT));
    for step in steps.iter().rev() {
        let (Step::Place(path) | Step::Remove(path)) = step;
        let (target, previous) = (root.join(path), staging.previous(path));
        if exists(&previous) {
            let _ = fs::create_dir_all(folder_of(&target));
            let _ = fs::rename(&previous, &target);
        } else if matches!(step, Step::Place(_)) && !exists(&staging.fresh(path)) {
            let _ = fs::remove_file(&target);
            remove_empty_folders(root, path);
        }
    }
}

/// Removes the folders between `root` and a file that is gone, as far as they are empty.
fn remove_empty_folders(root: &Path, path: &str) {
    let mut folder = Path::new(path).parent();
    while let Some(inner) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
        if fs::remove_dir(root.join(inner)).is_err() {
            return;
        }
        folder = inner.parent();
    }
}

/// Brings the new names to the disk; a file system that refuses has the files themselves.
fn sync(root: &Path, steps: &[Step]) {
    let mut folders: Vec<PathBuf> = steps
        .iter()
        .map(|(Step::Place(path) | Step::Remove(path))| folder_of(&root.join(path)).to_owned())
        .collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders.iter().chain([&root.to_owned()]) {
        let _ = sync_folder(folder);
    }
}

#[cfg(test)]
mod tests;
