//! Layered drawings of acyclic graphs (Sugiyama et al. 1981): rows by the longest path, edges that pass
//! through rows between boxes, and boxes near what they are joined to.

/// The space between two boxes of a row.
const GAP: f64 = 10.0;

/// The width that an edge takes where it passes through a row.
const LANE: f64 = 10.0;

/// Lanes beyond this number are not drawn around boxes.
const MOST_LANES: usize = 4000;

/// How often rows are ordered, and boxes moved, up and down.
const SWEEPS: usize = 8;

/// A place: x to the right, y down.
pub(super) type Place = (f64, f64);

/// A drawing.
#[derive(Debug)]
pub(super) struct Drawing {
    /// The middle of the upper side of each box.
    pub(super) boxes: Vec<Place>,
    /// The places that each edge goes through, from the lower side of a box to the upper side of another.
    pub(super) edges: Vec<Vec<Place>>,
    /// The width.
    pub(super) width: f64,
    /// The height.
    pub(super) height: f64,
}

/// A box, or the lane of an edge, in a row.
struct Item {
    row: usize,
    width: f64,
    above: Vec<usize>,
    below: Vec<usize>,
    /// Its middle.
    x: f64,
}

/// Draws boxes of these widths and of equal heights with a space below each row; edges lead from boxes to
/// later ones.
pub(super) fn arrange(
    widths: &[f64],
    height: f64,
    space: f64,
    edges: &[(usize, usize)],
) -> Drawing {
    let valid = |&(from, to): &(usize, usize)| from < to && to < widths.len();
    let edges: Vec<(usize, usize)> = edges.iter().copied().filter(valid).collect();
    let rows = rows(widths.len(), &edges);
    let mut items: Vec<Item> = (widths.iter().zip(&rows))
        .map(|(&width, &row)| Item { row, width, above: Vec::new(), below: Vec::new(), x: 0.0 })
        .collect();
    let lanes: usize = edges.iter().map(|&(from, to)| rows[to] - rows[from] - 1).sum();
    let mut paths: Vec<Vec<usize>> = Vec::new();
    for &(from, to) in &edges {
        let mut path = vec![from];
        if lanes <= MOST_LANES {
            for row in rows[from] + 1..rows[to] {
                path.push(items.len());
                let (above, below) = (Vec::new(), Vec::new());
                items.push(Item { row, width: LANE, above, below, x: 0.0 });
            }
        }
        path.push(to);
        for pair in path.windows(2) {
            items[pair[0]].below.push(pair[1]);
            items[pair[1]].above.push(pair[0]);
        }
        paths.push(path);
    }
    let count = items.iter().map(|item| item.row + 1).max().unwrap_or(0);
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, item) in items.iter().enumerate() {
        order[item.row].push(index);
    }
    put_in_order(&mut order, &items);
    place(&order, &mut items);
    let left = items.iter().map(|item| item.x - item.width / 2.0).fold(f64::INFINITY, f64::min);
    let left = if left.is_finite() { left } else { 0.0 };
    items.iter_mut().for_each(|item| item.x -= left);
    let top = |row: usize| row as f64 * (height + space);
    let through = |path: &Vec<usize>| {
        let mut places = Vec::new();
        for (at, &item) in path.iter().enumerate() {
            let Item { x, row, .. } = items[item];
            if at > 0 {
                places.push((x, top(row)));
            }
            if at + 1 < path.len() {
                places.push((x, top(row) + height));
            }
        }
        places
    };
    Drawing {
        boxes: items[..widths.len()].iter().map(|item| (item.x, top(item.row))).collect(),
        edges: paths.iter().map(through).collect(),
        width: items.iter().map(|item| item.x + item.width / 2.0).fold(0.0, f64::max),
        height: (top(count) - space).max(0.0),
    }
}

/// The row of each box: one below all that lead to it; of those that nothing leads to, one above the first
/// that they lead to.
fn rows(boxes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut into: Vec<Vec<usize>> = vec![Vec::new(); boxes];
    for &(from, to) in edges {
        into[to].push(from);
    }
    let mut rows = vec![0; boxes];
    for to in 0..boxes {
        rows[to] = into[to].iter().map(|&from| rows[from] + 1).max().unwrap_or(0);
    }
    let mut nearest: Vec<Option<usize>> = vec![None; boxes];
    for &(from, to) in edges {
        let row = nearest[from].map_or(rows[to], |row| row.min(rows[to]));
        nearest[from] = Some(row);
    }
    for (index, nearest) in nearest.into_iter().enumerate() {
        if let Some(row) = nearest.filter(|_| into[index].is_empty()) {
            rows[index] = row.saturating_sub(1);
        }
    }
    rows
}

