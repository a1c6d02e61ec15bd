//! Plots as SVG: legible at a phone's width, in print, and without telling colours apart.

use std::fmt::Write;

use burn_ptq_deploy::printable;

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

    fn axes(&self) -> String {
        let mut svg = String::new();
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for &tick in &self.y.ticks {
            let y = self.at(self.x.ends.0, tick).1;
            let label = (self.y.text)(tick);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                self.left,
                self.left - 5.0,
                y + 4.0
            );
        }
        for &tick in &self.x.ticks {
            let x = self.at(tick, self.y.ends.0).0;
            let label = (self.x.text)(tick);
            let _ = write!(
                svg,
                "<line class=\"tick\" x1=\"{x:.1}\" y1=\"{bottom:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                bottom + 4.0,
                bottom + 16.0
            );
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{:.1} {:.1}V{bottom:.1}H{right:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            self.left,
            self.top,
            self.left + self.width / 2.0,
            bottom + 32.0,
            escape(self.x.title)
        );
        let _ = write!(
            svg,
            "<text x=\"2\" y=\"{:.1}\" text-anchor=\"start\">{}</text>",
            self.top - 8.0,
            escape(self.y.title)
        );
        svg
    }

    /// A dashed line at a value of y, with its name.
    fn level(&self, y: f64, name: &str) -> String {
        if !(0.0..=1.0).contains(&self.y.place(y)) {
            return String::new();
        }
        let (x, at) = self.at(self.x.ends.0, y);
        let right = self.left + self.width;
        format!(
            "<line class=\"level\" x1=\"{x:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
            x + 4.0,
            at - 3.0
        )
    }
}

/// A plot of lines over numbers; `level` is a value of y with a name, such as the float network's.
pub(super) fn lines(
    x: &Axis,
    y: &Axis,
    series: &[Series],
    level: Option<(f64, &str)>,
    alt: &str,
) -> String {
    let legend = if series.len() > 1 { 16.0 * series.len() as f64 + 6.0 } else { 0.0 };
    let frame = Frame { x, y, left: 44.0, top: 26.0, width: WIDTH - 58.0, height: 190.0 };
    let height = frame.top + frame.height + 40.0 + legend;
    let mut body = frame.axes();
    if let Some((value, name)) = level {
        body.push_str(&frame.level(value, name));
    }
    for (at, line) in series.iter().enumerate() {
        let (colour, dash) = (COLOURS[at % COLOURS.len()], DASHES[at % DASHES.len()]);
        let places: Vec<(f64, f64)> = line.points.iter().map(|&(x, y, _)| frame.at(x, y)).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(
            body,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" \
             stroke-dasharray=\"{dash}\" points=\"{}\"/>",
            path.join(" ")
        );
        for (&(px, py, error), &(cx, cy)) in line.points.iter().zip(&places) {
            if error > 0.0 {
                let (low, high) = (frame.at(px, py - error).1, frame.at(px, py + error).1);
                let _ = write!(
                    body,
                    "<line stroke=\"{colour}\" x1=\"{cx:.1}\" y1=\"{low:.1}\" x2=\"{cx:.1}\" \
                     y2=\"{high:.1}\"/>"
                );
            }
            body.push_str(&marker(at, cx, cy, colour));
        }
        if legend > 0.0 {
            let row = frame.top + frame.height + 50.0 + 16.0 * at as f64;
            let _ = write!(
                body,
                "<line stroke=\"{colour}\" stroke-width=\"1.8\" stroke-dasharray=\"{dash}\" x1=\"8\" \
                 y1=\"{row:.1}\" x2=\"36\" y2=\"{row:.1}\"/>{}\
                 <text x=\"42\" y=\"{:.1}\">{}</text>",
                marker(at, 22.0, row, colour),
                row + 4.0,
                escape(&line.name)
            );
        }
    }
    document(height, &body, alt)
}

