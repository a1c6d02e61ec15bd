//! Operators on constants that only choose and arrange elements.

use std::collections::HashSet;

use super::super::budget::{Budget, MAX_RANK};
use super::super::error::Refusal;
use super::{Constant, Elements, Extent};

/// The bounds of a `Slice`.
pub(super) struct Axes {
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    pub axes: Option<Vec<i64>>,
    pub steps: Option<Vec<i64>>,
}

/// What a slice takes of an axis.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Span {
    first: usize,
    len: usize,
    step: isize,
}

impl Span {
    /// Of an axis of `extent`, in the terms of `Slice`; `step` is not 0.
    pub(in super::super) fn new(extent: usize, start: i64, end: i64, step: i64) -> Self {
        let extent = extent as i64;
        // A longer step than the axis reaches no second element either.
        let step = step.clamp(-extent - 1, extent + 1);
        let wrap = |v: i64| if v < 0 { v.saturating_add(extent) } else { v };
        let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
        let first = wrap(start).clamp(low.max(0), high.max(0));
        let last = wrap(end).clamp(low, high);
        let span = if step > 0 { last - first } else { first - last };
        let len = if span > 0 { (span - 1) / step.abs() + 1 } else { 0 };
        Self { first: first as usize, len: len as usize, step: step as isize }
    }

    /// The indices that it takes.
    pub(in super::super) fn indices(self) -> impl Iterator<Item = usize> {
        (0..self.len).map(move |i| self.first.wrapping_add_signed(i as isize * self.step))
    }
}

/// An axis of a tensor of `rank` axes, negative ones counted from the end.
pub(in super::super) fn normalize_axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let positive = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(positive)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| Refusal::invalid(format!("expected an axis of {rank}, found {axis}")))
}

/// A constant of `shape` whose elements are those of `source` at `indices`.
fn take(source: &Constant, shape: Vec<usize>, indices: impl Iterator<Item = usize>) -> Constant {
    let elements = match &source.elements {
        Elements::Float(data) => Elements::Float(indices.map(|i| data[i]).collect()),
        Elements::Integer(data) => Elements::Integer(indices.map(|i| data[i]).collect()),
    };
    Constant { shape, elements }
}

/// The distance of neighbours along each axis.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The positions in a source of every element of `shape`, walked in order, when a step along each
/// axis moves by `steps` from `start`.
fn walk(shape: &[usize], steps: &[isize], start: usize) -> Vec<usize> {
    let elements = shape.iter().product();
    let mut positions = Vec::with_capacity(elements);
    let mut index = vec![0; shape.len()];
    let mut position = start as isize;
    for _ in 0..elements {
        positions.push(position as usize);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            position += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            position -= steps[axis] * shape[axis] as isize;
            index[axis] = 0;
        }
    }
    positions
}

/// Positions in two constants whose elements meet.
pub(super) type Meeting = Vec<(usize, usize)>;

/// The common shape of two constants, and which of their elements meet.
pub(super) fn broadcast(
    first: &Constant,
    second: &Constant,
    budget: &mut Budget,
) -> Result<(Vec<usize>, Meeting), Refusal> {
    let shape = broadcast_shape(&first.shape, &second.shape)?;
    budget.allocate(&shape, size_of::<(usize, usize)>())?;
    let [a, b] = [first, second].map(|c| walk(&shape, &broadcast_steps(&c.shape, &shape), 0));
    Ok((shape, a.into_iter().zip(b).collect()))
}

