//! Operators on two values.

use burn_ptq_kernels::geometry::MatMulGeometry;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, PreluParams};

use super::broadcast::{extents, meeting};
use super::builder::{Builder, expressible};
use super::error::Refusal;
use crate::op::{BinaryFunction, Broadcast, DType, IntOp};
use crate::program::TensorId;
use crate::tflite::file::Operator;
use crate::tflite::places::options;

/// The activations of an operator on two values, and how their elements meet.
struct Pair {
    inputs: [TensorId; 2],
    output: TensorId,
    broadcast: Broadcast,
}

impl Pair {
    /// The pair of an operator; the second goes first where it alone does not repeat, if it may.
    fn of(b: &mut Builder, operator: &Operator, commutes: bool) -> Result<Self, Refusal> {
        let mut files = [b.input(operator, 0)?, b.input(operator, 1)?];
        let elements = |at: usize| b.tensor(at).elements().unwrap_or(0);
        if commutes && elements(files[0]) < elements(files[1]) {
            files.reverse();
        }
        let inputs = [b.activation(files[0])?, b.activation(files[1])?];
        let broadcast = meeting(b, files.map(|at| b.shape(at)), inputs)?;
        let output = b.write(b.output(operator)?)?;
        b.same_type(inputs[0], output)?;
        b.same_type(inputs[1], output)?;
        Ok(Self { inputs, output, broadcast })
    }

    /// The scales of both inputs and the output.
    fn scales(&self, b: &Builder) -> [f32; 3] {
        [self.inputs[0], self.inputs[1], self.output].map(|id| b.of(id).grid.scale)
    }

    fn whole(&self, b: &Builder) -> Clamp {
        let grid = b.of(self.output).grid;
        Clamp { min: grid.min, max: grid.max }
    }

    fn push(&self, b: &mut Builder, function: BinaryFunction, clamp: Clamp) {
        let op = IntOp::Binary { function, broadcast: self.broadcast, clamp };
        b.push(op, &self.inputs, self.output);
    }
}

pub(super) fn sum(b: &mut Builder, operator: &Operator, difference: bool) -> Result<(), Refusal> {
    let pair = Pair::of(b, operator, !difference)?;
    let [first, second, scale] = pair.scales(b);
    let wide = b.of(pair.output).dtype == DType::I16;
    let params = AddParams::new(first, second, scale, wide);
    let params = params.ok_or_else(|| {
        Refusal::new("its scales are so far apart that no multiplier says their ratio")
    })?;
    let clamp = b.bounds(operator, options::ACTIVATION, pair.output)?;
    if difference {
        pair.push(b, BinaryFunction::Sub(params), clamp);
    } else {
        b.push(IntOp::Add { params, broadcast: pair.broadcast, clamp }, &pair.inputs, pair.output);
    }
    Ok(())
}

pub(super) fn product(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let pair = Pair::of(b, operator, true)?;
    let [first, second, scale] = pair.scales(b);
    let multiplier = expressible(Multiplier::of_scales(first, second, scale))?;
    let clamp = b.bounds(operator, options::ACTIVATION, pair.output)?;
    let op = IntOp::Mul { multiplier, broadcast: pair.broadcast, clamp };
    b.push(op, &pair.inputs, pair.output);
    Ok(())
}

pub(super) fn quotient(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let pair = Pair::of(b, operator, false)?;
    b.narrow(pair.output)?;
    let [first, second, scale] = pair.scales(b).map(f64::from);
    let multiplier = expressible(Multiplier::from_real(first / (second * scale)))?;
    let clamp = b.bounds(operator, options::ACTIVATION, pair.output)?;
    pair.push(b, BinaryFunction::Div(multiplier), clamp);
    Ok(())
}