/// Orders each row by the mean place of what its items are joined to in the row before, down and up.
fn put_in_order(order: &mut [Vec<usize>], items: &[Item]) {
    let mut place = vec![0.0; items.len()];
    let number = |row: &[usize], place: &mut Vec<f64>| {
        for (at, &item) in row.iter().enumerate() {
            // Rows of different lengths are laid over each other.
            place[item] = (at as f64 + 0.5) / row.len() as f64;
        }
    };
    order.iter().for_each(|row| number(row, &mut place));
    for sweep in 0..2 * SWEEPS {
        let down = sweep % 2 == 0;
        for at in 0..order.len() {
            let row = if down { at } else { order.len() - 1 - at };
            let key = |&item: &usize| {
                let Item { above, below, .. } = &items[item];
                let joined = if down { above } else { below };
                mean(joined.iter().map(|&other| place[other])).unwrap_or(place[item])
            };
            let mut keys: Vec<(f64, usize)> =
                order[row].iter().map(|item| (key(item), *item)).collect();
            keys.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[row] = keys.into_iter().map(|(_, item)| item).collect();
            number(&order[row], &mut place);
        }
    }
}

/// Moves items of each row below and above what they are joined to, as far as their order lets them.
fn place(order: &[Vec<usize>], items: &mut [Item]) {
    for row in order {
        let mut right = 0.0;
        for &item in row {
            items[item].x = right + items[item].width / 2.0;
            right += items[item].width + GAP;
        }
        let half = (right - GAP) / 2.0;
        row.iter().for_each(|&item| items[item].x -= half);
    }
    for sweep in 0..2 * SWEEPS {
        let down = sweep % 2 == 0;
        for at in 0..order.len() {
            let row = &order[if down { at } else { order.len() - 1 - at }];
            let wanted: Vec<f64> = (row.iter())
                .map(|&item| {
                    let Item { above, below, x, .. } = &items[item];
                    let joined = if down { above } else { below };
                    mean(joined.iter().map(|&other| items[other].x)).unwrap_or(*x)
                })
                .collect();
            let apart = |a: usize, b: usize| (items[a].width + items[b].width) / 2.0 + GAP;
            // Pushed to the right only, and to the left only: any mixture of both keeps the order.
            let (mut rightward, mut leftward) = (wanted.clone(), wanted);
            for i in 1..row.len() {
                let least = rightward[i - 1] + apart(row[i - 1], row[i]);
                rightward[i] = rightward[i].max(least);
            }
            for i in (1..row.len()).rev() {
                let most = leftward[i] - apart(row[i - 1], row[i]);
                leftward[i - 1] = leftward[i - 1].min(most);
            }
            for (i, &item) in row.iter().enumerate() {
                items[item].x = (rightward[i] + leftward[i]) / 2.0;
            }
        }
    }
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), x| (sum + x, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_lie_below_all_that_lead_to_them_and_apart_from_each_other() {
        // Two branches of different lengths beside a direct edge, and a constant that joins late.
        let edges = [(0, 1), (0, 2), (2, 3), (1, 5), (3, 5), (0, 5), (4, 5), (5, 6)];
        let drawing = arrange(&[60.0; 7], 20.0, 12.0, &edges);
        for &(from, to) in &edges {
            assert!(drawing.boxes[from].1 + 20.0 < drawing.boxes[to].1, "{from} to {to}");
        }
        for a in 0..7 {
            for b in 0..a {
                let ((ax, ay), (bx, by)) = (drawing.boxes[a], drawing.boxes[b]);
                assert!(ay != by || (ax - bx).abs() >= 60.0 + GAP - 1e-6, "{a} and {b}");
            }
        }
        // The constant stands right above what reads it.
        assert_eq!(drawing.boxes[4].1, drawing.boxes[3].1);
        assert!(drawing.boxes.iter().all(|(x, _)| *x >= 30.0 - 1e-6 && *x <= drawing.width - 29.9));
        assert_eq!(drawing.height, 5.0 * 32.0 - 12.0);
    }

    #[test]
    fn edges_pass_beside_the_boxes_of_rows_between() {
        let edges = [(0, 1), (1, 2), (2, 3), (0, 3)];
        let drawing = arrange(&[60.0; 4], 20.0, 12.0, &edges);
        let (x, _) = drawing.boxes[1];
        let long = &drawing.edges[3];
        assert_eq!(long.len(), 6);
        for (px, _) in &long[1..5] {
            assert!((px - x).abs() >= 30.0 + GAP - 1e-6, "{long:?} meets the box at {x}");
        }
    }

    #[test]
    fn nothing_and_wrong_edges_are_drawn_as_nothing() {
        let empty = arrange(&[], 20.0, 12.0, &[]);
        assert_eq!((empty.boxes.len(), empty.width, empty.height), (0, 0.0, 0.0));
        let drawing = arrange(&[60.0; 2], 20.0, 12.0, &[(1, 0), (0, 7), (1, 1)]);
        assert!(drawing.edges.is_empty() && drawing.width >= 120.0);
    }
}
