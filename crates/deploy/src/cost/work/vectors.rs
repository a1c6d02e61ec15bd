//! Work of the kernels of the DSP extension and of Helium that take any layer.

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry};

use super::counts::{Work, numbers};
use super::portable::is_pointwise;
use super::taps::Reach;
use crate::op::Weighted;
use crate::place::kernels::{dsp_filter_len, mve_filter_len};

/// Channels whose sums are kept before they become outputs; `BPTQ_DSP_CHANNELS` and `BPTQ_MVE_CHANNELS` of
/// the C runtime.
const DSP_CHANNELS: usize = 16;
const MVE_CHANNELS: usize = 64;

/// Bytes of a vector of Helium.
const VECTOR: usize = 16;

/// How many times outputs of each channel are made, by how: with a multiplier of their own and no bounds but
/// those of 8 bits, or otherwise; shifted to the right, or not.
fn dsp_outputs(weighted: &Weighted, times: impl Fn(usize) -> usize) -> [usize; 4] {
    let per_channel = weighted.multipliers.len() > 1;
    let plain = per_channel && weighted.clamp.min == -128 && weighted.clamp.max == 127;
    let mut counts = [0; 4];
    for channel in 0..weighted.bias.len() {
        let multiplier = weighted.multipliers.get(if per_channel { channel } else { 0 });
        let right = multiplier.is_none_or(|multiplier| multiplier.exponent < 0);
        counts[2 * usize::from(!plain) + usize::from(!right)] += times(channel);
    }
    counts
}

pub(super) fn dsp_convolution(g: &ConvGeometry, weighted: &Weighted, bits: u8) -> Work {
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    // The last of an odd number of pixels is computed twice.
    let pairs = pixels.div_ceil(2);
    let (depth, filters) = (g.inputs_per_group(), g.filters_per_group());
    let taps = g.weights_per_channel();
    let length = dsp_filter_len(taps, bits);
    let [rows, columns] = &reach.axes;
    let row_length = g.window.kernel[1] * depth;
    let joined = g.groups == 1 && g.window.dilation[1] == 1;
    let (runs, words, singles) = match joined {
        true => (
            rows.sum() * width,
            rows.sum() * columns.total(|taps| taps.len() * depth / 4),
            rows.sum() * columns.total(|taps| taps.len() * depth % 4),
        ),
        false => (reach.pixels, reach.pixels * (depth / 4), reach.pixels * (depth % 4)),
    };
    // Zeros above the input, before and behind each row, and at the end.
    let behind = |end: usize| (rows.kernel - end) * row_length + length - taps;
    let zeros = rows.count(|taps| taps.start > 0) * width
        + rows.sum() * columns.count(|taps| taps.start > 0)
        + rows.sum() * columns.count(|taps| taps.end < columns.kernel)
        + rows.count(|taps| behind(taps.end) > 0) * width;
    let zeroed = rows.total(|taps| taps.start * row_length + behind(taps.end)) * width
        + rows.sum() * columns.clipped() * depth;
    let (blocks, twos) = (filters.div_ceil(DSP_CHANNELS), filters.div_ceil(2));
    let each = g.groups * pairs;
    let mut work = numbers(&[
        1,
        g.groups,
        each,
        g.groups * height,
        g.groups * pixels,
        g.groups * reach.clipped,
        g.groups * reach.rows,
        g.groups * zeros,
        g.groups * zeroed,
        g.groups * runs,
        g.groups * words,
        g.groups * singles,
        each * length,
        each * blocks,
        each * twos,
        each * twos * length,
    ]);
    work.extend(&dsp_outputs(weighted, |_| 2 * pairs));
    work
}

pub(super) fn dsp_fully_connected(
    weighted: &Weighted,
    rows: usize,
    [inputs, outputs]: [usize; 2],
    bits: u8,
) -> Work {
    let length = dsp_filter_len(inputs, bits);
    let fours = outputs.div_ceil(4);
    let mut work = numbers(&[
        1,
        rows,
        rows * (inputs / 4),
        rows * (inputs % 4),
        rows * (length - inputs),
        rows * length,
        rows * outputs.div_ceil(DSP_CHANNELS),
        rows * fours,
        rows * fours * length,
    ]);
    work.extend(&dsp_outputs(weighted, |_| rows));
    work
}

/// Windows of which the one before lies within the input too, as does its neighbour, and others.
fn moved_windows(g: &DepthwiseGeometry) -> [usize; 2] {
    let window = &g.window;
    let inside = |axis: usize, out: usize| {
        window.taps(axis, out, g.input[axis]).len() == window.kernel[axis]
    };
    let rows = (0..g.output[0]).filter(|&out| inside(0, out)).count();
    // The column before begins within the input.
    let columns = (1..g.output[1]).filter(|&out| inside(1, out) && inside(1, out - 1)).count();
    [rows * columns, g.output[0] * g.output[1] - rows * columns]
}

