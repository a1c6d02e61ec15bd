//! Where a program's tensors and working memory lie in the arena, and which nodes run row by row.

use serde::{Deserialize, Serialize};

/// Places in one arena, for a program of as many tensors and nodes.
///
/// It is plain data: [`Placed::new`](super::Placed::new) verifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Bytes of the one arena that holds every activation and every scratch region.
    pub arena_bytes: usize,
    /// For each tensor, where its first element stands in the arena, in bytes; a multiple of the
    /// element's size.
    pub offsets: Vec<usize>,
    /// For each node, the arena bytes that it may use while it runs.
    pub scratch: Vec<Region>,
    /// Nodes that run row by row, in the order of execution; no node is in two of them.
    pub streams: Vec<Stream>,
}

/// A part of the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// First byte; a multiple of 8.
    pub offset: usize,
    /// Length in bytes; 0 if unused.
    pub bytes: usize,
}

/// Consecutive nodes that run row by row, so that memory holds a few rows of what they pass on to
/// each other.
///
/// The order of the rows is that of [`Run`](burn_ptq_kernels::stream::Run). The last node's output
/// may begin before an input of the stream in memory and reach into it, as long as every row lies
/// before the rows of the input that are still needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Index of the first node.
    pub first: usize,
    /// For each node, the rows of its output that memory holds; all of them for the last.
    pub rows: Vec<usize>,
}

impl Stream {
    /// Index of the last node.
    pub fn last(&self) -> usize {
        self.first + self.rows.len().saturating_sub(1)
    }

    /// The nodes.
    pub fn nodes(&self) -> std::ops::Range<usize> {
        self.first..self.first.saturating_add(self.rows.len())
    }
}
