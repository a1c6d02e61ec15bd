//! The .npy format: a strict reader of its header, and elements of every plain type.
//!
//! A header is a Python literal. This reader takes the one dictionary that the format defines, of a
//! bounded length, and nothing that nests; everything that it promises is checked against the file's
//! length before memory is taken.

use std::io::Read;
use std::path::Path;

use burn_ptq_deploy::preprocess::Element;
use half::f16;

use super::DataError;

/// What every .npy file begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that is read; NumPy itself writes some hundred bytes.
const MAX_HEADER: usize = 1 << 16;
/// The most axes that an array may have, as in NumPy.
const MAX_AXES: usize = 64;

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

/// How elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub kind: Kind,
    pub big_endian: bool,
}

/// What the header of a .npy file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub storage: Storage,
    /// Whether the first axis is the fastest, instead of the last.
    pub fortran: bool,
    pub shape: Vec<usize>,
    /// Where the elements begin.
    pub start: u64,
}

impl Kind {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Kind::Bool | Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 | Kind::F16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }

    /// The type of raw elements that a device would read.
    pub(super) const fn element(self) -> Element {
        match self {
            Kind::Bool | Kind::U8 => Element::U8,
            Kind::I8 => Element::I8,
            Kind::I16 => Element::I16,
            Kind::U16 => Element::U16,
            Kind::I32 => Element::I32,
            Kind::U32 | Kind::I64 | Kind::U64 | Kind::F16 | Kind::F32 | Kind::F64 => Element::F32,
        }
    }
}

/// Calls `$f` with each element of `$bytes` as its own type, behind `$storage`.
macro_rules! each_element {
    ($storage:expr, $bytes:expr, $f:expr) => {{
        macro_rules! read {
            ($t:ty, $n:literal) => {
                for bytes in $bytes.chunks_exact($n) {
                    let bytes: [u8; $n] = std::array::from_fn(|i| bytes[i]);
                    let value = if $storage.big_endian {
                        <$t>::from_be_bytes(bytes)
                    } else {
                        <$t>::from_le_bytes(bytes)
                    };
                    $f(value)
                }
            };
        }
        match $storage.kind {
            Kind::Bool => $bytes.iter().for_each(|&byte| $f(u8::from(byte != 0))),
            Kind::U8 => read!(u8, 1),
            Kind::I8 => read!(i8, 1),
            Kind::U16 => read!(u16, 2),
            Kind::I16 => read!(i16, 2),
            Kind::U32 => read!(u32, 4),
            Kind::I32 => read!(i32, 4),
            Kind::U64 => read!(u64, 8),
            Kind::I64 => read!(i64, 8),
            Kind::F16 => read!(f16, 2),
            Kind::F32 => read!(f32, 4),
            Kind::F64 => read!(f64, 8),
        }
    }};
}

/// Numbers that can be elements.
trait Number: Copy {
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    /// The number as an integer; `None` for floats, and for integers of 64 bits without a sign that
    /// are too large.
    fn to_i64(self) -> Option<i64> {
        self.to_i128().and_then(|x| i64::try_from(x).ok())
    }
    /// The number as an integer; `None` for floats.
    fn to_i128(self) -> Option<i128>;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Number for $t {
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_i128(self) -> Option<i128> {
                Some(self.into())
            }
        }
    )*};
}

integers!(u8 i8 u16 i16 u32 i32 u64 i64);

impl Number for f16 {
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }
    fn to_i128(self) -> Option<i128> {
        None
    }
}

impl Number for f32 {
    fn to_f32(self) -> f32 {
        self
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn to_i128(self) -> Option<i128> {
        None
    }
}

impl Number for f64 {
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn to_i128(self) -> Option<i128> {
        None
    }
}

impl Storage {
    /// Little-endian f32, which tables and images become on the way.
    pub(super) const F32: Self = Self { kind: Kind::F32, big_endian: false };

    /// Appends elements as f32, the nearest one where their type has more digits.
    ///
    /// # Errors
    /// With the first value that is finite, and not as an f32.
    pub(super) fn to_f32(self, bytes: &[u8], values: &mut Vec<f32>) -> Result<(), f64> {
        values.reserve(bytes.len() / self.kind.bytes());
        let mut beyond = None;
        fn push<N: Number>(x: N, values: &mut Vec<f32>, beyond: &mut Option<f64>) {
            let value = x.to_f32();
            if value.is_infinite() && x.to_f64().is_finite() {
                beyond.get_or_insert(x.to_f64());
            }
            values.push(value);
        }
        each_element!(self, bytes, |x| push(x, values, &mut beyond));
        beyond.map_or(Ok(()), Err)
    }