pub(super) fn dsp_depthwise(g: &DepthwiseGeometry, weighted: &Weighted, bits: u8) -> Work {
    let [height, width] = g.output;
    let (pixels, channels) = (height * width, g.channels);
    let taps = g.window.kernel.iter().product::<usize>();
    let steps = if bits == 2 { taps.div_ceil(4) } else { taps.div_ceil(2) };
    let [moved, others] = moved_windows(g);
    // The last block may begin in the one before.
    let (mut blocks, mut quads, mut channel) = (0, 0, 0);
    let mut times = vec![0; channels];
    while channel < channels {
        channel = channel.min(channels.saturating_sub(4));
        let some = (channels - channel).min(DSP_CHANNELS) / 4;
        blocks += 1;
        quads += some;
        times.iter_mut().skip(channel).take(4 * some).for_each(|times| *times += pixels);
        channel += 4 * some.max(1);
    }
    let mut work = numbers(&[
        1,
        channels,
        height,
        pixels,
        moved,
        moved * taps,
        others,
        others * g.window.kernel[0],
        others * taps,
        pixels * blocks,
        pixels * quads,
        pixels * quads * steps,
    ]);
    work.extend(&dsp_outputs(weighted, |channel| times.get(channel).copied().unwrap_or(0)));
    work
}

/// Blocks of channels, fours of them within a block, and what is left of a block.
fn mve_blocks(channels: usize) -> [usize; 3] {
    let (full, rest) = (channels / MVE_CHANNELS, channels % MVE_CHANNELS);
    [full + usize::from(rest > 0), channels / 4, usize::from(rest % 4 > 0)]
}

pub(super) fn mve_convolution(g: &ConvGeometry, bits: u8) -> Work {
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    let pairs = pixels.div_ceil(2);
    let (depth, filters) = (g.inputs_per_group(), g.filters_per_group());
    let taps = g.weights_per_channel();
    let length = mve_filter_len(taps, bits);
    let units = length / (128 / usize::from(bits));
    let [rows, columns] = &reach.axes;
    let row_length = g.window.kernel[1] * depth;
    let fill = |bytes: usize| bytes.div_ceil(VECTOR);
    let mut gathered = vec![0; 14];
    if !(is_pointwise(g) && length == g.in_channels) {
        let simple = g.groups == 1 && g.window.dilation == [1; 2];
        let joined = g.groups == 1 && g.window.dilation[1] == 1;
        for y in &rows.taps {
            for x in &columns.taps {
                if simple && y.len() == rows.kernel && x.len() == columns.kernel {
                    gathered[0] += 1;
                    gathered[1] += rows.kernel;
                    gathered[2] += rows.kernel * (row_length / VECTOR);
                    gathered[3] += rows.kernel * usize::from(!row_length.is_multiple_of(VECTOR));
                    gathered[4] += fill(length - taps);
                    continue;
                }
                let (runs, run) = if joined { (1, x.len() * depth) } else { (x.len(), depth) };
                let below = (rows.kernel - y.end) * row_length + length - taps;
                gathered[5] += 1;
                gathered[6] += rows.kernel - y.len() + columns.kernel - x.len();
                gathered[7] += y.len();
                gathered[8] += y.len() * runs;
                gathered[9] += y.len() * runs * (run / VECTOR);
                gathered[10] += y.len() * runs * usize::from(run % VECTOR > 0);
                gathered[11] += fill(y.start * row_length)
                    + fill(below)
                    + y.len() * (fill(x.start * depth) + fill((columns.kernel - x.end) * depth));
            }
        }
        gathered[12] = height;
        gathered[13] = pixels;
    }
    let [blocks, fours, rest] = mve_blocks(filters);
    let (each, twos) = (g.groups * pairs, filters.div_ceil(2));
    let mut work = numbers(&[1, g.groups, each]);
    work.extend(&gathered.into_iter().map(|count| g.groups * count).collect::<Vec<_>>());
    work.extend(&[each * blocks, each * twos, each * twos * units, each * fours, each * rest]);
    work
}

pub(super) fn mve_fully_connected(rows: usize, [inputs, outputs]: [usize; 2], bits: u8) -> Work {
    let length = mve_filter_len(inputs, bits);
    let units = length / (128 / usize::from(bits));
    let copied = if length == inputs { 0 } else { rows };
    let [blocks, fours, rest] = mve_blocks(outputs);
    let quads = outputs.div_ceil(4);
    numbers(&[
        1,
        rows,
        copied,
        copied * (inputs / VECTOR),
        copied * usize::from(inputs % VECTOR > 0),
        copied * (length - inputs).div_ceil(VECTOR),
        rows * blocks,
        rows * quads,
        rows * quads * units,
        rows * fours,
        rows * rest,
    ])
}

pub(super) fn mve_depthwise(g: &DepthwiseGeometry, bits: u8) -> Work {
    let [height, width] = g.output;
    let (pixels, channels) = (height * width, g.channels);
    let taps = g.window.kernel.iter().product::<usize>();
    let decoded = match bits {
        8 => 0,
        bits => (taps * channels).div_ceil(128 / usize::from(bits)),
    };
    let [moved, others] = moved_windows(g);
    let (full, partial) = (channels / VECTOR, usize::from(channels % VECTOR > 0));
    let [blocks, fours, rest] = mve_blocks(channels);
    numbers(&[
        1,
        decoded,
        channels.div_ceil(VECTOR),
        height,
        pixels,
        moved,
        moved * taps.div_ceil(4),
        others,
        others * g.window.kernel[0],
        others * taps,
        pixels * blocks,
        pixels * full,
        pixels * full * (taps / 2),
        pixels * full * (taps % 2),
        pixels * partial,
        pixels * partial * (taps / 2),
        pixels * partial * (taps % 2),
        pixels * fours,
        pixels * rest,
    ])
}
