//! Work of the portable kernels with weights: as often as their loops run.

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, TransposeConvGeometry};
use burn_ptq_kernels::multiplier::Multiplier;

use super::counts::{Work, numbers};
use super::taps::Reach;
use crate::op::Weighted;
use crate::place::scratch::{CHANNELS, FILTERS};

/// Weights that are decoded before they are multiplied.
#[derive(Default)]
struct Decoded {
    calls: usize,
    /// Groups of weights that share whole bytes.
    groups: usize,
    /// Weights beside these.
    singles: usize,
}

impl Decoded {
    /// Decodes `count` weights from the one of index `first` on.
    fn add(&mut self, bits: u8, first: usize, count: usize) {
        self.calls += 1;
        let group = match bits {
            2 => 4,
            3 => 8,
            4 => 2,
            _ => return,
        };
        let head = (first.next_multiple_of(group) - first).min(count);
        let rest = count - head;
        self.groups += rest / group;
        self.singles += head + rest % group;
    }
}

/// Blocks of filters of `length` weights, in as many groups of channels, and what is decoded of them.
fn blocks(weighted: &Weighted, groups: usize, filters: usize, length: usize) -> (usize, Decoded) {
    let (mut count, mut decoded) = (0, Decoded::default());
    for group in 0..groups {
        for first in (0..filters).step_by(FILTERS) {
            let some = FILTERS.min(filters - first);
            let start = group * filters + first;
            decoded.add(weighted.weights.storage, start * length, some * length);
            count += 1;
        }
    }
    (count, decoded)
}

/// How many of `channels` have multipliers that shift to the right, and how many others.
pub(super) fn shifts(multipliers: &[Multiplier], channels: usize) -> [usize; 2] {
    let right = multipliers.iter().filter(|multiplier| multiplier.exponent < 0).count();
    match multipliers.len() {
        1 => [right * channels, (1 - right) * channels],
        _ => [right, channels.saturating_sub(right)],
    }
}

/// Whether every pixel of the output is made of the one at the same place.
pub(super) fn is_pointwise(g: &ConvGeometry) -> bool {
    let window = &g.window;
    g.groups == 1
        && window.kernel == [1; 2]
        && window.stride == [1; 2]
        && window.pad == [0; 2]
        && g.output == g.input
}

pub(super) fn convolution(g: &ConvGeometry, weighted: &Weighted, wide: bool) -> Work {
    if is_pointwise(g) && !wide {
        let rows = g.output[0] * g.output[1];
        return filters_over_rows(weighted, rows, g.in_channels, g.out_channels, false);
    }
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    let depth = g.inputs_per_group();
    let (blocks, decoded) =
        blocks(weighted, g.groups, g.filters_per_group(), g.weights_per_channel());
    // Where the taps of a row of the kernel are neighbours, they are taken together.
    let joined = g.groups == 1 && g.window.dilation[1] == 1;
    let runs = match joined {
        true => reach.axes[0].sum() * reach.axes[1].count(|taps| !taps.is_empty()),
        false => reach.pixels,
    };
    let mut work = numbers(&[
        1,
        g.groups,
        blocks,
        decoded.groups,
        decoded.singles,
        blocks * height,
        blocks * pixels,
        blocks * reach.clipped,
        blocks * reach.rows,
        blocks * runs,
    ]);
    if wide {
        work.extend(&[
            g.out_channels * runs,
            reach.pixels * depth * g.out_channels,
            pixels * g.out_channels,
        ]);
    } else {
        let [right, left] = shifts(&weighted.multipliers, g.out_channels);
        work.extend(&[blocks * reach.pixels * depth, pixels * right, pixels * left]);
    }
    work
}

/// All filters over rows of `depth` elements.
fn filters_over_rows(
    weighted: &Weighted,
    rows: usize,
    depth: usize,
    filters: usize,
    wide: bool,
) -> Work {
    let (blocks, decoded) = blocks(weighted, 1, filters, depth);
    let mut work = numbers(&[1, blocks, decoded.groups, decoded.singles, blocks * rows]);
    if wide {
        work.extend(&[rows * filters, rows * filters * depth]);
    } else {
        let [right, left] = shifts(&weighted.multipliers, filters);
        work.extend(&[blocks * rows * depth, rows * right, rows * left]);
    }
    work
}

/// Whether a fully connected layer multiplies by packed weights.
pub(super) fn is_packed(weighted: &Weighted, rows: usize, in_features: usize, wide: bool) -> bool {
    !wide && weighted.weights.storage != 8 && rows == 1 && in_features.is_multiple_of(8)
}

