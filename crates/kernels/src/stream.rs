// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The order in which rows are computed when several operations run row by row.
//!
//! A stream is a chain (or a small directed graph) of operations that each make one row of their
//! output from a few rows of their inputs. Rows are computed as late as possible: an operation runs
//! when a later one needs its next row, so that memory holds only the rows that a window covers.
//! The last operation's rows come in order, and nothing is computed twice.

/// Buffers that one stream may have.
pub const MAX_BUFFERS: usize = 24;

/// The rows of a tensor, as far as memory holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowBuffer {
    /// Rows of the tensor.
    pub height: usize,
    /// Rows that memory holds, at most `height`.
    pub capacity: usize,
}

/// An operation of a stream: output row `y` needs the input rows from `y * stride - pad` to
/// `y * stride - pad + reach`, as far as they exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The buffers that it reads by rows; the second is `None` if there is one only.
    pub inputs: [Option<usize>; 2],
    /// Rows from the first tap of the window to after the last.
    pub reach: usize,
    /// Steps between windows.
    pub stride: usize,
    /// Padding before the first row.
    pub pad: usize,
}

impl Stage {
    /// The rows of an input of `height` rows that output row `y` reads: the first, and the one
    /// after the last.
    fn window(&self, y: usize, height: usize) -> (usize, usize) {
        let start = y.saturating_mul(self.stride);
        let end = (start + self.reach).saturating_sub(self.pad).min(height);
        (start.saturating_sub(self.pad).min(end), end)
    }
}

/// A stream. Buffer `externals + i` is the output of stage `i`; the buffers before are filled by
/// others, and whole.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// The number of buffers that others fill.
    pub externals: usize,
    /// All buffers, at most [`MAX_BUFFERS`].
    pub buffers: &'a [RowBuffer],
    /// The operations; each reads buffers before its own output.
    pub stages: &'a [Stage],
}

/// Rows of a buffer that an operation reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The place of the first row in memory, counted in rows from the buffer's start.
    pub slot: usize,
    /// The number of rows.
    pub count: usize,
    /// Padding before them.
    pub pad: usize,
}

/// One row to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The stage.
    pub stage: usize,
    /// The row of its output.
    pub row: usize,
    /// Rows at the start of the output's buffer that nobody needs any more: `count` rows from
    /// `slot` move to the start before the operation runs. Nothing moves if `slot` is 0.
    pub kept: Rows,
    /// Where the row goes, after that.
    pub slot: usize,
    /// What the operation reads.
    pub inputs: [Rows; 2],
}

impl Step {
    /// The row that is computed.
    pub const fn output(&self) -> Rows {
        Rows { slot: self.slot, count: 1, pad: 0 }
    }

    /// Makes room: moves the rows that are kept to the start of the output's buffer, which begins
    /// with `buffer`; a row takes `row_bytes`.
    pub fn make_room(&self, buffer: &mut [i8], row_bytes: usize) {
        let Rows { slot, count, .. } = self.kept;
        if slot == 0 {
            return;
        }
        for row in 0..count {
            let places = [row, slot + row].map(|row| row * row_bytes..(row + 1) * row_bytes);
            let Ok([to, from]) = buffer.get_disjoint_mut(places) else { return };
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
    }
}

/// A stream on its way.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    stream: Stream<'a>,
    /// For each buffer, the first row that memory holds.
    first: [usize; MAX_BUFFERS],
    /// For each buffer, the rows computed so far.
    made: [usize; MAX_BUFFERS],
}

impl<'a> Run<'a> {
    /// Begins.
    pub fn new(stream: Stream<'a>) -> Self {
        let mut made = [0; MAX_BUFFERS];
        for (made, buffer) in made.iter_mut().zip(stream.buffers).take(stream.externals) {
            *made = buffer.height;
        }
        Self { stream, first: [0; MAX_BUFFERS], made }
    }

    /// The rows of `buffer` computed so far.
    pub fn made(&self, buffer: usize) -> usize {
        self.made.get(buffer).copied().unwrap_or(0)
    }

    /// The first row of `buffer` that a stage still reads; its height if none does.
    pub fn needed_from(&self, buffer: usize) -> usize {
        let height = self.height(buffer);
        let readers = self.stream.stages.iter().enumerate();
        readers.fold(height, |needed, (index, stage)| {
            let output = self.stream.externals + index;
            let next = self.made(output);
            if !stage.inputs.contains(&Some(buffer)) || next >= self.height(output) {
                return needed;
            }
            needed.min(stage.window(next, height).0)
        })
    }

    fn height(&self, buffer: usize) -> usize {
        self.stream.buffers.get(buffer).map_or(0, |buffer| buffer.height)
    }

