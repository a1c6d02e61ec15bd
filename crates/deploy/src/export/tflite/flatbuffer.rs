//! A writer of FlatBuffers: tables first, then vectors and texts, equal ones once.
//!
//! It writes forward: a table comes before what it refers to. Offsets in the file are positions in memory
//! wherever the file is loaded at a multiple of [`ALIGNMENT`], so that any alignment can be had.

use std::collections::BTreeMap;

/// The largest alignment of anything in a file.
pub(super) const ALIGNMENT: usize = 16;

/// The value of a field.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A `byte`, `bool` or the type of a union.
    Byte(u8),
    /// An `int` or `uint`.
    Int(i32),
    /// A `float`.
    Float(f32),
    /// Another table.
    Table(Table),
    /// A text.
    Text(String),
    /// Bytes, the first of them at a multiple of [`ALIGNMENT`].
    Bytes(Vec<u8>),
    /// A vector of `int`.
    Ints(Vec<i32>),
    /// A vector of `long`.
    Longs(Vec<i64>),
    /// A vector of `float`.
    Floats(Vec<f32>),
    /// A vector of tables.
    Tables(Vec<Table>),
}

impl Value {
    /// Bytes that it takes in its table.
    const fn width(&self) -> usize {
        match self {
            Value::Byte(_) => 1,
            _ => 4,
        }
    }
}

/// A table: the fields that are there, by their place in the schema.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(BTreeMap<usize, Value>);

impl Table {
    /// A table without fields.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The table with a field at the `id`-th place of the schema; a union takes two, its type first.
    pub(super) fn with(mut self, id: usize, value: Value) -> Self {
        self.0.insert(id, value);
        self
    }
}

/// The file whose root is `root`, with its four-letter identifier.
pub(super) fn file(root: &Table, identifier: [u8; 4]) -> Vec<u8> {
    let mut writer = Writer { bytes: vec![0; 4], layouts: BTreeMap::new(), vectors: Vec::new() };
    writer.bytes.extend(identifier);
    let at = writer.table(root);
    writer.point(0, at);
    let mut written = BTreeMap::new();
    for (place, vector) in std::mem::take(&mut writer.vectors) {
        let known = written.get(&vector).copied();
        let to = known.unwrap_or_else(|| writer.vector(&vector));
        writer.point(place, to);
        written.insert(vector, to);
    }
    writer.align(ALIGNMENT, 0);
    writer.bytes
}

struct Writer {
    bytes: Vec<u8>,
    /// Where tables of each layout say how they lie.
    layouts: BTreeMap<Vec<u8>, usize>,
    /// What is to come behind the tables, and where offsets to it stand.
    vectors: Vec<(usize, Vector)>,
}

/// Elements in the file.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Vector {
    count: usize,
    alignment: usize,
    bytes: Vec<u8>,
    /// Whether a 0 follows.
    ended: bool,
}

impl Vector {
    /// The elements of a value that is neither a number nor a table.
    fn of(value: &Value) -> Option<Self> {
        let numbers = |count, alignment, bytes| Self { count, alignment, bytes, ended: false };
        Some(match value {
            Value::Text(text) => {
                Self { ended: true, ..numbers(text.len(), 4, text.clone().into()) }
            }
            Value::Bytes(bytes) => numbers(bytes.len(), ALIGNMENT, bytes.clone()),
            Value::Ints(list) => {
                let bytes = list.iter().flat_map(|number| number.to_le_bytes());
                numbers(list.len(), 4, bytes.collect())
            }
            Value::Longs(list) => {
                let bytes = list.iter().flat_map(|number| number.to_le_bytes());
                numbers(list.len(), 8, bytes.collect())
            }
            Value::Floats(list) => {
                let bytes = list.iter().flat_map(|number| number.to_le_bytes());
                numbers(list.len(), 4, bytes.collect())
            }
            Value::Byte(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Table(_)
            | Value::Tables(_) => {
                return None;
            }
        })
    }
}

impl Writer {
    /// Zeros until what comes after the next `before` bytes stands at a multiple of `alignment`.
    fn align(&mut self, alignment: usize, before: usize) {
        let end = (self.bytes.len() + before).next_multiple_of(alignment);
        self.bytes.resize(end - before, 0);
    }

    /// Makes the offset at `from` point to `to`, behind it.
    fn point(&mut self, from: usize, to: usize) {
        let offset = (to - from) as u32;
        if let Some(place) = self.bytes.get_mut(from..from + 4) {
            place.copy_from_slice(&offset.to_le_bytes());
        }
    }

