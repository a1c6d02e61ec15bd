//! Pools and means over height and width.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use super::{reduce, window};
use crate::graph::ops::{AveragePool, MaxPool, Permute, Reshape, Window};
use crate::graph::{ValueId, dims3};

pub(super) fn average_pool(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sliding = pool_window(importer, site, input)?;
    let op = AveragePool {
        window: sliding.window,
        count_include_pad: site.attributes.flag("count_include_pad", false)?,
        ceil_extra: sliding.ceil_extra,
    };
    importer.push(site, op, &[input])
}

pub(super) fn max_pool(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let window = pool_window(importer, site, input)?.window;
    importer.push(site, MaxPool { window }, &[input])
}

pub(super) fn pool_window(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
) -> Result<window::Sliding, Refusal> {
    let sample = importer.shape(input);
    let rank = window::spatial_extents(sample)?.len();
    let kernel = window::spatial_attribute(site, "kernel_shape", rank, 1)?
        .ok_or_else(|| Refusal::invalid("attribute 'kernel_shape' is missing"))?;
    let sliding = window::read(site, sample, &kernel)?;
    importer.budget.visit(sliding.output[0] + sliding.output[1])?;
    Ok(sliding)
}

/// A window over the whole of height and width.
fn global_window(importer: &Importer, input: ValueId) -> Result<Window, Refusal> {
    let sample = importer.shape(input);
    window::spatial_extents(sample)?;
    let [_, height, width] = dims3(sample);
    Ok(Window::new([height, width]))
}

fn average(window: Window) -> AveragePool {
    AveragePool { window, count_include_pad: false, ceil_extra: [0; 2] }
}

pub(super) fn global_average_pool(
    importer: &mut Importer,
    site: &Site,
) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let window = global_window(importer, input)?;
    importer.push(site, average(window), &[input])
}

pub(super) fn global_max_pool(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let window = global_window(importer, input)?;
    importer.push(site, MaxPool { window }, &[input])
}

pub(super) fn reduce_mean(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let Some(found) = reduce::reduced(importer, site, input)? else { return Ok(input) };
    let (kept, reduced): (Vec<usize>, Vec<usize>) =
        (0..sample.len()).partition(|axis| !found.axes.contains(axis));
    if kept.is_empty() || sample.len() > 3 {
        return reduce::mean(importer, site, input, found);
    }
    let keep = found.keep;
    // Pools run over the axes behind the first: the others go there.
    let order = [&kept[..], &reduced].concat();
    let whole = |order: &[usize]| {
        let extent =
            |i: usize| order.get(i).filter(|a| reduced.contains(a)).map_or(1, |&a| sample[a]);
        Window::new([extent(1), extent(2)])
    };
    let (window, source) = if kept[0] == 0 {
        (whole(&[0, 1, 2]), input)
    } else {
        let turned =
            importer.push_part(site, "turned", Permute { axes: order.clone() }, &[input])?;
        (whole(&order), turned)
    };
    let shape: Vec<usize> = if keep {
        let extent = |axis| if reduced.contains(&axis) { 1 } else { sample[axis] };
        (0..sample.len()).map(extent).collect()
    } else {
        kept.iter().map(|&axis| sample[axis]).collect()
    };
    if keep && source == input {
        return importer.push(site, average(window), &[input]);
    }
    let mean = importer.push_part(site, "mean", average(window), &[source])?;
    importer.push(site, Reshape { shape }, &[mean])
}
