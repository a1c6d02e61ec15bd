//! The part of an operation that runs at a time, and copies of what it reads.

use super::*;

/// The part of a node's work that is done at once: all of it, or a row.
pub(super) struct Piece {
    /// The bytes of each input.
    pub(super) inputs: Vec<Range<usize>>,
    /// The bytes of the output.
    pub(super) output: Range<usize>,
    /// What the window sees of the first input, if this is a row.
    pub(super) rows: Option<Rows>,
}

impl Piece {
    pub(super) fn conv(&self, whole: &ConvGeometry) -> ConvGeometry {
        self.rows.map_or(*whole, |rows| whole.row(rows))
    }

    pub(super) fn depthwise(&self, whole: &DepthwiseGeometry) -> DepthwiseGeometry {
        self.rows.map_or(*whole, |rows| whole.row(rows))
    }

    pub(super) fn pool(&self, whole: &PoolGeometry) -> PoolGeometry {
        self.rows.map_or(*whole, |rows| whole.row(rows))
    }
}

/// Bytes copied out of the arena, in 64-bit words, so that elements of every type are aligned.
#[derive(Clone, Debug, Default)]
pub(super) struct Copied {
    pub(super) words: Vec<u64>,
    pub(super) bytes: usize,
}

impl Copied {
    pub(super) fn fill(&mut self, source: &[u8]) {
        self.bytes = source.len();
        let words = source.len().div_ceil(8);
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        bytemuck::cast_slice_mut::<u64, u8>(&mut self.words)[..source.len()]
            .copy_from_slice(source);
    }

    pub(super) fn elements<S: Pod>(&self) -> &[S] {
        &bytemuck::cast_slice(&self.words)[..self.bytes / size_of::<S>()]
    }
}

/// How outputs of a layer are made of its sums.
pub(super) fn requantize_of(weighted: &Weighted, input: Grid, output: Grid) -> Requantize<'_> {
    Requantize {
        input_zero_point: input.zero_point,
        output_zero_point: output.zero_point,
        bias: &weighted.bias,
        multipliers: &weighted.multipliers,
        clamp: weighted.clamp,
    }
}
