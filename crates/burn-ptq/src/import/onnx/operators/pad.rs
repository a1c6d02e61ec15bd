//! Padding, by a constant or by the sample's own elements, and cropping.

use super::super::constants::normalize_axis;
use super::super::error::Refusal;
use super::super::growing::{Importer, Site, check_elements};
use super::movement::{check_result, selection, whole};
use super::shape::moves_batch;
use crate::graph::ops::{Pad, Reshape};
use crate::graph::{Op, ValueId};

/// Where the elements around a sample come from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

impl Mode {
    fn of(site: &Site) -> Result<Self, Refusal> {
        Ok(match site.attributes.string("mode", "constant")? {
            "constant" => Self::Constant,
            "reflect" => Self::Reflect,
            "edge" => Self::Edge,
            "wrap" => Self::Wrap,
            mode => return Err(Refusal::invalid(format!("attribute 'mode' is '{mode}'"))),
        })
    }

    /// The index of the axis of `extent` that stands at `place`, outside of it too.
    fn index(self, place: i64, extent: i64) -> i64 {
        match self {
            Self::Constant | Self::Edge => place.clamp(0, extent - 1),
            Self::Wrap => place.rem_euclid(extent),
            Self::Reflect if extent == 1 => 0,
            Self::Reflect => {
                let turn = 2 * (extent - 1);
                let place = place.rem_euclid(turn);
                place.min(turn - place)
            }
        }
    }
}

pub(super) fn pad(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let mode = Mode::of(site)?;
    let pairs = pairs(importer, site, input)?;
    // What is cropped goes first; the rest is padded.
    let sample = importer.shape(input).to_vec();
    let padded = |(&extent, pair): (&usize, &[i64; 2])| {
        let pads = pair.iter().map(|&pad| i128::from(pad)).sum::<i128>();
        usize::try_from((extent as i128 + pads).max(0)).unwrap_or(usize::MAX)
    };
    let shape: Vec<usize> = sample.iter().zip(&pairs).map(padded).collect();
    check_result(&sample, &shape)?;
    let mut indices = whole(&sample);
    for (indices, &[before, after]) in indices.iter_mut().zip(&pairs) {
        let [first, last] = [before, after].map(|pad| pad.saturating_neg().max(0) as usize);
        let end = indices.len().saturating_sub(last);
        indices.truncate(end);
        indices.drain(..first.min(end));
        let extent = indices.len();
        if mode != Mode::Constant && extent > 0 {
            let [before, after] = [before, after].map(|pad| pad.max(0));
            check_elements(&[extent
                .saturating_add(before as usize)
                .saturating_add(after as usize)])?;
            let cropped = indices.clone();
            let at = |place: i64| cropped[mode.index(place, extent as i64) as usize];
            *indices = (-before..extent as i64 + after).map(at).collect();
        }
    }
    let op = selection(importer, site, input, &indices)?;
    let pads: Vec<[usize; 2]> = match mode {
        Mode::Constant => pairs.iter().map(|pair| pair.map(|pad| pad.max(0) as usize)).collect(),
        Mode::Reflect | Mode::Edge | Mode::Wrap => vec![[0; 2]; pairs.len()],
    };
    match (op, pads.iter().all(|pair| *pair == [0; 2])) {
        (None, true) => Ok(input),
        (Some(op), true) => importer.push(site, op, &[input]),
        (None, false) => push_constant(importer, site, input, &pads),
        (Some(op), false) => {
            let cropped = importer.push_part(site, "cropped", op, &[input])?;
            push_constant(importer, site, cropped, &pads)
        }
    }
}

/// How much stands before and after each axis of a sample.
fn pairs(importer: &Importer, site: &Site, input: ValueId) -> Result<Vec<[i64; 2]>, Refusal> {
    let rank = importer.shape(input).len() + 1;
    let pads = if site.opset < 11 {
        site.attributes.ints("pads")?.map(<[i64]>::to_vec)
    } else {
        Some(site.constant(1, "pads")?.to_integers()?)
    };
    let pads = pads.ok_or_else(|| Refusal::invalid("its pads are missing"))?;
    let axes = match site.optional(3, "axes")? {
        Some(axes) => axes
            .to_integers()?
            .into_iter()
            .map(|a| normalize_axis(a, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        let problem = format!("expected {} pads, found {}", 2 * axes.len(), pads.len());
        return Err(Refusal::invalid(problem));
    }
    let mut pairs = vec![[0; 2]; rank - 1];
    for (i, &axis) in axes.iter().enumerate() {
        let pair = [pads[i], pads[axes.len() + i]];
        match axis.checked_sub(1) {
            Some(axis) => pairs[axis] = pair,
            None if pair == [0; 2] => {}
            None => return Err(moves_batch("it pads the batch axis".into())),
        }
    }
    Ok(pairs)
}

/// Appends padding by a constant.
fn push_constant(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    pads: &[[usize; 2]],
) -> Result<ValueId, Refusal> {
    let value = if site.opset < 11 {
        site.attributes.float("value", 0.0)?
    } else {
        site.optional(2, "value")?.map_or(Ok(0.0), |v| v.to_scalar())?
    };
    if !value.is_finite() {
        let problem = format!("expected a finite value to pad with, found {value}");
        return Err(Refusal::new(problem, "export the model with a finite value"));
    }
    let mut shape = importer.shape(input).to_vec();
    let padded = |extent: usize, [before, after]: [usize; 2]| {
        extent.saturating_add(before).saturating_add(after)
    };
    check_elements(&shape.iter().zip(pads).map(|(&e, &p)| padded(e, p)).collect::<Vec<_>>())?;
    if shape.len() <= 3 {
        let (mut before, mut after) = ([0; 3], [0; 3]);
        for (axis, pair) in pads.iter().enumerate() {
            (before[axis], after[axis]) = (pair[0], pair[1]);
        }
        return importer.push(site, Pad { before, after, value }, &[input]);
    }
    // Axis after axis, as values of three axes.
    let mut current = input;
    for (axis, &pair) in pads.iter().enumerate().filter(|(_, pair)| **pair != [0; 2]) {
        let [outer, inner] = [&shape[..axis], &shape[axis + 1..]].map(|s| s.iter().product());
        let flat = Reshape { shape: vec![outer, shape[axis], inner] };
        let flat = importer.push_part(site, "flat", Op::from(flat), &[current])?;
        let op = Pad { before: [0, pair[0], 0], after: [0, pair[1], 0], value };
        current = importer.push_part(site, "padded", op, &[flat])?;
        shape[axis] = padded(shape[axis], pair);
    }
    importer.push(site, Reshape { shape }, &[current])
}