    /// The stage that must run for the last one to come to its next row.
    fn due(&self) -> Option<usize> {
        let mut due = self.stream.stages.len().checked_sub(1)?;
        let last = self.stream.externals + due;
        if self.made(last) >= self.height(last) {
            return None;
        }
        // Each round goes to an earlier stage.
        for _ in 0..self.stream.stages.len() {
            let stage = self.stream.stages.get(due)?;
            let next = self.made(self.stream.externals + due);
            let lacks =
                |&buffer: &usize| self.made(buffer) < stage.window(next, self.height(buffer)).1;
            match stage.inputs.iter().flatten().find(|buffer| lacks(buffer)) {
                Some(&buffer) => due = buffer.checked_sub(self.stream.externals)?,
                None => return Some(due),
            }
        }
        None
    }
}

impl Iterator for Run<'_> {
    type Item = Step;

    /// The next row; `None` when the last operation has made all of its rows, or if a buffer is too
    /// small.
    // Each stream of a program would hold a copy.
    #[inline(never)]
    fn next(&mut self) -> Option<Step> {
        let due = self.due()?;
        let stage = self.stream.stages.get(due)?;
        let output = self.stream.externals + due;
        let row = self.made(output);
        let capacity = self.stream.buffers.get(output)?.capacity;
        let mut kept = Rows::default();
        let mut first = *self.first.get(output)?;
        if row - first >= capacity {
            let keep = self.needed_from(output).min(row);
            kept = Rows { slot: keep - first, count: row - keep, pad: 0 };
            first = keep;
        }
        if row - first >= capacity {
            return None;
        }
        let mut inputs = [Rows::default(); 2];
        for (rows, buffer) in inputs.iter_mut().zip(stage.inputs) {
            let Some(buffer) = buffer else { continue };
            let (start, end) = stage.window(row, self.height(buffer));
            *rows = Rows {
                slot: start.checked_sub(*self.first.get(buffer)?)?,
                count: end - start,
                pad: stage.pad.saturating_sub(row.saturating_mul(stage.stride)),
            };
        }
        *self.first.get_mut(output)? = first;
        *self.made.get_mut(output)? = row + 1;
        Some(Step { stage: due, row, kept, slot: row - first, inputs })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn chain(capacities: [usize; 3]) -> [RowBuffer; 3] {
        capacities.map(|capacity| RowBuffer { height: 6, capacity })
    }

    /// Two 3x3 windows, one after the other.
    const STAGES: [Stage; 2] = [
        Stage { inputs: [Some(0), None], reach: 3, stride: 1, pad: 1 },
        Stage { inputs: [Some(1), None], reach: 3, stride: 1, pad: 1 },
    ];

    #[test]
    fn rows_are_computed_when_a_later_window_needs_them() {
        let buffers = chain([6, 3, 6]);
        let run = Run::new(Stream { externals: 1, buffers: &buffers, stages: &STAGES });
        let order: Vec<_> = run.map(|step| (step.stage, step.row)).collect();
        let expected = [
            (0, 0),
            (0, 1),
            (1, 0),
            (0, 2),
            (1, 1),
            (0, 3),
            (1, 2),
            (0, 4),
            (1, 3),
            (0, 5),
            (1, 4),
            (1, 5),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn windows_hold_the_rows_that_exist() {
        let buffers = chain([6, 3, 6]);
        let run = Run::new(Stream { externals: 1, buffers: &buffers, stages: &STAGES });
        let first: Vec<_> = run.filter(|step| step.stage == 0).map(|step| step.inputs[0]).collect();
        assert_eq!(first[0], Rows { slot: 0, count: 2, pad: 1 });
        assert_eq!(first[1], Rows { slot: 0, count: 3, pad: 0 });
        assert_eq!(first[5], Rows { slot: 4, count: 2, pad: 0 });
    }

    #[test]
    fn old_rows_make_room_when_the_buffer_is_full() {
        let buffers = chain([6, 3, 6]);
        let run = Run::new(Stream { externals: 1, buffers: &buffers, stages: &STAGES });
        let kept: Vec<_> = run.filter(|step| step.stage == 0).map(|step| step.kept).collect();
        let moved = Rows { slot: 1, count: 2, pad: 0 };
        assert_eq!(kept, [[Rows::default(); 3], [moved; 3]].concat());
    }

    #[test]
    fn a_buffer_that_is_too_small_ends_the_run() {
        let buffers = chain([6, 2, 6]);
        let stream = Stream { externals: 1, buffers: &buffers, stages: &STAGES };
        let mut run = Run::new(stream);
        assert!(run.by_ref().count() < 12);
        assert!(run.made(2) < 6);
    }
}
