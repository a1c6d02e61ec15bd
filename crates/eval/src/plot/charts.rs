//! The kinds of plots.

use maud::{Markup, html};

use super::{
    Axis, COLOURS, DASHES, FILLS, Frame, WIDTH, document, marker, n, plain, points, round_ticks,
    shorten, shown, significant,
};

/// A line of a plot.
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points: x, y, and half the length of an error bar.
    pub points: Vec<(f64, f64, f64)>,
    /// Whether points have markers.
    pub marked: bool,
}

/// A row of a dot plot.
pub struct Dot {
    /// Its label.
    pub label: String,
    /// Its value.
    pub value: f64,
    /// The ends of its error bar.
    pub interval: (f64, f64),
}

impl Dot {
    /// A value with an error bar of half the length `error` on both sides.
    pub fn around(label: String, value: f64, error: f64) -> Self {
        Self { label, value, interval: (value - error, value + error) }
    }
}

/// A point of a scatter plot: x, y, and whether it is drawn hollow.
pub type Point = (f64, f64, bool);

/// Counts in equal bins, and the grid that their values are rounded to.
pub struct Histogram {
    /// Where the first bin begins and the last one ends.
    pub ends: (f64, f64),
    /// The counts.
    pub counts: Vec<f64>,
    /// The smallest and the largest value of the grid, and the step between neighbours.
    pub grid: Option<(f64, f64, f64)>,
}

/// A plot of lines over numbers; `level` is a value of y with a name, such as the float network's.
pub fn lines(
    x: &Axis,
    y: &Axis,
    series: &[Series],
    level: Option<(f64, &str)>,
    alt: &str,
) -> Markup {
    let legend = if series.len() > 1 { 16.0 * series.len() as f64 + 6.0 } else { 0.0 };
    let frame = Frame { x, y, left: 44.0, top: 26.0, width: WIDTH - 58.0, height: 190.0 };
    let height = frame.top + frame.height + 40.0 + legend;
    let body = html! {
        (frame.axes())
        (frame.level(level))
        @for (at, line) in series.iter().enumerate() {
            @let (colour, dash) = (COLOURS[at % COLOURS.len()], DASHES[at % DASHES.len()]);
            polyline fill="none" stroke=(colour) stroke-width="1.8" stroke-dasharray=(dash)
                points=(points(line.points.iter().map(|&(x, y, _)| frame.at(x, y)))) {}
            @for &(x, y, error) in &line.points {
                @let (cx, cy) = frame.at(x, y);
                @if error > 0.0 {
                    line stroke=(colour) x1=(n(cx)) y1=(n(frame.at(x, y - error).1))
                        x2=(n(cx)) y2=(n(frame.at(x, y + error).1)) {}
                }
                @if line.marked { (marker(at, cx, cy, colour)) }
            }
            @if legend > 0.0 {
                @let row = frame.top + frame.height + 50.0 + 16.0 * at as f64;
                line stroke=(colour) stroke-width="1.8" stroke-dasharray=(dash)
                    x1="8" y1=(n(row)) x2="36" y2=(n(row)) {}
                @if line.marked { (marker(at, 22.0, row, colour)) }
                text x="42" y=(n(row + 4.0)) { (shown(&line.name)) }
            }
        }
    };
    document(height, &body, alt)
}

/// The axis of so many rows, the first at the top.
fn rank(rows: usize) -> Axis<'static> {
    let ends = (rows as f64 - 0.5, -0.5);
    Axis { title: "", ends, logarithmic: false, ticks: Vec::new(), text: plain }
}

