//! What a call of a kernel does, in numbers of which its instructions are a linear function.
//!
//! The numbers are those of an operation, not of a kernel: how often its loops run whatever the kernel is. How
//! many instructions each takes, a table says for every kernel.

use std::collections::HashMap;
use std::ops::AddAssign;

use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::stream::Step;

use crate::op::{IntOp, Weighted};
use crate::place::kernels::{chosen, dsp_filter_len, mve_filter_len, packed_bits};
use crate::place::{Placed, scalar, tiles};
use crate::program::{IntNode, TensorId};
use crate::target::Kernels;

/// Numbers that describe some work; sums describe all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work(pub Vec<f64>);

impl Work {
    fn extend(&mut self, values: &[usize]) {
        self.0.extend(values.iter().map(|&value| value as f64));
    }

    /// The instructions of this work, by those of each number.
    pub fn dot(&self, coefficients: &[f64]) -> f64 {
        self.0.iter().zip(coefficients).map(|(number, each)| number * each).sum()
    }
}

impl AddAssign<&Work> for Work {
    fn add_assign(&mut self, other: &Work) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0.0);
        }
        for (sum, number) in self.0.iter_mut().zip(&other.0) {
            *sum += number;
        }
    }
}

/// The work of every node of a program: of one call, or of as many as it has rows.
pub fn works(program: &Placed) -> Vec<Work> {
    let mut works: Vec<Work> = program.nodes.iter().map(|_| Work::default()).collect();
    let mut by_rows = vec![false; works.len()];
    for (stream, rows) in program.row_programs() {
        let mut known: HashMap<(usize, usize, usize), Work> = HashMap::new();
        for step in rows.run() {
            let node = stream.first + step.stage;
            by_rows[node] = true;
            let work = known
                .entry((step.stage, step.inputs[0].count, step.inputs[0].pad))
                .or_insert_with(|| of_call(program, &program.nodes[node], Some(&step)));
            works[node] += work;
        }
    }
    for ((node, work), by_rows) in program.nodes.iter().zip(&mut works).zip(by_rows) {
        if !by_rows {
            *work = of_call(program, node, None);
        }
    }
    works
}

/// The last node of every stream, and what the loop over its rows does.
pub fn streams(program: &Placed) -> Vec<(usize, Work)> {
    let each = program.row_programs().map(|(stream, rows)| {
        let row_bytes = |stage: usize| {
            let output = program.nodes[stream.first + stage].output;
            program.tensors[output.0].row_bytes()
        };
        let mut work = Work(vec![1.0, 0.0, 0.0, 0.0]);
        for step in rows.run() {
            work.0[1] += 1.0;
            if step.kept.slot > 0 {
                work.0[2] += 1.0;
                work.0[3] += (step.kept.count * row_bytes(step.stage)) as f64;
            }
        }
        (stream.last(), work)
    });
    each.collect()
}