/// A plot of one value a row.
pub(super) fn dots(x: &Axis, rows: &[Dot], level: Option<(f64, &str)>, alt: &str) -> String {
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
    let mut body = frame.axes();
    if let Some((value, name)) = level
        && (0.0..=1.0).contains(&x.place(value))
    {
        let (at, _) = frame.at(value, 0.0);
        let bottom = frame.top + height;
        let _ = write!(
            body,
            "<line class=\"level\" x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>\
             <text class=\"small\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            frame.top,
            frame.top - 5.0
        );
    }
    for (at, (label, value, error)) in rows.iter().enumerate() {
        let (cx, cy) = frame.at(*value, at as f64);
        let (low, high) = (frame.at(value - error, 0.0).0, frame.at(value + error, 0.0).0);
        let _ = write!(
            body,
            "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{cy:.1}\" x2=\"{:.1}\" y2=\"{cy:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left + frame.width,
            left - 6.0,
            cy + 4.0,
            escape(&shorten(label, 33))
        );
        let _ = write!(
            body,
            "<line stroke=\"{0}\" stroke-width=\"1.6\" x1=\"{low:.1}\" y1=\"{cy:.1}\" \
             x2=\"{high:.1}\" y2=\"{cy:.1}\"/>{1}",
            COLOURS[0],
            marker(0, cx, cy, COLOURS[0])
        );
    }
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
) -> String {
    let frame = Frame { x, y, left: 44.0, top: 26.0, width: WIDTH - 62.0, height: 210.0 };
    let mut body = frame.axes();
    if let Some((value, name)) = level {
        body.push_str(&frame.level(value, name));
    }
    for &(px, py, single) in points {
        let (cx, cy) = frame.at(px, py);
        let class = if single { "point single" } else { "point" };
        let _ = write!(body, "<circle class=\"{class}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"2.6\"/>");
    }
    let places: Vec<(f64, f64)> = front.iter().map(|&(px, py)| frame.at(px, py)).collect();
    let mut path = String::new();
    for (at, (cx, cy)) in places.iter().enumerate() {
        // A front is a staircase: nothing lies between two of its points.
        let _ = match at {
            0 => write!(path, "M{cx:.1} {cy:.1}"),
            _ => write!(path, "H{cx:.1}V{cy:.1}"),
        };
    }
    let _ = write!(
        body,
        "<path fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" d=\"{path}\"/>",
        COLOURS[1]
    );
    for (at, (cx, cy)) in places.iter().enumerate() {
        let _ = write!(
            body,
            "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"7.5\" fill=\"#fff\" stroke=\"{}\" \
             stroke-width=\"1.6\"/><text class=\"small\" x=\"{cx:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{}</text>",
            COLOURS[1],
            cy + 3.5,
            at + 1
        );
    }
    document(frame.top + frame.height + 40.0, &body, alt)
}

/// Horizontal bars made of parts, whose lengths are values.
pub(super) fn bars(rows: &[(String, Vec<f64>)], parts: &[&str], title: &str, alt: &str) -> String {
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
    let mut body = String::new();
    for (at, (label, values)) in rows.iter().enumerate() {
        let cy = frame.at(0.0, at as f64).1;
        let mut from = 0.0;
        for (part, value) in values.iter().enumerate() {
            let (start, end) = (frame.at(from, 0.0).0, frame.at(from + value, 0.0).0);
            let _ = write!(
                body,
                "<rect x=\"{start:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\" fill=\"{}\" \
                 stroke=\"#000\" stroke-width=\"0.7\"/>",
                cy - 8.0,
                (end - start).max(0.0),
                FILLS[part % FILLS.len()]
            );
            from += value;
        }
        let _ = write!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            cy + 4.0,
            escape(label)
        );
    }
    body.push_str(&frame.axes());
    let bottom = frame.top + height + 44.0;
    for (at, part) in parts.iter().enumerate() {
        let (column, row) = (8.0 + 185.0 * (at % 2) as f64, bottom + 18.0 * (at / 2) as f64);
        let _ = write!(
            body,
            "<rect x=\"{column:.1}\" y=\"{row:.1}\" width=\"14\" height=\"12\" fill=\"{}\" \
             stroke=\"#000\" stroke-width=\"0.7\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            FILLS[at % FILLS.len()],
            column + 20.0,
            row + 10.0,
            escape(part)
        );
    }
    document(bottom + 18.0 * parts.len().div_ceil(2) as f64, &body, alt)
}

/// From dark to light, so that print without colours keeps them apart.
const FILLS: [&str; 5] = ["#0B3C5D", "#0072B2", "#E69F00", "#B7DDF2", "#FFFFFF"];

/// A point of a series: each has a shape of its own.
fn marker(series: usize, x: f64, y: f64, colour: &str) -> String {
    let r = 4.0;
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> =
            points.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        format!("<polygon fill=\"{colour}\" points=\"{}\"/>", points.join(" "))
    };
    match series % 7 {
        0 => format!("<circle fill=\"{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\"/>"),
        1 => polygon(&[(-r, -r), (r, -r), (r, r), (-r, r)]),
        2 => polygon(&[(0.0, -5.0), (4.6, 3.6), (-4.6, 3.6)]),
        3 => polygon(&[(0.0, -5.4), (5.4, 0.0), (0.0, 5.4), (-5.4, 0.0)]),
        4 => format!(
            "<path stroke=\"{colour}\" stroke-width=\"2\" d=\"M{:.1} {:.1}l8 8m0 -8l-8 8\"/>",
            x - r,
            y - r
        ),
        5 => polygon(&[(0.0, 5.0), (4.6, -3.6), (-4.6, -3.6)]),
        _ => format!(
            "<circle fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"1.8\" cx=\"{x:.1}\" \
             cy=\"{y:.1}\" r=\"{r}\"/>"
        ),
    }
}

fn document(height: f64, body: &str, alt: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\" \
         xmlns=\"http://www.w3.org/2000/svg\">{body}</svg>",
        escape(alt)
    )
}

/// The text with at most `most` characters.
fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    let head: String = text.chars().take(most - 1).collect();
    format!("{}…", head.trim_end())
}

/// The text with the characters of markup replaced, and those that are not to be seen made visible.
pub(super) fn escape(text: &str) -> String {
    let text = printable::lines(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
