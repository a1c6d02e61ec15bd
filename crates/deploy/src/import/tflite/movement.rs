//! What only moves elements: each output element is an input's at a first place and steps along axes.

use burn_ptq_kernels::reference::MAX_AXES;

use super::builder::Builder;
use super::error::Refusal;
use super::shapes::{plane, three_axes};
use super::values::Value;
use crate::movement::MoveAxis;
use crate::op::IntOp;
use crate::program::TensorId;
use crate::tflite::file::Operator;
use crate::tflite::places::options;

/// How an axis of the output walks over the input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Axis {
    /// At even steps.
    Even { count: usize, step: isize },
    /// At these places.
    Listed(Vec<usize>),
}

impl Axis {
    /// The axis at these places, at even steps if they are.
    pub(super) fn listed(places: Vec<usize>) -> Self {
        let step = |pair: &[usize]| pair[1] as isize - pair[0] as isize;
        let first = places.windows(2).map(step).next().unwrap_or(0);
        match places.first() == Some(&0) && places.windows(2).all(|pair| step(pair) == first) {
            true => Self::Even { count: places.len(), step: first },
            false => Self::Listed(places),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Even { count, .. } => *count,
            Self::Listed(places) => places.len(),
        }
    }
}

/// The places from one element to the next along each axis.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1_usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis].saturating_mul(shape[axis]);
    }
    steps
}

/// The index of an axis that may be counted from the end.
pub(super) fn axis_of(axis: i64, axes: usize) -> Result<usize, Refusal> {
    let from_start = if axis < 0 { axis + axes as i64 } else { axis };
    usize::try_from(from_start)
        .ok()
        .filter(|&index| index < axes)
        .ok_or_else(|| Refusal::new(format!("expected one of {axes} axes, found axis {axis}")))
}

/// The axes without those of one element, and joined where one continues another.
fn joined(axes: Vec<Axis>) -> Vec<Axis> {
    let mut few: Vec<Axis> = Vec::new();
    for axis in axes {
        if axis == (Axis::Even { count: 1, step: 0 }) || matches!(axis, Axis::Even { count: 1, .. })
        {
            continue;
        }
        if let (Some(Axis::Even { count: outer, step: far }), Axis::Even { count, step }) =
            (few.last().cloned(), &axis)
            && far == step.saturating_mul(*count as isize)
        {
            few.pop();
            few.push(Axis::Even { count: outer * count, step: *step });
            continue;
        }
        few.push(axis);
    }
    if few.is_empty() {
        few.push(Axis::Even { count: 1, step: 0 });
    }
    few
}

/// Writes the elements of the activation at `x` that the axes visit from `first` on to that at `y`.
pub(super) fn move_elements(
    b: &mut Builder,
    [x, y]: [usize; 2],
    first: usize,
    axes: Vec<Axis>,
) -> Result<(), Refusal> {
    let counted = axes.iter().try_fold(1_usize, |product, axis| product.checked_mul(axis.count()));
    if counted != b.tensor(y).elements() {
        return Err(Refusal::new(format!(
            "its output of shape {:?} does not have the elements that it moves",
            b.shape(y)
        )));
    }
    let axes = joined(axes);
    let from = b.activation(x)?;
    let whole = [Axis::Even { count: b.of(from).len(), step: 1 }];
    if first == 0 && axes == whole {
        return alias(b, from, y);
    }
    let to = b.write(y)?;
    b.same_grid(from, to)?;
    push_movement(b, [from, to], first, axes)
}

/// A node that moves elements between activations.
pub(super) fn push_movement(
    b: &mut Builder,
    [from, to]: [TensorId; 2],
    first: usize,
    axes: Vec<Axis>,
) -> Result<(), Refusal> {
    if axes.len() > MAX_AXES {
        return Err(Refusal::lasting(format!(
            "expected a movement along at most {MAX_AXES} axes, found {}",
            axes.len()
        )));
    }
    let axes = axes.into_iter().map(|axis| match axis {
        Axis::Even { count, step } => MoveAxis::Even { count, step },
        // Tensors have less than 2^28 elements.
        Axis::Listed(places) => {
            MoveAxis::Listed(places.iter().map(|&place| place as u32).collect())
        }
    });
    let op = IntOp::Rearrange { first, axes: axes.collect() };
    b.push(op, &[from], to);
    Ok(())
}

/// Lets the tensor at `y` be the activation `id`, whose grid it has.
fn alias(b: &mut Builder, id: TensorId, y: usize) -> Result<(), Refusal> {
    let own = b.activation_like(y)?;
    let held = b.of(id);
    if (held.dtype, held.grid, held.len()) != (own.dtype, own.grid, own.len()) {
        return Err(Refusal::new(format!(
            "expected its output to have the elements and the grid of its input, found shape {:?} with scale {:?} \
             and zero point {} for {:?} with {:?} and {}",
            own.shape,
            own.grid.scale,
            own.grid.zero_point,
            held.shape,
            held.grid.scale,
            held.grid.zero_point
        )));
    }
    b.set(y, Value::Activation(id))
}

pub(super) fn reshape(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    if let Some(value @ (Value::Sequence(_) | Value::Extents)) = b.value(x).cloned() {
        return b.set(y, value);
    }
    let id = b.activation(x)?;
    alias(b, id, y)
}

