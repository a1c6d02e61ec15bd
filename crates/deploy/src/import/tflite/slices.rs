//! Parts of activations: slices, splits and reversals.

use super::builder::Builder;
use super::error::Refusal;
use super::movement::{Axis, axis_of, move_elements, strides};
use crate::tflite::bytes::Table;
use crate::tflite::file::Operator;
use crate::tflite::places::options;

/// The elements along an axis: the first, how many there are, and from one to the next.
#[derive(Clone, Copy)]
struct Run {
    begin: usize,
    count: usize,
    step: isize,
}

/// Writes the elements that a run along each axis of `x` gives.
fn cut(b: &mut Builder, x: usize, y: usize, runs: &[Run]) -> Result<(), Refusal> {
    let steps = strides(b.shape(x));
    let first = runs.iter().zip(&steps).map(|(run, step)| run.begin.saturating_mul(*step));
    let first = first.fold(0, usize::saturating_add);
    let axes = runs.iter().zip(&steps).map(|(run, &step)| Axis::Even {
        count: run.count,
        step: run.step.saturating_mul(step as isize),
    });
    move_elements(b, [x, y], first, axes.collect())
}

/// All elements along each axis of `x`.
fn whole(b: &Builder, x: usize) -> Vec<Run> {
    b.shape(x).iter().map(|&count| Run { begin: 0, count, step: 1 }).collect()
}

pub(super) fn reverse(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, axes] = [b.input(operator, 0)?, b.input(operator, 1)?];
    let y = b.output(operator)?;
    let mut runs = whole(b, x);
    for axis in b.integers(axes)? {
        let axis = axis_of(axis, runs.len())?;
        let count = runs[axis].count;
        runs[axis] = Run { begin: count.saturating_sub(1), count, step: -1 };
    }
    cut(b, x, y, &runs)
}

/// Numbers of an operand, one for each axis of `x`.
fn numbers(
    b: &mut Builder,
    operator: &Operator,
    place: usize,
    x: usize,
) -> Result<Vec<i64>, Refusal> {
    let at = b.input(operator, place)?;
    let (numbers, axes) = (b.integers(at)?, b.shape(x).len());
    match numbers.len() == axes {
        true => Ok(numbers),
        false => Err(Refusal::lasting(format!(
            "expected a number for each of {axes} axes, found {}",
            numbers.len()
        ))),
    }
}

pub(super) fn slice(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let (begins, sizes) = (numbers(b, operator, 1, x)?, numbers(b, operator, 2, x)?);
    let mut runs = Vec::new();
    for (axis, (&begin, &size)) in begins.iter().zip(&sizes).enumerate() {
        let extent = b.shape(x)[axis];
        let begin = usize::try_from(begin).ok().filter(|&begin| begin <= extent);
        let count = begin.and_then(|begin| match size {
            // The rest of the axis.
            -1 => Some(extent - begin),
            _ => usize::try_from(size).ok().filter(|&size| size <= extent - begin),
        });
        let (Some(begin), Some(count)) = (begin, count) else {
            return Err(Refusal::new(format!(
                "expected a part of the {extent} elements along axis {axis}, found {size} from {:?} on",
                begins[axis]
            )));
        };
        runs.push(Run { begin, count, step: 1 });
    }
    cut(b, x, y, &runs)
}

pub(super) fn strided(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let mask = |table: &Table, place: usize| table.int(place);
    let Some(table) = operator.options else {
        return Err(Refusal::new("expected options, found none"));
    };
    for place in [options::ELLIPSIS_MASK, options::NEW_AXIS_MASK] {
        if mask(&table, place)? != 0 {
            return Err(Refusal::lasting("expected neither an ellipsis nor new axes"));
        }
    }
    if table.byte(options::END_IS_OFFSET)? != 0 {
        return Err(Refusal::lasting("expected ends, found lengths"));
    }
    let masks = [options::BEGIN_MASK, options::END_MASK, options::SHRINK_MASK];
    let [open_begin, open_end, shrunk] =
        [mask(&table, masks[0])?, mask(&table, masks[1])?, mask(&table, masks[2])?];
    let (begins, ends) = (numbers(b, operator, 1, x)?, numbers(b, operator, 2, x)?);
    let steps = numbers(b, operator, 3, x)?;
    let mut runs = Vec::new();
    for (axis, ((&begin, &end), &step)) in begins.iter().zip(&ends).zip(&steps).enumerate() {
        let extent = b.shape(x)[axis] as i64;
        let is_set = |mask: i32| mask >> axis & 1 == 1;
        if step == 0 || step.abs() > i64::from(i32::MAX) {
            return Err(Refusal::new(format!("expected a step along axis {axis}, found {step}")));
        }
        // Before the first element, and behind the last, where steps come from.
        let (lowest, highest) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
        let inside = |number: i64| {
            let from_start = if number < 0 { number.saturating_add(extent) } else { number };
            from_start.clamp(lowest, highest)
        };
        let run = if is_set(shrunk) {
            let begin = axis_of(begin, extent as usize)?;
            Run { begin, count: 1, step: 1 }
        } else {
            let begin = match is_set(open_begin) {
                true if step > 0 => lowest,
                true => highest,
                false => inside(begin),
            };
            let end = match is_set(open_end) {
                true if step > 0 => highest,
                true => lowest,
                false => inside(end),
            };
            let count = ((end - begin) * step.signum()).max(0) as u64;
            let count = count.div_ceil(step.unsigned_abs()) as usize;
            Run { begin: begin.max(0) as usize, count, step: step as isize }
        };
        runs.push(run);
    }
    cut(b, x, y, &runs)
}

/// Parts along one axis, all alike or of given sizes.
pub(super) fn split(b: &mut Builder, operator: &Operator, sized: bool) -> Result<(), Refusal> {
    let (place, at) = if sized { (0, 2) } else { (1, 0) };
    let (x, axis) = (b.input(operator, place)?, b.input(operator, at)?);
    let runs = whole(b, x);
    let axis = match b.integers(axis)?[..] {
        [axis] => axis_of(axis, runs.len())?,
        _ => return Err(Refusal::new("expected one axis to split")),
    };
    let mut begin = 0;
    for &y in &operator.outputs {
        // The parts' own extents.
        let count = b.shape(y).get(axis).copied().unwrap_or(0);
        if begin + count > runs[axis].count {
            return Err(Refusal::new(format!(
                "expected parts of the {} elements along axis {axis}, found more",
                runs[axis].count
            )));
        }
        let mut own = runs.clone();
        own[axis] = Run { begin, count, step: 1 };
        cut(b, x, y, &own)?;
        begin += count;
    }
    Ok(())
}

pub(super) fn unpack(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let x = b.input(operator, 0)?;
    let axis = operator.options.map_or(Ok(0), |table| table.int(options::PACK_AXIS))?;
    let runs = whole(b, x);
    let axis = axis_of(i64::from(axis), runs.len())?;
    if operator.outputs.len() != runs[axis].count {
        return Err(Refusal::new(format!(
            "expected {} outputs, found {}",
            runs[axis].count,
            operator.outputs.len()
        )));
    }
    for (begin, &y) in operator.outputs.iter().enumerate() {
        let mut own = runs.clone();
        own[axis] = Run { begin, count: 1, step: 1 };
        cut(b, x, y, &own)?;
    }
    Ok(())
}
