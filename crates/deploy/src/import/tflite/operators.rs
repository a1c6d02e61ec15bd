//! The operators that are imported, and those on single elements and on rows.

use burn_ptq_kernels::geometry::NormalizeGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{Clamp, GateFunction, GateParams, NormalizeParams};
use burn_ptq_kernels::reference as kernels;

use super::builder::{Builder, expressible};
use super::error::Refusal;
use super::values::Value;
use super::{movement, numbers, pairs, reduce, slices, states, weighted, window};
use crate::op::{DType, IntOp};
use crate::program::TensorId;
use crate::tflite::Element;
use crate::tflite::file::Operator;
use crate::tflite::places::options;
use crate::tflite::schema::*;

/// Adds what an operator does to the program.
pub(super) fn import(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let Some(builtin) = operator.builtin() else {
        return Err(Refusal::lasting("no integer program has this operator"));
    };
    // Extents that are computed are the ones that the file states.
    if integers_only(b, operator) {
        return extents(b, operator);
    }
    match builtin {
        CONV_2D => weighted::conv2d(b, operator),
        DEPTHWISE_CONV_2D => weighted::depthwise(b, operator),
        TRANSPOSE_CONV => weighted::transpose_conv(b, operator),
        FULLY_CONNECTED => weighted::fully_connected(b, operator),
        AVERAGE_POOL_2D => window::pool(b, operator, true),
        MAX_POOL_2D => window::pool(b, operator, false),
        RESIZE_BILINEAR => window::resize_linear(b, operator),
        RESIZE_NEAREST_NEIGHBOR => window::resize_nearest(b, operator),
        PAD => window::pad(b, operator, false),
        PADV2 => window::pad(b, operator, true),
        MIRROR_PAD => window::mirror_pad(b, operator),
        ADD | SUB | MUL | MINIMUM | MAXIMUM if numbers::reads(b, operator) => {
            numbers::arithmetic(b, operator, builtin)
        }
        ADD | SUB => pairs::sum(b, operator, builtin == SUB),
        MUL => pairs::product(b, operator),
        DIV => pairs::quotient(b, operator),
        PRELU => pairs::prelu(b, operator),
        MINIMUM => pairs::extreme(b, operator, false),
        MAXIMUM => pairs::extreme(b, operator, true),
        BATCH_MATMUL => pairs::matmul(b, operator),
        MEAN | SUM | REDUCE_MAX | REDUCE_MIN => reduce::reduce(b, operator, builtin),
        ARG_MAX => reduce::places(b, operator, false),
        ARG_MIN => reduce::places(b, operator, true),
        CAST => numbers::cast(b, operator),
        GATHER => numbers::gather(b, operator),
        RESHAPE | SQUEEZE | EXPAND_DIMS => movement::reshape(b, operator),
        CONCATENATION => movement::concatenation(b, operator),
        PACK => movement::pack(b, operator),
        TRANSPOSE => movement::transpose(b, operator),
        SPACE_TO_DEPTH => movement::blocks(b, operator, false),
        DEPTH_TO_SPACE => movement::blocks(b, operator, true),
        BROADCAST_TO => movement::broadcast(b, operator),
        REVERSE_V2 => slices::reverse(b, operator),
        SLICE => slices::slice(b, operator),
        STRIDED_SLICE => slices::strided(b, operator),
        SPLIT => slices::split(b, operator, false),
        SPLIT_V => slices::split(b, operator, true),
        UNPACK => slices::unpack(b, operator),
        SHAPE => extents(b, operator),
        QUANTIZE => quantize(b, operator),
        DEQUANTIZE => b.outward(operator),
        RELU => rectify(b, operator, Activation::Relu),
        RELU6 => rectify(b, operator, Activation::Relu6),
        RELU_N1_TO_1 => rectify(b, operator, Activation::ReluN1To1),
        LOGISTIC => curve(b, operator, GateFunction::Sigmoid),
        TANH => curve(b, operator, GateFunction::Tanh),
        LEAKY_RELU | ABS | ELU | HARD_SWISH => table(b, operator, builtin),
        SOFTMAX => softmax(b, operator),
        L2_NORMALIZATION => normalize(b, operator),
        VAR_HANDLE => states::handle(b, operator),
        READ_VARIABLE => states::read(b, operator),
        ASSIGN_VARIABLE => states::assign(b, operator),
        // What it runs says how variables begin.
        CALL_ONCE => states::initialize(b, operator),
        _ => Err(Refusal::lasting("no integer program has this operator")),
    }
}

