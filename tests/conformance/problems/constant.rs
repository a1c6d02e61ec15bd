//! Random programs with channels that are constant, or that nothing reads, between layers with weights:
//! what simplifying a program removes.

use burn_ptq_deploy::program::{
    BinaryFunction, Broadcast, IntOp, IntTensor, MoveAxis, TensorId, Weighted,
};
use burn_ptq_kernels::geometry::{
    ConvGeometry, DepthwiseGeometry, PoolGeometry, TransposeConvGeometry, Window,
};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::pack;
use burn_ptq_kernels::params::{AddParams, PreluParams, Reduction};

use super::Problem;
use super::draw::Draw;
use super::program::{
    Program, clamp, constant_of, random_table8, random_table16, tensor, tensor_like, window,
};
use super::weighted::weighted;

/// A bias beyond all that the weights of these layers add up to.
const FAR: i32 = 1 << 22;

/// A layer with weights, one to three operations of any kind, and another layer with weights.
pub(super) fn with_constants(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(20), draw.shape(6, 6));
    let mut program = Program::new(draw, wide, shape);
    let x = program.input();
    let mut current = convolution(&mut program, x, None)?;
    for _ in 0..1 + program.draw.below(3) {
        current = operation(&mut program, current)?;
    }
    let (op, inputs, output) = match program.draw.chance(40) {
        true => any_convolution(&mut program, current, None)?,
        false => fully_connected(&mut program, current)?,
    };
    program.finish(op, &inputs, output)
}

/// What a node computes, from what, to what.
type Made = (IntOp, Vec<TensorId>, IntTensor);

fn operation(program: &mut Program, from: TensorId) -> Option<TensorId> {
    let (op, inputs, output) = match program.draw.below(16) {
        0..=1 => depthwise(program, from)?,
        2 => any_convolution(program, from, None)?,
        3 => transposed(program, from)?,
        4 => pool(program, from),
        5 => table(program, from),
        6 => copy(program, from),
        7..=8 => with_another(program, from)?,
        9 => with_constant(program, from)?,
        10 => by_channel(program, from)?,
        11 => concat(program, from)?,
        12 => pad(program, from),
        13 => moved(program, from),
        14 => resized(program, from),
        _ => reduced(program, from)?,
    };
    Some(program.push(op, &inputs, output))
}

fn is_wide(program: &Program, id: TensorId) -> bool {
    program.tensor(id).bits == 16
}

/// Weights of which some output channels are constant, and some inputs are not read.
fn with_dead(
    program: &mut Program,
    shape: &[usize],
    axis: usize,
    from: TensorId,
    output: &mut IntTensor,
) -> Option<Weighted> {
    let grid = program.tensor(from).grid;
    let mut weighted = weighted(program.draw, shape, axis, grid, output)?;
    let mut values = weighted.weights.unpack();
    let channels = weighted.bias.len();
    let taps = values.len() / channels;
    let place = |channel: usize, tap: usize| match axis {
        0 => channel * taps + tap,
        _ => tap * channels + channel,
    };
    for channel in 0..channels {
        match program.draw.below(8) {
            0..=1 => weighted.bias[channel] = -FAR,
            2 => weighted.bias[channel] = FAR,
            3 => (0..taps).for_each(|tap| values[place(channel, tap)] = 0),
            _ => {}
        }
    }
    if axis == 0 {
        let depth = shape[shape.len() - 1];
        let unread: Vec<bool> = (0..depth).map(|_| program.draw.chance(20)).collect();
        let of_unread = values.iter_mut().enumerate().filter(|(i, _)| unread[i % depth]);
        of_unread.for_each(|(_, value)| *value = 0);
    }
    pack(&values, weighted.weights.storage, &mut weighted.weights.data);
    Some(weighted)
}

fn convolution(program: &mut Program, from: TensorId, channels: Option<usize>) -> Option<TensorId> {
    let (op, inputs, output) = any_convolution(program, from, channels)?;
    Some(program.push(op, &inputs, output))
}

