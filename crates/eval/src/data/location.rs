//! Where data lie: a file or a folder, and a name inside of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::DataError;

/// A data file as named on the command line: `x.npy`, a folder, or `file.npz:x` and
/// `file.csv:label` for an array of an archive and a column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub path: PathBuf,
    /// The array or column, if one was named.
    pub name: Option<String>,
}

/// What a file holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Npy,
    Npz,
    /// A table, or labels one per line.
    Table,
    Image,
    Wave,
    Folder,
}

impl Location {
    /// Splits the name off, unless a file of the whole name exists.
    pub(super) fn of(path: &Path) -> Self {
        let whole = Self { path: path.into(), name: None };
        if path.exists() {
            return whole;
        }
        let split = path.to_str().and_then(|text| text.rsplit_once(':'));
        match split {
            Some((file, name)) if !name.is_empty() && Path::new(file).is_file() => {
                Self { path: file.into(), name: Some(name.into()) }
            }
            _ => whole,
        }
    }

    /// The column of a table that was named.
    pub(super) fn column(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.form().is_ok_and(|form| form == Form::Table))
    }

    /// What the path holds.
    ///
    /// # Errors
    /// If nobody reads such files.
    pub(super) fn form(&self) -> Result<Form, DataError> {
        let path = &self.path;
        let unreadable = |source| DataError::Unreadable { path: path.clone(), source };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Ok(Form::Folder);
        }
        if !metadata.is_file() {
            return Err(DataError::NotRegular { path: path.clone() });
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let advice = match extension.as_deref() {
            Some("npy") => return Ok(Form::Npy),
            Some("npz") => return Ok(Form::Npz),
            Some("csv" | "tsv" | "txt") => return Ok(Form::Table),
            Some("png" | "jpg" | "jpeg") => return Ok(Form::Image),
            Some("wav") => return Ok(Form::Wave),
            Some("pkl" | "pickle") => "is a pickle, which runs code when it is read",
            Some("pt" | "pth") => "is a file of PyTorch",
            Some("mat") => "is a file of MATLAB",
            Some("h5" | "hdf5") => "is an HDF5 file",
            Some("bin" | "raw" | "dat") => "is raw bytes without type and shape",
            Some("parquet" | "feather" | "xlsx" | "json") => "is a table of a form not read here",
            _ => "is of a form not read here",
        };
        Err(DataError::format(
            path,
            format!(
                "{advice}; load it in Python and save the array with numpy.save('x.npy', x). \
                 Supported are .npy, .npz, .csv, .tsv, .txt, and folders of .png, .jpg or .wav files"
            ),
        ))
    }
}

/// Opens a regular file: pipes and devices cannot be read twice, and some never end.
pub(super) fn open(path: &Path) -> Result<(File, u64), DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    // Opening a pipe that nobody writes to would wait for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(DataError::NotRegular { path: path.into() });
    }
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    Ok((file, length))
}