/// Whether an operator reads extents, and writes integers.
fn integers_only(b: &Builder, operator: &Operator) -> bool {
    let reads =
        operator.inputs.iter().flatten().any(|&at| matches!(b.value(at), Some(Value::Extents)));
    let whole = |at: usize| matches!(b.tensor(at).element, Ok(Element::Int32 | Element::Int64));
    reads && operator.outputs.iter().all(|&at| whole(at) && b.tensor(at).scales.is_empty())
}

fn extents(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    operator.outputs.iter().try_for_each(|&at| b.set(at, Value::Extents))
}

/// The bounds of an activation's type.
fn whole(b: &Builder, id: TensorId) -> Clamp {
    let grid = b.of(id).grid;
    Clamp { min: grid.min, max: grid.max }
}

fn quantize(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    if let Some(&Value::Outside(place)) = b.value(x) {
        return b.quantize_input(place, y);
    }
    if b.tensor(y).element == Ok(Element::UInt8) {
        return b.outward(operator);
    }
    let [x, y] = b.unary(operator)?;
    let real = f64::from(b.of(x).grid.scale) / f64::from(b.of(y).grid.scale);
    let multiplier = expressible(Multiplier::from_real(real))?;
    let clamp = whole(b, y);
    b.push(IntOp::Requantize { multiplier, clamp }, &[x], y);
    Ok(())
}

/// Activations that bound, by themselves.
fn rectify(b: &mut Builder, operator: &Operator, activation: Activation) -> Result<(), Refusal> {
    let [x, y] = b.unary(operator)?;
    b.same_type(x, y)?;
    if activation != Activation::Relu {
        // The interpreter moves nothing to another grid here.
        b.same_grid(x, y)?;
    }
    let (input, output) = (b.of(x).grid, b.of(y).grid);
    // The quotient is one of 32-bit floats.
    let multiplier = expressible(Multiplier::from_real(f64::from(input.scale / output.scale)))?;
    let clamp = activation.bounds(output);
    b.push(IntOp::Requantize { multiplier, clamp }, &[x], y);
    Ok(())
}

/// Sigmoid and hyperbolic tangent, whose outputs have a grid of their own.
fn curve(b: &mut Builder, operator: &Operator, function: GateFunction) -> Result<(), Refusal> {
    let [x, y] = b.unary(operator)?;
    b.same_type(x, y)?;
    let (input, output) = (b.of(x).grid, b.of(y).grid);
    let narrow = b.of(x).dtype == DType::I8;
    let own = match (function, narrow) {
        (GateFunction::Sigmoid, true) => (1.0 / 256.0, -128),
        (GateFunction::Tanh, true) => (1.0 / 128.0, 0),
        (GateFunction::Sigmoid | GateFunction::Tanh, false) => (GateParams::OUTPUT_SCALE, 0),
    };
    if (output.scale, output.zero_point) != own {
        return Err(Refusal::new(format!(
            "expected an output of scale {:?} and zero point {}, found {:?} and {}",
            own.0, own.1, output.scale, output.zero_point
        )));
    }
    let op = if narrow {
        let table = match function {
            GateFunction::Sigmoid => kernels::sigmoid_table8(input),
            GateFunction::Tanh => kernels::tanh_table8(input),
        };
        table.map(|table| IntOp::Table8 { table: table.to_vec() })
    } else {
        GateParams::of_operator(function, input.scale).map(|params| IntOp::Gate { params })
    };
    let op = op.ok_or_else(|| {
        Refusal::new(format!(
            "its input's scale {:?} has no multiplier on all platforms",
            input.scale
        ))
    })?;
    b.push(op, &[x], y);
    Ok(())
}