    /// All elements as f64.
    pub(super) fn to_f64(self, bytes: &[u8]) -> Vec<f64> {
        let mut values = Vec::with_capacity(bytes.len() / self.kind.bytes());
        fn push<N: Number>(x: N, values: &mut Vec<f64>) {
            values.push(x.to_f64());
        }
        each_element!(self, bytes, |x| push(x, &mut values));
        values
    }

    /// All elements as integers; `None` if a number is not an i64.
    pub(super) fn to_i64(self, bytes: &[u8]) -> Option<Vec<i64>> {
        let mut values = Vec::with_capacity(bytes.len() / self.kind.bytes());
        fn push<N: Number>(x: N, values: &mut Vec<Option<i64>>) {
            values.push(x.to_i64());
        }
        each_element!(self, bytes, |x| push(x, &mut values));
        values.into_iter().collect()
    }

    /// The first whole number that an f32 does not hold, of a type that no device reads as it is.
    pub(super) fn first_inexact(self, bytes: &[u8]) -> Option<i128> {
        if !self.is_wide() {
            return None;
        }
        let mut found = None;
        fn check<N: Number>(x: N, found: &mut Option<i128>) {
            if let Some(whole) = x.to_i128().filter(|&whole| whole != x.to_f32() as i128) {
                found.get_or_insert(whole);
            }
        }
        each_element!(self, bytes, |x| check(x, &mut found));
        found
    }

    /// Whether elements are integers that samples hold only as f32.
    pub(super) const fn is_wide(self) -> bool {
        matches!(self.kind, Kind::U32 | Kind::I64 | Kind::U64)
    }

    pub(super) const fn is_float(self) -> bool {
        matches!(self.kind, Kind::F16 | Kind::F32 | Kind::F64)
    }
}

impl Header {
    /// Reads the header at the beginning of `reader`; the whole file has `length` bytes.
    ///
    /// # Errors
    /// If it is not such a header, its type cannot be read, or it promises more than the file holds.
    pub(super) fn read(
        reader: &mut impl Read,
        length: u64,
        path: &Path,
    ) -> Result<Self, DataError> {
        let damaged =
            |problem: &str| DataError::format(path, format!("is not a valid .npy file: {problem}"));
        let mut take = |count: usize| {
            let mut bytes = vec![0; count];
            reader.read_exact(&mut bytes).map_err(|e| match e.kind() {
                std::io::ErrorKind::UnexpectedEof => damaged("its header is cut short"),
                _ => DataError::Unreadable { path: path.into(), source: e },
            })?;
            Ok(bytes)
        };
        let begin = take(8)?;
        if !begin.starts_with(MAGIC) {
            return Err(damaged("it does not begin with the bytes \\x93NUMPY"));
        }
        let (size, width) = match begin[6] {
            1 => (take(2)?, 2),
            2 | 3 => (take(4)?, 4),
            version => {
                let problem = format!("its format version is {version}, known are 1 to 3");
                return Err(damaged(&problem));
            }
        };
        let size = size.iter().rev().fold(0_usize, |n, &byte| n << 8 | usize::from(byte));
        if size > MAX_HEADER {
            return Err(damaged(&format!(
                "its header has {size} bytes, {MAX_HEADER} at most are read"
            )));
        }
        let text = String::from_utf8(take(size)?).map_err(|_| damaged("its header is not text"))?;
        let fields = Literal(text.as_bytes()).header().map_err(|problem| damaged(&problem))?;
        let (descr, fortran, shape) = fields;
        let storage = storage(&descr, path)?;
        let start = (8 + width + size) as u64;
        let elements = shape.iter().try_fold(1_u64, |n, &d| n.checked_mul(d as u64));
        let bytes = elements.and_then(|n| n.checked_mul(storage.kind.bytes() as u64));
        if bytes.and_then(|n| n.checked_add(start)).is_none_or(|n| n > length) {
            let problem = format!("its header promises {shape:?}, more than the file holds");
            return Err(damaged(&problem));
        }
        Ok(Self { storage, fortran: fortran && shape.len() > 1, shape, start })
    }

