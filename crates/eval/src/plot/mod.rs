//! Plots as SVG: legible at a phone's width, in print, and without telling colours apart.
//!
//! Reports of single runs and of studies draw with these. Texts are escaped, and characters that act on a
//! terminal or a browser are made visible.

mod charts;

use std::borrow::Cow;

use burn_ptq_deploy::printable;
use maud::{Markup, html};

pub use charts::{Dot, Histogram, Point, Series, bars, cloud, dots, histogram, lines, scatter};

/// How SVG of this module is drawn: rules for the page that it stands in.
pub const STYLE: &str = "\
svg text{font:11.5px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#111}\
svg .small{font-size:10px}svg .axis{fill:none;stroke:#111}svg .tick{stroke:#111}\
svg .grid{stroke:#ddd}svg .level{stroke:#111;stroke-dasharray:1 3}\
svg .point{fill:#999;stroke:#555;stroke-width:.9}svg .single{fill:none}\
svg .dot{fill:#0072B2;fill-opacity:.55}svg .band{fill:#e3eef6}svg .bins{fill:#0072B2}\
svg .value{fill:none;stroke:#D55E00;stroke-width:.7}";

/// The width of a plot, in units that are about a pixel each.
pub const WIDTH: f64 = 380.0;

/// Distinguishable by people with any colour vision (Okabe and Ito), dark enough for print.
const COLOURS: [&str; 7] =
    ["#0072B2", "#D55E00", "#007A5A", "#9C4F7F", "#000000", "#8A6500", "#2F7FB8"];

const DASHES: [&str; 7] = ["", "6 3", "2 3", "8 3 2 3", "", "4 4", "1 3"];

/// How an axis is drawn.
pub struct Axis<'a> {
    /// What it shows.
    pub title: &'a str,
    /// Its ends, which differ; the first may be the larger.
    pub ends: (f64, f64),
    /// Whether equal factors are equal distances.
    pub logarithmic: bool,
    /// The marked values.
    pub ticks: Vec<f64>,
    /// A value as text.
    pub text: fn(f64) -> String,
}

/// Values at round distances between two ends.
pub fn round_ticks((low, high): (f64, f64), most: f64) -> Vec<f64> {
    let span = (high - low).max(1e-12);
    let power = 10_f64.powf((span / most).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * power);
    let step = steps.into_iter().find(|s| span / s <= most).unwrap_or(power * 10.0);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Ends that leave some room around values.
pub fn roomy(values: impl Iterator<Item = f64>, least: f64) -> (f64, f64) {
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
pub fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// A number with three significant digits.
pub fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size @ 0.001..10_000.0 => {
            let before = size.log10().floor() as i32;
            plain_to(value, (2 - before).max(0) as usize)
        }
        _ => format!("{value:.2e}"),
    }
}

fn plain_to(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
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
pub(crate) struct Frame<'a> {
    pub(crate) x: &'a Axis<'a>,
    pub(crate) y: &'a Axis<'a>,
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Frame<'_> {
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (self.x.place(x), self.y.place(y));
        (self.left + x * self.width, self.top + (1.0 - y) * self.height)
    }

    pub(crate) fn axes(&self) -> Markup {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        html! {
            @for &tick in &self.y.ticks {
                @let y = self.at(self.x.ends.0, tick).1;
                line.grid x1=(n(self.left)) y1=(n(y)) x2=(n(right)) y2=(n(y)) {}
                text.mark x=(n(self.left - 5.0)) y=(n(y + 4.0)) text-anchor="end" {
                    ((self.y.text)(tick))
                }
            }
            @for &tick in &self.x.ticks {
                @let x = self.at(tick, self.y.ends.0).0;
                line.tick x1=(n(x)) y1=(n(bottom)) x2=(n(x)) y2=(n(bottom + 4.0)) {}
                text.mark x=(n(x)) y=(n(bottom + 16.0)) text-anchor="middle" {
                    ((self.x.text)(tick))
                }
            }
            @let corner = format!("M{} {}V{}H{}", n(self.left), n(self.top), n(bottom), n(right));
            path.axis d=(corner) {}
            @if !self.x.title.is_empty() {
                text x=(n(self.left + self.width / 2.0)) y=(n(bottom + 32.0)) text-anchor="middle" {
                    (shown(self.x.title))
                }
            }
            @if !self.y.title.is_empty() {
                text x="2" y=(n(self.top - 8.0)) text-anchor="start" { (shown(self.y.title)) }
            }
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
pub(crate) fn n(x: f64) -> String {
    format!("{x:.1}")
}

/// Coordinates of points.
fn points(places: impl IntoIterator<Item = (f64, f64)>) -> String {
    let places: Vec<String> = places.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    places.join(" ")
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

/// A figure of a height, with words for those who do not see it.
pub fn document(height: f64, body: &Markup, alt: &str) -> Markup {
    sized(WIDTH, height, body, alt)
}

/// A figure of a width and a height, with words for those who do not see it.
pub fn sized(width: f64, height: f64, body: &Markup, alt: &str) -> Markup {
    html! {
        svg viewBox={ "0 0 " (format!("{width:.0}")) " " (format!("{height:.0}")) } role="img"
            aria-label=(shown(alt)) xmlns="http://www.w3.org/2000/svg" { (body) }
    }
}

/// The text with at most `most` characters.
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    let head: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

/// The text with the characters that are not to be seen made visible.
pub fn shown(text: &str) -> Cow<'_, str> {
    printable::lines(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_digits_that_say_nothing() {
        for (value, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (0.5, "0.5"),
            (0.123_456, "0.123"),
            (-3.15159, "-3.15"),
            (1234.0, "1234"),
            (0.000_012, "1.20e-5"),
            (100_000.0, "1.00e5"),
        ] {
            assert_eq!(significant(value), text);
        }
        assert_eq!((plain(0.250), plain(-0.0)), ("0.25".into(), "0".into()));
    }

    #[test]
    fn long_texts_are_cut_short() {
        assert_eq!(shorten("größer", 6), "größer");
        assert_eq!(shorten("größer", 4), "grö…");
        assert_eq!(shorten("größer", 0), "…");
    }
}
