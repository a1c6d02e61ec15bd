//! `report.html`: a report as one page that needs no network and no script.
//!
//! [`render`] makes it of the JSON of a [`Report`](crate::report::Report), or of what `burn-ptq inspect`
//! prints: sections whose numbers are absent are left out. The page reads no other source, so that every
//! number in it is one of the JSON, which its tag names: `data-at` is a JSON pointer. Bars and figures are
//! drawn from the same numbers. Times, which differ from run to run, stay in the JSON.

mod arena;
mod headline;
mod histograms;
mod judged;
mod layered;
mod layers;
mod network;
mod number;
mod provenance;
mod section;
mod view;
mod warnings;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::plot;
use layers::Layer;
use section::Section;
use view::View;

/// Black on white; one column on a phone, and figures that are not broken across printed pages.
const STYLE: &str = include_str!("style.css");

/// The page of a report, or of an inspected model, in the form of its JSON.
pub fn render(report: &Value) -> String {
    let report = &View::root(report);
    let layers = Layer::all(report);
    let sections: Vec<Section> = [
        headline::section(report),
        warnings::section(report, &layers),
        layers::section(report, &layers),
        arena::section(report),
        network::section(report, &layers),
        histograms::section(report, &layers),
        judged::section(report),
        provenance::section(report),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = title(report);
    let body = html! {
        header {
            h1 { (title) }
            p.sub { (subtitle(report)) }
        }
        nav {
            @for section in &sections { a href={ "#" (section.id) } { (section.title) } " " }
        }
        @for section in &sections {
            section id=(section.id) {
                h2 { (section.title) }
                (section.body)
            }
        }
    };
    document(&title, STYLE, &body)
}

/// One file that needs nothing else, with the rules of [`plot`] and those of `style`.
pub fn document(title: &str, style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                style { (PreEscaped(plot::STYLE)) (PreEscaped(style)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// The task and its bits, or the model that was inspected.
fn title(report: &View) -> String {
    let name = match report.get("task") {
        Some(task) => task.text(),
        None => report.text_of("model"),
    };
    match report.get("label") {
        Some(label) => format!("{name}, {}", label.text()),
        None => name.into_owned(),
    }
}

/// What the page is of.
fn subtitle(report: &View) -> Markup {
    let quantized = report.get("label").is_some();
    html! {
        @if quantized {
            "Quantization of " span.name { (report.text_of("model")) }
            ", calibrated "
            @match report.text_of("calibration").as_ref() {
                "data-free" => { "without data, on inputs made from batch normalization" }
                _ => { "on " (report.show_of("calibration_samples", number::Unit::Count)) " samples" }
            }
        } @else {
            "Inspection of the model’s file, without data"
        }
    }
}

#[cfg(test)]
mod tests;
