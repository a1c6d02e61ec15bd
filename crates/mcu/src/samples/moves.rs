//! Layers that move elements.

use burn_ptq_deploy::program::{DType, IntOp, MoveAxis};
use burn_ptq_kernels::grid::Grid;

use super::{Ends, Kind, Maker, Variant, channels};
use crate::layers::Random;

/// The layer of a variant.
pub(super) fn layer(variant: Variant, random: &mut Random, ends: Ends) -> Option<Maker> {
    let Variant { kind, dtype, .. } = variant;
    let shape = ends.shape;
    let [height, width, channels] = shape;
    let mut maker = Maker::default();
    match kind {
        Kind::Pad => {
            let x = maker.input(dtype, shape, -128);
            let [before, after] = [(); 2].map(|()| [(); 2].map(|()| random.within(0, 2) as usize));
            let padded = [0, 1].map(|axis| before[axis] + shape[axis] + after[axis]);
            let deeper = if random.chance(20) { 2 } else { 0 };
            let y = maker.tensor_of(dtype, [padded[0], padded[1], channels + deeper], -128);
            let before = [before[0], before[1], 0];
            let after = [after[0], after[1], deeper];
            let value = maker.tensors[y.0].grid.zero_point;
            maker.node(IntOp::Pad { input: shape, before, after, value }, &[x], y);
        }
        Kind::Concat => {
            let x = maker.input(dtype, shape, -128);
            let other = self::channels(random);
            let b = maker.input(dtype, [height, width, other], -128);
            let y = maker.tensor_of(dtype, [height, width, channels + other], -128);
            let op = IntOp::Concat { outer: height * width, chunks: vec![channels, other] };
            maker.node(op, &[x, b], y);
        }
        Kind::Pack | Kind::Unpack => {
            let x = maker.input(dtype, shape, -8);
            let packed = maker.tensor(shape, -8);
            let y = maker.tensor(shape, -8);
            for id in [x, packed, y] {
                let tensor = &mut maker.tensors[id.0];
                tensor.bits = 4;
                tensor.grid = Grid { zero_point: -8, min: -8, max: 7, ..tensor.grid };
            }
            maker.tensors[packed.0].dtype = DType::I4;
            maker.node(IntOp::Pack, &[x], packed);
            maker.node(IntOp::Unpack, &[packed], y);
        }
        Kind::Transpose => {
            let x = maker.input(dtype, shape, -128);
            let orders = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
            let axes = random.pick(&orders);
            let y = maker.tensor_of(dtype, axes.map(|axis| shape[axis]), -128);
            maker.node(IntOp::Transpose { input: shape, axes }, &[x], y);
        }
        Kind::Rearrange => {
            let x = maker.input(dtype, shape, -128);
            let walk = walk(random, shape)?;
            let y = maker.tensor_of(dtype, walk.output, -128);
            maker.node(IntOp::Rearrange { first: walk.first, axes: walk.axes }, &[x], y);
        }
        Kind::Lookup => {
            let length = random.within(1, 40) as usize;
            let (rows, row) = (random.within(2, 60) as usize, self::channels(random));
            let x = maker.input(dtype, [1, 1, length], 0);
            maker.tensors[x.0].grid.scale = 1.0;
            let mut values = || random.within(-128, 127);
            let op = match rows % 3 {
                0 => IntOp::Lookup16 {
                    width: row,
                    table: (0..rows * row).map(|_| values() as i16).collect(),
                },
                _ => IntOp::Lookup8 {
                    width: row,
                    table: (0..rows * row).map(|_| values() as i8).collect(),
                },
            };
            let written = if rows.is_multiple_of(3) { DType::I16 } else { DType::I8 };
            let y = maker.tensor_of(written, [1, length, row], 0);
            maker.node(op, &[x], y);
        }
        _ => {
            maker.input(DType::I8, [1, 1, 4], 0);
            let y = maker.tensor_of(dtype, [height.min(6), width.min(8), channels], 0);
            let bytes = maker.tensors[y.0].bytes();
            let data = (0..bytes).map(|_| random.within(0, 255) as u8).collect();
            maker.node(IntOp::Constant { data }, &[], y);
        }
    }
    Some(maker)
}

/// A walk over an input, and the output's shape.
struct Walk {
    output: [usize; 3],
    first: usize,
    axes: Vec<MoveAxis>,
}

fn even(count: usize, step: usize) -> MoveAxis {
    MoveAxis::Even { count, step: step as isize }
}

/// Walks that operators such as Slice, Resize, DepthToSpace and permutations become.
fn walk(random: &mut Random, [height, width, channels]: [usize; 3]) -> Option<Walk> {
    let row = width * channels;
    Some(match random.within(0, 6) {
        // Some of the rows and columns.
        0 => {
            let [y, x] = [height, width].map(|extent| random.within(0, extent as i32 - 1) as usize);
            let axes = vec![even(height - y, row), even((width - x) * channels, 1)];
            let output = [height - y, width - x, channels];
            Walk { output, first: y * row + x * channels, axes }
        }
        // Columns become rows.
        1 => Walk {
            output: [width, height, channels],
            first: 0,
            axes: vec![even(width, channels), even(height, row), even(channels, 1)],
        },
        // Channels become the outermost or the middle axis.
        2 => Walk {
            output: [channels, height, width],
            first: 0,
            axes: vec![even(channels, 1), even(height * width, channels)],
        },
        // The nearest pixels of a larger plane.
        3 => {
            let listed = |extent: usize, step: usize| {
                MoveAxis::Listed((0..2 * extent).map(|i| (i / 2 * step) as u32).collect())
            };
            let axes = vec![listed(height, row), listed(width, channels), even(channels, 1)];
            Walk { output: [2 * height, 2 * width, channels], first: 0, axes }
        }
        // Channels by a list.
        4 => {
            let picked = (0..channels).map(|_| random.within(0, channels as i32 - 1) as u32);
            let axes = vec![even(height * width, channels), MoveAxis::Listed(picked.collect())];
            Walk { output: [height, width, channels], first: 0, axes }
        }
        // Blocks of pixels from channels.
        5 => {
            let block = 2;
            let depth = channels / (block * block);
            (depth > 0).then_some(())?;
            let axes = vec![
                even(height, row),
                even(block, block * depth),
                even(width, channels),
                even(block * depth, 1),
            ];
            Walk { output: [height * block, width * block, depth], first: 0, axes }
        }
        // Groups of channels shuffled.
        _ => {
            let groups = if channels.is_multiple_of(4) { 4 } else { 1 };
            let own = channels / groups;
            let axes = vec![even(height * width, channels), even(own, 1), even(groups, own)];
            Walk { output: [height, width, channels], first: 0, axes }
        }
    })
}
