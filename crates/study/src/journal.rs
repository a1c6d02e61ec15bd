//! The result file: one JSON line for each thing that is known, appended and synced, so that a
//! process may be killed at any moment.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burn_ptq_deploy::bounded;
use burn_ptq_deploy::output::write_atomically;

use super::file::StudyError;
use super::record::{Record, SCHEMA_VERSION};

/// The longest line that is read: 16 MiB, the scores of two million samples.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// The largest result file that is read: 2 GiB.
const MAX_RESULTS_BYTES: u64 = 2 << 30;

/// What every line begins with.
const BEGINNING: &[u8] = br#"{"kind":""#;

/// A result file that this process alone appends to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// The bytes of whole lines.
    length: u64,
    /// Whether a line could not be written; then none is written any more.
    failed: bool,
}

/// Records, each with its line.
pub(super) type Lines = Vec<(Record, String)>;

impl Journal {
    /// Opens or makes a result file and reads what it holds. A last line that was torn when a process
    /// died is cut off.
    ///
    /// # Errors
    /// If the file cannot be read and written, if another process has it open, or if it holds
    /// something else; then it stays as it is.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), StudyError> {
        let (journal, lines) = Self::lock(path)?;
        let failed = |source| StudyError::Io { path: path.into(), source };
        journal.file.set_len(journal.length).map_err(failed)?;
        sync_folder(path).map_err(failed)?;
        (&journal.file).seek(SeekFrom::End(0)).map_err(failed)?;
        Ok((journal, lines.into_iter().map(|(record, _)| record).collect()))
    }

    /// Opens or makes a result file that nobody else writes to until this is dropped, and reads it.
    pub(super) fn lock(path: &Path) -> Result<(Self, Lines), StudyError> {
        let failed = |source| StudyError::Io { path: path.into(), source };
        let open = || {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).read(true).write(true).open(path)
        };
        let mut file = open().map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let problem = "another process is working on this study: wait, stop it, or give \
                                   another --out";
                    return Err(StudyError::Results { path: path.into(), problem: problem.into() });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // A merge may have put a new file in the place of the one that was opened.
            let present = open().map_err(failed)?;
            if is_same(&file, &present).map_err(failed)? {
                break;
            }
            file = present;
        }
        let (lines, whole) = parse(&mut BufReader::new(&file), path)?;
        Ok((Self { file, path: path.into(), length: whole as u64, failed: false }, lines))
    }

    /// Appends a record; it is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written. What was written of it is taken back, and nothing can be appended any
    /// more: where half a line might stand, no other may follow.
    pub fn append(&mut self, record: &Record) -> Result<(), StudyError> {
        let failed = |source| StudyError::Io { path: self.path.clone(), source };
        if self.failed {
            let problem = "a line before could not be written: see to that, and start again; every \
                           finished run is kept";
            return Err(StudyError::Results { path: self.path.clone(), problem: problem.into() });
        }
        let mut line = serde_json::to_string(record).map_err(|e| failed(e.into()))?;
        line.push('\n');
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length += line.len() as u64,
            Err(source) => {
                self.failed = true;
                // If this fails too, what is left has no end of line, and is cut off at the next start.
                let _ = self.file.set_len(self.length);
                return Err(failed(source));
            }
        }
        Ok(())
    }

    /// Puts a file with this text in the place of the result file, in one step.
    pub(super) fn replace(&self, text: &str) -> Result<(), StudyError> {
        let failed = |source| StudyError::Io { path: self.path.clone(), source };
        write_atomically(&self.path, text.as_bytes()).map_err(failed)
    }
}

#[cfg(unix)]
fn is_same(a: &File, b: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// Elsewhere a file that is open cannot be replaced.
#[cfg(not(unix))]
fn is_same(_: &File, _: &File) -> std::io::Result<bool> {
    Ok(true)
}

/// Brings a file's new name to the disk.
#[cfg(unix)]
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere folders cannot be opened.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// The records of a result file, each with its line.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Vec<(Record, String)>, StudyError> {
    let failed = |source| StudyError::Io { path: path.into(), source };
    Ok(parse(&mut BufReader::new(File::open(path).map_err(failed)?), path)?.0)
}

