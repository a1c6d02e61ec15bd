//! Plain integers that follow from an activation, and tables that they look up.
//!
//! Exports write a table as `CAST` to 32 bits, sums, products and bounds with one number, and `GATHER`. What
//! such a chain computes is known for every element that there can be.

use super::builder::Builder;
use super::error::Refusal;
use super::movement::{Axis, axis_of, move_elements, strides};
use super::values::{Sequence, Value};
use crate::op::{DType, IntOp};
use crate::tflite::Element;
use crate::tflite::bytes::Numbers;
use crate::tflite::file::Operator;
use crate::tflite::places::options;
use crate::tflite::schema::{ADD, Builtin, MAXIMUM, MUL, SUB};

/// Whether an operator reads such integers.
pub(super) fn reads(b: &Builder, operator: &Operator) -> bool {
    operator.inputs.iter().flatten().any(|&at| matches!(b.value(at), Some(Value::Sequence(_))))
}

/// The lowest element of a type, and how many there are.
const fn elements(dtype: DType) -> (i32, usize) {
    match dtype {
        DType::I8 | DType::I4 => (i8::MIN as i32, 1 << 8),
        DType::I16 => (i16::MIN as i32, 1 << 16),
    }
}

pub(super) fn cast(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let (from, to) = (b.tensor(x).element, b.tensor(y).element);
    match (from, to) {
        (Ok(Element::Int8 | Element::Int16), Ok(Element::Int32)) => {
            let source = b.activation(x)?;
            let (lowest, count) = elements(b.of(source).dtype);
            b.budget.take(4 * count)?;
            let of = (0..count).map(|index| lowest + index as i32).collect();
            b.set(y, Value::Sequence(Sequence { source, of }))
        }
        // Places, which the program holds in 16 bits.
        (
            Ok(Element::Int32 | Element::Int64),
            Ok(Element::Int16 | Element::Int32 | Element::Int64),
        ) => {
            let id = b.activation(x)?;
            let grid = b.of(id).grid;
            let own = match b.tensor(y).scales.is_empty() {
                true => (1.0, 0),
                false => b.single_grid(y)?,
            };
            if own != (grid.scale, i64::from(grid.zero_point)) {
                return Err(Refusal::new("expected integers of scale 1 and zero point 0"));
            }
            b.set(y, Value::Activation(id))
        }
        _ => Err(Refusal::lasting(format!(
            "expected int8 or int16 elements that become int32, or places that become int16, found {} and {}",
            b.tensor(x).element_name(),
            b.tensor(y).element_name()
        ))),
    }
}

/// Sums, products and bounds of such integers.
pub(super) fn arithmetic(
    b: &mut Builder,
    operator: &Operator,
    builtin: Builtin,
) -> Result<(), Refusal> {
    let files = [b.input(operator, 0)?, b.input(operator, 1)?];
    let y = b.output(operator)?;
    if b.tensor(y).element != Ok(Element::Int32) {
        return Err(Refusal::new("expected int32 integers"));
    }
    if operator.options.map_or(Ok(0), |table| table.byte(options::ACTIVATION))? != 0 {
        return Err(Refusal::lasting("expected no fused activation on integers without a scale"));
    }
    let operand = |b: &mut Builder, at: usize| match b.value(at).cloned() {
        Some(Value::Sequence(sequence)) => Ok(Some(sequence)),
        _ => match b.integers(at)?[..] {
            [_] => Ok(None),
            _ => {
                Err(Refusal::lasting("expected one constant integer beside those of an activation"))
            }
        },
    };
    let sides = [operand(b, files[0])?, operand(b, files[1])?];
    let source = match &sides {
        [Some(a), Some(other)] if a.source == other.source => a.source,
        [Some(one), None] | [None, Some(one)] => one.source,
        _ => {
            return Err(Refusal::lasting(
                "expected integers of one activation, found those of two",
            ));
        }
    };
    let mut constants = [0; 2];
    for (constant, (&at, side)) in constants.iter_mut().zip(files.iter().zip(&sides)) {
        if side.is_none() {
            *constant = b.integers(at)?.first().map_or(0, |&number| number as i32);
        }
    }
    let count = elements(b.of(source).dtype).1;
    b.budget.take(4 * count)?;
    let value = |side: usize, index: usize| match &sides[side] {
        Some(sequence) => sequence.of.get(index).copied().unwrap_or(0),
        None => constants[side],
    };
    let result = |index: usize| {
        let (a, other) = (value(0, index), value(1, index));
        match builtin {
            ADD => a.wrapping_add(other),
            SUB => a.wrapping_sub(other),
            MUL => a.wrapping_mul(other),
            MAXIMUM => a.max(other),
            // The only one left.
            _ => a.min(other),
        }
    };
    let of = (0..count).map(result).collect();
    b.set(y, Value::Sequence(Sequence { source, of }))
}