/// The work of one call, of a single row if there is a step.
fn of_call(program: &Placed, node: &IntNode, step: Option<&Step>) -> Work {
    let rows = step.map(|step| step.inputs[0]);
    let elements = |id: TensorId| program.tensors[id.0].shape.iter().product::<usize>();
    let height = program.tensors[node.output.0].shape[0];
    let written = elements(node.output) / if step.is_some() { height.max(1) } else { 1 };
    match &node.op {
        IntOp::Conv2d { geometry, weighted } => {
            let geometry = rows.map_or(*geometry, |rows| geometry.row(rows));
            convolution(
                &geometry,
                &Filters::new(program, node, weighted, geometry.weights_per_channel()),
            )
        }
        IntOp::FullyConnected { rows, in_features, out_features, weighted } => {
            let geometry = ConvGeometry {
                input: [*rows, 1],
                output: [*rows, 1],
                in_channels: *in_features,
                out_channels: *out_features,
                groups: 1,
                window: Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] },
            };
            convolution(&geometry, &Filters::new(program, node, weighted, *in_features))
        }
        IntOp::DepthwiseConv2d { geometry, .. } => {
            let kernels = chosen(program, node, program.kernels());
            let turned = rows.is_none() && turns(geometry, kernels);
            let geometry = rows.map_or(*geometry, |rows| geometry.row(rows));
            depthwise(&geometry, turned, has_vectors(kernels))
        }
        IntOp::AveragePool { geometry, .. } | IntOp::MaxPool { geometry, .. } => {
            pool(&rows.map_or(*geometry, |rows| geometry.row(rows)))
        }
        IntOp::Softmax { rows, depth, .. } | IntOp::LogSoftmax { rows, depth, .. } => {
            numbers(&[1, *rows, rows * depth])
        }
        IntOp::Add { .. }
        | IntOp::Mul { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Requantize { .. }
        | IntOp::Pack
        | IntOp::Unpack => numbers(&[1, written, written % 4]),
        IntOp::TransposeConv2d { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::BatchMatMul { .. }
        | IntOp::Reduce { .. }
        | IntOp::Normalize { .. }
        | IntOp::TopK { .. }
        | IntOp::Rearrange { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Binary { .. } => {
            let read: usize = node.inputs.iter().map(|&id| elements(id)).sum();
            let [height, width, _] = program.tensors[node.output.0].shape;
            numbers(&[1, written, read, node.op.macs(), height, height * width])
        }
    }
}

fn numbers(values: &[usize]) -> Work {
    Work(values.iter().map(|&value| value as f64).collect())
}

/// Whether kernels have vectors of 16 bytes.
fn has_vectors(kernels: Kernels) -> bool {
    match kernels {
        Kernels::Mve | Kernels::Quads => true,
        Kernels::Portable | Kernels::Scalar | Kernels::Dsp | Kernels::Tiles => false,
    }
}

/// How a kernel holds the weights of a channel.
struct Filters {
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
    fn new(program: &Placed, node: &IntNode, weighted: &Weighted, taps: usize) -> Self {
        let kernels = chosen(program, node, program.kernels());
        let bits = packed_bits(&node.op, weighted, kernels);
        let offset = program.tensors[node.output.0].grid.zero_point != -128;
        let (taps, parts) = match kernels {
            Kernels::Portable => (taps, 1),
            Kernels::Scalar => {
                let unit = scalar::unit(weighted);
                let units = taps.div_ceil(unit);
                let chunk = match scalar::channels(program, node) {
                    Some(channels) if bits != 8 => scalar::chunk(weighted, &channels, taps),
                    _ => units,
                };
                (units * unit, units.div_ceil(chunk.max(1)))
            }
            Kernels::Dsp => (dsp_filter_len(taps, bits), 1),
            Kernels::Mve => (mve_filter_len(taps, bits), 1),
            Kernels::Tiles | Kernels::Quads => (taps.next_multiple_of(4), 1),
        };
        Self { taps, vectors: has_vectors(kernels), offset, parts }
    }
}

/// What windows read.
struct Reach {
    /// Pixels of the input, of all windows.
    pixels: usize,
    /// Rows of kernels with one or more of them.
    rows: usize,
    /// Windows that reach into the padding.
    edges: usize,
    /// Groups of four windows that follow each other in a row and lie within the input; kernels take their
    /// elements together.
    groups: usize,
    /// Other windows within the input.
    lone: usize,
}

impl Reach {
    fn new(window: &Window, input: [usize; 2], output: [usize; 2]) -> Self {
        let counts = |axis: usize| -> Vec<usize> {
            (0..output[axis]).map(|out| window.taps(axis, out, input[axis]).len()).collect()
        };
        let [rows, columns] = [counts(0), counts(1)];
        let is_whole = |pixel: usize| {
            rows[pixel / output[1]] == window.kernel[0]
                && columns[pixel % output[1]] == window.kernel[1]
        };
        let pixels = output[0] * output[1];
        let inside = (0..pixels).filter(|&pixel| is_whole(pixel)).count();
        let groups = (0..pixels / 4)
            .map(|group| 4 * group)
            .filter(|&first| first % output[1] + 3 < output[1] && (first..first + 4).all(is_whole));
        let groups = groups.count();
        Self {
            pixels: rows.iter().sum::<usize>() * columns.iter().sum::<usize>(),
            rows: rows.iter().sum::<usize>() * output[1],
            edges: pixels - inside,
            groups,
            lone: inside - 4 * groups,
        }
    }
}

/// Kernels make the outputs of four, two or one pixels at a time, and of two or four channels.
fn convolution(geometry: &ConvGeometry, filters: &Filters) -> Work {
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
fn depthwise(geometry: &DepthwiseGeometry, turned: bool, vectors: bool) -> Work {
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
fn turns(geometry: &DepthwiseGeometry, kernels: Kernels) -> bool {
    match kernels {
        Kernels::Tiles => tiles::turned(geometry),
        Kernels::Scalar => scalar::turned(geometry),
        Kernels::Portable | Kernels::Dsp | Kernels::Mve | Kernels::Quads => false,
    }
}

/// What a kernel's instructions are a linear function in: one of its ways through, named by the function
/// `function` and what decides which way it takes.
pub fn form(program: &Placed, node: &IntNode, by_rows: bool, function: &str) -> String {
    let bits = node.op.weighted().map_or(0, |weighted| weighted.weights.storage);
    match &node.op {
        IntOp::Conv2d { geometry: g, .. } => {
            let pointwise =
                g.window.kernel == [1; 2] && g.window.stride == [1; 2] && g.window.pad == [0; 2];
            let columns = g.window.kernel[1] * g.in_channels;
            let way = match (g.in_channels.is_multiple_of(4), pointwise) {
                (true, true) => "pointwise",
                (true, false) => "fours",
                (false, true) => "anypointwise",
                // One element of each of three rows is left over from words.
                (false, false) if columns % 4 == 1 && g.window.kernel[0] == 3 => "three",
                (false, false) => "any",
            };
            format!("{function}/{bits}{way}")
        }
        IntOp::DepthwiseConv2d { geometry: g, .. } => {
            let stride = g.window.stride[0];
            let turned = turns(g, chosen(program, node, program.kernels()));
            let [height, width] = match (by_rows, turned) {
                (true, _) => [1, g.output[1]],
                (false, true) => [g.output[1], g.output[0]],
                (false, false) => g.output,
            };
            let lines = (height - 1) * stride + 3;
            let most = PLANE_LINES[usize::from(stride > 1)];
            let small = height > 1 && width <= PLANE_WIDTH && lines <= most;
            let kernel = g.window.kernel[0] * g.window.kernel[1];
            let way = if small { "plane" } else { "lines" };
            format!("{function}/{bits}k{kernel}s{stride}{way}")
        }
        IntOp::FullyConnected { .. } => format!("{function}/{bits}"),
        _ => function.to_owned(),
    }
}

fn pool(geometry: &PoolGeometry) -> Work {
    let g = geometry;
    let reach = Reach::new(&g.window, g.input, g.output);
    let [height, width] = g.output;
    let pixels = height * width;
    numbers(&[
        1,
        height,
        pixels,
        pixels * g.channels,
        pixels * g.channels.div_ceil(16),
        reach.pixels,
        reach.pixels * g.channels,
        reach.pixels * g.channels.div_ceil(16),
        reach.rows,
        reach.edges,
    ])
}
