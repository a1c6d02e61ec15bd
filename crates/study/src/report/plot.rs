//! Plots as SVG: legible at a phone's width, in print, and without telling colours apart.

use std::borrow::Cow;

use burn_ptq_deploy::printable;
use maud::{Markup, html};

/// The size of a plot, in units that are about a pixel each.
const WIDTH: f64 = 380.0;

/// Distinguishable by people with any colour vision (Okabe and Ito), dark enough for print.
const COLOURS: [&str; 7] =
    ["#0072B2", "#D55E00", "#007A5A", "#9C4F7F", "#000000", "#8A6500", "#2F7FB8"];

const DASHES: [&str; 7] = ["", "6 3", "2 3", "8 3 2 3", "", "4 4", "1 3"];

/// A line of a plot.
pub(super) struct Series {
    /// Its name in the legend.
    pub(super) name: String,
    /// Points: x, y, and half the length of an error bar.
    pub(super) points: Vec<(f64, f64, f64)>,
}

/// A row of a dot plot: its label, its value, and half the length of an error bar.
pub(super) type Dot = (String, f64, f64);

/// How an axis is drawn.
pub(super) struct Axis<'a> {
    /// What it shows.
    pub(super) title: &'a str,
    /// Its ends, which differ; the first may be the larger.
    pub(super) ends: (f64, f64),
    /// Whether equal factors are equal distances.
    pub(super) logarithmic: bool,
    /// The marked values.
    pub(super) ticks: Vec<f64>,
    /// A value as text.
    pub(super) text: fn(f64) -> String,
}

/// Values at round distances between two ends.
pub(super) fn round_ticks((low, high): (f64, f64), most: f64) -> Vec<f64> {
    let span = (high - low).max(1e-12);
    let power = 10_f64.powf((span / most).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * power);
    let step = steps.into_iter().find(|s| span / s <= most).unwrap_or(power * 10.0);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Ends that leave some room around values.
pub(super) fn roomy(values: impl Iterator<Item = f64>, least: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = (0.06 * (high - low)).max(least);
    (low - room, high + room)
}

/// A number without digits that say nothing.
pub(super) fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

impl Axis<'_> {
    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.ends;
        match self.logarithmic {
            true => (value.ln() - low.ln()) / (high.ln() - low.ln()),
            false => (value - low) / (high - low),
        }
    }
}

/// A drawing area with its axes.
struct Frame<'a> {
    x: &'a Axis<'a>,
    y: &'a Axis<'a>,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Frame<'_> {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (self.x.place(x), self.y.place(y));
        (self.left + x * self.width, self.top + (1.0 - y) * self.height)
    }

    fn axes(&self) -> Markup {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        html! {
            @for &tick in &self.y.ticks {
                @let y = self.at(self.x.ends.0, tick).1;
                line.grid x1=(n(self.left)) y1=(n(y)) x2=(n(right)) y2=(n(y)) {}
                text x=(n(self.left - 5.0)) y=(n(y + 4.0)) text-anchor="end" { ((self.y.text)(tick)) }
            }
            @for &tick in &self.x.ticks {
                @let x = self.at(tick, self.y.ends.0).0;
                line.tick x1=(n(x)) y1=(n(bottom)) x2=(n(x)) y2=(n(bottom + 4.0)) {}
                text x=(n(x)) y=(n(bottom + 16.0)) text-anchor="middle" { ((self.x.text)(tick)) }
            }
            @let corner = format!("M{} {}V{}H{}", n(self.left), n(self.top), n(bottom), n(right));
            path.axis d=(corner) {}
            text x=(n(self.left + self.width / 2.0)) y=(n(bottom + 32.0)) text-anchor="middle" {
                (shown(self.x.title))
            }
            text x="2" y=(n(self.top - 8.0)) text-anchor="start" { (shown(self.y.title)) }
        }
    }

    /// A dashed line at a value of y, with its name.
    fn level(&self, level: Option<(f64, &str)>) -> Markup {
        let inside = |&(y, _): &(f64, &str)| (0.0..=1.0).contains(&self.y.place(y));
        html! {
            @if let Some((y, name)) = level.filter(inside) {
                @let (x, at) = self.at(self.x.ends.0, y);
                line.level x1=(n(x)) y1=(n(at)) x2=(n(self.left + self.width)) y2=(n(at)) {}
                text.small x=(n(x + 4.0)) y=(n(at - 3.0)) { (name) }
            }
        }
    }
}

/// A coordinate, to a tenth.
fn n(x: f64) -> String {
    format!("{x:.1}")
}

/// Coordinates of points.
fn points(places: impl IntoIterator<Item = (f64, f64)>) -> String {
    let places: Vec<String> = places.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    places.join(" ")
}

