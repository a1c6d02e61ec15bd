//! Sums, means and extremes along axes.

use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{Clamp, Reduction, Selection};

use super::builder::{Builder, expressible};
use super::error::Refusal;
use super::movement::{Axis, axis_of, push_movement, strides};
use super::shapes::three_axes;
use super::values::Value;
use crate::op::{DType, IntOp};
use crate::program::{IntTensor, TensorId};
use crate::tflite::Element;
use crate::tflite::file::Operator;
use crate::tflite::schema::{Builtin, MEAN, REDUCE_MAX, REDUCE_MIN};

/// Which axes of a tensor of the file an operator reduces.
fn reduced_axes(b: &mut Builder, operator: &Operator, x: usize) -> Result<Vec<bool>, Refusal> {
    let axes = b.input(operator, 1)?;
    let mut reduced = vec![false; b.shape(x).len()];
    for axis in b.integers(axes)? {
        let axis = axis_of(axis, reduced.len())?;
        reduced[axis] = true;
    }
    Ok(reduced)
}

/// The extents before, of and behind reduced axes that are neighbors; `None` if they are not.
fn neighbors(shape: &[usize], reduced: &[bool]) -> Option<[usize; 3]> {
    // Axes of one element stand anywhere.
    let axes = || shape.iter().zip(reduced).filter(|(extent, _)| **extent != 1);
    let (mut extents, mut part) = ([1; 3], 0);
    for (&extent, &is_reduced) in axes() {
        match (part, is_reduced) {
            (0, true) => part = 1,
            (1, false) => part = 2,
            (2, true) => return None,
            _ => {}
        }
        extents[part] *= extent;
    }
    Some(extents)
}

pub(super) fn reduce(
    b: &mut Builder,
    operator: &Operator,
    builtin: Builtin,
) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let reduced = reduced_axes(b, operator, x)?;
    let shape = b.shape(x);
    three_axes(shape)?;
    let mut id = b.activation(x)?;
    let extents = match neighbors(shape, &reduced) {
        Some(extents) => extents,
        None => {
            id = reduced_last(b, id, shape, &reduced)?;
            let product = |is_reduced: bool| {
                shape
                    .iter()
                    .zip(&reduced)
                    .filter(|(_, own)| **own == is_reduced)
                    .map(|(e, _)| e)
                    .product()
            };
            [product(false), product(true), 1]
        }
    };
    let y = b.write(y)?;
    b.same_type(id, y)?;
    let ratio = f64::from(b.of(id).grid.scale) / f64::from(b.of(y).grid.scale);
    let ratio = expressible(Multiplier::from_real(ratio))?;
    let [outer, count, inner] = extents;
    let (reduction, multiplier) = match builtin {
        MEAN => (Reduction::Sum, ratio.divided_by(u32::try_from(count).unwrap_or(0))),
        REDUCE_MAX | REDUCE_MIN => {
            // The interpreter gives an element of its input as it is.
            b.narrow(id)?;
            b.same_grid(id, y)?;
            (if builtin == REDUCE_MAX { Reduction::Max } else { Reduction::Min }, ratio)
        }
        _ => (Reduction::Sum, ratio),
    };
    let grid = b.of(y).grid;
    let clamp = Clamp { min: grid.min, max: grid.max };
    b.push(IntOp::Reduce { reduction, outer, reduced: count, inner, multiplier, clamp }, &[id], y);
    Ok(())
}

/// The activation with its reduced axes behind the others.
fn reduced_last(
    b: &mut Builder,
    id: TensorId,
    shape: &[usize],
    reduced: &[bool],
) -> Result<TensorId, Refusal> {
    let steps = strides(shape);
    let of = |is_reduced: bool| (0..shape.len()).filter(move |&axis| reduced[axis] == is_reduced);
    let order = of(false).chain(of(true)).filter(|&axis| shape[axis] != 1);
    let axes = order.map(|axis| Axis::Even { count: shape[axis], step: steps[axis] as isize });
    let like = b.of(id).clone();
    b.budget.take(like.name.len() + 8)?;
    let shape = [1, 1, like.len()];
    let turned = b.add(IntTensor { name: format!("{}.turned", like.name), shape, ..like });
    push_movement(b, [id, turned], 0, axes.collect())?;
    Ok(turned)
}

/// The places of largest or smallest elements: 16-bit integers of scale 1.
pub(super) fn places(b: &mut Builder, operator: &Operator, smallest: bool) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let reduced = reduced_axes(b, operator, x)?;
    let shape = b.shape(x);
    three_axes(shape)?;
    let [rows, depth] = match neighbors(shape, &reduced) {
        Some([rows, depth, 1]) => [rows, depth],
        _ => return Err(Refusal::lasting("expected places along the last axis")),
    };
    if !matches!(b.tensor(y).element, Ok(Element::Int32 | Element::Int64)) {
        return Err(Refusal::new(format!(
            "expected places of int32 or int64, found {}",
            b.tensor(y).element_name()
        )));
    }
    let id = b.activation(x)?;
    b.narrow(id)?;
    let (min, max) = signed_range(16, false);
    let grid = Grid { scale: 1.0, zero_point: 0, min, max };
    let name = b.tensor(y).name;
    b.budget.take(name.len())?;
    let (name, shape) = (name.to_owned(), three_axes(b.shape(y))?);
    let places = b.add(IntTensor { name, shape, dtype: DType::I16, bits: 16, grid });
    b.set(y, Value::Activation(places))?;
    let selection = Selection { smallest, indices: true, last: false };
    b.push(IntOp::TopK { selection, rows, depth, k: 1 }, &[id], places);
    Ok(())
}
