//! How tensors hold the values of the graph, and the copies where an operation needs another order.

use burn_ptq_deploy::program::{IntOp, MoveAxis, TensorId};
use burn_ptq_kernels::reference::MAX_AXES;

use super::{SOURCE, axes3, place};
use crate::graph::ops::Rearrange;
use crate::graph::{dims3, strides};

/// Where a tensor holds the elements of a value: those of index `(i, j, ..)` at place
/// `first + steps[0][i] + steps[1][j] + ..`.
///
/// A value that was moved is read from where it was, as long as its axes do not depend on each other
/// there.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub tensor: TensorId,
    /// Elements of the tensor.
    len: usize,
    first: i64,
    /// The distance of each index of an axis from index 0.
    steps: Vec<Vec<i64>>,
    /// The value's three axes.
    pub dims: [usize; 3],
    /// If the tensor holds this value alone, with its three axes (see [`dims3`]) in an order: memory
    /// axis `i` is the value's axis `order[i]`.
    pub order: Option<[usize; 3]>,
}

impl View {
    /// A value of `shape` in a tensor of its own, whose memory has the three axes in `order`.
    pub(super) fn dense(tensor: TensorId, shape: &[usize], order: [usize; 3]) -> Self {
        let mut steps: Vec<Vec<i64>> = vec![Vec::new(); shape.len()];
        let mut stride = 1;
        for axis in axes_in(order, shape.len()).into_iter().rev() {
            steps[axis] = (0..shape[axis]).map(|i| (i * stride) as i64).collect();
            stride *= shape[axis];
        }
        Self { tensor, len: stride, first: 0, steps, dims: dims3(shape), order: Some(order) }
    }

    fn shape(&self) -> Vec<usize> {
        self.steps.iter().map(Vec::len).collect()
    }

    /// The place of each element, in the order of the source.
    fn places(&self) -> Vec<i64> {
        sums(self.first, &self.steps)
    }

    /// The element that each place of the tensor holds; `None` unless it holds this value alone.
    pub(super) fn elements(&self) -> Option<Vec<usize>> {
        const NONE: usize = usize::MAX;
        let places = self.places();
        let mut elements = vec![NONE; self.len];
        if places.len() != elements.len() {
            return None;
        }
        for (element, place) in places.into_iter().enumerate() {
            let held = elements.get_mut(usize::try_from(place).ok()?)?;
            if std::mem::replace(held, element) != NONE {
                return None;
            }
        }
        Some(elements)
    }

    /// Whether the tensor holds this value alone, as if stored in `order`: axes of extent 1 do not
    /// matter.
    pub(super) fn is_in(&self, order: [usize; 3]) -> bool {
        let other = Self::dense(self.tensor, &self.shape(), order);
        (self.len, self.first, &self.steps) == (other.len, other.first, &other.steps)
    }

    /// Steps in memory from element to element along each of at most three axes, where the first
    /// element is the tensor's first and no step goes back.
    pub(super) fn even_steps(&self) -> Option<[usize; 3]> {
        let mut even = [0; 3];
        if self.first != 0 || self.steps.len() > 3 {
            return None;
        }
        for (even, steps) in even.iter_mut().zip(&self.steps) {
            let step = steps.get(1).copied().unwrap_or(0);
            if steps.iter().zip(0..).any(|(&found, i)| found != i * step) {
                return None;
            }
            *even = usize::try_from(step).ok()?;
        }
        Some(even)
    }

    /// The same places of another tensor of as many elements.
    pub(super) fn on(self, tensor: TensorId) -> Self {
        Self { tensor, ..self }
    }

    /// The same places for the axes `axes` of the value, which has at most three.
    pub(super) fn permuted(&self, axes: &[usize]) -> Self {
        let all = axes3(axes);
        Self {
            steps: axes.iter().map(|&axis| self.steps[axis].clone()).collect(),
            dims: all.map(|axis| self.dims[axis]),
            order: self.order.map(|order| order.map(|old| place(all, old))),
            ..*self
        }
    }

