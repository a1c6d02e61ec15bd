//! Pools by a norm of powers: the elements of every window side by side, then a reduction.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site, check_elements};
use super::pooling::pool_window;
use super::window;
use crate::graph::ops::{
    Pad, Rearrange, Reduce, ReduceFunction, Reshape, Unary, UnaryFunction, Window,
};
use crate::graph::{Op, ValueId, dims3};

/// The largest power: with larger ones, numbers that float networks have leave 32-bit floats.
const MAX_POWER: i64 = 16;

/// What the norm makes of a window.
#[derive(Clone, Copy)]
enum Norm {
    /// One operation does it.
    Plain(ReduceFunction),
    /// The root of the sum of powers of magnitudes.
    Powers(f32),
}

impl Norm {
    fn of(site: &Site) -> Result<Self, Refusal> {
        match site.attributes.int("p", 2)? {
            1 => Ok(Self::Plain(ReduceFunction::L1)),
            2 => Ok(Self::Plain(ReduceFunction::L2)),
            p @ 3..=MAX_POWER => Ok(Self::Powers(p as f32)),
            p => Err(Refusal::new(
                format!("attribute 'p': expected 1 to {MAX_POWER}, found {p}"),
                "pool by the sum of magnitudes or by the root of the sum of squares",
            )),
        }
    }

    /// What is reduced.
    fn prepare(
        self,
        importer: &mut Importer,
        site: &Site,
        input: ValueId,
    ) -> Result<ValueId, Refusal> {
        let Self::Powers(exponent) = self else { return Ok(input) };
        let op = Unary { function: UnaryFunction::Abs };
        let magnitudes = importer.push_part(site, "magnitudes", op, &[input])?;
        let op = Unary { function: UnaryFunction::Pow { exponent } };
        importer.push_part(site, "powers", op, &[magnitudes])
    }

    /// Reduces `axes`, of `elements` together: the operation that is left, and what it reads.
    fn reduce(
        self,
        importer: &mut Importer,
        site: &Site,
        axes: Vec<usize>,
        elements: usize,
        input: ValueId,
    ) -> Result<(Op, ValueId), Refusal> {
        match self {
            Self::Plain(function) => Ok((Reduce { function, axes, elements }.into(), input)),
            Self::Powers(power) => {
                let op = Reduce { function: ReduceFunction::Sum, axes, elements };
                let sums = importer.push_part(site, "sums", op, &[input])?;
                let root = UnaryFunction::Pow { exponent: power.recip() };
                Ok((Unary { function: root }.into(), sums))
            }
        }
    }
}

pub(super) fn global_lp_pool(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let norm = Norm::of(site)?;
    let spatial = window::spatial_extents(importer.shape(input))?;
    let (axes, elements) = ((1..=spatial.len()).collect(), spatial.iter().product());
    let prepared = norm.prepare(importer, site, input)?;
    let (op, input) = norm.reduce(importer, site, axes, elements, prepared)?;
    importer.push(site, op, &[input])
}

pub(super) fn lp_pool(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let norm = Norm::of(site)?;
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
    let prepared = norm.prepare(importer, site, padded)?;
    let windows = windows(site, importer.shape(padded), &window, output);
    let windows = importer.push_part(site, "windows", windows, &[prepared])?;
    let (op, windows) = norm.reduce(importer, site, vec![2], taps, windows)?;
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
        name: site.op,
        input: sample.to_vec(),
        places: vec![
            (0..channels).map(|channel| channel * height * width).collect(),
            grid(output, window.stride),
            grid(window.kernel, window.dilation),
        ],
    }
}