pub(super) fn fully_connected(
    weighted: &Weighted,
    rows: usize,
    [inputs, outputs]: [usize; 2],
    wide: bool,
) -> Work {
    if !is_packed(weighted, rows, inputs, wide) {
        return filters_over_rows(weighted, rows, inputs, outputs, wide);
    }
    let pairs = outputs.div_ceil(2);
    let [right, left] = shifts(&weighted.multipliers, outputs);
    numbers(&[1, pairs, pairs * inputs, right, left])
}

pub(super) fn depthwise(g: &DepthwiseGeometry, weighted: &Weighted, wide: bool) -> Work {
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let (pixels, channels) = (height * width, g.out_channels());
    let taps = g.window.kernel.iter().product::<usize>();
    let bits = weighted.weights.storage;
    let (mut blocks, mut decoded) = (0, Decoded::default());
    let [mut fours, mut ones, mut full, mut partial, mut few] = [0; 5];
    for first in (0..channels).step_by(CHANNELS) {
        let count = CHANNELS.min(channels - first);
        blocks += 1;
        match bits {
            8 => decoded.add(bits, first, count),
            _ => (0..taps).for_each(|tap| decoded.add(bits, tap * channels + first, count)),
        }
        fours += count / 4;
        ones += count % 4;
        full += usize::from(count == CHANNELS);
        partial += usize::from(count < CHANNELS);
        few += if count < CHANNELS { count } else { 0 };
    }
    let mut work = numbers(&[
        1,
        blocks,
        decoded.calls,
        decoded.groups,
        decoded.singles,
        blocks * height,
        blocks * pixels,
        blocks * reach.clipped,
    ]);
    let shared = g.multiplier != 1;
    // Windows without any tap in one axis have none at all; their rows are not walked.
    let rows = reach.axes[0].sum() * reach.axes[1].count(|taps| !taps.is_empty());
    if wide {
        work.extend(&[blocks * reach.rows]);
        work.extend(&match shared {
            true => [blocks * reach.pixels, channels * reach.pixels, 0],
            false => [full * reach.pixels, partial * reach.pixels, few * reach.pixels],
        });
        work.extend(&[pixels * channels]);
        return work;
    }
    work.extend(&match shared {
        true => [0, blocks * rows, blocks * reach.pixels, 0, 0, channels * reach.pixels],
        false => [
            pixels * fours,
            rows * fours,
            reach.pixels * fours,
            pixels * ones,
            rows * ones,
            reach.pixels * ones,
        ],
    });
    let [right, left] = shifts(&weighted.multipliers, channels);
    work.extend(&[pixels * right, pixels * left]);
    work
}

pub(super) fn transposed(g: &TransposeConvGeometry, weighted: &Weighted, wide: bool) -> Work {
    let [height, width] = g.output;
    let pixels = height * width;
    let depth = g.inputs_per_group();
    let (blocks, decoded) =
        blocks(weighted, g.groups, g.filters_per_group(), g.weights_per_channel());
    let [rows, columns] = [0, 1].map(|axis| Meetings::new(g, axis));
    let meetings = rows.taps * columns.taps;
    let mut work = numbers(&[
        1,
        g.groups,
        blocks,
        decoded.groups,
        decoded.singles,
        blocks * height,
        blocks * rows.tried,
        blocks * rows.found,
        blocks * pixels,
        blocks * height * columns.tried,
        blocks * height * columns.found,
        blocks * rows.taps * width,
        blocks * meetings,
    ]);
    if wide {
        work.extend(&[
            g.out_channels * meetings,
            meetings * depth * g.out_channels,
            pixels * g.out_channels,
        ]);
    } else {
        let [right, left] = shifts(&weighted.multipliers, g.out_channels);
        work.extend(&[blocks * meetings * depth, pixels * right, pixels * left]);
    }
    work
}

/// The taps of a transposed convolution that meet an input, along one axis.
struct Meetings {
    /// Taps that are tried before one is found, or none, of all outputs.
    tried: usize,
    /// Outputs that meet any.
    found: usize,
    /// Taps that meet an input, of all outputs.
    taps: usize,
}

impl Meetings {
    fn new(g: &TransposeConvGeometry, axis: usize) -> Self {
        let [kernel, dilation, pad] =
            [g.window.kernel, g.window.dilation, g.window.pad].map(|axes| axes[axis]);
        let mut meetings = Self { tried: 0, found: 0, taps: 0 };
        for out in 0..g.output[axis] {
            let taps = g.taps(axis, out);
            let reached = ((out + pad) / dilation.max(1) + 1).min(kernel);
            meetings.tried += if taps.count > 0 { taps.tap + 1 } else { reached };
            meetings.found += usize::from(taps.count > 0);
            meetings.taps += taps.count;
        }
        meetings
    }
}
