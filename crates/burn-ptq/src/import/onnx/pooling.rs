//! Windows, pooling and means.

use super::attributes::{NodeView, sample_axis};
use super::{Imported, Importer};
use crate::graph::dims3;
use crate::graph::ops::{AveragePool, MaxPool, Permute, Reshape, Window};

/// Extents, strides, paddings and dilations are small numbers in real networks.
const LARGEST: i64 = 1 << 16;
/// Taps over all positions of an axis, so that a hostile file cannot keep shape inference busy.
const MOST_TAPS: usize = 1 << 28;

/// The window of a node with `kernel` over `extents`, of which `spatial` axes are real, and the
/// part of its end padding that comes from `ceil_mode`.
pub(super) fn window(
    node: &NodeView,
    kernel: [usize; 2],
    extents: [usize; 2],
    spatial: usize,
    ceil: bool,
) -> Result<(Window, [usize; 2]), String> {
    let list = |name: &str, len: usize, default: i64| -> Result<Vec<usize>, String> {
        let values = node.ints(name)?.unwrap_or_else(|| vec![default; len]);
        if values.len() != len {
            return Err(format!("{name} has {} elements: expected {len}", values.len()));
        }
        let smallest = default;
        let checked = values.iter().map(|&v| {
            if (smallest..LARGEST).contains(&v) {
                Ok(v as usize)
            } else {
                Err(format!("{name} holds {v}: expected {smallest} to {}", LARGEST - 1))
            }
        });
        checked.collect()
    };
    let pair = |values: &[usize], missing| [values[0], values.get(1).copied().unwrap_or(missing)];
    let stride = pair(&list("strides", spatial, 1)?, 1);
    let dilation = pair(&list("dilations", spatial, 1)?, 1);
    let auto_pad = node.string("auto_pad")?.unwrap_or_else(|| "NOTSET".into());
    let mut window = Window { stride, dilation, ..Window::new(kernel) };
    let mut extra = [0; 2];
    match auto_pad.as_str() {
        "NOTSET" | "" => {
            let pads = list("pads", 2 * spatial, 0)?;
            window.begin = pair(&pads[..spatial], 0);
            window.end = pair(&pads[spatial..], 0);
        }
        "VALID" => {}
        "SAME_UPPER" | "SAME_LOWER" => {
            for axis in 0..spatial {
                let reach = (kernel[axis].max(1) - 1) * dilation[axis] + 1;
                let output = extents[axis].div_ceil(stride[axis]);
                let total = ((output - 1) * stride[axis] + reach).saturating_sub(extents[axis]);
                let (less, more) = (total / 2, total - total / 2);
                let upper = auto_pad == "SAME_UPPER";
                window.begin[axis] = if upper { less } else { more };
                window.end[axis] = if upper { more } else { less };
            }
        }
        other => return Err(format!("auto_pad '{other}' is not in the standard")),
    }
    for axis in 0..2 {
        let reach = (kernel[axis].max(1) - 1) * dilation[axis] + 1;
        let padded = extents[axis] + window.begin[axis] + window.end[axis];
        if ceil && padded >= reach {
            let mut output = (padded - reach).div_ceil(stride[axis]) + 1;
            // A window must start inside the input or the padding before it.
            if (output - 1) * stride[axis] >= extents[axis] + window.begin[axis] {
                output -= 1;
            }
            extra[axis] = ((output - 1) * stride[axis] + reach).saturating_sub(padded);
            window.end[axis] += extra[axis];
        }
        let positions = (padded + extra[axis]).saturating_sub(reach) / stride[axis] + 1;
        if positions.saturating_mul(kernel[axis]) > MOST_TAPS {
            return Err("its window is too large for its input".into());
        }
    }
    Ok((window, extra))
}