pub(super) fn concatenation(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let table = operator.options;
    let axis = table.map_or(Ok(0), |table| table.int(options::CONCATENATION_AXIS))?;
    let activation = table.map_or(Ok(0), |table| table.byte(options::CONCATENATION_ACTIVATION))?;
    if activation != 0 {
        return Err(Refusal::new(format!("expected no fused activation, found code {activation}")));
    }
    let y = b.output(operator)?;
    let axis = axis_of(i64::from(axis), b.shape(y).len())?;
    join(b, operator, axis)
}

pub(super) fn pack(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let axis = operator.options.map_or(Ok(0), |table| table.int(options::PACK_AXIS))?;
    let y = b.output(operator)?;
    let axis = axis_of(i64::from(axis), b.shape(y).len())?;
    join(b, operator, axis)
}

/// Joins inputs, of which each step along the axes before `axis` gives a part.
fn join(b: &mut Builder, operator: &Operator, axis: usize) -> Result<(), Refusal> {
    let y = b.output(operator)?;
    three_axes(b.shape(y))?;
    let outer: usize = b.shape(y)[..axis].iter().product();
    let (mut ids, mut chunks) = (Vec::new(), Vec::new());
    for place in 0..operator.inputs.len() {
        let x = b.input(operator, place)?;
        three_axes(b.shape(x))?;
        let part = b.shape(x).get(axis..).map(|inner| inner.iter().product());
        chunks
            .push(part.ok_or_else(|| Refusal::new("its inputs have fewer axes than its output"))?);
        ids.push(b.activation(x)?);
    }
    let y = b.write(y)?;
    for &id in &ids {
        b.same_grid(id, y)?;
    }
    b.push(IntOp::Concat { outer, chunks }, &ids, y);
    Ok(())
}

pub(super) fn transpose(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let [x, order] = [b.input(operator, 0)?, b.input(operator, 1)?];
    let (y, shape) = (b.output(operator)?, b.shape(x));
    let order = b.integers(order)?;
    let order: Vec<usize> =
        order.iter().map(|&axis| axis_of(axis, shape.len())).collect::<Result<_, _>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..shape.len()) {
        return Err(Refusal::new(format!(
            "expected an order of {} axes, found {order:?}",
            shape.len()
        )));
    }
    let steps = strides(shape);
    let turned: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    b.expect_shape(y, &turned)?;
    // The kernel for three axes, where the batch stays in front.
    if let (&[1, height, width, channels], [0, rest @ ..]) = (shape, &order[..])
        && !rest.is_sorted()
    {
        let axes = [rest[0] - 1, rest[1] - 1, rest[2] - 1];
        let input = [height, width, channels];
        let x = b.activation(x)?;
        let y = b.write(y)?;
        b.same_grid(x, y)?;
        b.push(IntOp::Transpose { input, axes }, &[x], y);
        return Ok(());
    }
    let axis = |&axis: &usize| Axis::Even { count: shape[axis], step: steps[axis] as isize };
    move_elements(b, [x, y], 0, order.iter().map(axis).collect())
}

/// Blocks of pixels that become channels, or the other way.
pub(super) fn blocks(b: &mut Builder, operator: &Operator, to_space: bool) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let size = operator.options.map_or(Ok(0), |table| table.int(options::BLOCK))?;
    let size = usize::try_from(size).ok().filter(|size| (1..=1 << 12).contains(size));
    let size = size.ok_or_else(|| Refusal::new("expected a block of 1 to 4096 pixels a side"))?;
    let ([height, width, channels], [out_h, out_w, out_channels]) =
        (plane(b.shape(x))?, plane(b.shape(y))?);
    let (wide, deep) = match to_space {
        true => ([out_h, out_w, out_channels], [height, width, channels]),
        false => ([height, width, channels], [out_h, out_w, out_channels]),
    };
    if wide[0] != deep[0] * size || wide[1] != deep[1] * size || wide[2] * size * size != deep[2] {
        return Err(Refusal::new(format!(
            "expected shapes that differ by blocks of {size}, found {:?} and {:?}",
            b.shape(x),
            b.shape(y)
        )));
    }
    let even = |count: usize, step: usize| Axis::Even { count, step: step as isize };
    let axes = match to_space {
        true => vec![
            even(deep[0], deep[1] * deep[2]),
            even(size, size * wide[2]),
            even(deep[1], deep[2]),
            even(size, wide[2]),
            even(wide[2], 1),
        ],
        false => vec![
            even(deep[0], size * wide[1] * wide[2]),
            even(deep[1], size * wide[2]),
            even(size, wide[1] * wide[2]),
            even(size, wide[2]),
            even(wide[2], 1),
        ],
    };
    move_elements(b, [x, y], 0, axes)
}

pub(super) fn broadcast(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let (from, to) = (b.shape(x), b.shape(y));
    let Some(missing) = to.len().checked_sub(from.len()) else {
        return Err(no_repetition(from, to));
    };
    let steps = strides(from);
    let axis = |(index, &count): (usize, &usize)| match index.checked_sub(missing) {
        None => Some(Axis::Even { count, step: 0 }),
        Some(own) if from[own] == count => Some(Axis::Even { count, step: steps[own] as isize }),
        Some(own) if from[own] == 1 => Some(Axis::Even { count, step: 0 }),
        Some(_) => None,
    };
    let axes: Option<Vec<Axis>> = to.iter().enumerate().map(axis).collect();
    move_elements(b, [x, y], 0, axes.ok_or_else(|| no_repetition(from, to))?)
}

fn no_repetition(from: &[usize], to: &[usize]) -> Refusal {
    Refusal::new(format!("expected a shape that repeats to {to:?}, found {from:?}"))
}
