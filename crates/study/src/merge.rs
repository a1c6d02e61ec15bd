//! Joining result files of the same study.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::file::StudyError;
use super::journal::{Journal, Lines, read};
use super::record::{Record, StudyRecord};

/// What [`merge`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Runs that were written.
    pub runs: usize,
    /// Runs that stood in several files, and were written once.
    pub repeated: usize,
}

/// Joins result files of the same study into `out`, line by line as they are; of a run that stands
/// in several, the first that did not fail is kept. What `out` holds already is joined too, so that
/// nothing is lost; an earlier state of the study may stand there.
///
/// # Errors
/// If a file cannot be read or written, holds no study, or belongs to another than the others, and if
/// another process works on `out`. Then `out` stays as it is.
pub fn merge(paths: &[PathBuf], out: &Path) -> Result<Merged, StudyError> {
    let mut joined = Joined::default();
    for path in paths {
        // Its lines come in below, under the lock.
        if !is_same(path, out) {
            joined.add(path, read(path)?)?;
        }
    }
    let failed = |source| StudyError::Io { path: out.into(), source };
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let (journal, lines) = Journal::lock(out)?;
    if !lines.is_empty() || joined.study.is_none() {
        joined.add_earlier(out, lines)?;
    }
    let (text, merged) = joined.finish();
    journal.replace(&text)?;
    Ok(merged)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Result files, joined as far as they were read.
#[derive(Default)]
struct Joined {
    /// The file that the study was first found in, and the study.
    study: Option<(PathBuf, StudyRecord)>,
    /// The lines of studies, the present one last.
    studies: Vec<String>,
    /// Keys and lines of tasks. A task whose files were changed and changed back stands where it was
    /// last, since the last of a name counts.
    tasks: Vec<(String, String)>,
    runs: Vec<String>,
    failed: Vec<(String, String)>,
    seen: HashSet<String>,
    repeated: usize,
}

impl Joined {
    /// Adds a file of the very study.
    fn add(&mut self, path: &Path, lines: Lines) -> Result<(), StudyError> {
        let (found, line) = study_of(path, &lines)?;
        match &self.study {
            Some((first, known)) if *known != found => return Err(another(path, first)),
            Some(_) => {}
            None => {
                self.study = Some((path.into(), found));
                self.studies.push(line);
            }
        }
        self.add_lines(lines);
        Ok(())
    }

    /// Adds a file of the study, or of what the study was.
    fn add_earlier(&mut self, path: &Path, lines: Lines) -> Result<(), StudyError> {
        let (found, line) = study_of(path, &lines)?;
        match &self.study {
            Some((first, known)) if known.name != found.name => return Err(another(path, first)),
            Some((_, known)) if known.text == found.text => {}
            _ => self.studies.insert(0, line),
        }
        self.add_lines(lines);
        Ok(())
    }

    fn add_lines(&mut self, lines: Lines) {
        let mut tasks: Vec<(String, String)> = Vec::new();
        for (record, line) in lines {
            match record {
                Record::Study(_) => {}
                Record::Task(task) => {
                    let key = format!("{} {}", task.name, task.fingerprint);
                    tasks.retain(|(known, _)| *known != key);
                    tasks.push((key, line));
                }
                Record::Run(run) if run.error.is_some() => self.failed.push((run.id, line)),
                Record::Run(run) => match self.seen.insert(run.id) {
                    true => self.runs.push(line),
                    false => self.repeated += 1,
                },
            }
        }
        // Tasks as the first file has them are the ones that count.
        tasks.retain(|(key, _)| self.tasks.iter().all(|(known, _)| known != key));
        self.tasks.splice(0..0, tasks);
    }

    /// The text of the joined file.
    fn finish(mut self) -> (String, Merged) {
        for (id, line) in std::mem::take(&mut self.failed) {
            match self.seen.insert(id) {
                true => self.runs.push(line),
                false => self.repeated += 1,
            }
        }
        let tasks = self.tasks.into_iter().map(|(_, line)| line);
        let merged = Merged { runs: self.runs.len(), repeated: self.repeated };
        let lines = self.studies.into_iter().chain(tasks).chain(self.runs);
        (lines.flat_map(|line| [line, "\n".into()]).collect(), merged)
    }
}

/// The last study of a file, and its line. One that has grown since the first runs stands in its file
/// again.
fn study_of(path: &Path, lines: &Lines) -> Result<(StudyRecord, String), StudyError> {
    let study = |(record, line): &(Record, String)| match record {
        Record::Study(study) => Some((study.clone(), line.clone())),
        _ => None,
    };
    lines.iter().rev().find_map(study).ok_or_else(|| StudyError::Results {
        path: path.into(),
        problem: "holds no study: expected the results of `burn-ptq ablate`".into(),
    })
}

fn another(path: &Path, first: &Path) -> StudyError {
    let problem = format!(
        "belongs to another study, or to another state of it, than {}: merge what belongs together, or \
         give another --out",
        first.display()
    );
    StudyError::Results { path: path.into(), problem }
}
