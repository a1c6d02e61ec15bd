//! Warnings, and what to try next.

use maud::{Markup, html};

use super::layers::Layer;
use super::section::Section;
use super::view::View;

pub(super) fn section(report: &View, layers: &[Layer]) -> Option<Section> {
    report.get("warnings")?;
    let warnings = report.list("warnings");
    let next = next(report, layers);
    let body = html! {
        @for warning in &warnings {
            div.warning {
                p { (warning.text_of("message")) }
                p { b { "Try: " } (warning.text_of("hint")) }
            }
        }
        @if warnings.is_empty() { p { "There are no warnings." } }
        @if !next.is_empty() {
            h3 { "What to try next" }
            ul { @for advice in &next { li { (advice) } } }
        }
    };
    Some(Section { id: "warnings", title: "Warnings, and what to try next", body })
}

/// Advice that follows from the report itself.
fn next(report: &View, layers: &[Layer]) -> Vec<Markup> {
    let mut next = Vec::new();
    let worst = layers.iter().find(|layer| layer.worst && layer.bits().is_some());
    let explained = report.get("explain").is_some();
    if let Some(worst) = worst.filter(|_| explained) {
        next.push(html! {
            "Quantizing " span.name { (worst.name) } " changes the predictions most: give it more bits with "
            code { "--layer '" (worst.name) ":weights=BITS'" } "."
        });
    }
    if report.get("metric").is_none() {
        next.push(html! {
            "Nothing was evaluated: add " code { "--eval X.npy --labels Y.npy" } ", or " code { "--task DIR" }
            "."
        });
    }
    let fitted = report.get("budgets").is_some();
    if !explained && !fitted {
        next.push(html! {
            "Rank the layers by how much quantizing each alone changes the predictions: add "
            code { "--explain" } "."
        });
    }
    if !fitted {
        next.push(html! {
            "Choose the bits of each layer for a microcontroller’s flash, RAM and time: "
            code { "burn-ptq fit" } "."
        });
    }
    next
}
