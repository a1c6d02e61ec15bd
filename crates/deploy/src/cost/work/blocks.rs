//! Work of the kernels that make outputs in blocks of pixels and channels: for cores without SIMD
//! instructions, in tiles, and four channels at a time with vectors.

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry};

use super::counts::{Work, numbers};
use super::taps::Reach;
use crate::op::Weighted;
use crate::place::kernels::packed_bits;
use crate::place::{Placed, scalar, tiles};
use crate::program::IntNode;
use crate::target::Kernels;

/// How a kernel holds the weights of a channel.
pub(super) struct Filters {
    /// Weights, with those that it pads with.
    taps: usize,
    /// The kernel takes 16 elements at a time.
    vectors: bool,
    /// Outputs do not begin at -128: some kernels make others in fewer instructions.
    offset: bool,
    /// After how many parts of a channel's weights the kernel empties the words that two sums share.
    parts: usize,
}

impl Filters {
    pub(super) fn new(
        program: &Placed,
        node: &IntNode,
        kernels: Kernels,
        weighted: &Weighted,
        taps: usize,
    ) -> Self {
        let bits = packed_bits(&node.op, weighted, kernels);
        let offset = program.tensors[node.output.0].grid.zero_point != -128;
        let (taps, parts) = match kernels {
            Kernels::Scalar => {
                let unit = scalar::unit(weighted);
                let units = taps.div_ceil(unit);
                let chunk = match scalar::channels(program, node) {
                    Some(channels) if bits != 8 => scalar::chunk(weighted, &channels, taps),
                    _ => units,
                };
                (units * unit, units.div_ceil(chunk.max(1)))
            }
            Kernels::Tiles | Kernels::Quads => (taps.next_multiple_of(4), 1),
            // They count otherwise.
            Kernels::Portable | Kernels::Dsp | Kernels::Mve => (taps, 1),
        };
        Self { taps, vectors: kernels == Kernels::Quads, offset, parts }
    }
}

/// Kernels make the outputs of four, two or one pixels at a time, and of two or four channels.
pub(super) fn convolution(geometry: &ConvGeometry, filters: &Filters) -> Work {
    let g = geometry;
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    let (fours, twos, ones) = (pixels / 4, pixels % 4 / 2, pixels % 2);
    let channels = g.out_channels;
    let taps = g.weights_per_channel();
    let [kernel_rows, kernel_columns] = g.window.kernel;
    let (odd, rest) = (channels % 2, channels % 4);
    let mut work = numbers(&[
        1,
        height,
        pixels,
        pixels * taps,
        fours * filters.taps,
        reach.rows,
        reach.pixels * g.in_channels,
        reach.groups,
        reach.groups * kernel_rows,
        reach.groups * taps,
        reach.lone,
        reach.lone * kernel_rows,
        reach.lone * taps,
        reach.edges,
        reach.edges * kernel_rows * kernel_columns,
        reach.edges * taps,
        fours * channels,
        fours * channels * filters.taps,
        fours * channels * filters.parts,
        twos * channels,
        twos * channels * filters.taps,
        twos * channels * filters.parts,
        ones * channels,
        ones * channels * filters.taps,
        pixels * odd,
        pixels * odd * filters.taps,
        pixels * rest,
        pixels * rest * filters.taps,
        pixels * g.groups,
        reach.pixels * g.inputs_per_group() * channels,
        reach.rows * channels,
        channels,
        pixels * channels * usize::from(filters.offset),
    ]);
    if filters.vectors {
        // Pairs of pixels, blocks of four channels, vectors of elements.
        let (pairs, blocks) = (pixels.div_ceil(2), channels.div_ceil(4));
        let vectors = filters.taps.div_ceil(16);
        let row_vectors = (kernel_columns * g.in_channels).div_ceil(16);
        work.extend(&[
            pairs,
            pairs * vectors,
            pairs * blocks,
            pairs * blocks * vectors,
            pairs * channels * vectors,
            pixels * vectors,
            pixels * blocks,
            pixels * blocks * vectors,
            pixels * channels,
            pixels * channels * vectors,
            pixels * kernel_rows * row_vectors,
            pixels % 2,
            pixels % 2 * blocks,
            pixels % 2 * blocks * vectors,
        ]);
    }
    work
}

