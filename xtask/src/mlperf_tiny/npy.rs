//! Arrays in files of NumPy.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// An array in the order of C.
pub(super) struct Array {
    /// The type of elements, as NumPy writes it.
    pub(super) kind: String,
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<u8>,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Array> {
    let parsed = fs::read(path).map_err(Into::into).and_then(|bytes| parse(&bytes));
    parsed.with_context(|| format!("cannot read {}", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Array> {
    ensure!(bytes.starts_with(b"\x93NUMPY\x01"), "no .npy file of version 1");
    let length = match bytes.get(8..10) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => bail!("the header is cut off"),
    };
    let header = bytes.get(10..10 + length).context("the header is cut off")?;
    let header = std::str::from_utf8(header).context("the header is not text")?;
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start());
    ensure!(
        after("'fortran_order':").is_some_and(|rest| rest.starts_with("False")),
        "the array is not in the order of C"
    );
    let kind = after("'descr':").and_then(|rest| rest.split('\'').nth(1)).context("no type")?;
    let shape = after("'shape': (").and_then(|rest| rest.split(')').next()).context("no shape")?;
    let extents = shape.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let shape = extents.map(str::parse).collect::<Result<Vec<usize>, _>>().context("no shape")?;
    let size: usize = kind.get(2..).and_then(|size| size.parse().ok()).context("no type")?;
    let data = &bytes[10 + length..];
    let expected = shape.iter().try_fold(size, |bytes, &extent| bytes.checked_mul(extent));
    ensure!(expected == Some(data.len()), "{shape:?} of {kind} in {} bytes", data.len());
    Ok(Array { kind: kind.to_owned(), shape, data: data.to_vec() })
}

impl Array {
    fn check(&self, kind: &str) -> Result<()> {
        ensure!(self.kind == kind, "elements of type {kind} are expected, found {}", self.kind);
        Ok(())
    }

    /// Unsigned bytes.
    pub(super) fn bytes(&self) -> Result<&[u8]> {
        self.check("|u1")?;
        Ok(&self.data)
    }

    /// Floats of single precision.
    pub(super) fn floats(&self) -> Result<Vec<f32>> {
        self.check("<f4")?;
        let elements = self.data.chunks_exact(4);
        Ok(elements.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Integers of 64 bits.
    pub(super) fn integers(&self) -> Result<Vec<i64>> {
        self.check("<i8")?;
        let element = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, &b| sum << 8 | i64::from(b));
        Ok(self.data.chunks_exact(8).map(element).collect())
    }
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
        assert_eq!(
            (array.shape.as_slice(), array.integers().expect("integers")),
            (&[2][..], vec![5, -1])
        );
        assert!(array.floats().is_err());
        assert!(parse(&file(header, &data[1..])).is_err());
        assert!(parse(&file(&header.replace("False", "True"), &data)).is_err());
        assert!(parse(b"\x93NUMPY\x01\x00\xff\xff{").is_err());
        assert!(parse(b"").is_err());
    }
}
