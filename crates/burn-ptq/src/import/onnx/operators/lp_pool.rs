//! Pools of magnitudes and of squares: the elements of every window side by side, then a reduction.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site, check_elements};
use super::pooling::pool_window;
use super::window;
use crate::graph::ops::{Pad, Rearrange, Reduce, ReduceFunction, Reshape, Window};
use crate::graph::{ValueId, dims3};

/// What the norm makes of a window.
fn norm(site: &Site) -> Result<ReduceFunction, Refusal> {
    match site.attributes.int("p", 2)? {
        1 => Ok(ReduceFunction::L1),
        2 => Ok(ReduceFunction::L2),
        p => Err(Refusal::new(
            format!("attribute 'p': expected 1 or 2, found {p}"),
            "pool by the sum of magnitudes or by the root of the sum of squares",
        )),
    }
}

pub(super) fn global_lp_pool(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let function = norm(site)?;
    let spatial = window::spatial_extents(importer.shape(input))?;
    let axes = (1..=spatial.len()).collect();
    let op = Reduce { function, axes, elements: spatial.iter().product() };
    importer.push(site, op, &[input])
}

pub(super) fn lp_pool(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let function = norm(site)?;
    let sliding = pool_window(importer, site, input)?;
    let (window, output) = (sliding.window, sliding.output);
    let rank = importer.shape(input).len();
    let taps = window.kernel[0] * window.kernel[1];
    check_elements(&[importer.shape(input)[0], output[0] * output[1], taps])?;
    // Zeros change no norm.
    let padded = if window.is_unpadded() {
        input
    } else {
        let before = [0, window.begin[0], window.begin[1]];
        let op = Pad { before, after: [0, window.end[0], window.end[1]], value: 0.0 };
        importer.push_part(site, "pad", op, &[input])?
    };
    let windows = windows(site, importer.shape(padded), &window, output);
    let windows = importer.push_part(site, "windows", windows, &[padded])?;
    let op = Reduce { function, axes: vec![2], elements: taps };
    let norms = importer.push_part(site, "norms", op, &[windows])?;
    let mut shape = vec![importer.shape(input)[0], output[0], output[1]];
    shape.truncate(rank);
    importer.push(site, Reshape { shape }, &[norms])
}

/// The elements of each window over `[channels, height, width]`: `[channels, windows, taps]`.
fn windows(site: &Site, sample: &[usize], window: &Window, output: [usize; 2]) -> Rearrange {
    let [channels, height, width] = dims3(sample);
    let grid = |extents: [usize; 2], steps: [usize; 2]| -> Vec<usize> {
        let rows = (0..extents[0]).map(|y| y * steps[0] * width);
        rows.flat_map(|row| (0..extents[1]).map(move |x| row + x * steps[1])).collect()
    };
    Rearrange {
        name: site.operator(),
        input: sample.to_vec(),
        places: vec![
            (0..channels).map(|channel| channel * height * width).collect(),
            grid(output, window.stride),
            grid(window.kernel, window.dilation),
        ],
    }
}