    /// Writes a table and what it refers to; says where it stands.
    fn table(&mut self, table: &Table) -> usize {
        // The distance to the layout, then the fields, wide ones first.
        let (mut end, mut places) = (4, BTreeMap::new());
        for width in [4, 1] {
            for (&id, _) in table.0.iter().filter(|(_, value)| value.width() == width) {
                places.insert(id, end);
                end += width;
            }
        }
        let slots = table.0.last_key_value().map_or(0, |(&id, _)| id + 1);
        let place = |id| places.get(&id).copied().unwrap_or(0);
        let layout: Vec<u8> = [4 + 2 * slots, end]
            .into_iter()
            .chain((0..slots).map(place))
            .flat_map(|number| (number as u16).to_le_bytes())
            .collect();
        let known = self.layouts.get(&layout).copied();
        let described = known.unwrap_or_else(|| {
            self.align(2, 0);
            let at = self.bytes.len();
            self.bytes.extend(&layout);
            self.layouts.insert(layout, at);
            at
        });
        self.align(4, 0);
        let at = self.bytes.len();
        self.bytes.extend(((at - described) as i32).to_le_bytes());
        self.bytes.resize(at + end, 0);
        for (id, value) in &table.0 {
            self.field(at + place(*id), value);
        }
        at
    }

    /// Writes a field at `place` in its table, and the tables that it refers to at the end of the file.
    fn field(&mut self, place: usize, value: &Value) {
        match value {
            Value::Byte(byte) => self.put(place, &[*byte]),
            Value::Int(number) => self.put(place, &number.to_le_bytes()),
            Value::Float(number) => self.put(place, &number.to_le_bytes()),
            Value::Table(table) => {
                let to = self.table(table);
                self.point(place, to);
            }
            Value::Tables(tables) => {
                let bytes = vec![0; 4 * tables.len()];
                let list = Vector { count: tables.len(), alignment: 4, bytes, ended: false };
                let at = self.vector(&list);
                self.point(place, at);
                for (index, table) in tables.iter().enumerate() {
                    let to = self.table(table);
                    self.point(at + 4 + 4 * index, to);
                }
            }
            Value::Text(_)
            | Value::Bytes(_)
            | Value::Ints(_)
            | Value::Longs(_)
            | Value::Floats(_) => {
                self.vectors.extend(Vector::of(value).map(|vector| (place, vector)));
            }
        }
    }

    fn put(&mut self, place: usize, bytes: &[u8]) {
        if let Some(field) = self.bytes.get_mut(place..place + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }

    /// Writes elements behind their count; says where that stands.
    fn vector(&mut self, vector: &Vector) -> usize {
        self.align(vector.alignment, 4);
        let at = self.bytes.len();
        self.bytes.extend((vector.count as u32).to_le_bytes());
        self.bytes.extend(&vector.bytes);
        if vector.ended {
            self.bytes.push(0);
        }
        at
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Reads a table as the format's specification says, without what the writer knows.
    #[derive(Clone, Copy)]
    pub(in crate::export::tflite) struct Reader<'a> {
        pub bytes: &'a [u8],
        pub at: usize,
    }

    impl<'a> Reader<'a> {
        pub(in crate::export::tflite) fn root(bytes: &'a [u8]) -> Self {
            let start = Self { bytes, at: 0 };
            Self { bytes, at: start.follow(0) }
        }

        fn number(&self, at: usize, width: usize) -> i64 {
            let bytes = &self.bytes[at..at + width];
            assert_eq!(at % width, 0, "a number of {width} bytes at {at}");
            bytes.iter().rev().fold(0, |number, &byte| number << 8 | i64::from(byte))
        }

        fn follow(&self, at: usize) -> usize {
            let to = at + self.number(at, 4) as usize;
            assert!(to > at && to < self.bytes.len());
            to
        }

        /// Where a field stands, if it is there.
        fn field(&self, id: usize) -> Option<usize> {
            let layout = self.at - self.number(self.at, 4) as u32 as i32 as usize;
            let size = self.number(layout, 2) as usize;
            let offset = (4 + 2 * id < size).then(|| self.number(layout + 4 + 2 * id, 2))?;
            assert!(offset < self.number(layout + 2, 2), "a field beyond its table");
            (offset != 0).then(|| self.at + offset as usize)
        }

        pub(in crate::export::tflite) fn byte(&self, id: usize) -> Option<u8> {
            self.field(id).map(|at| self.bytes[at])
        }

        pub(in crate::export::tflite) fn int(&self, id: usize) -> Option<i32> {
            self.field(id).map(|at| self.number(at, 4) as i32)
        }

        pub(in crate::export::tflite) fn table(&self, id: usize) -> Option<Self> {
            self.field(id).map(|at| Self { bytes: self.bytes, at: self.follow(at) })
        }

        /// Where the elements of a vector begin, and how many there are.
        pub(in crate::export::tflite) fn vector(&self, id: usize) -> Option<(usize, usize)> {
            let at = self.follow(self.field(id)?);
            Some((at + 4, self.number(at, 4) as usize))
        }

        pub(in crate::export::tflite) fn data(&self, id: usize) -> Option<&'a [u8]> {
            self.vector(id).map(|(at, count)| &self.bytes[at..at + count])
        }

        pub(in crate::export::tflite) fn text(&self, id: usize) -> Option<&'a str> {
            let (at, count) = self.vector(id)?;
            assert_eq!(self.bytes[at + count], 0, "a text ends in 0");
            std::str::from_utf8(self.data(id)?).ok()
        }

