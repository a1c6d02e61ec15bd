//! Layers that compute new elements without weights.

use burn_ptq_deploy::program::{
    BinaryFunction, Broadcast, DType, IntOp, NormalizeAffine, TensorId,
};
use burn_ptq_kernels::geometry::{MatMulGeometry, NormalizeGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{
    AddParams, Clamp, GateFunction, GateParams, NormalizeParams, PreluParams, Reduction, Selection,
};
use burn_ptq_kernels::reference::{
    Alignment, log_softmax_exponentials, resize_position, softmax_params,
};

use super::{Ends, FULL, Kind, Maker, Twist, Variant, WIDE, extents, window};
use crate::layers::Random;

/// Steps of a grid of 16 bits for one of 8.
const STEPS: f32 = 250.0;

/// The layer of a variant.
pub(super) fn layer(variant: Variant, random: &mut Random, ends: Ends) -> Option<Maker> {
    let Variant { kind, dtype, twist, .. } = variant;
    let mut maker = Maker::default();
    match kind {
        Kind::AveragePool | Kind::MaxPool => pool(&mut maker, random, variant, ends)?,
        Kind::Softmax | Kind::LogSoftmax => softmax(&mut maker, random, kind)?,
        Kind::Table => {
            let x = maker.input(dtype, ends.shape, -128);
            let y = maker.tensor_of(dtype, ends.shape, -128);
            let op = match dtype {
                DType::I16 => IntOp::Table16 {
                    table: (0..513).map(|_| random.within(-32768, 32767) as i16).collect(),
                },
                DType::I8 | DType::I4 => IntOp::Table8 {
                    table: (0..256).map(|_| random.within(-128, 127) as i8).collect(),
                },
            };
            maker.node(op, &[x], y);
        }
        Kind::Gate => {
            let x = maker.input(DType::I16, ends.shape, 0);
            let y = maker.tensor_of(DType::I16, ends.shape, 0);
            // Most inputs lie where the function is not flat.
            maker.tensors[x.0].grid.scale = GateParams::INPUT_SCALE;
            maker.tensors[y.0].grid.scale = GateParams::OUTPUT_SCALE;
            let function = random.pick(&[GateFunction::Sigmoid, GateFunction::Tanh]);
            let [from, to] = [x, y].map(|id: TensorId| maker.tensors[id.0].grid);
            maker.node(IntOp::Gate { params: GateParams::new(function, from, to)? }, &[x], y);
        }
        Kind::NarrowProduct => {
            let [a, b] = [(); 2].map(|()| maker.input(DType::I16, ends.shape, 0));
            let y = maker.tensor_of(DType::I8, ends.shape, ends.zero_point);
            let multiplier = Multiplier::from_real(1.0 / f64::from(1 << 23))?;
            let op = IntOp::Mul { multiplier, broadcast: Broadcast::None, clamp: FULL };
            maker.node(op, &[a, b], y);
        }
        Kind::Requantize => {
            let x = maker.input(dtype, ends.shape, -128);
            let to = match (dtype, twist) {
                (DType::I16, Twist::Plain) | (DType::I8 | DType::I4, Twist::Unusual) => DType::I16,
                _ => DType::I8,
            };
            let y = maker.tensor_of(to, ends.shape, ends.zero_point);
            let factor = 0.3 + f64::from(random.within(0, 100)) / 100.0;
            let steps = f64::from(STEPS);
            let factor = match (dtype, to) {
                (DType::I8, DType::I16) => factor * steps,
                (DType::I16, DType::I8) => factor / steps,
                _ => factor,
            };
            let multiplier = Multiplier::from_real(factor)?;
            let clamp = match (dtype, to) {
                (_, DType::I16) => WIDE,
                (DType::I16, _) => FULL,
                _ => ends.clamp,
            };
            maker.node(IntOp::Requantize { multiplier, clamp }, &[x], y);
        }
        Kind::BatchMatMul => matmul(&mut maker, random, dtype, ends)?,
        Kind::Reduce => reduce(&mut maker, random, dtype)?,
        Kind::Normalize => normalize(&mut maker, random, dtype)?,
        Kind::TopK => top_k(&mut maker, random, dtype),
        Kind::Resize => {
            let input = [ends.shape[0].min(12), ends.shape[1].min(12), ends.shape[2]];
            let x = maker.input(dtype, input, -128);
            let factor = random.pick(&[1, 2, 2, 3]);
            let [rows, columns] = [0, 1].map(|axis| {
                let (from, to) = (input[axis], input[axis] * factor + usize::from(factor == 1));
                let position = |index| resize_position(Alignment::HalfPixel, index, from, to);
                (0..to).map(position).collect::<Vec<u32>>()
            });
            let y = maker.tensor_of(dtype, [rows.len(), columns.len(), input[2]], -128);
            maker.node(IntOp::ResizeLinear { input, rows, columns }, &[x], y);
        }
        _ => pair(&mut maker, random, variant, ends)?,
    }
    Some(maker)
}

fn pool(maker: &mut Maker, random: &mut Random, variant: Variant, ends: Ends) -> Option<()> {
    let Variant { kind, dtype, twist, .. } = variant;
    let [height, width, channels] = ends.shape;
    let mut plane = [height, width];
    let whole = random.chance(30);
    let of_plane = |plane| Window { kernel: plane, stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let mut channels = channels;
    let window = match (twist, whole) {
        // More elements than kernels sum in a vector.
        (Twist::Large, _) => {
            plane = [64 + height, 65 + width];
            channels = channels.min(4);
            of_plane([64 + height.min(2), 65 + width.min(2)])
        }
        (_, true) => of_plane(plane),
        (_, false) => window(random, &[2, 3]),
    };
    let x = maker.input(dtype, [plane[0], plane[1], channels], -128);
    let output = extents(plane, &window)?;
    let geometry = PoolGeometry { input: plane, output, channels, window };
    let y = maker.tensor_of(dtype, [output[0], output[1], channels], -128);
    let clamp = if dtype == DType::I16 { WIDE } else { FULL };
    let op = match kind {
        Kind::AveragePool => IntOp::AveragePool { geometry, clamp },
        _ => IntOp::MaxPool { geometry, clamp },
    };
    maker.node(op, &[x], y);
    Some(())
}

fn softmax(maker: &mut Maker, random: &mut Random, kind: Kind) -> Option<()> {
    let (rows, depth) = (random.pick(&[1, 1, 1, 4, 9]), random.within(2, 40) as usize);
    let x = maker.input(DType::I8, [1, rows, depth], -128);
    let y = maker.tensor([1, rows, depth], -128);
    let scale = maker.tensors[x.0].grid.scale;
    let grid = &mut maker.tensors[y.0].grid;
    let op = if kind == Kind::Softmax {
        grid.scale = 1.0 / 256.0;
        let (input_multiplier, diff_min) = softmax_params(scale)?;
        IntOp::Softmax { rows, depth, input_multiplier, diff_min }
    } else {
        *grid = Grid { scale: 16.0 / 256.0, zero_point: 127, ..*grid };
        let input_multiplier = Multiplier::from_real(f64::from(scale) / f64::from(grid.scale))?;
        let exponentials = log_softmax_exponentials(scale).to_vec();
        IntOp::LogSoftmax { rows, depth, exponentials, input_multiplier }
    };
    maker.node(op, &[x], y);
    Some(())
}

/// Two inputs, of which the second repeats in unusual layers.
fn pair(maker: &mut Maker, random: &mut Random, variant: Variant, ends: Ends) -> Option<()> {
    let Variant { kind, dtype, twist, .. } = variant;
    let wide = dtype == DType::I16;
    let shape = ends.shape;
    let repeated = shape.map(|extent| if random.chance(40) { 1 } else { extent });
    let (broadcast, b_shape) = match (twist, random.within(0, 2)) {
        (Twist::Plain | Twist::Large, _) => (Broadcast::None, shape),
        (Twist::Unusual, 0) => (Broadcast::Channels, [1, 1, shape[2]]),
        (Twist::Unusual, 1) => (Broadcast::Scalar, [1, 1, 1]),
        (Twist::Unusual, _) => (Broadcast::Shapes { a: shape, b: repeated }, repeated),
    };
    let x = maker.input(dtype, shape, -128);
    let b = maker.input(dtype, b_shape, -128);
    let one_grid = matches!(kind, Kind::Minimum | Kind::Maximum);
    let zero_point = if one_grid { -128 } else { ends.zero_point };
    let y = maker.tensor_of(dtype, shape, zero_point);
    let a = maker.tensors[x.0].grid.scale;
    if !one_grid {
        maker.tensors[b.0].grid.scale = a * (0.4 + f32::from(random.within(0, 50) as u8) / 100.0);
        maker.tensors[y.0].grid.scale = a * (1.2 + random.within(0, 40) as f32 / 50.0);
    }
    let mut bounds = ends.clamp;
    if wide && twist == Twist::Plain && matches!(kind, Kind::Add | Kind::Sub) {
        // Kernels for sums of 16 bits ask for their scales, and for no bounds.
        match random.within(0, 3) {
            0 => bounds = Clamp { min: -30000, max: 30000 },
            1 => {}
            2 => maker.tensors[b.0].grid.scale = a,
            _ => [b, y].into_iter().for_each(|id| maker.tensors[id.0].grid.scale = a),
        }
    }
    let [b_scale, scale] = [b, y].map(|id: TensorId| maker.tensors[id.0].grid.scale);
    let Grid { min, max, .. } = maker.tensors[y.0].grid;
    let clamp = if one_grid { Clamp { min, max } } else { bounds };
    let product = || {
        // Products of 16 bits have grids of their own.
        let step = if wide { a * b_scale * 32767.0 } else { scale };
        Multiplier::from_real(f64::from(a) * f64::from(b_scale) / f64::from(step))
    };
    let op = match kind {
        Kind::Add => {
            IntOp::Add { params: AddParams::new(a, b_scale, scale, wide)?, broadcast, clamp }
        }
        Kind::Mul => IntOp::Mul { multiplier: product()?, broadcast, clamp },
        _ => {
            let function = match kind {
                Kind::Sub => BinaryFunction::Sub(AddParams::new(a, b_scale, scale, wide)?),
                Kind::Div => {
                    let steps = if wide { 4096.0 } else { 16.0 };
                    BinaryFunction::Div(Multiplier::from_real(f64::from(a / b_scale) * steps)?)
                }
                Kind::Prelu => BinaryFunction::Prelu(PreluParams::new(a, b_scale, scale)?),
                Kind::Minimum => BinaryFunction::Minimum,
                _ => BinaryFunction::Maximum,
            };
            IntOp::Binary { function, broadcast, clamp }
        }
    };
    maker.node(op, &[x, b], y);
    Some(())
}

fn matmul(maker: &mut Maker, random: &mut Random, dtype: DType, ends: Ends) -> Option<()> {
    let batch = random.pick(&[1, 1, 2, 4]);
    let [rows, columns] = [(); 2].map(|()| random.within(1, 24) as usize);
    let inner = random.within(1, 64) as usize;
    let a = maker.input(dtype, [batch, rows, inner], -3);
    let b = maker.input(dtype, [batch, inner, columns], -3);
    let y = maker.tensor_of(dtype, [batch, rows, columns], ends.zero_point);
    let turned = random.chance(50);
    let geometry = MatMulGeometry {
        batch,
        rows,
        columns,
        inner,
        a: [rows * inner, inner, 1],
        b: [inner * columns, if turned { 1 } else { columns }, if turned { inner } else { 1 }],
        output: [rows * columns, columns, 1],
    };
    let steps = if dtype == DType::I16 { 40_000.0 } else { 200.0 };
    let multiplier = Multiplier::from_real(1.0 / (steps * inner as f64))?;
    maker.node(IntOp::BatchMatMul { geometry, multiplier, clamp: ends.clamp }, &[a, b], y);
    Some(())
}

fn reduce(maker: &mut Maker, random: &mut Random, dtype: DType) -> Option<()> {
    let [outer, inner] = [random.within(1, 8) as usize, random.pick(&[1, 1, 4, 9, 16, 32])];
    let reduced = random.within(1, 60) as usize;
    let reduction = random.pick(&[
        Reduction::Max,
        Reduction::Min,
        Reduction::Sum,
        Reduction::SumOfMagnitudes,
        Reduction::SumOfSquares,
        Reduction::RootOfSquares,
    ]);
    let x = maker.input(dtype, [outer, reduced, inner], -3);
    let y = maker.tensor_of(dtype, [1, outer, inner], -3);
    let count = reduced as f64;
    let largest = if dtype == DType::I16 { 32768.0 } else { 128.0 };
    let factor = match reduction {
        Reduction::Max | Reduction::Min => 1.0,
        Reduction::Sum | Reduction::SumOfMagnitudes => 1.0 / count,
        Reduction::SumOfSquares => 1.0 / (count * largest),
        Reduction::RootOfSquares => 1.0 / (256.0 * count.sqrt()),
    };
    let multiplier = Multiplier::from_real(factor)?;
    let clamp = if dtype == DType::I16 { WIDE } else { FULL };
    let op = IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp };
    maker.node(op, &[x], y);
    Some(())
}

fn normalize(maker: &mut Maker, random: &mut Random, dtype: DType) -> Option<()> {
    let wide = dtype == DType::I16;
    let [rows, parts, own] = [
        random.within(1, 16) as usize,
        random.pick(&[1, 2, 4]),
        random.pick(&[2, 3, 4, 8, 12, 16]),
    ];
    let channels = parts * own;
    // Rows; channels, with elements in between; parts of the channels.
    let (groups, outer, inner, steps, parameters) = match random.within(0, 3) {
        0 | 1 => (rows, 1, channels, [channels, 0, 1], [0, 0, 1]),
        2 => (channels, 1, rows, [1, 0, channels], [1, 0, 0]),
        _ => (parts, rows, own, [own, channels, 1], [own, 0, 1]),
    };
    let geometry = NormalizeGeometry { groups, outer, inner, steps, parameters };
    let [center, scaled] = [random.chance(60), random.chance(60)];
    let x = maker.input(dtype, [1, rows, channels], -3);
    let y = maker.tensor_of(dtype, [1, rows, channels], -3);
    let n = geometry.elements();
    let factor = if center { 1.0 } else { (n as f64).sqrt() };
    let output = if wide { 5.0 / 65535.0 } else { 5.0 / 255.0 };
    maker.tensors[y.0].grid.scale = output;
    let (fraction, scale_step) = (20, 2.0 / 32767.0);
    let unit = match scaled {
        true => f64::from(output) / scale_step / f64::from(1 << fraction),
        false => f64::from(output),
    };
    let magnitude = if wide { 1 << 15 } else { 131 };
    let input = maker.tensors[x.0].grid.scale;
    let params = NormalizeParams::new(n, magnitude, input, 1e-5, center, factor, unit)?;
    let affine = scaled.then(|| NormalizeAffine {
        scales: (0..channels).map(|_| random.within(8000, 32000) as i16).collect(),
        shifts: (0..channels).map(|_| random.within(-4000, 4000)).collect(),
        fraction,
    });
    let clamp = if wide { WIDE } else { FULL };
    maker.node(IntOp::Normalize { geometry, params, affine, clamp }, &[x], y);
    Some(())
}

fn top_k(maker: &mut Maker, random: &mut Random, dtype: DType) {
    let [rows, depth] = [random.pick(&[1, 1, 2, 5]), random.within(2, 60) as usize];
    let k = if random.chance(40) { 1 } else { random.within(1, depth.min(8) as i32) as usize };
    let selection = Selection {
        smallest: random.chance(30),
        last: random.chance(20),
        indices: random.chance(50),
    };
    let x = maker.input(dtype, [1, rows, depth], -128);
    let y = if selection.indices {
        let y = maker.tensor_of(DType::I16, [1, rows, k], 0);
        maker.tensors[y.0].grid.scale = 1.0;
        y
    } else {
        maker.tensor_of(dtype, [1, rows, k], -128)
    };
    maker.node(IntOp::TopK { selection, rows, depth, k }, &[x], y);
}