/// The window of a pooling node, the part of its end padding from `ceil_mode`.
fn pool_window(node: &NodeView, shape: &[usize]) -> Result<(Window, [usize; 2]), String> {
    let spatial = spatial_axes(shape)?;
    let kernel = node.ints("kernel_shape")?.ok_or("kernel_shape is missing")?;
    if kernel.len() != spatial || kernel.iter().any(|k| !(1..LARGEST).contains(k)) {
        return Err(format!("kernel_shape {kernel:?} must hold {spatial} positive numbers"));
    }
    let kernel = [kernel[0] as usize, kernel.get(1).map_or(1, |&k| k as usize)];
    let [_, height, width] = dims3(shape);
    window(node, kernel, [height, width], spatial, node.int("ceil_mode", 0)? != 0)
}

/// The number of axes that a pool runs over.
fn spatial_axes(shape: &[usize]) -> Result<usize, String> {
    match shape.len() {
        2 | 3 => Ok(shape.len() - 1),
        _ => Err(format!("expected samples [channels, height, width], found {shape:?}")),
    }
}

pub(super) fn average_pool(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    let (window, ceil_extra) = pool_window(node, importer.shape(input))?;
    let count_include_pad = node.int("count_include_pad", 0)? != 0;
    importer.push(node, AveragePool { window, count_include_pad, ceil_extra }, &[input])
}

pub(super) fn max_pool(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    let (window, _) = pool_window(node, importer.shape(input))?;
    importer.push(node, MaxPool { window }, &[input])
}

pub(super) fn global_average_pool(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    spatial_axes(importer.shape(input))?;
    let [_, height, width] = dims3(importer.shape(input));
    importer.push(node, mean([height, width]), &[input])
}

fn mean(kernel: [usize; 2]) -> AveragePool {
    let window = Window { stride: kernel, ..Window::new(kernel) };
    AveragePool { window, count_include_pad: false, ceil_extra: [0; 2] }
}

pub(super) fn reduce_mean(importer: &mut Importer, node: &NodeView) -> Imported {
    let input = importer.value(node, 0)?;
    let shape = importer.shape(input).to_vec();
    let axes = match importer.constant(node, 1)? {
        Some(constant) => Some(constant.integers()?.to_vec()),
        None => node.ints("axes")?,
    };
    let Some(axes) = axes.filter(|a| !a.is_empty()) else {
        return Err("the mean over all axes would mix the samples of a batch; name the axes".into());
    };
    let mut reduced = vec![false; shape.len()];
    for axis in axes {
        reduced[sample_axis(axis, shape.len())?] = true;
    }
    let keep = node.int("keepdims", 1)? != 0;
    let kept: Vec<usize> = if keep {
        (0..shape.len()).map(|a| if reduced[a] { 1 } else { shape[a] }).collect()
    } else {
        (0..shape.len()).filter(|&a| !reduced[a]).map(|a| shape[a]).collect()
    };
    if kept.is_empty() {
        return Err("the mean over a whole sample must keep its axes (keepdims = 1)".into());
    }
    // The window runs over the last axes; the one axis that stays is brought to the front.
    let mut current = input;
    let mut dims = shape.clone();
    if reduced[0] {
        let [stays] = (0..shape.len()).filter(|&a| !reduced[a]).collect::<Vec<_>>()[..] else {
            return Err(format!("the mean of samples {shape:?} over these axes is not supported"));
        };
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.remove(stays);
        order.insert(0, stays);
        dims = order.iter().map(|&a| shape[a]).collect();
        current = importer.push_part(node, "front", Permute { axes: order }, &[current])?;
        reduced = (0..shape.len()).map(|a| a > 0).collect();
    }
    if dims.len() == 1 {
        return Err("the mean over all features of a row is not supported".into());
    }
    let extents = dims3(&dims);
    let kernel = [1, 2].map(|a| if reduced.get(a) == Some(&true) { extents[a] } else { 1 });
    let pooled: Vec<usize> =
        (0..dims.len()).map(|a| if reduced[a] { 1 } else { dims[a] }).collect();
    if pooled == kept {
        return importer.push(node, mean(kernel), &[current]);
    }
    let current = importer.push_part(node, "mean", mean(kernel), &[current])?;
    importer.push(node, Reshape { shape: kept }, &[current])
}
