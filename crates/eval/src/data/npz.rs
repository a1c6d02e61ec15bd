//! Arrays in .npz archives, unpacked to temporary files: archives cannot be streamed twice.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tempfile::NamedTempFile;
use zip::ZipArchive;
use zip::result::ZipError;

use super::location::{Location, open};
use super::npy::{Header, printable};
use super::{DataError, Role};

/// The most arrays that a message lists.
const LISTED: usize = 8;
/// Unpacked bytes that are fine however well they are packed.
const UNSUSPICIOUS: u64 = 64 << 20;
/// Beyond that, an archive may not unpack to more than this many times its size.
const MAX_RATIO: u64 = 100;
/// And never to more.
const MAX_BYTES: u64 = 8 << 30;

/// The names of the arrays of an archive, sorted.
///
/// # Errors
/// If it cannot be read.
pub(super) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    let (file, _) = open(path)?;
    let archive = ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(path, e))?;
    Ok(names_in(&archive))
}

fn names_in<R: Read + Seek>(archive: &ZipArchive<R>) -> Vec<String> {
    let entries = archive.file_names().filter_map(|entry| entry.strip_suffix(".npy"));
    let mut names: Vec<String> = entries.map(String::from).collect();
    names.sort_unstable();
    names
}

fn damaged(path: &Path, error: ZipError) -> DataError {
    match error {
        ZipError::Io(source) => DataError::Unreadable { path: path.into(), source },
        e => DataError::format(path, format!("is not a valid .npz archive: {e}")),
    }
}

/// Unpacks the array that `location` names, or the one that `role` suggests, as a .npy file.
///
/// # Errors
/// If the archive is damaged, has no such array or several candidates, or unpacks to too much.
pub(super) fn unpack(location: &Location, role: Role) -> Result<NamedTempFile, DataError> {
    let path = &location.path;
    let damaged = |e| damaged(path, e);
    let (file, _) = open(path)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let names = names_in(&archive);
    let name = choose(&names, location, role)?;
    let unreadable = |source| DataError::Unreadable { path: path.clone(), source };
    let mut temporary = NamedTempFile::new().map_err(unreadable)?;
    {
        let mut entry = archive.by_name(&format!("{name}.npy")).map_err(damaged)?;
        let (packed, unpacked) = (entry.compressed_size(), entry.size());
        if unpacked > UNSUSPICIOUS.max(packed.saturating_mul(MAX_RATIO)).min(MAX_BYTES) {
            let problem = format!(
                "array '{}' would unpack from {packed} to {unpacked} bytes; save it with numpy.save \
                 as .npy instead",
                printable(&name)
            );
            return Err(DataError::TooLarge { path: path.clone(), problem });
        }
        // What the directory of the archive says need not be true.
        let copied = std::io::copy(&mut entry.by_ref().take(unpacked), &mut temporary);
        let copied = copied.map_err(unreadable)?;
        if copied != unpacked {
            let problem = format!("array '{}' is cut short", printable(&name));
            return Err(DataError::format(path, problem));
        }
    }
    temporary.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Ok(temporary)
}

/// The array that is meant.
fn choose(names: &[String], location: &Location, role: Role) -> Result<String, DataError> {
    let path = location.path.display();
    let list = || {
        let shown: Vec<String> =
            names.iter().take(LISTED).map(|name| format!("'{}'", printable(name))).collect();
        let more = if names.len() > LISTED { ", .." } else { "" };
        let plural = if names.len() == 1 { "" } else { "s" };
        format!("{} array{plural} ({}{more})", names.len(), shown.join(", "))
    };
    let wrong = |found: String, advice: String| DataError::Choice {
        path: location.path.clone(),
        found,
        advice,
    };
    let write = |example: &str| format!("write {path}:{example}");
    match (&location.name, names) {
        (_, []) => Err(wrong("no array".into(), "expected one or more .npy entries".into())),
        (Some(name), _) if names.contains(name) => Ok(name.clone()),
        (Some(name), _) => {
            let advice = format!("none is called '{}'; {}", printable(name), write(&names[0]));
            Err(wrong(list(), advice))
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => {
            let usual = role.usual_names();
            let is_usual = |name: &&String| usual.contains(&name.to_lowercase().as_str());
            match names.iter().filter(is_usual).collect::<Vec<_>>()[..] {
                [one] => Ok(one.clone()),
                _ => {
                    let advice = format!("name the one that holds the {}: {}", role.noun(), {
                        write(&names[0])
                    });
                    Err(wrong(list(), advice))
                }
            }
        }
    }
}

/// The header of an unpacked array, and the file behind it.
pub(super) fn header(temporary: &NamedTempFile, path: &Path) -> Result<(Header, File), DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    let mut file = File::open(temporary.path()).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let header = Header::read(&mut file, length, path)?;
    Ok((header, file))
}