    /// The same places for a value of `shape`; `None` if its axes depend on each other there.
    pub(super) fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let view = self.separated(&self.places(), shape)?;
        let order = view.is_in(SOURCE).then_some(SOURCE);
        Some(Self { order, ..view })
    }

    /// The places of what `op` makes of the value; `None` if its axes depend on each other there.
    pub(super) fn rearranged(&self, op: &Rearrange) -> Option<Self> {
        let places = self.places();
        let moved: Vec<i64> = op.sources().into_iter().map(|source| places[source]).collect();
        self.separated(&moved, &op.shape())
    }

    /// The places of the elements of a value of `shape`, by axis.
    fn separated(&self, places: &[i64], shape: &[usize]) -> Option<Self> {
        let first = *places.first()?;
        let along = |(&extent, stride): (&usize, usize)| {
            (0..extent).map(|i| places[i * stride] - first).collect()
        };
        let steps: Vec<Vec<i64>> = shape.iter().zip(strides(shape)).map(along).collect();
        let separate = sums(first, &steps) == places;
        separate.then_some(Self { first, steps, dims: dims3(shape), order: None, ..*self })
    }

    /// The operation that copies the value into a tensor of its own, in `order`.
    pub(super) fn copy(&self, order: [usize; 3]) -> IntOp {
        if let Some(from) = self.order {
            let axes = order.map(|axis| place(from, axis));
            return IntOp::Transpose { input: from.map(|axis| self.dims[axis]), axes };
        }
        let steps = axes_in(order, self.steps.len()).into_iter().map(|axis| &self.steps[axis]);
        let parts: Vec<Vec<Axis>> = steps.clone().map(|steps| factored(steps)).collect();
        let mut axes = merged(parts.iter().flatten());
        if axes.len() > MAX_AXES {
            // A list takes the place of several axes.
            let lists = steps.zip(parts).map(|(steps, part)| match part.len() {
                0 | 1 => part,
                _ => vec![Axis::Listed(steps.clone())],
            });
            let lists: Vec<Axis> = lists.flatten().collect();
            axes = merged(&lists);
        }
        transposition(&axes, self.first, self.len)
            .unwrap_or_else(|| rearrangement(&axes, self.first))
    }
}

/// The axes of a value of `rank` axes for an order of three: see [`dims3`].
fn axes_in(order: [usize; 3], rank: usize) -> Vec<usize> {
    let merged = rank.saturating_sub(2).max(1);
    let of = |axis: usize| if axis == 0 { 0..merged } else { axis + merged - 1..axis + merged };
    order.into_iter().flat_map(of).filter(|&axis| axis < rank).collect()
}

/// The sums of `first` and a step of every axis, the last axis fastest.
fn sums(first: i64, steps: &[Vec<i64>]) -> Vec<i64> {
    steps.iter().fold(vec![first], |starts, steps| {
        starts.iter().flat_map(|start| steps.iter().map(move |step| start + step)).collect()
    })
}

/// An axis of a copy.
#[derive(Clone, Debug, PartialEq)]
enum Axis {
    Even { count: usize, step: i64 },
    Listed(Vec<i64>),
}

/// Distances from the first, which is 0, as axes that follow a step where they do.
fn factored(steps: &[i64]) -> Vec<Axis> {
    let [_, step, ..] = *steps else { return Vec::new() };
    let even = |run: &[i64]| {
        let places = (0..).map(|i| run[0] + i * step);
        run.iter().zip(places).take_while(|(found, place)| **found == *place).count()
    };
    let count = even(steps);
    let same = |run: &[i64]| run.len() == count && even(run) == count;
    if !steps.chunks(count).all(same) {
        return vec![Axis::Listed(steps.to_vec())];
    }
    let starts: Vec<i64> = steps.chunks(count).map(|run| run[0]).collect();
    let mut axes = factored(&starts);
    axes.push(Axis::Even { count, step });
    axes
}

/// The same with neighbours as one axis where the slower continues as the faster does.
fn merged<'a>(axes: impl IntoIterator<Item = &'a Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for axis in axes {
        match (merged.last_mut(), axis) {
            (Some(Axis::Even { count, step }), Axis::Even { count: inner, step: by })
                if *step == *inner as i64 * by =>
            {
                (*count, *step) = (*count * inner, *by);
            }
            _ => merged.push(axis.clone()),
        }
    }
    merged
}

