//! A reader of FlatBuffers that trusts no offset and no length.
//!
//! It copies nothing and follows an offset only when it is asked to, so that what a file costs depends on what
//! its reader asks for. Offsets to tables and vectors point forward: there are no cycles to run into.

use thiserror::Error;

/// A place of a file that is not as the format has it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// Something lies outside of the file, or begins before what refers to it.
    #[error("{what} at byte {at} does not lie in the file's {len} bytes")]
    Outside {
        /// What it is.
        what: &'static str,
        /// Where it should begin.
        at: u64,
        /// The length of the file.
        len: usize,
    },
    /// A text is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    NotText {
        /// Where it begins.
        at: usize,
    },
    /// There is more of something than any file needs.
    #[error("there are {found} {what}, expected at most {most}")]
    TooMany {
        /// What it is.
        what: &'static str,
        /// How many the file says there are.
        found: usize,
        /// The most that are read.
        most: usize,
    },
    /// Something that every file has is missing.
    #[error("it has no {what}")]
    Missing {
        /// What it is.
        what: &'static str,
    },
    /// A number names something that is not there.
    #[error("{what} is {found}, expected a number below {count}")]
    Index {
        /// What the number is.
        what: &'static str,
        /// The number.
        found: i64,
        /// How many things there are to name.
        count: usize,
    },
}

/// The most bytes of a text: thousands of tables may name the same one, and each is looked at.
const MOST_TEXT: usize = 1 << 16;

/// The `width` bytes at `at`, little endian.
fn number(bytes: &[u8], at: usize, width: usize, what: &'static str) -> Result<u64, Damage> {
    let part = at.checked_add(width).and_then(|end| bytes.get(at..end));
    let part = part.ok_or(Damage::Outside { what, at: at as u64, len: bytes.len() })?;
    Ok(part.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// Where the offset at `at` leads.
fn follow(bytes: &[u8], at: usize, what: &'static str) -> Result<usize, Damage> {
    let offset = number(bytes, at, 4, what)? as usize;
    let to = at.saturating_add(offset);
    // An offset of 0 would lead to itself.
    match offset > 0 && to < bytes.len() {
        true => Ok(to),
        false => Err(Damage::Outside { what, at: to as u64, len: bytes.len() }),
    }
}

/// A table of a file.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    layout: usize,
    /// The length of the layout.
    size: usize,
}

impl<'a> Table<'a> {
    /// The root of a file.
    ///
    /// # Errors
    /// If it does not lie in the file.
    pub fn root(bytes: &'a [u8]) -> Result<Self, Damage> {
        Self::at(bytes, follow(bytes, 0, "the root")?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self, Damage> {
        let what = "the layout of a table";
        let back = number(bytes, at, 4, "a table")? as u32 as i32;
        let layout = at as i64 - i64::from(back);
        let outside = Damage::Outside { what, at: layout as u64, len: bytes.len() };
        let layout = usize::try_from(layout).map_err(|_| outside)?;
        let size = number(bytes, layout, 2, what)? as usize;
        Ok(Self { bytes, at, layout, size })
    }

    /// Where a field stands, if it is there.
    fn field(&self, id: usize, width: usize) -> Result<Option<usize>, Damage> {
        let slot = 4 + 2 * id;
        if slot + 2 > self.size {
            return Ok(None);
        }
        let offset = number(self.bytes, self.layout + slot, 2, "the layout of a table")? as usize;
        if offset == 0 {
            return Ok(None);
        }
        let at = self.at + offset;
        number(self.bytes, at, width, "a field")?;
        Ok(Some(at))
    }

    fn number(&self, id: usize, width: usize) -> Result<Option<u64>, Damage> {
        let at = self.field(id, width)?;
        at.map(|at| number(self.bytes, at, width, "a field")).transpose()
    }

    /// A field of one byte, 0 if it is not there.
    ///
    /// # Errors
    /// If it lies outside of the file, as for all fields.
    pub fn byte(&self, id: usize) -> Result<u8, Damage> {
        Ok(self.number(id, 1)?.unwrap_or(0) as u8)
    }

    /// A field of four bytes, 0 if it is not there.
    pub fn int(&self, id: usize) -> Result<i32, Damage> {
        Ok(self.number(id, 4)?.unwrap_or(0) as u32 as i32)
    }

    /// A field of eight bytes, 0 if it is not there.
    pub fn long(&self, id: usize) -> Result<u64, Damage> {
        Ok(self.number(id, 8)?.unwrap_or(0))
    }

    /// A float, 0 if it is not there.
    pub fn float(&self, id: usize) -> Result<f32, Damage> {
        Ok(f32::from_bits(self.int(id)? as u32))
    }

    /// A table that a field refers to.
    pub fn table(&self, id: usize) -> Result<Option<Self>, Damage> {
        let Some(at) = self.field(id, 4)? else { return Ok(None) };
        Self::at(self.bytes, follow(self.bytes, at, "a table")?).map(Some)
    }

    /// Whether a field is there, whatever it holds.
    pub fn has(&self, id: usize) -> Result<bool, Damage> {
        Ok(self.field(id, 1)?.is_some())
    }

    /// The bytes of a vector of elements of `width` bytes, and where they begin; empty if it is not there.
    fn vector(&self, id: usize, width: usize) -> Result<(usize, &'a [u8]), Damage> {
        let Some(field) = self.field(id, 4)? else { return Ok((0, &[])) };
        let at = follow(self.bytes, field, "a vector")?;
        let count = number(self.bytes, at, 4, "a vector")? as usize;
        let start = at + 4;
        let end = count.checked_mul(width).and_then(|size| size.checked_add(start));
        let part = end.and_then(|end| self.bytes.get(start..end));
        let outside = Damage::Outside { what: "a vector", at: at as u64, len: self.bytes.len() };
        part.map(|part| (start, part)).ok_or(outside)
    }

    /// A vector of bytes, empty if it is not there.
    pub fn data(&self, id: usize) -> Result<&'a [u8], Damage> {
        Ok(self.vector(id, 1)?.1)
    }

    /// A text, empty if it is not there.
    pub fn text(&self, id: usize) -> Result<&'a str, Damage> {
        let (at, part) = self.vector(id, 1)?;
        if part.len() > MOST_TEXT {
            let what = "bytes of a text";
            return Err(Damage::TooMany { what, found: part.len(), most: MOST_TEXT });
        }
        std::str::from_utf8(part).map_err(|_| Damage::NotText { at })
    }

    /// A vector of numbers, empty if it is not there.
    pub fn numbers<T: Number>(&self, id: usize) -> Result<Numbers<'a, T>, Damage> {
        Ok(Numbers::of(self.vector(id, T::WIDTH)?.1))
    }

    /// A vector of tables, empty if it is not there.
    pub fn tables(&self, id: usize) -> Result<Tables<'a>, Damage> {
        let (at, part) = self.vector(id, 4)?;
        Ok(Tables { bytes: self.bytes, at, count: part.len() / 4 })
    }
}

