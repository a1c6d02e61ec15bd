//! The arena over time: which tensor lies where when, and what makes the peak.

use maud::{Markup, html};

use super::number::Unit;
use super::section::{Section, bar};
use super::view::View;
use crate::plot::{Axis, Frame, WIDTH, document, n, plain, round_ticks, shorten, significant};

/// Widths of a character and of the margin of a name in a box.
const CHARACTER: f64 = 4.6;
const MARGIN: f64 = 4.0;

/// Names are not cut shorter than this.
const LEAST: usize = 5;

/// A part of the arena in use, as numbers to draw.
struct Part<'a> {
    view: View<'a>,
    first: f64,
    last: f64,
    offset: f64,
    bytes: f64,
}

impl<'a> Part<'a> {
    fn new(view: View<'a>) -> Option<Self> {
        let number = |key| view.number_of(key);
        let (first, last) = (number("first")?, number("last")?);
        let (offset, bytes) = (number("offset")?, number("bytes")?);
        Some(Self { view, first, last, offset, bytes })
    }

    fn class(&self) -> &'static str {
        match self.view.text_of("role").as_ref() {
            "input" => "input",
            "output" => "output",
            "scratch" => "scratch",
            _ => "activation",
        }
    }

    /// The step from which on another part lies over most of it, such as the output of an operation that
    /// works in place; otherwise the one after its last.
    fn seen_until(&self, parts: &[Self]) -> f64 {
        let covers = |other: &&Self| {
            let common = (self.offset + self.bytes).min(other.offset + other.bytes)
                - self.offset.max(other.offset);
            other.first > self.first && other.first <= self.last && common > 0.5 * self.bytes
        };
        parts.iter().filter(covers).map(|other| other.first).fold(self.last + 1.0, f64::min)
    }

    fn lives_at(&self, step: f64) -> bool {
        (self.first..=self.last).contains(&step)
    }
}