pub(super) fn prelu(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let pair = Pair::of(b, operator, false)?;
    b.narrow(pair.output)?;
    let [first, second, scale] = pair.scales(b);
    let params = PreluParams::new(first, second, scale);
    let params = params.ok_or_else(|| {
        Refusal::new("its scales are so far apart that no multiplier says their ratio")
    })?;
    let clamp = pair.whole(b);
    pair.push(b, BinaryFunction::Prelu(params), clamp);
    Ok(())
}

pub(super) fn extreme(b: &mut Builder, operator: &Operator, largest: bool) -> Result<(), Refusal> {
    let pair = Pair::of(b, operator, true)?;
    b.same_grid(pair.inputs[0], pair.output)?;
    b.same_grid(pair.inputs[1], pair.output)?;
    let function = if largest { BinaryFunction::Maximum } else { BinaryFunction::Minimum };
    let clamp = pair.whole(b);
    pair.push(b, function, clamp);
    Ok(())
}

/// The rows and columns of the matrices of a shape, after those of all pairs.
fn matrices(shape: &[usize]) -> Result<(&[usize], [usize; 2]), Refusal> {
    match shape {
        [pairs @ .., rows, columns] => Ok((pairs, [*rows, *columns])),
        _ => Err(Refusal::new(format!("expected matrices, found shape {shape:?}"))),
    }
}

pub(super) fn matmul(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let files = [b.input(operator, 0)?, b.input(operator, 1)?];
    let y = b.output(operator)?;
    let flag = |place: usize| operator.options.map_or(Ok(0), |table| table.byte(place));
    let adjoint = [flag(options::ADJOINT_A)? != 0, flag(options::ADJOINT_B)? != 0];
    let ((pairs_a, a), (pairs_b, other)) =
        (matrices(b.shape(files[0]))?, matrices(b.shape(files[1]))?);
    let refusal = || {
        Refusal::new(format!(
            "expected matrices whose shapes meet, found {:?} and {:?}",
            b.shape(files[0]),
            b.shape(files[1])
        ))
    };
    // Steps from row to row and from column to column, as the product sees them.
    let turned = |shape: [usize; 2], turn: bool| match turn {
        false => (shape, [shape[1], 1]),
        true => ([shape[1], shape[0]], [1, shape[1]]),
    };
    let ([rows, inner], steps_a) = turned(a, adjoint[0]);
    let ([own, columns], steps_b) = turned(other, adjoint[1]);
    if own != inner {
        return Err(refusal());
    }
    // Pairs lie at even steps where all of one side repeat or none.
    let [first, second] = extents([pairs_a, pairs_b])?;
    let count = |extents: [usize; 3]| extents.iter().fold(1_usize, |all, &e| all.saturating_mul(e));
    let batch = count([0, 1, 2].map(|axis| first[axis].max(second[axis])));
    let far = |extents: [usize; 3], matrix: usize| match count(extents) {
        1 => Ok(0),
        all if all == batch => Ok(matrix),
        _ => Err(refusal()),
    };
    let size = |shape: [usize; 2]| shape[0].saturating_mul(shape[1]);
    let (far_a, far_b) = (far(first, size(a))?, far(second, size(other))?);
    let geometry = MatMulGeometry {
        batch,
        rows,
        columns,
        inner,
        a: [far_a, steps_a[0], steps_a[1]],
        b: [far_b, steps_b[0], steps_b[1]],
        output: [size([rows, columns]), columns, 1],
    };
    if !b.shape(y).ends_with(&[rows, columns]) {
        return Err(refusal());
    }
    let ids = [b.activation(files[0])?, b.activation(files[1])?];
    let output = b.write(y)?;
    b.same_type(ids[0], output)?;
    b.same_type(ids[1], output)?;
    let [scale_a, scale_b, scale] = [ids[0], ids[1], output].map(|id| b.of(id).grid.scale);
    let multiplier = expressible(Multiplier::of_product(scale_a, scale_b, scale))?;
    let grid = b.of(output).grid;
    let clamp = Clamp { min: grid.min, max: grid.max };
    b.push(IntOp::BatchMatMul { geometry, multiplier, clamp }, &ids, output);
    Ok(())
}