pub(super) fn broadcast_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Refusal> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
    };
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(Refusal::invalid(format!("the shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

/// The steps through a source of shape `from` that is broadcast to `to`.
fn broadcast_steps(from: &[usize], to: &[usize]) -> Vec<isize> {
    let missing = to.len() - from.len();
    let own = strides(from);
    let step = |axis: usize| match axis.checked_sub(missing) {
        Some(axis) if from[axis] != 1 => own[axis] as isize,
        _ => 0,
    };
    (0..to.len()).map(step).collect()
}

pub(in super::super) fn expand(
    input: &Constant,
    to: &[i64],
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let shape = broadcast_shape(&input.shape, &extents(to)?)?;
    budget.allocate(&shape, size_of::<[usize; 2]>())?;
    let positions = walk(&shape, &broadcast_steps(&input.shape, &shape), 0);
    Ok(take(input, shape, positions.into_iter()))
}

fn extents(shape: &[i64]) -> Result<Vec<usize>, Refusal> {
    let negative = || Refusal::invalid(format!("the shape {shape:?} has negative extents"));
    shape.iter().map(|&d| usize::try_from(d).map_err(|_| negative())).collect()
}

/// `Where`, with broadcasting.
pub(super) fn select(
    condition: &Constant,
    yes: &Constant,
    no: &Constant,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let shape = broadcast_shape(&broadcast_shape(&condition.shape, &yes.shape)?, &no.shape)?;
    budget.allocate(&shape, 3 * size_of::<[usize; 2]>())?;
    let places = |c: &Constant| walk(&shape, &broadcast_steps(&c.shape, &shape), 0);
    let truth = condition.to_truths()?;
    let (from_yes, from_no) = (places(yes), places(no));
    let chosen = places(condition).into_iter().enumerate();
    let chosen = chosen.map(|(at, place)| match truth[place] {
        true => (true, from_yes[at]),
        false => (false, from_no[at]),
    });
    let elements = match (&yes.elements, &no.elements) {
        (Elements::Integer(yes), Elements::Integer(no)) => {
            Elements::Integer(chosen.map(|(first, i)| if first { yes[i] } else { no[i] }).collect())
        }
        _ => {
            let (yes, no) = (yes.to_floats()?, no.to_floats()?);
            Elements::Float(chosen.map(|(first, i)| if first { yes[i] } else { no[i] }).collect())
        }
    };
    Ok(Constant { shape, elements })
}

/// Copies along each axis.
pub(super) fn tile(
    input: &Constant,
    repeats: &[i64],
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    if repeats.len() != input.shape.len() {
        let problem = format!("expected {} repeats, found {}", input.shape.len(), repeats.len());
        return Err(Refusal::invalid(problem));
    }
    let overflows = || Refusal::invalid(format!("repeats of {repeats:?} are out of range"));
    let extent = |(&extent, &n): (&usize, &i64)| {
        usize::try_from(n).ok().and_then(|n| extent.checked_mul(n)).ok_or_else(overflows)
    };
    let shape = input.shape.iter().zip(repeats).map(extent).collect::<Result<Vec<usize>, _>>()?;
    let elements = budget.allocate(&shape, size_of::<[usize; 2]>())?;
    let (from, to) = (strides(&input.shape), strides(&shape));
    let place = |at: usize| {
        let along = |axis: usize| (at / to[axis] % shape[axis]) % input.shape[axis] * from[axis];
        (0..shape.len()).map(along).sum()
    };
    let positions: Vec<usize> = (0..elements).map(place).collect();
    Ok(take(input, shape, positions.into_iter()))
}

pub(super) fn gather(
    input: &Constant,
    indices: &Constant,
    axis: i64,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let axis = normalize_axis(axis, input.shape.len())?;
    let extent = input.shape[axis];
    let chosen = indices
        .to_integers()?
        .into_iter()
        .map(|i| normalize_axis(i, extent))
        .collect::<Result<Vec<_>, _>>()?;
    let (outer, inner) = (&input.shape[..axis], &input.shape[axis + 1..]);
    let shape: Vec<usize> = [outer, &indices.shape, inner].concat();
    budget.allocate(&shape, size_of::<[usize; 2]>())?;
    let inner: usize = inner.iter().product();
    let mut positions = Vec::new();
    for block in 0..outer.iter().product() {
        for index in &chosen {
            let start = (block * extent + index) * inner;
            positions.extend(start..start + inner);
        }
    }
    Ok(take(input, shape, positions.into_iter()))
}

pub(super) fn concat(
    parts: &[&Constant],
    axis: i64,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let Some(first) = parts.first() else {
        return Err(Refusal::invalid("it has no inputs"));
    };
    let axis = normalize_axis(axis, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for part in parts {
        let fits = part.shape.len() == shape.len()
            && (0..shape.len()).all(|a| a == axis || part.shape[a] == shape[a]);
        if !fits {
            let problem = format!("{:?} and {:?} cannot be joined", first.shape, part.shape);
            return Err(Refusal::invalid(problem));
        }
        shape[axis] += part.shape[axis];
    }
    budget.allocate(&shape, size_of::<Extent>())?;
    let outer: usize = shape[..axis].iter().product();
    let row = |part: &Constant| part.shape[axis..].iter().product::<usize>();
    let range = |o: usize, part: &Constant| o * row(part)..(o + 1) * row(part);
    let elements = if parts.iter().all(|p| matches!(p.elements, Elements::Integer(_))) {
        let data = parts.iter().map(|p| p.to_extents()).collect::<Result<Vec<_>, _>>()?;
        let pieces = |o| parts.iter().zip(&data).flat_map(move |(p, d)| &d[range(o, p)]);
        Elements::Integer((0..outer).flat_map(pieces).copied().collect())
    } else {
        let data = parts.iter().map(|p| p.to_floats()).collect::<Result<Vec<_>, _>>()?;
        let pieces = |o| parts.iter().zip(&data).flat_map(move |(p, d)| &d[range(o, p)]);
        Elements::Float((0..outer).flat_map(pieces).copied().collect())
    };
    Ok(Constant { shape, elements })
}

/// The same elements in another shape with as many.
fn with_shape(
    input: &Constant,
    shape: Vec<usize>,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    if budget.allocate(&shape, size_of::<Extent>())? != input.len() {
        let problem = format!("{:?} cannot be reshaped to {shape:?}", input.shape);
        return Err(Refusal::invalid(problem));
    }
    Ok(Constant { shape, elements: input.elements.clone() })
}

pub(super) fn reshape(
    input: &Constant,
    to: &[i64],
    keep_zeros: bool,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let mut shape = Vec::with_capacity(to.len());
    for (axis, &extent) in to.iter().enumerate() {
        shape.push(match extent {
            0 if !keep_zeros => input.shape.get(axis).map_or(0, |&d| d as i64),
            -1 => 1,
            _ => extent,
        });
    }
    let mut shape = extents(&shape)?;
    if let Some(axis) = to.iter().position(|&d| d == -1) {
        let known = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).unwrap_or(0);
        shape[axis] = input.len().checked_div(known).unwrap_or(0);
    }
    with_shape(input, shape, budget)
}

pub(super) fn flatten(
    input: &Constant,
    axis: i64,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let rank = input.shape.len();
    let axis = if axis == rank as i64 { rank } else { normalize_axis(axis, rank)? };
    let shape = vec![input.shape[..axis].iter().product(), input.shape[axis..].iter().product()];
    with_shape(input, shape, budget)
}

pub(super) fn squeeze(
    input: &Constant,
    axes: Option<Vec<i64>>,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let rank = input.shape.len();
    let drop: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|&a| normalize_axis(a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).filter(|&a| input.shape[a] == 1).collect(),
    };
    let shape = (0..rank).filter(|a| !drop.contains(a)).map(|a| input.shape[a]).collect();
    with_shape(input, shape, budget)
}

pub(super) fn unsqueeze(
    input: &Constant,
    axes: Option<Vec<i64>>,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let axes = axes.ok_or_else(|| Refusal::invalid("its axes are missing"))?;
    with_shape(input, unsqueezed(&input.shape, &axes)?, budget)
}

/// `shape` with ones at `axes` of the result.
pub(in super::super) fn unsqueezed(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>, Refusal> {
    let rank = shape.len() + axes.len();
    if rank > MAX_RANK {
        let problem = format!("a result has {rank} axes, more than {MAX_RANK}");
        return Err(Refusal::new(problem, "export the model with fewer axes"));
    }
    let ones = axes.iter().map(|&a| normalize_axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut rest = shape.iter();
    let result: Vec<usize> = (0..rank)
        .filter_map(|a| if ones.contains(&a) { Some(1) } else { rest.next().copied() })
        .collect();
    if result.len() != rank || rest.next().is_some() {
        return Err(Refusal::invalid(format!("the axes {axes:?} name one twice")));
    }
    Ok(result)
}

pub(super) fn transpose(
    input: &Constant,
    permutation: Option<&[i64]>,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let rank = input.shape.len();
    let permutation = permute_axes(permutation, rank)?;
    let shape: Vec<usize> = permutation.iter().map(|&a| input.shape[a]).collect();
    budget.allocate(&shape, size_of::<[usize; 2]>())?;
    let own = strides(&input.shape);
    let steps: Vec<isize> = permutation.iter().map(|&a| own[a] as isize).collect();
    let positions = walk(&shape, &steps, 0);
    Ok(take(input, shape, positions.into_iter()))
}

/// The checked `perm` of a `Transpose`, which reverses the axes by default.
pub(in super::super) fn permute_axes(
    permutation: Option<&[i64]>,
    rank: usize,
) -> Result<Vec<usize>, Refusal> {
    let Some(permutation) = permutation else {
        return Ok((0..rank).rev().collect());
    };
    if permutation.len() != rank {
        return Err(Refusal::invalid(format!("{permutation:?} does not permute {rank} axes")));
    }
    let axes =
        permutation.iter().map(|&a| normalize_axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    if !(0..rank).all(|a| axes.contains(&a)) {
        return Err(Refusal::invalid(format!("{permutation:?} does not permute {rank} axes")));
    }
    Ok(axes)
}

pub(super) fn slice(
    input: &Constant,
    bounds: &Axes,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let rank = input.shape.len();
    let count = bounds.starts.len();
    let axes = bounds.axes.clone().unwrap_or_else(|| (0..count as i64).collect());
    let steps = bounds.steps.clone().unwrap_or_else(|| vec![1; count]);
    if bounds.ends.len() != count || axes.len() != count || steps.len() != count {
        return Err(Refusal::invalid("its starts, ends, axes and steps differ in length"));
    }
    let own = strides(&input.shape);
    let mut shape = input.shape.clone();
    let mut walk_steps: Vec<isize> = own.iter().map(|&s| s as isize).collect();
    let mut start = 0;
    let mut sliced = HashSet::new();
    for i in 0..count {
        let axis = normalize_axis(axes[i], rank)?;
        if steps[i] == 0 || !sliced.insert(axis) {
            return Err(Refusal::invalid("a slice has step 0 or names an axis twice"));
        }
        let span = Span::new(input.shape[axis], bounds.starts[i], bounds.ends[i], steps[i]);
        shape[axis] = span.len;
        start += span.first * own[axis];
        walk_steps[axis] = own[axis] as isize * span.step;
    }
    budget.allocate(&shape, size_of::<[usize; 2]>())?;
    let positions = walk(&shape, &walk_steps, start);
    Ok(take(input, shape, positions.into_iter()))
}