/// Records with their lines, and the number of bytes that they take; a torn last line is left out.
fn parse(source: &mut impl BufRead, path: &Path) -> Result<(Lines, usize), StudyError> {
    let wrong = |problem: String| StudyError::Results { path: path.into(), problem };
    let (mut records, mut whole) = (Vec::new(), 0);
    for number in 1.. {
        let mut line = Vec::new();
        let failed = |source| StudyError::Io { path: path.into(), source };
        source.take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line).map_err(failed)?;
        if line.len() as u64 > MAX_LINE_BYTES {
            let most = MAX_LINE_BYTES >> 20;
            return Err(wrong(format!(
                "line {number} has more than {most} MiB: it is not a record of a study"
            )));
        }
        if line.is_empty() || is_torn(&line) {
            break;
        }
        if (whole + line.len()) as u64 > MAX_RESULTS_BYTES {
            return Err(wrong(bounded::too_large(MAX_RESULTS_BYTES).to_string()));
        }
        let text = std::str::from_utf8(&line).ok().and_then(|text| text.strip_suffix('\n'));
        let record = text.and_then(|text| Some((serde_json::from_str(text).ok()?, text.into())));
        let Some(record) = record else {
            return Err(wrong(format!(
                "line {number} is not a record of a study; if the file is a study's results, remove the \
                 line to continue without it"
            )));
        };
        if let (Record::Study(study), _) = &record
            && study.schema_version > SCHEMA_VERSION
        {
            return Err(wrong(format!(
                "line {number} begins results in the form {}, and this version reads forms up to \
                 {SCHEMA_VERSION}: use the burn-ptq that wrote it, or a newer one",
                study.schema_version
            )));
        }
        records.push(record);
        whole += line.len();
    }
    Ok((records, whole))
}

/// Whether a line is the beginning of a record, without its end. A file may also end in the zeros of a
/// block that never reached the disk.
fn is_torn(line: &[u8]) -> bool {
    let begins =
        line.iter().zip(BEGINNING).all(|(found, expected)| found == expected || *found == 0);
    begins && line.last() != Some(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StudyRecord;

    fn study() -> Record {
        Record::Study(StudyRecord::new("s", "text"))
    }

    #[test]
    fn only_the_beginning_of_a_record_is_a_torn_line() {
        let line = serde_json::to_string(&study()).unwrap() + "\n";
        assert!(line.as_bytes().starts_with(BEGINNING));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        for torn in [&line[..line.len() - 1], "{\"ki", "{", "\0\0\0", "{\"kind\":\"stu\0\0"] {
            std::fs::write(&path, format!("{line}{torn}")).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, [study()], "{torn}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
        }
        for foreign in
            ["a note\n", "a note", "{\"a\": 1}\n", "{\"a\": 1}", "{\"kind\":\"x\"}\n", "\n"]
        {
            for before in ["", &*line] {
                let text = format!("{before}{foreign}");
                std::fs::write(&path, &text).unwrap();
                let error = Journal::open(&path).unwrap_err().to_string();
                let number = 1 + before.lines().count();
                assert!(error.contains(&format!("line {number} is not a record")), "{error}");
                assert!(error.contains("results.jsonl"), "{error}");
                assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            }
        }
    }

    #[test]
    fn the_first_form_is_not_written_and_later_ones_are_refused() {
        let line = serde_json::to_string(&study()).unwrap();
        assert_eq!(line, r#"{"kind":"study","name":"s","text":"text"}"#);
        let later = r#"{"kind":"study","name":"s","text":"text","schema_version":99}"#;
        let mut source = later.as_bytes().to_vec();
        source.push(b'\n');
        let error = parse(&mut &source[..], Path::new("later")).unwrap_err().to_string();
        assert!(error.contains("the form 99") && error.contains("up to 1"), "{error}");
    }

    #[test]
    fn a_line_without_end_is_no_record() {
        let endless = std::io::repeat(0);
        let error = parse(&mut BufReader::new(endless), Path::new("zero")).unwrap_err().to_string();
        assert_eq!(error, "zero: line 1 has more than 16 MiB: it is not a record of a study");
    }

    #[test]
    fn after_a_failed_line_no_other_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&study()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        // A handle that cannot write, and then one that can.
        let good = std::mem::replace(&mut journal.file, File::open(&path).unwrap());
        assert!(journal.append(&study()).is_err());
        journal.file = good;
        let error = journal.append(&study()).unwrap_err().to_string();
        assert!(error.contains("a line before could not be written"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_journal_that_was_replaced_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        let (journal, _) = Journal::lock(&path).unwrap();
        journal.replace(&(serde_json::to_string(&study()).unwrap() + "\n")).unwrap();
        drop(journal);
        let (mut journal, known) = Journal::open(&path).unwrap();
        assert_eq!(known, [study()]);
        journal.append(&study()).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }
}