/// Functions of 8 bits that become tables.
fn table(b: &mut Builder, operator: &Operator, builtin: Builtin) -> Result<(), Refusal> {
    let [x, y] = b.unary(operator)?;
    b.narrow(x)?;
    b.narrow(y)?;
    let (input, output) = (b.of(x).grid, b.of(y).grid);
    let table = match builtin {
        LEAKY_RELU => {
            let slope = operator.options.map_or(Ok(0.0), |o| o.float(options::LEAKY_SLOPE))?;
            kernels::leaky_relu_table8(input, slope, output)
        }
        ABS => kernels::abs_table8(input, output),
        HARD_SWISH => kernels::hard_swish_table8(input, output),
        _ => {
            // Nearest to the exact value, where platforms differ.
            let elu = |x: f32| if x < 0.0 { f64::from(x).exp() as f32 - 1.0 } else { x };
            Some(kernels::function_table8(elu, input, output))
        }
    };
    let table = table.ok_or_else(|| {
        Refusal::new("its scales are so far apart that no multiplier says their ratio")
    })?;
    b.push(IntOp::Table8 { table: table.to_vec() }, &[x], y);
    Ok(())
}

/// The number of rows along the last axis of a tensor of the file, and their length.
fn rows(b: &Builder, operator: &Operator) -> Result<[usize; 2], Refusal> {
    let shape = b.shape(b.input(operator, 0)?);
    let depth = shape.last().copied().unwrap_or(1);
    let elements = b.tensor(b.input(operator, 0)?).elements().unwrap_or(0);
    Ok([elements.checked_div(depth).unwrap_or(0), depth])
}

fn softmax(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, y] = b.unary(operator)?;
    b.narrow(x)?;
    b.narrow(y)?;
    let beta = operator.options.map_or(Ok(0.0), |o| o.float(options::SOFTMAX_BETA))?;
    if beta != 1.0 {
        return Err(Refusal::lasting(format!("expected a beta of 1, found {beta}")));
    }
    let [rows, depth] = rows(b, operator)?;
    let params = kernels::softmax_params(b.of(x).grid.scale);
    let (input_multiplier, diff_min) =
        params.ok_or_else(|| Refusal::new("its input's scale is too small"))?;
    b.push(IntOp::Softmax { rows, depth, input_multiplier, diff_min }, &[x], y);
    Ok(())
}

/// Rows divided by the root of the sum of their squares.
fn normalize(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, y] = b.unary(operator)?;
    b.narrow(x)?;
    b.narrow(y)?;
    let grid = b.of(y).grid;
    if (grid.scale, grid.zero_point) != (1.0 / 128.0, 0) {
        return Err(Refusal::new(format!(
            "expected an output of scale {:?} and zero point 0, found {:?} and {}",
            1.0 / 128.0,
            grid.scale,
            grid.zero_point
        )));
    }
    let [groups, inner] = rows(b, operator)?;
    let geometry =
        NormalizeGeometry { groups, outer: 1, inner, steps: [inner, inner, 1], parameters: [0; 3] };
    let (scale, step) = (b.of(x).grid.scale, f64::from(grid.scale));
    let params = NormalizeParams::new(inner, 255, scale, 0.0, false, 1.0, step);
    let params = params.ok_or_else(|| Refusal::new("its rows are too long"))?;
    let clamp = b.bounds(operator, options::ACTIVATION, y)?;
    b.push(IntOp::Normalize { geometry, params, affine: None, clamp }, &[x], y);
    Ok(())
}
