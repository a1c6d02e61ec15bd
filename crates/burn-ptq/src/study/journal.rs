//! The result file: one JSON line for each thing that is known, appended and synced, so that a
//! process may be killed at any moment.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::file::StudyError;
use super::record::Record;

/// A result file that this process alone appends to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or makes a result file and reads what it holds. A last line that was torn when a process
    /// died is cut off.
    ///
    /// # Errors
    /// If the file cannot be read and written, if another process has it open, or if it holds
    /// something else.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), StudyError> {
        let failed = |source| StudyError::Io { path: path.into(), source };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another process is working on this study: wait, stop it, or give \
                               another --out";
                return Err(StudyError::Results { path: path.into(), problem: problem.into() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let (lines, whole) = parse(&bytes, path)?;
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let records = lines.into_iter().map(|(record, _)| record).collect();
        Ok((Self { file, path: path.into() }, records))
    }

    /// Appends a record; it is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<(), StudyError> {
        let failed = |source| StudyError::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_string(record).map_err(|e| failed(e.into()))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(failed)?;
        self.file.sync_data().map_err(failed)
    }
}

/// The records of a result file, each with its line.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Vec<(Record, String)>, StudyError> {
    let failed = |source| StudyError::Io { path: path.into(), source };
    Ok(parse(&std::fs::read(path).map_err(failed)?, path)?.0)
}

/// Records with their lines, and the number of bytes that they take; a torn last line is left out.
fn parse(bytes: &[u8], path: &Path) -> Result<(Vec<(Record, String)>, usize), StudyError> {
    let (mut records, mut whole) = (Vec::new(), 0);
    for (number, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let last = whole + line.len() == bytes.len();
        let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_suffix('\n'));
        let record = text.and_then(|text| Some((serde_json::from_str(text).ok()?, text.into())));
        match record {
            Some(record) => records.push(record),
            // A file may also end in the zeros of a block that never reached the disk.
            None if last => return Ok((records, whole)),
            None => {
                let number = number + 1;
                let problem = format!(
                    "line {number} is no record of a study; remove the line to go on without it"
                );
                return Err(StudyError::Results { path: path.into(), problem });
            }
        }
        whole += line.len();
    }
    Ok((records, whole))
}

/// What [`merge`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Runs that were written.
    pub runs: usize,
    /// Runs that stood in several files, and were written once.
    pub repeated: usize,
}

/// Joins result files of the same study into `out`, line by line as they are; of a run that stands
/// in several, the first that did not fail is kept.
///
/// # Errors
/// If a file cannot be read or written, or the files belong to different studies.
pub fn merge(paths: &[PathBuf], out: &Path) -> Result<Merged, StudyError> {
    let mut study: Option<(PathBuf, String)> = None;
    let (mut text, mut merged) = (String::new(), Merged::default());
    let (mut seen, mut failed) = (HashSet::new(), Vec::new());
    for path in paths {
        let records = read(path)?;
        // A study that has grown since the first runs stands in its file again.
        let last = records.iter().rposition(|(record, _)| matches!(record, Record::Study(_)));
        for (at, (record, line)) in records.into_iter().enumerate() {
            let key = match &record {
                Record::Study(_) if Some(at) != last => continue,
                Record::Study(found) => {
                    if let Some((first, text)) = &study
                        && *text != found.text
                    {
                        let problem = format!("belongs to another study than {}", first.display());
                        return Err(StudyError::Results { path: path.clone(), problem });
                    }
                    study = Some((path.clone(), found.text.clone()));
                    "study".into()
                }
                Record::Task(task) => format!("{} {}", task.name, task.fingerprint),
                Record::Run(run) if run.error.is_some() => {
                    failed.push((run.id.clone(), line));
                    continue;
                }
                Record::Run(run) => run.id.clone(),
            };
            let is_run = matches!(record, Record::Run(_));
            match seen.insert(key) {
                true => {
                    text.push_str(&line);
                    text.push('\n');
                    merged.runs += usize::from(is_run);
                }
                false => merged.repeated += usize::from(is_run),
            }
        }
    }
    for (id, line) in failed {
        match seen.insert(id) {
            true => {
                text.push_str(&line);
                text.push('\n');
                merged.runs += 1;
            }
            false => merged.repeated += 1,
        }
    }
    let problem = |source| StudyError::Io { path: out.into(), source };
    let partial = out.with_extension("partial");
    std::fs::write(&partial, text).map_err(problem)?;
    std::fs::rename(&partial, out).map_err(problem)?;
    Ok(merged)
}
