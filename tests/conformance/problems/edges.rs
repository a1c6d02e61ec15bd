//! Problems whose numbers lie at their edges: scales, zero points, multipliers, weights, biases, tables
//! and inputs as small or as large as they can be.

use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::{
    BinaryFunction, DType, IntOp, IntTensor, MoveAxis, Program, Weighted,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_deploy::verify::{VerifyError, verify};
use burn_ptq_kernels::geometry::NormalizeGeometry;
use burn_ptq_kernels::grid::{Grid, weight_range};
use burn_ptq_kernels::multiplier::{MAX_EXPONENT, Multiplier};
use burn_ptq_kernels::packing::pack;
use burn_ptq_kernels::params::{AddParams, Clamp, GateParams, NormalizeParams, PreluParams};

use super::Problem;
use super::draw::Draw;

/// The problem with numbers at their edges; an error if the verifier refuses it.
pub(super) fn edged(draw: &mut Draw, whole: Problem) -> Result<Problem, VerifyError> {
    let (mut program, _) = whole.program.into_parts();
    move_grids(draw, &mut program);
    if draw.chance(50) {
        spread_elements(draw, &mut program);
    }
    if let Some(node) = program.nodes.last_mut() {
        let read = node.inputs.first().unwrap_or(&node.output).0;
        let (read, written) = (program.tensors[read].clone(), program.tensors[node.output.0].grid);
        change(draw, &mut node.op, &read, written);
    }
    // The largest multipliers that the verifier lets pass, or any.
    while draw.chance(97) && verify(&program).is_err() && scale_down(&mut program) {}
    let inputs = program.input_tensors().flat_map(|tensor| input_bytes(draw, tensor));
    let input = inputs.collect();
    let program = program.place(Kernels::Portable, Memory::Whole)?;
    Ok(Problem { name: format!("{} at its edges", whole.name), program, input, recordings: 1 })
}

/// Zero points at the ends of grids, and scales that are hardly numbers; equal grids stay equal.
fn move_grids(draw: &mut Draw, program: &mut Program) {
    let scales = [f32::from_bits(1), f32::MIN_POSITIVE, 1e-30, 1e30, f32::MAX];
    let scale = draw.chance(25).then(|| draw.pick(&scales));
    let mut known: Vec<(Grid, Grid)> = Vec::new();
    for tensor in &mut program.tensors {
        let own = tensor.grid;
        let place = known.iter().position(|(before, _)| *before == own).unwrap_or_else(|| {
            let mut moved = own;
            if tensor.dtype != DType::I16 {
                moved.zero_point = draw.pick(&[own.min, own.max, own.zero_point]);
            }
            moved.scale = scale.unwrap_or(own.scale);
            known.push((own, moved));
            known.len() - 1
        });
        tensor.grid = known[place].1;
    }
}

/// Tables and constants of only the least and the largest elements.
fn spread_elements(draw: &mut Draw, program: &mut Program) {
    for node in &mut program.nodes {
        let IntTensor { grid: Grid { min, max, .. }, dtype, .. } = program.tensors[node.output.0];
        let ends = [min, max];
        match &mut node.op {
            IntOp::Table8 { table } | IntOp::Lookup8 { table, .. } => {
                table.iter_mut().for_each(|x| *x = draw.pick(&ends) as i8);
            }
            IntOp::Table16 { table } | IntOp::Lookup16 { table, .. } => {
                table.iter_mut().for_each(|x| *x = draw.pick(&ends) as i16);
            }
            IntOp::Constant { data } => {
                for element in data.chunks_mut(dtype.bytes()) {
                    let bytes = draw.pick(&ends).to_le_bytes();
                    element.copy_from_slice(&bytes[..element.len()]);
                }
            }
            IntOp::Conv2d { .. }
            | IntOp::DepthwiseConv2d { .. }
            | IntOp::FullyConnected { .. }
            | IntOp::Gate { .. }
            | IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Requantize { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::TransposeConv2d { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Step { .. }
            | IntOp::Binary { .. } => {}
        }
    }
}

/// Moves the numbers of an operation that reads `read` first and writes to a grid.
fn change(draw: &mut Draw, op: &mut IntOp, read: &IntTensor, written: Grid) {
    for multiplier in multipliers(op) {
        if draw.chance(80) {
            *multiplier = any_multiplier(draw);
        }
    }
    let wide = read.dtype == DType::I16;
    if let Some(clamp) = op.clamp_mut()
        && draw.chance(30)
    {
        let bound = draw.pick(&[written.min, written.max, written.zero_point]);
        *clamp = Clamp { min: bound, max: bound };
    }
    match op {
        IntOp::TransposeConv2d { weighted, .. }
        | IntOp::Conv2d { weighted, .. }
        | IntOp::DepthwiseConv2d { weighted, .. }
        | IntOp::FullyConnected { weighted, .. } => weigh(draw, weighted, read),
        IntOp::Add { params, .. } | IntOp::Binary { function: BinaryFunction::Sub(params), .. } => {
            if draw.chance(50) {
                let [a, b, y] = [(); 3].map(|()| any_scale(draw));
                *params = AddParams::new(a, b, y, wide).unwrap_or(*params);
            }
        }
        IntOp::Binary { function: BinaryFunction::Prelu(params), .. } => {
            if draw.chance(50) {
                let [x, slope, y] = [(); 3].map(|()| any_scale(draw));
                *params = PreluParams::new(x, slope, y).unwrap_or(*params);
            }
        }
        IntOp::Normalize { geometry, params, affine, .. } => {
            normalize(draw, geometry, params, read);
            if let Some(affine) = affine {
                affine.scales.iter_mut().for_each(|x| *x = draw.pick(&[i16::MIN, i16::MAX, 0]));
                affine.shifts.iter_mut().for_each(|x| *x = draw.pick(&[i32::MIN, i32::MAX, 0]));
                affine.fraction = draw.pick(&[8, 16, 24]);
            }
        }
        IntOp::Gate { params } => {
            if draw.chance(60) {
                params.multiplier = draw.pick(&[1, 3, GateParams::MAX_MULTIPLIER]);
                params.shift = draw.pick(&[0, 1, GateParams::MAX_SHIFT]);
            }
            if draw.chance(10) {
                params.multiplier = draw.pick(&[i32::MIN, 0, GateParams::MAX_MULTIPLIER + 1]);
            }
            if draw.chance(10) {
                params.shift = draw.pick(&[GateParams::MAX_SHIFT + 1, u32::MAX]);
            }
        }
        IntOp::TopK { selection, depth, k, .. } => {
            selection.last = draw.chance(50);
            if draw.chance(10) {
                *k = *depth + 1;
            }
        }
        IntOp::Rearrange { first, axes } => {
            if draw.chance(20) {
                *first = draw.pick(&[0, read.len() - 1, read.len(), usize::MAX]);
            }
            if let (Some(MoveAxis::Even { step, .. }), true) = (axes.first_mut(), draw.chance(20)) {
                *step = draw.pick(&[0, isize::MIN, isize::MAX, read.len() as isize]);
            }
        }
        IntOp::ResizeLinear { input, rows, columns } => {
            for (positions, extent) in [(rows, input[0]), (columns, input[1])] {
                let last = (extent as u32 - 1) << 10;
                let beyond = if draw.chance(10) { last + 1 } else { last };
                let ends = [0, last, beyond, last.saturating_sub(1)];
                positions.iter_mut().for_each(|position| *position = draw.pick(&ends));
            }
        }
        IntOp::Mul { .. }
        | IntOp::AveragePool { .. }
        | IntOp::MaxPool { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::BatchMatMul { .. }
        | IntOp::Reduce { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. }
        | IntOp::Binary {
            function: BinaryFunction::Div(_) | BinaryFunction::Minimum | BinaryFunction::Maximum,
            ..
        } => {}
    }
}

/// A scale that is hardly a number, or any.
fn any_scale(draw: &mut Draw) -> f32 {
    let scales = [f32::from_bits(1), f32::MIN_POSITIVE, 1e-30, 1.0, 1e30, f32::MAX];
    let any = draw.scale(1e-6, 1e6);
    if draw.chance(50) { any } else { draw.pick(&scales) }
}

/// The multiplier of a ratio between 1e-30 and 1e30, or one at an end of what there is.
fn any_multiplier(draw: &mut Draw) -> Multiplier {
    let exponent = draw.within(-31, MAX_EXPONENT);
    match draw.below(6) {
        0 => Multiplier { quantized: i32::MAX, exponent },
        1 => Multiplier { quantized: 1 << 30, exponent },
        2 => Multiplier { quantized: draw.within(0, (1 << 30) - 1), exponent: 0 },
        3 => Multiplier::ZERO,
        _ => {
            let ratio = f64::from(any_scale(draw)) / f64::from(any_scale(draw));
            let largest = Multiplier { quantized: i32::MAX, exponent: MAX_EXPONENT };
            let multiplier = Multiplier::from_real(ratio).unwrap_or(largest);
            if draw.chance(20) { multiplier.rounding_once() } else { multiplier }
        }
    }
}

/// Weights at the ends of their range, and biases that leave accumulators no room, or one too little.
fn weigh(draw: &mut Draw, weighted: &mut Weighted, read: &IntTensor) {
    let Weighted { weights, bias, .. } = weighted;
    let (min, max) = weight_range(weights.bits);
    let ends = [[min, max], [min, min], [max, max]];
    let ends = draw.pick(&ends);
    let values: Vec<i8> = (0..weights.len()).map(|_| draw.pick(&ends) as i8).collect();
    pack(&values, weights.storage, &mut weights.data);
    let taps = values.len() / bias.len().max(1);
    let magnitude = 128 + i64::from(read.grid.zero_point.abs());
    for (bias, filter) in bias.iter_mut().zip(values.chunks(taps.max(1))) {
        let products: i64 = filter.iter().map(|&w| i64::from(w).abs() * magnitude).sum();
        let largest = match read.dtype {
            DType::I16 => i64::from(i32::MAX),
            DType::I8 | DType::I4 => i64::from(i32::MAX) - products,
        };
        let largest = largest + i64::from(draw.chance(1));
        *bias = (if draw.chance(50) { largest } else { -largest }) as i32;
    }
}

/// Parameters derived from scales that are hardly numbers, or numbers at their ends.
fn normalize(
    draw: &mut Draw,
    geometry: &NormalizeGeometry,
    params: &mut NormalizeParams,
    read: &IntTensor,
) {
    let magnitude = match read.dtype {
        DType::I16 => 1 << 15,
        DType::I8 | DType::I4 => 128 + read.grid.zero_point.unsigned_abs(),
    };
    let n = geometry.elements();
    let epsilon = draw.pick(&[0.0, 1e-30, 1e-5, 1.0, 1e30]);
    let (scale, step) = (any_scale(draw), f64::from(any_scale(draw)));
    let factor = draw.pick(&[1.0, f64::from((n as f32).sqrt())]);
    let derived = NormalizeParams::new(n, magnitude, scale, epsilon, params.center, factor, step);
    match derived {
        Some(derived) if draw.chance(60) => *params = derived,
        _ => {
            params.fraction = 2 * draw.below(9) as u32;
            params.epsilon = draw.pick(&[0, 1, 1 << 61, (1 << 61) - 1, 1 << 40, u64::MAX]);
        }
    }
}

/// Halves the multipliers of the last operation; whether there were any.
fn scale_down(program: &mut Program) -> bool {
    let Some(node) = program.nodes.last_mut() else { return false };
    let mut halved = false;
    for multiplier in multipliers(&mut node.op) {
        if multiplier.exponent > -31 && multiplier.quantized >= 1 << 30 {
            multiplier.exponent -= 1;
            halved = true;
        }
    }
    halved
}

/// Elements that are all the same, at the ends of their grid, or beyond it.
fn input_bytes(draw: &mut Draw, tensor: &IntTensor) -> Vec<u8> {
    let Grid { zero_point, min, max, .. } = tensor.grid;
    let [least, most] = match tensor.dtype {
        DType::I16 => [i32::from(i16::MIN), i32::from(i16::MAX)],
        DType::I8 | DType::I4 => [i32::from(i8::MIN), i32::from(i8::MAX)],
    };
    let any = draw.within(min, max);
    let choices = [[min; 2], [max; 2], [zero_point; 2], [any; 2], [min, max], [least, most]];
    let choice = draw.pick(&choices);
    let values: Vec<i32> = (0..tensor.len()).map(|_| draw.pick(&choice)).collect();
    let bytes = tensor.dtype.bytes();
    values.into_iter().flat_map(|value| value.to_le_bytes().into_iter().take(bytes)).collect()
}

/// The multipliers of an operation.
fn multipliers(op: &mut IntOp) -> Vec<&mut Multiplier> {
    match op {
        IntOp::Conv2d { weighted, .. }
        | IntOp::DepthwiseConv2d { weighted, .. }
        | IntOp::TransposeConv2d { weighted, .. }
        | IntOp::FullyConnected { weighted, .. } => weighted.multipliers.iter_mut().collect(),
        IntOp::Add { params, .. } | IntOp::Binary { function: BinaryFunction::Sub(params), .. } => {
            vec![&mut params.a, &mut params.b, &mut params.output]
        }
        IntOp::Binary { function: BinaryFunction::Prelu(params), .. } => {
            vec![&mut params.positive, &mut params.negative]
        }
        IntOp::Mul { multiplier, .. }
        | IntOp::Binary { function: BinaryFunction::Div(multiplier), .. }
        | IntOp::Requantize { multiplier, .. }
        | IntOp::BatchMatMul { multiplier, .. }
        | IntOp::Reduce { multiplier, .. }
        | IntOp::Softmax { input_multiplier: multiplier, .. }
        | IntOp::LogSoftmax { input_multiplier: multiplier, .. } => vec![multiplier],
        IntOp::Normalize { params, .. } => vec![&mut params.multiplier],
        IntOp::AveragePool { .. }
        | IntOp::MaxPool { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::TopK { .. }
        | IntOp::Rearrange { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. }
        | IntOp::Binary { function: BinaryFunction::Minimum | BinaryFunction::Maximum, .. } => {
            Vec::new()
        }
    }
}