/// A plot of one value a row.
pub fn dots(x: &Axis, rows: &[Dot], level: Option<(f64, &str)>, alt: &str) -> Markup {
    let line = 20.0;
    let longest = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
    let left = (6.1 * longest as f64 + 10.0).clamp(40.0, 212.0);
    let rank = rank(rows.len());
    let height = line * rows.len() as f64;
    let frame = Frame { x, y: &rank, left, top: 18.0, width: WIDTH - left - 12.0, height };
    let level = level.filter(|&(value, _)| (0.0..=1.0).contains(&x.place(value)));
    let body = html! {
        (frame.axes())
        @if let Some((value, name)) = level {
            @let at = n(frame.at(value, 0.0).0);
            line.level x1=(at) y1=(n(frame.top)) x2=(at) y2=(n(frame.top + height)) {}
            text.small x=(at) y=(n(frame.top - 5.0)) text-anchor="middle" { (name) }
        }
        @for (at, Dot { label, value, interval: (low, high) }) in rows.iter().enumerate() {
            @let (cx, cy) = frame.at(*value, at as f64);
            line.grid x1=(n(left)) y1=(n(cy)) x2=(n(left + frame.width)) y2=(n(cy)) {}
            text x=(n(left - 6.0)) y=(n(cy + 4.0)) text-anchor="end" { (shown(&shorten(label, 33))) }
            line stroke=(COLOURS[0]) stroke-width="1.6"
                x1=(n(frame.at(*low, 0.0).0)) y1=(n(cy))
                x2=(n(frame.at(*high, 0.0).0)) y2=(n(cy)) {}
            (marker(0, cx, cy, COLOURS[0]))
        }
    };
    document(frame.top + height + 40.0, &body, alt)
}

/// A plot of points, hollow where they are single runs; some are on a front and have numbers.
pub fn scatter(
    x: &Axis,
    y: &Axis,
    points: &[Point],
    front: &[(f64, f64)],
    level: Option<(f64, &str)>,
    alt: &str,
) -> Markup {
    let frame = Frame { x, y, left: 44.0, top: 26.0, width: WIDTH - 62.0, height: 210.0 };
    let places: Vec<(f64, f64)> = front.iter().map(|&(px, py)| frame.at(px, py)).collect();
    // A front is a staircase: nothing lies between two of its points.
    let step = |(at, (x, y)): (usize, &(f64, f64))| match at {
        0 => format!("M{x:.1} {y:.1}"),
        _ => format!("H{x:.1}V{y:.1}"),
    };
    let staircase: String = places.iter().enumerate().map(step).collect();
    let body = html! {
        (frame.axes())
        (frame.level(level))
        @for &(px, py, single) in points {
            @let (cx, cy) = frame.at(px, py);
            circle.point.single[single] cx=(n(cx)) cy=(n(cy)) r="2.6" {}
        }
        path fill="none" stroke=(COLOURS[1]) stroke-width="1.8" d=(staircase) {}
        @for (at, &(cx, cy)) in places.iter().enumerate() {
            circle cx=(n(cx)) cy=(n(cy)) r="7.5" fill="#fff" stroke=(COLOURS[1]) stroke-width="1.6" {}
            text.small x=(n(cx)) y=(n(cy + 3.5)) text-anchor="middle" { (at + 1) }
        }
    };
    document(frame.top + frame.height + 40.0, &body, alt)
}

/// Horizontal bars made of parts, whose lengths are values.
pub fn bars(rows: &[(String, Vec<f64>)], parts: &[&str], title: &str, alt: &str) -> Markup {
    let longest = rows.iter().map(|(_, v)| v.iter().sum::<f64>()).fold(1e-9, f64::max);
    let (left, line) = (60.0, 26.0);
    let ends = (0.0, longest * 1.02);
    let x = Axis { title, ends, logarithmic: false, ticks: round_ticks(ends, 5.0), text: plain };
    let rank = rank(rows.len());
    let height = line * rows.len() as f64;
    let frame = Frame { x: &x, y: &rank, left, top: 8.0, width: WIDTH - left - 14.0, height };
    let bottom = frame.top + height + 44.0;
    let body = html! {
        @for (at, (label, values)) in rows.iter().enumerate() {
            @let cy = frame.at(0.0, at as f64).1;
            @for (part, value) in values.iter().enumerate() {
                @let from: f64 = values[..part].iter().sum();
                @let (start, end) = (frame.at(from, 0.0).0, frame.at(from + value, 0.0).0);
                rect x=(n(start)) y=(n(cy - 8.0)) width=(n((end - start).max(0.0))) height="16"
                    fill=(FILLS[part % FILLS.len()]) stroke="#000" stroke-width="0.7" {}
            }
            text x=(n(left - 6.0)) y=(n(cy + 4.0)) text-anchor="end" { (shown(label)) }
        }
        (frame.axes())
        @for (at, part) in parts.iter().enumerate() {
            @let (column, row) =
                (8.0 + 185.0 * (at % 2) as f64, bottom + 18.0 * (at / 2) as f64);
            rect x=(n(column)) y=(n(row)) width="14" height="12"
                fill=(FILLS[at % FILLS.len()]) stroke="#000" stroke-width="0.7" {}
            text x=(n(column + 20.0)) y=(n(row + 10.0)) { (shown(part)) }
        }
    };
    document(bottom + 18.0 * parts.len().div_ceil(2) as f64, &body, alt)
}