/// A plot of lines over numbers; `level` is a value of y with a name, such as the float network's.
pub(super) fn lines(
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
                (marker(at, cx, cy, colour))
            }
            @if legend > 0.0 {
                @let row = frame.top + frame.height + 50.0 + 16.0 * at as f64;
                line stroke=(colour) stroke-width="1.8" stroke-dasharray=(dash)
                    x1="8" y1=(n(row)) x2="36" y2=(n(row)) {}
                (marker(at, 22.0, row, colour))
                text x="42" y=(n(row + 4.0)) { (shown(&line.name)) }
            }
        }
    };
    document(height, &body, alt)
}

/// A plot of one value a row.
pub(super) fn dots(x: &Axis, rows: &[Dot], level: Option<(f64, &str)>, alt: &str) -> Markup {
    let line = 20.0;
    let longest = rows.iter().map(|(label, ..)| label.chars().count()).max().unwrap_or(0);
    let left = (6.1 * longest as f64 + 10.0).clamp(40.0, 212.0);
    let rank = Axis {
        title: "",
        ends: (rows.len() as f64 - 0.5, -0.5),
        logarithmic: false,
        ticks: Vec::new(),
        text: plain,
    };
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
        @for (at, (label, value, error)) in rows.iter().enumerate() {
            @let (cx, cy) = frame.at(*value, at as f64);
            line.grid x1=(n(left)) y1=(n(cy)) x2=(n(left + frame.width)) y2=(n(cy)) {}
            text x=(n(left - 6.0)) y=(n(cy + 4.0)) text-anchor="end" { (shown(&shorten(label, 33))) }
            line stroke=(COLOURS[0]) stroke-width="1.6"
                x1=(n(frame.at(value - error, 0.0).0)) y1=(n(cy))
                x2=(n(frame.at(value + error, 0.0).0)) y2=(n(cy)) {}
            (marker(0, cx, cy, COLOURS[0]))
        }
    };
    document(frame.top + height + 40.0, &body, alt)
}

/// A plot of points, hollow where they are single runs; some are on a front and have numbers.
pub(super) fn scatter(
    x: &Axis,
    y: &Axis,
    points: &[(f64, f64, bool)],
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
pub(super) fn bars(rows: &[(String, Vec<f64>)], parts: &[&str], title: &str, alt: &str) -> Markup {
    let longest = rows.iter().map(|(_, v)| v.iter().sum::<f64>()).fold(1e-9, f64::max);
    let (left, line) = (60.0, 26.0);
    let ends = (0.0, longest * 1.02);
    let x = Axis { title, ends, logarithmic: false, ticks: round_ticks(ends, 5.0), text: plain };
    let rank = Axis {
        title: "",
        ends: (rows.len() as f64 - 0.5, -0.5),
        logarithmic: false,
        ticks: Vec::new(),
        text: plain,
    };
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

/// From dark to light, so that print without colours keeps them apart.
const FILLS: [&str; 5] = ["#0B3C5D", "#0072B2", "#E69F00", "#B7DDF2", "#FFFFFF"];

/// A point of a series: each has a shape of its own.
fn marker(series: usize, x: f64, y: f64, colour: &str) -> Markup {
    let r = 4.0;
    let polygon = |corners: &[(f64, f64)]| {
        let corners = corners.iter().map(|(dx, dy)| (x + dx, y + dy));
        html! { polygon fill=(colour) points=(points(corners)) {} }
    };
    match series % 7 {
        0 => html! { circle fill=(colour) cx=(n(x)) cy=(n(y)) r=(r) {} },
        1 => polygon(&[(-r, -r), (r, -r), (r, r), (-r, r)]),
        2 => polygon(&[(0.0, -5.0), (4.6, 3.6), (-4.6, 3.6)]),
        3 => polygon(&[(0.0, -5.4), (5.4, 0.0), (0.0, 5.4), (-5.4, 0.0)]),
        4 => {
            let cross = format!("M{} {}l8 8m0 -8l-8 8", n(x - r), n(y - r));
            html! { path stroke=(colour) stroke-width="2" d=(cross) {} }
        }
        5 => polygon(&[(0.0, 5.0), (4.6, -3.6), (-4.6, -3.6)]),
        _ => html! {
            circle fill="#fff" stroke=(colour) stroke-width="1.8" cx=(n(x)) cy=(n(y)) r=(r) {}
        },
    }
}

fn document(height: f64, body: &Markup, alt: &str) -> Markup {
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (format!("{height:.0}")) } role="img"
            aria-label=(shown(alt)) xmlns="http://www.w3.org/2000/svg" { (body) }
    }
}

/// The text with at most `most` characters.
fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    let head: String = text.chars().take(most - 1).collect();
    format!("{}…", head.trim_end())
}

/// The text with the characters that are not to be seen made visible.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    printable::lines(text)
}