pub(super) fn section(report: &View) -> Option<Section> {
    let arena = report.get("arena")?;
    let (steps, peak) = (arena.list("steps"), arena.index_of("peak")?);
    let mut parts: Vec<Part> = arena.list("tensors").into_iter().filter_map(Part::new).collect();
    // The smaller lie over the larger.
    parts.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    // Layers that run row by row share their memory, and the peak.
    let live = |step: usize| steps.get(step).and_then(|step| step.number_of("live_bytes"));
    let last = (peak..steps.len()).take_while(|&step| live(step) == live(peak)).last();
    let at_peak = (peak, last.unwrap_or(peak));
    let figure = figure(&arena, steps.len(), at_peak, &parts);
    parts.retain(|part| part.lives_at(peak as f64));
    let largest = steps.iter().filter_map(|step| step.number_of("live_bytes")).fold(1.0, f64::max);
    let body = html! {
        p {
            "Exported code for " (arena.text_of("target")) " keeps all activations in one arena of "
            b { (arena.show_of("bytes", Unit::Bytes)) } ". The most is in use during "
            @if let Some(step) = steps.get(peak) { span.name { (step.text_of("name")) } }
            @if let Some(step) = steps.get(at_peak.1).filter(|_| at_peak.1 > peak) {
                " to " span.name { (step.text_of("name")) }
            }
            ": " b { (arena.show_of("peak_bytes", Unit::Bytes)) } "."
        }
        div.panels {
            figure.wide {
                h3 { "What lies where, and when" }
                (figure)
                (legend())
            }
            figure {
                h3 { "What makes the peak" }
                table {
                    thead { tr { th.text { "what" } th { "bytes" } th { "offset" } } }
                    tbody {
                        @for part in &parts {
                            tr {
                                td.text {
                                    span.name { (part.view.text_of("name")) } " "
                                    span.op { (part.view.text_of("role")) }
                                }
                                td { (part.view.show_of("bytes", Unit::Bytes)) }
                                td { (part.view.show_of("offset", Unit::Bytes)) }
                            }
                        }
                    }
                }
                p.note {
                    "An operation that works in place writes over its input: both lie at the same bytes. \
                     Of layers that run row by row memory holds a few rows, and the output of the last may \
                     reach into what they have read."
                }
            }
        }
        details {
            summary { "Bytes in use, step by step" }
            table.layers {
                thead { tr { th { "#" } th.text { "step" } th { "bytes in use" } } }
                tbody {
                    @for (at, step) in steps.iter().enumerate() {
                        tr.worst[(at_peak.0..=at_peak.1).contains(&at)] {
                            td.number { span.order { (at + 1) } }
                            td.text {
                                span.name { (step.text_of("name")) } " "
                                span.op { (step.text_of("op")) }
                            }
                            td.bars data-label="bytes" {
                                div {
                                    @let bytes = step.number_of("live_bytes").unwrap_or(0.0);
                                    (bar(bytes / largest, "a"))
                                    span { (step.show_of("live_bytes", Unit::Bytes)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Some(Section { id: "arena", title: "Memory over time", body })
}

fn legend() -> Markup {
    let roles = ["input", "activation", "output", "scratch"];
    html! {
        div.legend {
            @for role in roles {
                span {
                    svg viewBox="0 0 14 12" aria-hidden="true" {
                        rect class=(role) width="14" height="12" {}
                    }
                    " " (role)
                }
            }
        }
    }
}

fn figure(arena: &View, steps: usize, peak: (usize, usize), parts: &[Part]) -> Markup {
    let bytes = arena.number_of("bytes").unwrap_or(1.0).max(1.0);
    let (unit, title) = if bytes < 10_000.0 { (1.0, "bytes") } else { (1024.0, "KiB") };
    let top = bytes / unit;
    let count = steps.max(1) as f64;
    let marks = round_ticks((1.0, count), 12.0).into_iter().filter(|mark| mark.fract() == 0.0);
    let x = Axis {
        title: "step",
        ends: (0.0, count),
        logarithmic: false,
        ticks: marks.map(|mark| mark - 0.5).collect(),
        text: |middle| plain(middle + 0.5),
    };
    let ticks = round_ticks((0.0, top), 6.0);
    let y = Axis { title, ends: (0.0, top), logarithmic: false, ticks, text: significant };
    let frame = Frame { x: &x, y: &y, left: 44.0, top: 26.0, width: WIDTH - 54.0, height: 250.0 };
    let (start, end) = (frame.at(peak.0 as f64, 0.0).0, frame.at(peak.1 as f64 + 1.0, 0.0).0);
    let right = frame.left + frame.width;
    let body = html! {
        rect.peak x=(n(start)) y=(n(frame.top)) width=(n(end - start)) height=(n(frame.height)) {}
        (frame.axes())
        @for part in parts {
            @let (left, bottom) = frame.at(part.first, part.offset / unit);
            @let (right, high) = frame.at(part.last + 1.0, (part.offset + part.bytes) / unit);
            g {
                title { (part.view.text_of("name")) }
                rect class=(part.class()) x=(n(left)) y=(n(high)) width=(n(right - left))
                    height=(n(bottom - high)) stroke-width=".7" {}
            }
        }
        // Names lie over all of them.
        @for part in parts { (label(part, parts, &frame, unit)) }
        line.end x1=(n(frame.left)) y1=(n(frame.top)) x2=(n(right)) y2=(n(frame.top)) {}
        line.over x1=(n(start)) y1=(n(frame.top)) x2=(n(end)) y2=(n(frame.top)) {}
        text.small x=(n((start + end) / 2.0)) y=(n(frame.top - 4.0)) text-anchor="middle" { "peak" }
    };
    let alt = "the arena from its first byte upward, step by step from left to right; the tables name what \
               lies there at the peak";
    document(frame.top + frame.height + 40.0, &body, alt)
}

/// The name of a part, where it has room before something else lies there.
fn label(part: &Part, parts: &[Part], frame: &Frame, unit: f64) -> Markup {
    let (left, bottom) = frame.at(part.first, part.offset / unit);
    let (right, top) = frame.at(part.last + 1.0, (part.offset + part.bytes) / unit);
    let room = |right: f64| ((right - left - MARGIN) / CHARACTER).max(0.0) as usize;
    if room(right) < LEAST || bottom - top < 9.0 {
        return html! {};
    }
    let right = frame.at(part.seen_until(parts), 0.0).0;
    html! {
        @if room(right) >= LEAST {
            text.tiny x=(n((left + right) / 2.0)) y=(n((top + bottom) / 2.0 + 3.0))
                text-anchor="middle" { (shorten(&part.view.text_of("name"), room(right))) }
        }
    }
}