/// Of any window, or of single pixels if the number of `channels` is given.
fn any_convolution(program: &mut Program, from: TensorId, channels: Option<usize>) -> Option<Made> {
    let [height, width, in_channels] = program.tensor(from).shape;
    let input = [height, width];
    let pointwise = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let (window, output) = match channels {
        None if program.draw.chance(60) => window(program.draw, input, true),
        _ => (pointwise, input),
    };
    let out_channels = channels.unwrap_or(1 + program.draw.below(12));
    let even = in_channels.is_multiple_of(2) && out_channels.is_multiple_of(2);
    let groups = if even && program.draw.chance(15) { 2 } else { 1 };
    let geometry = ConvGeometry { input, output, in_channels, out_channels, groups, window };
    let shape = [out_channels, window.kernel[0], window.kernel[1], in_channels / groups];
    let wide = is_wide(program, from);
    let mut made = tensor(program.draw, wide, [output[0], output[1], out_channels]);
    let weighted = with_dead(program, &shape, 0, from, &mut made)?;
    Some((IntOp::Conv2d { geometry, weighted }, vec![from], made))
}

fn depthwise(program: &mut Program, from: TensorId) -> Option<Made> {
    let [height, width, channels] = program.tensor(from).shape;
    let input = [height, width];
    let (window, output) = window(program.draw, input, true);
    let multiplier = if program.draw.chance(80) { 1 } else { 2 };
    let geometry = DepthwiseGeometry { input, output, channels, multiplier, window };
    let shape = [window.kernel[0], window.kernel[1], geometry.out_channels()];
    let wide = is_wide(program, from);
    let mut made = tensor(program.draw, wide, [output[0], output[1], geometry.out_channels()]);
    let weighted = with_dead(program, &shape, 2, from, &mut made)?;
    Some((IntOp::DepthwiseConv2d { geometry, weighted }, vec![from], made))
}

fn transposed(program: &mut Program, from: TensorId) -> Option<Made> {
    let [height, width, in_channels] = program.tensor(from).shape;
    let (kernel, stride) = (1 + program.draw.below(3), 1 + program.draw.below(2));
    let window = Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad: [0; 2] };
    let output = [height, width].map(|extent| (extent - 1) * stride + kernel);
    let (input, out_channels) = ([height, width], 1 + program.draw.below(9));
    let groups = 1;
    let geometry =
        TransposeConvGeometry { input, output, in_channels, out_channels, groups, window };
    let wide = is_wide(program, from);
    let mut made = tensor(program.draw, wide, [output[0], output[1], out_channels]);
    let shape = [out_channels, kernel, kernel, in_channels];
    let weighted = with_dead(program, &shape, 0, from, &mut made)?;
    Some((IntOp::TransposeConv2d { geometry, weighted }, vec![from], made))
}

/// Of the pixels, or of all elements together as behind a flatten.
fn fully_connected(program: &mut Program, from: TensorId) -> Option<Made> {
    let [height, width, channels] = program.tensor(from).shape;
    let rows = if program.draw.chance(40) { height * width } else { 1 };
    let in_features = height * width * channels / rows;
    let out_features = 1 + program.draw.below(9);
    let wide = is_wide(program, from);
    let mut made = tensor(program.draw, wide, [1, rows, out_features]);
    let weighted = with_dead(program, &[out_features, in_features], 0, from, &mut made)?;
    Some((IntOp::FullyConnected { rows, in_features, out_features, weighted }, vec![from], made))
}

fn pool(program: &mut Program, from: TensorId) -> Made {
    let [height, width, channels] = program.tensor(from).shape;
    let (window, output) = window(program.draw, [height, width], true);
    let geometry = PoolGeometry { input: [height, width], output, channels, window };
    let made = tensor_like(program.tensor(from), [output[0], output[1], channels]);
    let clamp = clamp(program.draw, made.grid);
    let op = match program.draw.chance(50) {
        true => IntOp::AveragePool { geometry, clamp },
        false => IntOp::MaxPool { geometry, clamp },
    };
    (op, vec![from], made)
}

fn table(program: &mut Program, from: TensorId) -> Made {
    let (wide, shape) = (is_wide(program, from), program.tensor(from).shape);
    let made = tensor(program.draw, wide, shape);
    let op = match wide {
        true => IntOp::Table16 { table: random_table16(program.draw) },
        false => IntOp::Table8 { table: random_table8(program.draw, made.grid) },
    };
    (op, vec![from], made)
}

