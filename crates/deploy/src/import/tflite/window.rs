//! Pools, padding and interpolation.

use burn_ptq_kernels::geometry::{PoolGeometry, Window};
use burn_ptq_kernels::reference::{Alignment, nearest_position, resize_position};

use super::builder::Builder;
use super::error::Refusal;
use super::movement::{Axis, move_elements, strides};
use super::shapes::{plane, three_axes};
use crate::op::{DType, IntOp};
use crate::tflite::Element;
use crate::tflite::bytes::Table;
use crate::tflite::file::Operator;
use crate::tflite::places::{options, pool, window};
use crate::tflite::schema::Padding;
use crate::verify::MAX_WINDOW;

/// Elements that a window spans along an axis.
pub(super) const fn reach(kernel: usize, dilation: usize) -> usize {
    (kernel - 1) * dilation + 1
}

/// A number of options that counts elements.
pub(super) fn extent(table: &Table, place: usize) -> Result<usize, Refusal> {
    let found = table.int(place)?;
    let extent = usize::try_from(found).ok().filter(|extent| (1..=MAX_WINDOW).contains(extent));
    extent.ok_or_else(|| {
        Refusal::new(format!(
            "expected a stride, kernel or factor of 1 to {MAX_WINDOW}, found {found}"
        ))
    })
}

/// The same where 1 stands for one that is not there.
pub(super) fn factor(table: &Table, place: usize) -> Result<usize, Refusal> {
    if table.has(place)? { extent(table, place) } else { Ok(1) }
}

/// The padding of a window's options.
pub(super) fn padding_of(table: &Table) -> Result<Padding, Refusal> {
    let code = table.byte(window::PADDING)?;
    Padding::of_code(code)
        .ok_or_else(|| Refusal::new(format!("expected padding of code 0 or 1, found {code}")))
}

/// The window of options, and the extents of its output.
pub(super) fn windowed(
    table: &Table,
    kernel: [usize; 2],
    dilation: [usize; 2],
    input: [usize; 2],
) -> Result<(Window, [usize; 2]), Refusal> {
    let stride = [extent(table, window::STRIDE_H)?, extent(table, window::STRIDE_W)?];
    let padding = padding_of(table)?;
    if kernel.iter().any(|kernel| !(1..=MAX_WINDOW).contains(kernel)) {
        return Err(Refusal::lasting(format!(
            "expected a kernel of 1 to {MAX_WINDOW}, found {kernel:?}"
        )));
    }
    let (mut pad, mut output) = ([0; 2], [0; 2]);
    for axis in 0..2 {
        let reach = reach(kernel[axis], dilation[axis]);
        let (extent, total) = padding.windows(input[axis], stride[axis], reach);
        (output[axis], pad[axis]) = (extent, total / 2);
    }
    Ok((Window { kernel, stride, dilation, pad }, output))
}

pub(super) fn pool(b: &mut Builder, operator: &Operator, average: bool) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let [height, width, channels] = plane(b.shape(x))?;
    let Some(table) = operator.options else {
        return Err(Refusal::new("expected options, found none"));
    };
    let kernel = [extent(&table, pool::FILTER_H)?, extent(&table, pool::FILTER_W)?];
    let (window, output) = windowed(&table, kernel, [1; 2], [height, width])?;
    b.expect_shape(y, &[1, output[0], output[1], channels])?;
    let x = b.activation(x)?;
    let y = b.write(y)?;
    b.same_grid(x, y)?;
    let clamp = b.bounds(operator, pool::ACTIVATION, y)?;
    let geometry = PoolGeometry { input: [height, width], output, channels, window };
    let op = match average {
        true => IntOp::AveragePool { geometry, clamp },
        false => IntOp::MaxPool { geometry, clamp },
    };
    b.push(op, &[x], y);
    Ok(())
}

/// The flags of interpolation: whether corners lie on each other, and whether elements have centers.
fn flags(operator: &Operator, places: [usize; 2]) -> Result<[bool; 2], Refusal> {
    let flag = |place: usize| {
        operator.options.map_or(Ok(false), |table| Ok::<_, Refusal>(table.byte(place)? != 0))
    };
    Ok([flag(places[0])?, flag(places[1])?])
}

pub(super) fn resize_linear(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let (input, output) = (plane(b.shape(x))?, plane(b.shape(y))?);
    let alignment =
        match flags(operator, [options::BILINEAR_CORNERS, options::BILINEAR_HALF_PIXELS])? {
            [false, false] => Alignment::Start,
            [true, false] => Alignment::Corners,
            [false, true] => Alignment::HalfPixel,
            [true, true] => {
                return Err(Refusal::lasting(
                    "expected corners or half pixels to be aligned, found both",
                ));
            }
        };
    b.expect_shape(y, &[1, output[0], output[1], input[2]])?;
    let x = b.activation(x)?;
    b.narrow(x)?;
    let y = b.write(y)?;
    b.same_grid(x, y)?;
    b.budget.take(4 * (output[0] + output[1]))?;
    let positions = |axis: usize| -> Vec<u32> {
        let (extent, count) = (input[axis], output[axis]);
        (0..count).map(|index| resize_position(alignment, index, extent, count)).collect()
    };
    let op = IntOp::ResizeLinear { input, rows: positions(0), columns: positions(1) };
    b.push(op, &[x], y);
    Ok(())
}