/// Rows of a constant by integers of an activation, or elements of an activation by constant integers.
pub(super) fn gather(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, ids] = [b.input(operator, 0)?, b.input(operator, 1)?];
    let y = b.output(operator)?;
    let number = |place: usize| operator.options.map_or(Ok(0), |table| table.int(place));
    if number(options::GATHER_BATCH_AXES)? != 0 {
        return Err(Refusal::lasting("expected no axes of a batch"));
    }
    let axis = axis_of(i64::from(number(options::GATHER_AXIS)?), b.shape(x).len())?;
    if let Some(Value::Sequence(sequence)) = b.value(ids).cloned() {
        return match axis {
            0 => look_up(b, [x, y], &sequence),
            _ => Err(Refusal::lasting("expected rows of a table along its first axis")),
        };
    }
    let shape = b.shape(x);
    let steps = strides(shape);
    let mut places = Vec::new();
    for id in b.integers(ids)? {
        let id = usize::try_from(id).ok().filter(|&id| id < shape[axis]);
        let id = id.ok_or_else(|| {
            Refusal::new(format!("expected indices below {} along axis {axis}", shape[axis]))
        })?;
        places.push(id * steps[axis]);
    }
    let axes = shape.iter().enumerate().map(|(own, &count)| match own == axis {
        true => Axis::listed(places.clone()),
        false => Axis::Even { count, step: steps[own] as isize },
    });
    move_elements(b, [x, y], 0, axes.collect())
}

fn look_up(b: &mut Builder, [x, y]: [usize; 2], ids: &Sequence) -> Result<(), Refusal> {
    let tensor = b.tensor(x);
    if tensor.element != Ok(Element::Int8) || !tensor.is_constant() {
        return Err(Refusal::lasting("expected a constant table of int8 elements"));
    }
    let table: Vec<i8> = Numbers::<i8>::of(b.whole_constant(x)?).iter().collect();
    let Some((&count, row)) = tensor.shape.split_first() else {
        return Err(Refusal::new("expected a table of rows"));
    };
    let width = row.iter().fold(1_usize, |product, &extent| product.saturating_mul(extent));
    let source = b.of(ids.source);
    let ((lowest, _), zero_point, dtype) =
        (elements(source.dtype), source.grid.zero_point, source.dtype);
    let rows: Option<Vec<usize>> =
        ids.of.iter().map(|&id| usize::try_from(id).ok().filter(|&id| id < count)).collect();
    let rows = rows
        .ok_or_else(|| Refusal::new(format!("expected numbers of {count} rows, found others")))?;
    // What a table of rows does with any element.
    let own = |index: usize| {
        let id = lowest + index as i32 - zero_point;
        let id = if id < 0 { i64::from(id) + count as i64 } else { i64::from(id) };
        id.clamp(0, count as i64 - 1) as usize
    };
    let op = if width == 1 && dtype == DType::I8 {
        let entry = |&row: &usize| table.get(row).copied().unwrap_or(0);
        IntOp::Table8 { table: rows.iter().map(entry).collect() }
    } else if rows.iter().enumerate().all(|(index, &row)| own(index) == row) {
        IntOp::Lookup8 { width, table }
    } else {
        return Err(Refusal::lasting(
            "expected rows numbered by an activation's integers less its zero point",
        ));
    };
    let to = b.write(y)?;
    let table = b.tensor(x);
    let (scale, zero_point) = b.single_grid(x)?;
    let grid = b.of(to).grid;
    if (grid.scale, i64::from(grid.zero_point)) != (scale, zero_point) {
        return Err(Refusal::new(format!(
            "expected the grid of the table \"{}\" in its output",
            table.name
        )));
    }
    b.push(op, &[ids.source], to);
    Ok(())
}