/// The transposition of at most three axes that the copy is, if it is one.
fn transposition(axes: &[Axis], first: i64, len: usize) -> Option<IntOp> {
    let positive = |axis: &Axis| match axis {
        Axis::Even { count, step } => Some((*count, usize::try_from(*step).ok()?)),
        Axis::Listed(_) => None,
    };
    let axes: Vec<(usize, usize)> = axes.iter().map(positive).collect::<Option<_>>()?;
    let missing = 3_usize.checked_sub(axes.len())?;
    let mut sorted: Vec<usize> = (0..axes.len()).collect();
    sorted.sort_by_key(|&axis| axes[axis].1);
    let mut stride = 1;
    for &axis in &sorted {
        let (count, step) = axes[axis];
        if step != stride {
            return None;
        }
        stride *= count;
    }
    if (first, stride) != (0, len) {
        return None;
    }
    sorted.reverse();
    let (mut input, mut permutation) = ([1; 3], SOURCE);
    for (at, &axis) in sorted.iter().enumerate() {
        input[missing + at] = axes[axis].0;
        permutation[missing + axis] = missing + at;
    }
    Some(IntOp::Transpose { input, axes: permutation })
}

fn rearrangement(axes: &[Axis], first: i64) -> IntOp {
    let mut first = first;
    let mut moves: Vec<MoveAxis> = Vec::with_capacity(axes.len());
    for axis in axes {
        moves.push(match axis {
            Axis::Even { count, step } => MoveAxis::Even { count: *count, step: *step as isize },
            Axis::Listed(places) => {
                // Those of a list count from the least.
                let least = places.iter().copied().min().unwrap_or(0);
                first += least;
                MoveAxis::Listed(places.iter().map(|place| (place - least) as u32).collect())
            }
        });
    }
    if moves.is_empty() {
        moves.push(MoveAxis::Even { count: 1, step: 0 });
    }
    IntOp::Rearrange { first: first as usize, axes: moves }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the copy of a value of the tensor 0, 1, 2, .. holds.
    fn copied(view: &View, order: [usize; 3]) -> Vec<usize> {
        let input: Vec<usize> = (0..view.len).collect();
        let mut output = vec![0; view.places().len()];
        match view.copy(order) {
            IntOp::Rearrange { first, axes } => burn_ptq_kernels::reference::rearrange(
                first,
                &MoveAxis::padded(&axes),
                &input,
                &mut output,
            ),
            IntOp::Transpose { input: extents, axes } => {
                burn_ptq_kernels::reference::transpose(extents, axes, &input, &mut output)
            }
            other => panic!("{other:?} moves nothing"),
        }
        output
    }

    fn in_order(view: &View, order: [usize; 3]) -> Vec<usize> {
        let axes = axes_in(order, view.steps.len());
        let steps: Vec<Vec<i64>> = axes.iter().map(|&axis| view.steps[axis].clone()).collect();
        sums(view.first, &steps).into_iter().map(|place| place as usize).collect()
    }

    const HWC: [usize; 3] = [1, 2, 0];

    #[test]
    fn copies_hold_the_elements_of_the_view_in_any_order() {
        let image = View::dense(TensorId(0), &[6, 4, 5], HWC);
        let indices = [vec![5, 0, 0, 3], vec![3, 2, 1, 0], vec![1, 3]];
        let mirrored = [(0..6).collect(), vec![2, 1, 0, 1, 2, 3, 2], vec![0, 0, 1, 1, 4, 4]];
        let views = [
            image.permuted(&[2, 0, 1]),
            image.reshaped(&[2, 3, 4, 5]).unwrap(),
            image.rearranged(&Rearrange::at("", &[6, 4, 5], &indices)).unwrap(),
            image.rearranged(&Rearrange::at("", &[6, 4, 5], &mirrored)).unwrap(),
            image
                .rearranged(&Rearrange::permuted("", &[2, 3, 2, 2, 5, 1], &[3, 1, 4, 0, 5, 2]))
                .unwrap(),
        ];
        for view in views {
            for order in [HWC, SOURCE, [0, 2, 1], [2, 1, 0]] {
                assert_eq!(copied(&view, order), in_order(&view, order), "{view:?} in {order:?}");
            }
        }
    }
}
