//! What made the report of what, so that it can be made again.

use maud::{Markup, html};

use super::number::Unit;
use super::section::Section;
use super::view::View;

pub(super) fn section(report: &View) -> Option<Section> {
    let quantized = report.get("version")?;
    let row = |name: &str, value: Markup| html! { dt { (name) } dd { (value) } };
    let text = |key: &str| match report.text_of(key) {
        text if text.is_empty() => html! { "–" },
        text => html! { (text) },
    };
    let body = html! {
        dl {
            (row("made by", html! { "burn-ptq " (quantized.text()) }))
            (row("model", text("model")))
            (row("SHA-256 of the model", html! { code { (text("model_sha256")) } }))
            (row("SHA-256 of the calibration samples", html! { code { (text("calibration_sha256")) } }))
            @if report.get("seed").is_some() {
                (row("seed", report.show_of("seed", Unit::Count)))
            }
            @for input in report.list("inputs") {
                @if let Some(preprocessing) = input.get("preprocessing") {
                    (row("preprocessing", html! {
                        span.name { (input.text_of("name")) } ": " (described(&preprocessing))
                    }))
                }
            }
            @for note in report.list("notes") { (row("note", html! { (note.text()) })) }
        }
        @if let Some(recipe) = report.get("recipe") {
            details open {
                summary { "Recipe" }
                pre { (recipe.text()) }
            }
        }
    };
    Some(Section { id: "provenance", title: "Provenance", body })
}

/// How raw samples become an input.
fn described(view: &View) -> Markup {
    let list = |key: &str| {
        let numbers = view.list(key);
        html! {
            @for (at, number) in numbers.iter().enumerate() {
                @if at > 0 { ", " }
                (number.show(Unit::Real))
            }
        }
    };
    html! {
        (view.text_of("element")) " elements"
        @if view.get("scale").is_some() { ", times " (view.show_of("scale", Unit::Real)) }
        @if !view.list("mean").is_empty() { ", less " (list("mean")) }
        @if !view.list("std").is_empty() { ", divided by " (list("std")) }
        @if view.get("window_frames").is_some() {
            ", windows of " (view.show_of("window_frames", Unit::Count)) " frames"
        }
    }
}