    /// The number of elements.
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What NumPy calls a type.
fn storage(descr: &str, path: &Path) -> Result<Storage, DataError> {
    let (order, name) = match descr.as_bytes().first() {
        Some(b'<' | b'>' | b'|' | b'=') => descr.split_at(1),
        _ => ("|", descr),
    };
    let kind = match name {
        "b1" => Kind::Bool,
        "i1" => Kind::I8,
        "i2" => Kind::I16,
        "i4" => Kind::I32,
        "i8" => Kind::I64,
        "u1" => Kind::U8,
        "u2" => Kind::U16,
        "u4" => Kind::U32,
        "u8" => Kind::U64,
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        _ => {
            let expected = match name.as_bytes().first() {
                Some(b'O') => {
                    "numbers; Python objects are often samples of different lengths: cut or pad them \
                     to one length and save numpy.stack(samples)"
                }
                Some(b'U' | b'S' | b'a') => {
                    "numbers; replace names by class indices, for example with numpy.unique(y, \
                     return_inverse=True)"
                }
                Some(b'c') => "real numbers; save real and imaginary parts as two channels",
                Some(b'[' | b'V') => "plain numbers; save one array a field",
                Some(b'M' | b'm') => "numbers; times cannot be samples or labels",
                _ => {
                    "floats of 16, 32 or 64 bits, integers of 8 to 64 bits, or bool; convert with \
                      numpy's astype"
                }
            };
            return Err(DataError::Type {
                path: path.into(),
                found: format!("'{descr}'"),
                expected: expected.into(),
            });
        }
    };
    Ok(Storage { kind, big_endian: order == ">" })
}

/// A header's text, from where it is still to be read.
struct Literal<'a>(&'a [u8]);

impl Literal<'_> {
    /// The dictionary with its three keys, in any order: type, Fortran order, shape.
    fn header(mut self) -> Result<(String, bool, Vec<usize>), String> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.found(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let known = match key.as_str() {
                "descr" => descr.replace(self.descr()?).is_some(),
                "fortran_order" => fortran.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                _ => return Err(format!("its header has an unknown key '{}'", printable(&key))),
            };
            if known {
                return Err(format!("its header says '{key}' twice"));
            }
            if !self.found(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.skip_space();
        if !self.0.is_empty() {
            return Err("something follows the dictionary of its header".into());
        }
        let lacks = |key: &str| format!("its header lacks '{key}'");
        Ok((
            descr.ok_or_else(|| lacks("descr"))?,
            fortran.ok_or_else(|| lacks("fortran_order"))?,
            shape.ok_or_else(|| lacks("shape"))?,
        ))
    }

    /// A type: a string, or the list of a structured type, of which only the bracket is told.
    fn descr(&mut self) -> Result<String, String> {
        self.skip_space();
        if self.0.first() != Some(&b'[') {
            return self.string();
        }
        // Skipped by counting brackets: what it says does not matter.
        let mut depth = 0_usize;
        while let Some((&byte, rest)) = self.0.split_first() {
            self.0 = rest;
            match byte {
                b'[' | b'(' => depth += 1,
                b']' | b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Ok("[..]".into());
            }
        }
        Err("its header ends within a list".into())
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.skip_space();
        for (text, value) in [(&b"True"[..], true), (b"False", false)] {
            if let Some(rest) = self.0.strip_prefix(text) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err("fortran_order is neither True nor False".into())
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        self.expect(b'(')?;
        let mut shape = Vec::new();
        while !self.found(b')') {
            self.skip_space();
            let digits = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
            let (number, rest) = self.0.split_at(digits);
            let number = std::str::from_utf8(number).unwrap_or_default();
            let extent = number.parse().map_err(|_| "its shape is not a tuple of extents")?;
            // Python 2 wrote long integers with an L.
            self.0 = rest.strip_prefix(b"L").unwrap_or(rest);
            shape.push(extent);
            if shape.len() > MAX_AXES {
                return Err(format!("its shape has more than {MAX_AXES} axes"));
            }
            if !self.found(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(shape)
    }

    fn string(&mut self) -> Result<String, String> {
        self.skip_space();
        let Some((&quote @ (b'\'' | b'"'), rest)) = self.0.split_first() else {
            return Err("its header is not a dictionary of strings".into());
        };
        let Some(end) = rest.iter().position(|&b| b == quote) else {
            return Err("its header ends within a string".into());
        };
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.0 = &rest[end + 1..];
        Ok(text)
    }

    fn found(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.found(byte) {
            return Ok(());
        }
        Err(format!("its header lacks a '{}' where one is due", char::from(byte)))
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }
}

/// A name from a file that may go to a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}