/// Of all that can be, or but of the upper or the lower values.
fn copy(program: &mut Program, from: TensorId) -> Made {
    let made = program.tensor(from).clone();
    let [height, width, channels] = made.shape;
    let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let plane = [height, width];
    let geometry = PoolGeometry { input: plane, output: plane, channels, window };
    let bounds = clamp(program.draw, made.grid);
    let op = match made.bits == 16 || program.draw.chance(50) {
        true => IntOp::MaxPool { geometry, clamp: bounds },
        false => IntOp::Table8 { table: (-128..128).map(|x| bounds.apply(x) as i8).collect() },
    };
    (op, vec![from], made)
}

/// The sum, product or another function of two layers.
fn with_another(program: &mut Program, from: TensorId) -> Option<Made> {
    let channels = program.tensor(from).shape[2];
    let other = if program.draw.chance(50) { program.scrambled(from) } else { from };
    let other = convolution(program, other, Some(channels))?;
    let inputs = if program.draw.chance(50) { [from, other] } else { [other, from] };
    of_two(program, inputs, Broadcast::None)
}

fn with_constant(program: &mut Program, from: TensorId) -> Option<Made> {
    let a = program.tensor(from).shape;
    let b = a.map(|extent| if program.draw.chance(50) { 1 } else { extent });
    let wide = is_wide(program, from);
    let tensor = tensor(program.draw, wide, b);
    let data = constant_of(program.draw, &tensor);
    let constant = program.push(IntOp::Constant { data }, &[], tensor);
    match program.draw.chance(50) {
        true => of_two(program, [from, constant], Broadcast::Shapes { a, b }),
        false => of_two(program, [constant, from], Broadcast::Shapes { a: b, b: a }),
    }
}

/// With the largest element of each channel, or of all.
fn by_channel(program: &mut Program, from: TensorId) -> Option<Made> {
    let [height, width, channels] = program.tensor(from).shape;
    match program.draw.chance(60) {
        true => {
            let pooled = program.max_pool(from, [height, width], channels);
            let pooled = program.scrambled(pooled);
            of_two(program, [from, pooled], Broadcast::Channels)
        }
        false => {
            let pooled = program.max_pool(from, [height * width * channels, 1], 1);
            let pooled = program.scrambled(pooled);
            of_two(program, [from, pooled], Broadcast::Scalar)
        }
    }
}

fn of_two(program: &mut Program, inputs: [TensorId; 2], broadcast: Broadcast) -> Option<Made> {
    let [a, b] = inputs.map(|id| program.tensor(id).clone());
    let shape = [0, 1, 2].map(|axis| a.shape[axis].max(b.shape[axis]));
    let mut made = tensor(program.draw, a.bits == 16, shape);
    made.grid.scale = a.grid.scale.max(b.grid.scale) * program.draw.scale(0.5, 3.0);
    let [scale_a, scale_b, scale] = [a.grid.scale, b.grid.scale, made.grid.scale];
    let params = AddParams::new(scale_a, scale_b, scale, a.bits == 16)?;
    let clamp = clamp(program.draw, made.grid);
    let op = match program.draw.below(8) {
        0..=2 => IntOp::Add { params, broadcast, clamp },
        3 => IntOp::Binary { function: BinaryFunction::Sub(params), broadcast, clamp },
        4 => {
            let multiplier = Multiplier::from_real(f64::from(program.draw.scale(0.001, 0.1)))?;
            IntOp::Mul { multiplier, broadcast, clamp }
        }
        5 => {
            let function = BinaryFunction::Prelu(PreluParams::new(scale_a, scale_b, scale)?);
            IntOp::Binary { function, broadcast, clamp }
        }
        6 => {
            let real = f64::from(program.draw.scale(1.0, 40.0));
            let function = BinaryFunction::Div(Multiplier::from_real(real)?);
            IntOp::Binary { function, broadcast, clamp }
        }
        _ => {
            let multiplier = Multiplier::from_real(0.01)?;
            IntOp::Mul { multiplier, broadcast, clamp }
        }
    };
    Some((op, inputs.to_vec(), made))
}

