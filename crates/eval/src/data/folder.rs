//! Folders of samples: files side by side, or a folder for each class.

use std::fs;
use std::path::{Path, PathBuf};

use super::location::Form;
use super::{Array, DataError};

/// The most files of a folder.
const MAX_FILES: usize = 10_000_000;

/// The files of a folder, sorted by class and name.
#[derive(Debug)]
pub(super) struct Listing {
    pub form: Form,
    pub files: Vec<PathBuf>,
    /// The class of each file, where each class has a folder.
    pub labels: Option<Array>,
    pub notes: Vec<String>,
}

/// Lists a folder: of files, or of one folder per class, whose sorted names are the class indices,
/// or whose places in `classes` are, if the classes are known.
pub(super) fn list(folder: &Path, classes: &[String]) -> Result<Listing, DataError> {
    let mut notes = Vec::new();
    let (files, folders) = entries(folder)?;
    let (files, labels) = match (files.is_empty(), folders.is_empty()) {
        (false, true) => (samples(folder, files, &mut notes)?, None),
        (true, false) => by_class(folder, folders, classes, &mut notes)?,
        (true, true) => (Vec::new(), None),
        (false, false) => {
            // Such as a licence beside the folders of classes.
            if !samples(folder, files, &mut Vec::new())?.is_empty() {
                let problem =
                    "holds samples beside folders: keep either samples, or one folder per class";
                return Err(DataError::format(folder, problem));
            }
            by_class(folder, folders, classes, &mut notes)?
        }
    };
    let forms: Vec<Form> = files.iter().filter_map(|file| form(file)).collect();
    let Some(&form) = forms.first() else {
        let problem = "holds no .png, .jpg or .wav files, nor folders of them";
        return Err(DataError::format(folder, problem));
    };
    if let Some(other) = forms.iter().position(|&other| other != form) {
        let [one, two] = [&files[0], &files[other]].map(|file| file.display().to_string());
        let problem = format!("holds both images and recordings: {one} and {two}");
        return Err(DataError::format(folder, problem));
    }
    Ok(Listing { form, files, labels, notes })
}

/// The form of a file that can be a sample in a folder.
fn form(file: &Path) -> Option<Form> {
    let extension = file.extension()?.to_string_lossy().to_lowercase();
    match extension.as_str() {
        "png" | "jpg" | "jpeg" => Some(Form::Image),
        "wav" => Some(Form::Wave),
        _ => None,
    }
}

/// The files and folders of a folder, sorted, without hidden ones.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DataError> {
    let unreadable = |source| DataError::Unreadable { path: folder.into(), source };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            folders.push(path)
        } else {
            files.push(path)
        }
        if files.len() + folders.len() > MAX_FILES {
            let problem = format!("holds more than {MAX_FILES} files");
            return Err(DataError::TooLarge { path: folder.into(), problem });
        }
    }
    files.sort_unstable();
    folders.sort_unstable();
    Ok((files, folders))
}

/// The samples among files; of others there is a note.
fn samples(
    folder: &Path,
    files: Vec<PathBuf>,
    notes: &mut Vec<String>,
) -> Result<Vec<PathBuf>, DataError> {
    let (samples, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| form(f).is_some());
    if let Some(first) = others.first() {
        let name = first.file_name().unwrap_or_default().to_string_lossy();
        let more = match others.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        notes.push(format!(
            "{}: '{}'{more} neither image nor recording, left out",
            folder.display(),
            name.escape_debug()
        ));
    }
    Ok(samples)
}

fn by_class(
    folder: &Path,
    folders: Vec<PathBuf>,
    known: &[String],
    notes: &mut Vec<String>,
) -> Result<(Vec<PathBuf>, Option<Array>), DataError> {
    let names: Vec<String> = folders
        .iter()
        .map(|f| f.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let classes = if known.is_empty() { names.clone() } else { known.to_vec() };
    let (mut all, mut indices) = (Vec::new(), Vec::new());
    for (class, name) in folders.iter().zip(&names) {
        let Some(index) = classes.iter().position(|class| class == name) else {
            let problem = format!(
                "folder '{}' is not a class; the classes are {}",
                name.escape_debug(),
                known.join(", ")
            );
            return Err(DataError::format(folder, problem));
        };
        let (files, deeper) = entries(class)?;
        if let Some(deeper) = deeper.first() {
            let problem = format!(
                "holds folders in folders ({}): expected samples, or one folder per class",
                deeper.display()
            );
            return Err(DataError::format(folder, problem));
        }
        let files = samples(class, files, notes)?;
        indices.extend(std::iter::repeat_n(index as i64, files.len()));
        all.extend(files);
    }
    Ok((all, Some(Array::classes(indices, classes))))
}