        pub(in crate::export::tflite) fn numbers(&self, id: usize, width: usize) -> Vec<i64> {
            let (at, count) = self.vector(id).unwrap_or((0, 0));
            (0..count).map(|index| self.number(at + width * index, width)).collect()
        }

        pub(in crate::export::tflite) fn tables(&self, id: usize) -> Vec<Self> {
            let (at, count) = self.vector(id).unwrap_or((0, 0));
            let table = |index| Self { bytes: self.bytes, at: self.follow(at + 4 * index) };
            (0..count).map(table).collect()
        }
    }

    #[test]
    fn every_field_stands_where_the_format_says() {
        let inner = Table::new().with(2, Value::Byte(7)).with(0, Value::Float(0.5));
        let root = Table::new()
            .with(0, Value::Int(-3))
            .with(1, Value::Byte(9))
            .with(3, Value::Table(inner.clone()))
            .with(4, Value::Text("näme".into()))
            .with(5, Value::Bytes(vec![1, 2, 3]))
            .with(6, Value::Ints(vec![-1, 2]))
            .with(7, Value::Longs(vec![i64::MIN, 5]))
            .with(8, Value::Tables(vec![inner.clone(), Table::new(), inner]));
        let bytes = file(&root, *b"TEST");
        assert_eq!(&bytes[4..8], b"TEST");
        let root = Reader::root(&bytes);
        assert_eq!((root.int(0), root.byte(1), root.int(2)), (Some(-3), Some(9), None));
        assert_eq!((root.text(4), root.data(5)), (Some("näme"), Some(&[1, 2, 3][..])));
        assert_eq!(root.numbers(6, 4).iter().map(|&n| n as i32).collect::<Vec<_>>(), [-1, 2]);
        assert_eq!(root.numbers(7, 8), [i64::MIN, 5]);
        let tables = root.tables(8);
        assert_eq!(tables.iter().map(|t| t.byte(2)).collect::<Vec<_>>(), [Some(7), None, Some(7)]);
        assert_eq!(tables[2].int(0).map(|bits| f32::from_bits(bits as u32)), Some(0.5));
        assert_eq!(root.table(3).and_then(|table| table.byte(2)), Some(7));
    }

    #[test]
    fn bytes_lie_at_multiples_of_sixteen_whatever_stands_before() {
        for length in 0..40 {
            let buffers = (0..4).map(|i| {
                let text = Table::new().with(0, Value::Text("x".repeat(length)));
                text.with(1, Value::Bytes(vec![i; length + 1]))
            });
            let bytes = file(&Table::new().with(0, Value::Tables(buffers.collect())), *b"TEST");
            for buffer in Reader::root(&bytes).tables(0) {
                let (at, count) = buffer.vector(1).expect("bytes");
                assert_eq!((at % ALIGNMENT, count), (0, length + 1));
            }
        }
    }

    #[test]
    fn equal_vectors_are_written_once() {
        let table = |number: i64| Table::new().with(0, Value::Longs(vec![number; 100]));
        let size = |numbers: &[i64]| {
            let tables = Value::Tables(numbers.iter().map(|&number| table(number)).collect());
            file(&Table::new().with(0, tables), *b"TEST").len()
        };
        assert!(size(&[1, 1, 1]) < 1000 && size(&[1, 2, 3]) > 2400);
    }

    #[test]
    fn tables_of_one_layout_share_its_description() {
        let table = || Table::new().with(3, Value::Int(1));
        let size = |count: usize| {
            let tables = Value::Tables((0..count).map(|_| table()).collect());
            file(&Table::new().with(0, tables), *b"TEST").len()
        };
        assert_eq!(size(101) - size(1), 1200);
    }
}