/// Along the channels, or along the rows.
fn concat(program: &mut Program, from: TensorId) -> Option<Made> {
    let [height, width, channels] = program.tensor(from).shape;
    let grid = program.tensor(from).clone();
    let others = if program.draw.chance(50) { 1 + program.draw.below(8) } else { channels };
    let other = convolution(program, from, Some(others))?;
    // On the grid of the first.
    let mut same = grid.clone();
    same.shape = program.tensor(other).shape;
    let table = match same.bits {
        16 => IntOp::Table16 { table: random_table16(program.draw) },
        _ => IntOp::Table8 { table: random_table8(program.draw, same.grid) },
    };
    let other = program.push(table, &[other], same);
    let along_channels = others != channels || program.draw.chance(50);
    let (outer, steps, shape) = match along_channels {
        true => (height * width, 1, [height, width, channels + others]),
        false => (1, height * width, [2 * height, width, channels]),
    };
    let chunks = vec![channels * steps, others * steps];
    Some((IntOp::Concat { outer, chunks }, vec![from, other], tensor_like(&grid, shape)))
}

fn pad(program: &mut Program, from: TensorId) -> Made {
    let input = program.tensor(from).shape;
    let [before, after] = [(); 2].map(|()| [(); 3].map(|()| program.draw.below(3)));
    let shape = [0, 1, 2].map(|axis| before[axis] + input[axis] + after[axis]);
    let made = tensor_like(program.tensor(from), shape);
    let value = match program.draw.chance(60) {
        true => made.grid.zero_point,
        false => program.draw.within(made.grid.min, made.grid.max),
    };
    (IntOp::Pad { input, before, after, value }, vec![from], made)
}

/// Transposed, or some neighbouring channels of every other column from behind.
fn moved(program: &mut Program, from: TensorId) -> Made {
    let input = program.tensor(from).shape;
    let [height, width, channels] = input;
    if program.draw.chance(40) {
        let axes = program.draw.pick(&[[1, 0, 2], [0, 1, 2], [2, 0, 1]]);
        let made = tensor_like(program.tensor(from), axes.map(|axis| input[axis]));
        return (IntOp::Transpose { input, axes }, vec![from], made);
    }
    let start = program.draw.below(channels);
    let count = 1 + program.draw.below(channels - start);
    let (start, count) = if program.draw.chance(30) { (0, channels) } else { (start, count) };
    let columns = width.div_ceil(2);
    let rows = (0..height).map(|row| (row * width * channels) as u32).collect();
    let axes = vec![
        MoveAxis::Listed(rows),
        MoveAxis::Even { count: columns, step: -2 * channels as isize },
        MoveAxis::Even { count, step: 1 },
    ];
    let first = 2 * (columns - 1) * channels + start;
    let made = tensor_like(program.tensor(from), [height, columns, count]);
    (IntOp::Rearrange { first, axes }, vec![from], made)
}

fn resized(program: &mut Program, from: TensorId) -> Made {
    let input = program.tensor(from).shape;
    let [rows, columns] = [0, 1].map(|axis| {
        let position = |draw: &mut Draw| draw.below((input[axis] - 1) * 1024 + 1) as u32;
        (0..1 + program.draw.below(6)).map(|_| position(program.draw)).collect::<Vec<u32>>()
    });
    let made = tensor_like(program.tensor(from), [rows.len(), columns.len(), input[2]]);
    (IntOp::ResizeLinear { input, rows, columns }, vec![from], made)
}

/// Over the rows.
fn reduced(program: &mut Program, from: TensorId) -> Option<Made> {
    let [height, width, channels] = program.tensor(from).shape;
    let reductions = [Reduction::Max, Reduction::Min, Reduction::Sum, Reduction::SumOfSquares];
    let reduction = program.draw.pick(&reductions);
    let wide = is_wide(program, from);
    let mut made = match reduction {
        Reduction::Max | Reduction::Min => tensor_like(program.tensor(from), [1, 1, 1]),
        _ => tensor(program.draw, wide, [1, 1, 1]),
    };
    made.shape = [1, width, channels];
    let real = match reduction {
        Reduction::Max | Reduction::Min => 1.0,
        Reduction::SumOfSquares => 0.001,
        _ => 1.0 / height as f64,
    };
    let multiplier = Multiplier::from_real(real)?;
    let clamp = clamp(program.draw, made.grid);
    let inner = width * channels;
    let op = IntOp::Reduce { reduction, outer: 1, reduced: height, inner, multiplier, clamp };
    Some((op, vec![from], made))
}