/// A plot of points beside the line on which both coordinates are equal, and of the axes' common ends.
pub fn cloud(title: [&str; 2], pairs: &[(f64, f64)], alt: &str) -> Markup {
    let ends = super::roomy(pairs.iter().flat_map(|&(x, y)| [x, y]), 1e-9);
    let axis = |title| {
        let ticks = round_ticks(ends, 5.0);
        Axis { title, ends, logarithmic: false, ticks, text: significant }
    };
    let [x, y] = title.map(axis);
    let frame = Frame { x: &x, y: &y, left: 52.0, top: 26.0, width: WIDTH - 70.0, height: 240.0 };
    let [from, to] = [ends.0, ends.1].map(|end| frame.at(end, end));
    let body = html! {
        (frame.axes())
        line.level x1=(n(from.0)) y1=(n(from.1)) x2=(n(to.0)) y2=(n(to.1)) {}
        @for &(px, py) in pairs {
            @let (cx, cy) = frame.at(px, py);
            circle.dot cx=(n(cx)) cy=(n(cy)) r="2.2" {}
        }
    };
    document(frame.top + frame.height + 40.0, &body, alt)
}

/// Grids of more values are drawn as the range that they cover.
const DRAWN_VALUES: f64 = 33.0;

/// A histogram whose heights are logarithms of counts, over the grid.
pub fn histogram(bins: &Histogram, alt: &str) -> Markup {
    let most = bins.counts.iter().copied().fold(1.0, f64::max);
    let (mut low, mut high) = bins.ends;
    if let Some((first, last, step)) = bins.grid {
        (low, high) = (low.min(first - 0.5 * step), high.max(last + 0.5 * step));
    }
    let ends = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
    let ticks = round_ticks(ends, 6.0);
    let x = Axis { title: "", ends, logarithmic: false, ticks, text: significant };
    let (top, ticks) = ((1.0 + most).ln(), Vec::new());
    let y = Axis { title: "", ends: (0.0, top), logarithmic: false, ticks, text: plain };
    let frame = Frame { x: &x, y: &y, left: 14.0, top: 6.0, width: WIDTH - 28.0, height: 84.0 };
    let bottom = frame.top + frame.height;
    let width = (bins.ends.1 - bins.ends.0) / bins.counts.len().max(1) as f64;
    let start = frame.at(bins.ends.0, 0.0).0;
    let corner = |(at, count): (usize, &f64)| {
        let height = frame.at(0.0, (1.0 + count).ln()).1;
        let right = frame.at(bins.ends.0 + (at + 1) as f64 * width, 0.0).0;
        format!("V{}H{}", n(height), n(right))
    };
    let corners: String = bins.counts.iter().enumerate().map(corner).collect();
    let path = format!("M{} {}{corners}V{}Z", n(start), n(bottom), n(bottom));
    let body = html! {
        @if let Some((first, last, step)) = bins.grid {
            @let (left, right) =
                (frame.at(first - 0.5 * step, 0.0).0, frame.at(last + 0.5 * step, 0.0).0);
            rect.band x=(n(left)) y=(n(frame.top)) width=(n(right - left)) height=(n(frame.height)) {}
        }
        path.bins d=(path) {}
        @if let Some(grid) = bins.grid { path.value d=(values(&frame, grid)) {} }
        (frame.axes())
    };
    document(bottom + 22.0, &body, alt)
}

/// Lines at the values of a grid from its first to its last; none at those of a fine one.
fn values(frame: &Frame, (first, last, step): (f64, f64, f64)) -> String {
    let count = ((last - first) / step + 1.0).max(1.0);
    if count > DRAWN_VALUES {
        return String::new();
    }
    let line = |at: usize| {
        let x = frame.at(first + at as f64 * step, 0.0).0;
        format!("M{} {}V{}", n(x), n(frame.top), n(frame.top + frame.height))
    };
    // Sums of steps are not quite whole.
    (0..(count + 0.5) as usize).map(line).collect()
}
