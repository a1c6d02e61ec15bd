//! Movements of rows.

use std::ops::Range;

use burn_ptq_kernels::reference::MAX_AXES;

use super::layout::Layout;
use super::rewritten::{ByRows, Rewritten};
use crate::movement::MoveAxis;
use crate::op::IntOp;

/// The most elements that are looked at one by one.
const MOST_ELEMENTS: usize = 1 << 22;

/// Where an element lies in rows: in which block of them, in which row, and at which place.
type Place = (usize, usize, usize);

/// How a movement from `first` along `axes` gives rows, for an input of `layout`; `None` if it does not go
/// through time row by row.
pub(super) fn by_rows(first: usize, axes: &[MoveAxis], layout: Layout) -> Option<ByRows> {
    let elements = axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.count()))?;
    if elements > MOST_ELEMENTS {
        return None;
    }
    let places = MoveAxis::places(first, axes);
    let place = |i: usize| place(places[i], layout);
    let (_, start, _) = place(0);
    // Elements of one row, then one row after the other, then the next block of rows.
    let inner = (1..elements).find(|&i| place(i).1 != start)?;
    let stride = place(inner).1.checked_sub(start)?;
    let follows =
        |&row: &usize| row * inner < elements && place(row * inner).1 == start + stride * row;
    let rows = (1..).take_while(follows).count() + 1;
    if !elements.is_multiple_of(rows * inner) {
        return None;
    }
    let output = Layout { outer: elements / (rows * inner), rows, inner };
    let head = |a: usize, b: usize| place(a * rows * inner + b);
    let regular = (0..elements).all(|i| {
        let (a, row, b) = (i / (rows * inner), i / inner % rows, i % inner);
        let (block, first, own) = head(a, b);
        first == start && place(i) == (block, start + stride * row, own)
    });
    if !regular {
        return None;
    }
    let outer: Vec<Place> = (0..output.outer).map(|a| head(a, 0)).collect();
    let within: Vec<Place> = (0..inner).map(|b| head(0, b)).collect();
    let mut all = (0..output.outer).flat_map(|a| (0..inner).map(move |b| (a, b)));
    let apart = all.all(|(a, b)| {
        let (block, _, own) = head(a, b);
        let sum = [outer[a].0 + within[b].0, outer[a].2 + within[b].2];
        [block + outer[0].0, own + outer[0].2] == sum
    });
    if !apart {
        return None;
    }
    let identity = (output.outer, inner, stride) == (layout.outer, layout.inner, 1)
        && outer.iter().enumerate().all(|(a, place)| place.0 == a)
        && within.iter().enumerate().all(|(b, place)| place.2 == b);
    let rearranged = move |rows: usize, out: usize| {
        let flat = |&(block, _, own): &Place| block * rows * layout.inner + own;
        let [outer, within] = [&outer, &within].map(|places| places.iter().map(flat).collect());
        rearranged(outer, (out, stride * layout.inner), within)
    };
    rearranged(layout.rows, rows)?;
    let op = move |rows: usize, out: usize| {
        let (first, axes) = rearranged(rows, out).unwrap_or_default();
        IntOp::Rearrange { first, axes }
    };
    Some(ByRows {
        extent: 1,
        stride,
        pad: -(start as isize),
        padding: None,
        moves: true,
        reads_more: true,
        output,
        op: if identity { Rewritten::Gone } else { Rewritten::Made(Box::new(op)) },
    })
}

/// The rows of an input of `layout` that a movement from `first` along `axes` reads, and the operation on these
/// alone; `None` if it reads nearly all of them, or would be too much of an operation.
pub(super) fn narrowed(
    first: usize,
    axes: &[MoveAxis],
    layout: Layout,
) -> Option<(Range<usize>, IntOp)> {
    let elements = axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.count()))?;
    if elements > MOST_ELEMENTS {
        return None;
    }
    let read: Vec<Place> =
        MoveAxis::places(first, axes).into_iter().map(|flat| place(flat, layout)).collect();
    let (least, most) =
        (read.iter().map(|place| place.1).min()?, read.iter().map(|place| place.1).max()?);
    let rows = least..most + 1;
    if rows.len() == layout.rows {
        return None;
    }
    let flat = |&(block, row, own): &Place| (block * rows.len() + row - least) * layout.inner + own;
    let narrow: Vec<usize> = read.iter().map(flat).collect();
    let axes = MoveAxis::through(&narrow)?;
    let op = IntOp::Rearrange { first: narrow[0], axes };
    let few = matches!(&op, IntOp::Rearrange { axes, .. } if (1..=MAX_AXES).contains(&axes.len()));
    few.then_some((rows, op))
}

fn place(place: usize, Layout { rows, inner, .. }: Layout) -> Place {
    (place / (rows * inner), place / inner % rows, place % inner)
}

/// The first place and the axes of a movement through places of blocks, then rows, then places in them;
/// `None` if there are too many axes or they go back.
fn rearranged(
    outer: Vec<usize>,
    (rows, step): (usize, usize),
    within: Vec<usize>,
) -> Option<(usize, Vec<MoveAxis>)> {
    let mut axes = MoveAxis::through(&outer)?;
    axes.push(MoveAxis::Even { count: rows, step: step as isize });
    axes.extend(MoveAxis::through(&within)?);
    axes.retain(|axis| axis.count() > 1);
    if axes.is_empty() {
        axes.push(MoveAxis::Even { count: 1, step: 0 });
    }
    // The places of blocks and rows begin at the same element.
    (axes.len() <= MAX_AXES).then(|| (outer[0], joined(axes)))
}

/// Neighbours as one axis where the slower one continues as the faster one does.
fn joined(axes: Vec<MoveAxis>) -> Vec<MoveAxis> {
    let mut joined: Vec<MoveAxis> = Vec::new();
    for axis in axes {
        if let (
            Some(MoveAxis::Even { count: slow, step: far }),
            MoveAxis::Even { count: fast, step },
        ) = (joined.last_mut(), &axis)
            && *far == *step * *fast as isize
        {
            (*slow, *far) = (*slow * fast, *step);
        } else {
            joined.push(axis);
        }
    }
    joined
}
