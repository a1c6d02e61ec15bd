//! Reading small arrays that are held in memory whole, from any form that holds them.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::location::{Form, Location, open};
use super::npy::Header;
use super::{Array, DataError, Role, Values, npz, table};

/// The most elements that are held in memory.
const MAX_ELEMENTS: usize = 1 << 28;

/// Reads labels, targets or groups: a .npy file, an array of a .npz file (`file.npz:y`), a column of
/// a table (`file.csv:label`), or a text file with one value a line.
///
/// Elements may be floats, integers or truth values of any width, in any byte order and order of
/// axes; in text also names, which become the indices of the sorted distinct names.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn read_array(path: &Path) -> Result<Array, DataError> {
    let location = Location::of(path);
    match location.form()? {
        Form::Npy => {
            let (file, length) = open(&location.path)?;
            let mut file = BufReader::new(file);
            let header = Header::read(&mut file, length, &location.path)?;
            numbers(&header, &mut file.into_inner(), &location.path)
        }
        Form::Npz => {
            let unpacked = npz::unpack(&location, Role::Labels)?;
            let (header, mut file) = npz::header(&unpacked, &location.path)?;
            numbers(&header, &mut file, &location.path)
        }
        Form::Table => table::labels(&location),
        Form::Folder | Form::Image | Form::Wave => Err(DataError::format(
            path,
            "holds samples and no labels; leave --labels out to take the folders of --eval as classes",
        )),
    }
}

/// The elements behind a header.
fn numbers(header: &Header, file: &mut File, path: &Path) -> Result<Array, DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    let elements = header.elements();
    if elements > MAX_ELEMENTS {
        let problem = format!(
            "holds {elements} elements; labels and targets are held in memory, {MAX_ELEMENTS} at most"
        );
        return Err(DataError::TooLarge { path: path.into(), problem });
    }
    let mut bytes = vec![0; elements * header.storage.kind.bytes()];
    file.seek(SeekFrom::Start(header.start)).map_err(unreadable)?;
    file.read_exact(&mut bytes).map_err(unreadable)?;
    let values = if header.storage.is_float() {
        Values::Floats(header.storage.to_f64(&bytes))
    } else {
        Values::Integers(header.storage.to_i64(&bytes).ok_or_else(|| {
            DataError::format(
                path,
                "holds numbers beyond 9223372036854775807, which no label can be",
            )
        })?)
    };
    let shape = header.shape.clone();
    let values = match values {
        values if !header.fortran => values,
        Values::Integers(values) => Values::Integers(last_axis_fastest(&values, &shape)),
        Values::Floats(values) => Values::Floats(last_axis_fastest(&values, &shape)),
    };
    Ok(Array { shape, values, classes: Vec::new() })
}

/// Elements whose first axis is the fastest, with the last axis the fastest.
pub(super) fn last_axis_fastest<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for extent in shape {
        strides.push(stride);
        stride *= extent;
    }
    let mut index = vec![0; shape.len()];
    let mut place = 0;
    let mut arranged = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        arranged.push(values[place]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            place += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            place -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    arranged
}
