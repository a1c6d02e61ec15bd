//! Arrays in files of NumPy.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use npyz::{Deserialize, NpyFile, Order};

/// An array in the order of C.
pub(super) struct Array<T> {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<T>,
}

/// Reads a file of elements of this type.
pub(super) fn read<T: Deserialize>(path: &Path) -> Result<Array<T>> {
    let parsed = fs::read(path).map_err(Into::into).and_then(|bytes| parse(&bytes));
    parsed.with_context(|| format!("cannot read {}", path.display()))
}

fn parse<T: Deserialize>(bytes: &[u8]) -> Result<Array<T>> {
    let file = NpyFile::new(bytes)?;
    ensure!(file.order() == Order::C, "the array is not in the order of C");
    let shape = file.shape().iter().map(|&extent| usize::try_from(extent));
    let shape = shape.collect::<Result<Vec<usize>, _>>()?;
    Ok(Array { shape, values: file.into_vec()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn arrays_are_read_and_damaged_ones_refused() {
        let header = "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }";
        let data = [[5, 0, 0, 0, 0, 0, 0, 0], [255; 8]].concat();
        let array = parse(&file(header, &data)).expect("an array");
        assert_eq!((array.shape, array.values), (vec![2], vec![5_i64, -1]));
        let refused = |bytes: &[u8]| parse::<i64>(bytes).is_err();
        assert!(parse::<f32>(&file(header, &data)).is_err());
        assert!(refused(&file(header, &data[1..])));
        assert!(refused(&file(&header.replace("False", "True"), &data)));
        assert!(refused(b"\x93NUMPY\x01\x00\xff\xff{"));
        assert!(refused(b""));
    }
}
