//! What the importer reads: the versions of files and operators, and how large a model may be.

use std::ops::RangeInclusive;

/// The versions of the file format that are read.
pub const IR_VERSIONS: RangeInclusive<i64> = 3..=14;
/// The versions of the operators that are read.
pub const OPSETS: RangeInclusive<i64> = 6..=28;
/// The largest file that is read; with the files beside it, if the model's weights are there.
pub const MAX_FILE_BYTES: u64 = 96 << 20;
/// The largest number of elements that a value may have for one sample.
pub const MAX_VALUE_ELEMENTS: usize = 1 << 22;
/// The largest number of nodes that a graph may have, those aside that are computed at import.
pub const MAX_NODES: usize = 2048;