/// A vector of tables, each of which is looked at when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    bytes: &'a [u8],
    at: usize,
    count: usize,
}

impl<'a> Tables<'a> {
    /// The number of tables.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The table at `index`, if there are as many.
    ///
    /// # Errors
    /// If it lies outside of the file.
    pub fn get(&self, index: usize) -> Result<Option<Table<'a>>, Damage> {
        if index >= self.count {
            return Ok(None);
        }
        Table::at(self.bytes, follow(self.bytes, self.at + 4 * index, "a table")?).map(Some)
    }

    /// All tables in order; at most `most` of what messages call `what`.
    ///
    /// # Errors
    /// If there are more, or one lies outside of the file.
    pub fn all(&self, what: &'static str, most: usize) -> Result<Vec<Table<'a>>, Damage> {
        if self.count > most {
            return Err(Damage::TooMany { what, found: self.count, most });
        }
        let missing = Damage::Missing { what };
        (0..self.count).map(|index| self.get(index)?.ok_or_else(|| missing.clone())).collect()
    }
}

/// A number as files hold it.
pub trait Number: Copy + 'static {
    /// Bytes of one.
    const WIDTH: usize;
    /// The number in the bytes, which are as many.
    fn of(bytes: &[u8]) -> Self;
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl Number for $kind {
            const WIDTH: usize = size_of::<Self>();
            fn of(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(<$kind>::default(), |bytes| Self::from_le_bytes(*bytes))
            }
        }
    )*};
}

numbers!(i8, i16, i32, i64, f32);

/// A vector of numbers in a file.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a, T> {
    bytes: &'a [u8],
    kind: std::marker::PhantomData<T>,
}

impl<'a, T: Number> Numbers<'a, T> {
    /// The numbers in these bytes; what is left of the last one does not count.
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, kind: std::marker::PhantomData }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.bytes.len() / T::WIDTH
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at `index`.
    pub fn get(&self, index: usize) -> Option<T> {
        self.bytes.chunks_exact(T::WIDTH).nth(index).map(T::of)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        self.bytes.chunks_exact(T::WIDTH).map(T::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with one field, a vector of two numbers.
    fn file() -> Vec<u8> {
        let mut bytes = vec![12, 0, 0, 0, 0, 0, 6, 0, 8, 0, 4, 0];
        bytes.extend(8_i32.to_le_bytes());
        bytes[4..12].copy_from_slice(&[6, 0, 8, 0, 4, 0, 0, 0]);
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend([7_i32, -9].iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    #[test]
    fn fields_are_read_where_layouts_say() {
        let bytes = file();
        let root = Table::root(&bytes).unwrap();
        assert_eq!(root.numbers::<i32>(0).unwrap().iter().collect::<Vec<_>>(), [7, -9]);
        assert_eq!((root.int(1).unwrap(), root.text(5).unwrap()), (0, ""));
        assert!(root.table(3).unwrap().is_none());
    }

    #[test]
    fn no_byte_outside_of_a_file_is_read() {
        let whole = file();
        for len in 0..whole.len() {
            let part = &whole[..len];
            let read = Table::root(part).and_then(|root| root.numbers::<i32>(0).map(|n| n.len()));
            assert!(read.is_err(), "{len} bytes: {read:?}");
        }
        for place in 0..whole.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut bytes = whole.clone();
                bytes[place] = value;
                let Ok(root) = Table::root(&bytes) else { continue };
                let _ = (root.byte(0), root.int(0), root.long(0), root.text(0), root.table(0));
                if let Ok(tables) = root.tables(0) {
                    let _ = tables.all("tables", 4);
                }
            }
        }
    }
}
