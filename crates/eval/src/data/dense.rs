//! Arrays of samples on disk: .npy files as they are, everything else unpacked to a temporary file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::location::{Form, Location, open};
use super::npy::{Header, Storage};
use super::{DataError, Role, npz, table};

/// Bytes of samples that are held in memory while an array is rearranged.
const BLOCK_BYTES: usize = 64 << 20;

/// An array in a file, the last axis the fastest.
#[derive(Debug)]
pub(super) struct Dense {
    /// The file that was named.
    path: PathBuf,
    /// Where the elements are if not there.
    temporary: Option<NamedTempFile>,
    storage: Storage,
    start: u64,
    pub shape: Vec<usize>,
}

/// A file from which elements are read, mostly one after the other.
pub(super) struct DenseReader<'a> {
    dense: &'a Dense,
    file: BufReader<File>,
    /// The element that comes next.
    at: usize,
}

impl Dense {
    /// Opens a .npy file or an array of a .npz file.
    pub(super) fn open(location: &Location, form: Form) -> Result<Self, DataError> {
        let path = &location.path;
        let (header, temporary, file) = if form == Form::Npz {
            let unpacked = npz::unpack(location, Role::Samples)?;
            let (header, file) = npz::header(&unpacked, path)?;
            (header, Some(unpacked), file)
        } else {
            let (file, length) = open(path)?;
            let mut reader = BufReader::new(file);
            let header = Header::read(&mut reader, length, path)?;
            (header, None, reader.into_inner())
        };
        let shape = header.shape.clone();
        if shape.is_empty() || header.elements() == 0 {
            return Err(DataError::Empty { path: path.clone(), shape });
        }
        let (temporary, start) = if header.fortran {
            (Some(rearranged(&header, file, path)?), 0)
        } else {
            (temporary, header.start)
        };
        Ok(Self { path: path.clone(), temporary, storage: header.storage, start, shape })
    }

    /// The numbers of a table, all in one axis of rows and one of columns.
    pub(super) fn of_rows(rows: table::Rows, path: &Path) -> Self {
        Self {
            path: path.into(),
            shape: vec![rows.rows, rows.columns],
            temporary: Some(rows.numbers),
            storage: Storage::F32,
            start: 0,
        }
    }

    pub(super) const fn storage(&self) -> Storage {
        self.storage
    }

    pub(super) fn reader(&self) -> Result<DenseReader<'_>, DataError> {
        Ok(DenseReader { dense: self, file: self.elements()?, at: 0 })
    }

    /// The first whole number that samples hold only rounded, as f32.
    pub(super) fn first_inexact(&self) -> Result<Option<i128>, DataError> {
        if !self.storage.is_wide() {
            return Ok(None);
        }
        let size = self.storage.kind.bytes();
        let mut file = self.elements()?;
        let mut left = self.shape.iter().product::<usize>() * size;
        let mut bytes = vec![0; BLOCK_BYTES.min(left)];
        while left > 0 {
            let block = bytes.len().min(left);
            let block = &mut bytes[..block];
            file.read_exact(block).map_err(|source| self.unreadable(source))?;
            if let Some(found) = self.storage.first_inexact(block) {
                return Ok(Some(found));
            }
            left -= block.len();
        }
        Ok(None)
    }

    /// The file from the first element on.
    fn elements(&self) -> Result<BufReader<File>, DataError> {
        let path = self.temporary.as_ref().map_or(self.path.as_path(), NamedTempFile::path);
        let mut file = File::open(path).map_err(|source| self.unreadable(source))?;
        let start = file.seek(SeekFrom::Start(self.start));
        start.map_err(|source| self.unreadable(source))?;
        Ok(BufReader::with_capacity(1 << 18, file))
    }

    fn unreadable(&self, source: std::io::Error) -> DataError {
        DataError::Unreadable { path: self.path.clone(), source }
    }
}

impl DenseReader<'_> {
    /// `count` elements from `from` on.
    pub(super) fn read(&mut self, from: usize, count: usize) -> Result<Vec<f32>, DataError> {
        let path = || self.dense.path.clone();
        let unreadable = |source| DataError::Unreadable { path: path(), source };
        let size = self.dense.storage.kind.bytes();
        let step = (from as i64 - self.at as i64) * size as i64;
        self.file.seek_relative(step).map_err(unreadable)?;
        let mut bytes = vec![0; count * size];
        self.file.read_exact(&mut bytes).map_err(unreadable)?;
        self.at = from + count;
        let mut values = Vec::new();
        let read = self.dense.storage.to_f32(&bytes, &mut values);
        read.map_err(|value| DataError::OutOfRange { path: path(), value })?;
        Ok(values)
    }
}

/// The elements of a file whose first axis is the fastest, with the last axis the fastest: block by
/// block of samples, so that memory does not grow with their number.
fn rearranged(header: &Header, mut file: File, path: &Path) -> Result<NamedTempFile, DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    let size = header.storage.kind.bytes();
    let (count, shape) = (header.shape[0], &header.shape[1..]);
    let len: usize = shape.iter().product();
    // The place in a sample, last axis fastest, of what comes at each place of the file.
    let places = inverse_order(shape);
    let block = (BLOCK_BYTES / (len * size).max(1)).clamp(1, count);
    let mut temporary = NamedTempFile::new().map_err(unreadable)?;
    {
        let mut out = BufWriter::new(&mut temporary);
        let mut samples = vec![0; block * len * size];
        let mut column = vec![0; block * size];
        for first in (0..count).step_by(block) {
            let samples_here = block.min(count - first);
            for (stored, &place) in places.iter().enumerate() {
                let at = header.start + ((stored * count + first) * size) as u64;
                file.seek(SeekFrom::Start(at)).map_err(unreadable)?;
                let column = &mut column[..samples_here * size];
                file.read_exact(column).map_err(unreadable)?;
                for (sample, element) in column.chunks_exact(size).enumerate() {
                    let to = (sample * len + place) * size;
                    samples[to..to + size].copy_from_slice(element);
                }
            }
            out.write_all(&samples[..samples_here * len * size]).map_err(unreadable)?;
        }
        out.flush().map_err(unreadable)?;
    }
    Ok(temporary)
}

/// For each place of a sample whose first axis is the fastest: its place with the last axis fastest.
fn inverse_order(shape: &[usize]) -> Vec<usize> {
    let len: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let mut places = Vec::with_capacity(len);
    for _ in 0..len {
        places.push(index.iter().zip(shape).fold(0, |place, (i, extent)| place * extent + i));
        for (i, extent) in index.iter_mut().zip(shape) {
            *i += 1;
            if *i < *extent {
                break;
            }
            *i = 0;
        }
    }
    places
}