/// Lines of the tiles of a depthwise convolution that are so narrow, and so few, are made at once:
/// `BPTQ_TILE_PLANE_WIDTH` and what `BPTQ_TILE_PLANE_1` and `_2` hold.
const PLANE_WIDTH: usize = 16;
const PLANE_LINES: [usize; 2] = [14, 18];

/// Kernels work on blocks of four channels, along the longer side of a plane, on four outputs at a time.
pub(super) fn depthwise(geometry: &DepthwiseGeometry, turned: bool, vectors: bool) -> Work {
    let g = geometry;
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    let taps = g.window.kernel.iter().product::<usize>();
    let channels = g.out_channels();
    let blocks = channels.div_ceil(4);
    let (across, along) =
        if turned { ([1, 0], [width, height]) } else { ([0, 1], [height, width]) };
    let [count, length] = along;
    let lines = (count - 1) * g.window.stride[0] + g.window.kernel[across[0]];
    let inside = lines.min(g.input[across[0]]);
    let is = |tail: usize| usize::from(length % 4 == tail);
    let mut work = numbers(&[
        1,
        height,
        pixels,
        blocks,
        blocks * count,
        blocks * count * (length / 4),
        blocks * count * is(1),
        blocks * count * is(2),
        blocks * count * is(3),
        blocks * lines,
        blocks * lines * length.div_ceil(2),
        blocks * inside,
        blocks * inside * g.input[across[1]],
        blocks * pixels,
        channels,
        channels * pixels,
        channels * pixels * taps,
        channels * reach.pixels,
        channels * reach.rows,
        channels * reach.edges,
        pixels * (channels % 4),
        reach.rows,
        reach.pixels,
        reach.edges,
    ]);
    if vectors {
        // Vectors of channels, pairs of pixels.
        let (wide, pairs) = (channels.div_ceil(16), height * width.div_ceil(2));
        work.extend(&[
            wide,
            wide * height,
            wide * pixels,
            wide * pixels * taps,
            wide * pairs,
            wide * pairs * taps,
            wide * reach.pixels,
            wide * reach.rows,
            wide * reach.edges,
            blocks * pairs,
            blocks * pixels * taps,
            blocks * reach.pixels,
            pairs,
            pixels * taps,
        ]);
    }
    work
}

/// Whether kernels take columns for rows.
pub(super) fn turns(geometry: &DepthwiseGeometry, kernels: Kernels) -> bool {
    match kernels {
        Kernels::Tiles => tiles::turned(geometry),
        Kernels::Scalar => scalar::turned(geometry),
        Kernels::Portable | Kernels::Dsp | Kernels::Mve | Kernels::Quads => false,
    }
}

/// The way through a depthwise kernel: of the whole plane at once, or line by line.
pub(super) fn depthwise_way(
    geometry: &DepthwiseGeometry,
    by_rows: bool,
    kernels: Kernels,
) -> String {
    let g = geometry;
    let stride = g.window.stride[0];
    let turned = turns(g, kernels);
    let [height, width] = match (by_rows, turned) {
        (true, _) => [1, g.output[1]],
        (false, true) => [g.output[1], g.output[0]],
        (false, false) => g.output,
    };
    let lines = (height - 1) * stride + 3;
    let most = PLANE_LINES[usize::from(stride > 1)];
    let small = height > 1 && width <= PLANE_WIDTH && lines <= most;
    let kernel = g.window.kernel[0] * g.window.kernel[1];
    // Those that take longer strides take them as they take 2.
    format!("k{kernel}s{}{}", stride.min(2), if small { "plane" } else { "lines" })
}

/// The way through a convolution.
pub(super) fn convolution_way(geometry: &ConvGeometry) -> &'static str {
    let g = geometry;
    let pointwise =
        g.window.kernel == [1; 2] && g.window.stride == [1; 2] && g.window.pad == [0; 2];
    let columns = g.window.kernel[1] * g.in_channels;
    match (g.in_channels.is_multiple_of(4), pointwise) {
        (true, true) => "pointwise",
        (true, false) => "fours",
        (false, true) => "anypointwise",
        // One element of each of three rows is left over from words.
        (false, false) if columns % 4 == 1 && g.window.kernel[0] == 3 => "three",
        (false, false) => "any",
    }
}
