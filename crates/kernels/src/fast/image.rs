// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! Inputs of windows with their padding, so that every window reads the same places from where it begins.

use crate::geometry::Window;

/// What windows cover, padding included, row by row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    /// Rows.
    height: usize,
    /// Elements of a row.
    pub(super) pitch: usize,
    /// Elements of a pixel.
    channels: usize,
    /// The window.
    window: Window,
    /// Outputs of a row.
    columns: usize,
    /// Outputs.
    pub(super) outputs: usize,
}

impl Image {
    /// What `window` covers to make `output` height and width.
    pub(super) const fn new(window: Window, output: [usize; 2], channels: usize) -> Self {
        let [height, width] = [covered(&window, 0, output[0]), covered(&window, 1, output[1])];
        let pitch = width * channels;
        let outputs = output[0] * output[1];
        Self { height, pitch, channels, window, columns: output[1], outputs }
    }

    /// Elements.
    pub(super) const fn len(&self) -> usize {
        self.height * self.pitch
    }

    /// Where the window of each output begins.
    pub(super) fn places(&self, places: &mut [usize]) {
        for (y, row) in places.chunks_mut(self.columns).enumerate() {
            let mut place = y * self.window.stride[0] * self.pitch;
            for own in row {
                *own = place;
                place += self.window.stride[1] * self.channels;
            }
        }
    }

    /// Where a tap lies from where its window begins.
    pub(super) fn tap(&self, row: usize, column: usize) -> usize {
        let [rows, columns] = self.window.dilation;
        row * rows * self.pitch + column * columns * self.channels
    }

    /// Whether the taps of a row are neighbours.
    pub(super) const fn is_dense(&self) -> bool {
        self.window.dilation[1] == 1 || self.window.kernel[1] == 1
    }

    /// Copies `input`, of extents `extent`, each element as `convert` has it, between `padding`.
    ///
    /// Where an element appears several times in a row, `repeats` is above 1.
    #[inline(always)]
    pub(super) fn fill<S: Copy, T: Copy>(
        &self,
        input: &[S],
        extent: [usize; 2],
        repeats: usize,
        padding: T,
        convert: impl Fn(S) -> T,
        image: &mut [T],
    ) {
        let [top, left] = self.window.pad;
        let channels = self.channels / repeats;
        let row_len = extent[1] * channels;
        for (row, output) in image.chunks_exact_mut(self.pitch).take(self.height).enumerate() {
            let Some(row) = row.checked_sub(top).filter(|&row| row < extent[0]) else {
                output.fill(padding);
                continue;
            };
            let (before, output) = output.split_at_mut((left * self.channels).min(self.pitch));
            before.fill(padding);
            let len = (row_len * repeats).min(output.len());
            let (inside, after) = output.split_at_mut(len);
            after.fill(padding);
            let input = &input[row * row_len..][..len / repeats];
            if repeats == 1 {
                for (output, &x) in inside.iter_mut().zip(input) {
                    *output = convert(x);
                }
            } else {
                for (outputs, &x) in inside.chunks_exact_mut(repeats).zip(input) {
                    outputs.fill(convert(x));
                }
            }
        }
    }
}

/// Elements along an axis that windows cover.
const fn covered(window: &Window, axis: usize, outputs: usize) -> usize {
    match (outputs.checked_sub(1), window.kernel[axis].checked_sub(1)) {
        (Some(steps), Some(taps)) => steps * window.stride[axis] + taps * window.dilation[axis] + 1,
        _ => 0,
    }
}