pub(super) fn resize_nearest(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let (input, output) = (plane(b.shape(x))?, plane(b.shape(y))?);
    let [corners, half] =
        flags(operator, [options::NEAREST_CORNERS, options::NEAREST_HALF_PIXELS])?;
    b.expect_shape(y, &[1, output[0], output[1], input[2]])?;
    let steps = strides(&input);
    let mut axes = Vec::new();
    for axis in 0..2 {
        let (extent, count) = (input[axis], output[axis]);
        b.budget.take(16 * count)?;
        let places = (0..count).map(|index| nearest_position(corners, half, index, extent, count));
        axes.push(Axis::listed(places.map(|place| place * steps[axis]).collect()));
    }
    axes.push(Axis::Even { count: input[2], step: 1 });
    move_elements(b, [x, y], 0, axes)
}

/// Elements before and after each axis.
fn paddings(b: &mut Builder, operator: &Operator, axes: usize) -> Result<Vec<[usize; 2]>, Refusal> {
    let pads = b.input(operator, 1)?;
    let pads = b.integers(pads)?;
    let count = |&count: &i64| usize::try_from(count).ok().filter(|&count| count <= 1 << 28);
    let counts: Option<Vec<usize>> = pads.iter().map(count).collect();
    let counts = counts.filter(|counts| counts.len() == 2 * axes).ok_or_else(|| {
        Refusal::new(format!("expected 2 counts for each of {axes} axes, found {pads:?}"))
    })?;
    Ok(counts.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
}

pub(super) fn pad(b: &mut Builder, operator: &Operator, valued: bool) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let shape = b.shape(x);
    let pads = paddings(b, operator, shape.len())?;
    let padded: Vec<usize> = shape
        .iter()
        .zip(&pads)
        .map(|(&extent, pad)| extent.saturating_add(pad[0] + pad[1]))
        .collect();
    b.expect_shape(y, &padded)?;
    let (input, before, after) = three_padded(shape, &pads)?;
    let id = b.activation(x)?;
    let to = b.write(y)?;
    b.same_grid(id, to)?;
    let value = match valued {
        false => b.of(to).grid.zero_point,
        true => element(b, b.input(operator, 2)?, to)?,
    };
    b.push(IntOp::Pad { input, before, after, value }, &[id], to);
    Ok(())
}

/// The only element of a constant of the type of an activation.
fn element(b: &Builder, at: usize, like: crate::program::TensorId) -> Result<i32, Refusal> {
    let tensor = b.tensor(at);
    let value = match (tensor.element, b.of(like).dtype, tensor.data) {
        (Ok(Element::Int8), DType::I8, &[value]) => Some(i32::from(value as i8)),
        (Ok(Element::Int16), DType::I16, &[low, high]) => {
            Some(i32::from(i16::from_le_bytes([low, high])))
        }
        _ => None,
    };
    value.ok_or_else(|| {
        Refusal::new(format!(
            "expected a constant element of the input's type to pad with, found {} of shape {:?}",
            tensor.element_name(),
            tensor.shape
        ))
    })
}

type Padded = ([usize; 3], [usize; 3], [usize; 3]);

/// Padding of any axes as padding of three: axes that are not padded join those before them.
fn three_padded(shape: &[usize], pads: &[[usize; 2]]) -> Result<Padded, Refusal> {
    let mut axes: Vec<[usize; 3]> =
        shape.iter().zip(pads).map(|(&extent, pad)| [extent, pad[0], pad[1]]).collect();
    while axes.len() > 3 {
        let plain = |axis: &[usize; 3]| axis[1..] == [0, 0];
        // A batch of one stands for nothing.
        if axes.first() == Some(&[1, 0, 0]) {
            axes.remove(0);
            continue;
        }
        let joined = (1..axes.len()).find(|&axis| plain(&axes[axis]));
        let Some(axis) = joined else {
            return Err(Refusal::lasting("expected at most three padded axes"));
        };
        let inner = axes.remove(axis)[0];
        axes[axis - 1] = axes[axis - 1].map(|extent| extent.saturating_mul(inner));
    }
    while axes.len() < 3 {
        axes.insert(0, [1, 0, 0]);
    }
    let part = |place: usize| [axes[0][place], axes[1][place], axes[2][place]];
    three_axes(&part(0))?;
    Ok((part(0), part(1), part(2)))
}

pub(super) fn mirror_pad(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let (x, y) = (b.input(operator, 0)?, b.output(operator)?);
    let mode = operator.options.map_or(Ok(0), |table| table.byte(options::MIRROR_MODE))?;
    // Whether the outermost elements are not repeated.
    let edge = match mode {
        0 => 1,
        1 => 0,
        _ => return Err(Refusal::new(format!("expected mode 0 or 1, found {mode}"))),
    };
    let shape = b.shape(x);
    let steps = strides(shape);
    let mut axes = Vec::new();
    let mut padded = Vec::new();
    for (axis, [before, after]) in paddings(b, operator, shape.len())?.into_iter().enumerate() {
        let extent = shape[axis];
        if before.max(after) + edge > extent {
            return Err(Refusal::new(format!(
                "expected at most {} mirrored elements along axis {axis}, found {before} and {after}",
                extent.saturating_sub(edge)
            )));
        }
        padded.push(before + extent + after);
        if before + after == 0 {
            axes.push(Axis::Even { count: extent, step: steps[axis] as isize });
            continue;
        }
        b.budget.take(16 * (before + extent + after))?;
        let begin = (0..before).rev().map(|i| i + edge);
        let end = (0..after).map(|i| extent - 1 - edge - i);
        let places = begin.chain(0..extent).chain(end);
        axes.push(Axis::listed(places.map(|place| place * steps[axis]).collect()));
    }
    b.expect_shape(y, &padded)?;
    move_elements(b, [x, y], 0, axes)
}
