//! For each layer the histograms of weights and activations, with the grid over them.

use maud::{Markup, html};

use super::layers::Layer;
use super::number::Unit;
use super::section::Section;
use super::view::View;
use crate::plot::{Histogram, histogram};

/// Histograms of more layers are folded away, except those of layers that hurt.
const MOST_OPEN: usize = 24;

/// A layer that hurts this share of the one that hurts most is open all the same.
const HARMFUL: f64 = 0.5;

pub(super) fn section(report: &View, layers: &[Layer]) -> Option<Section> {
    let keys = ["weight_histogram", "output_histogram"];
    let shown: Vec<&Layer> =
        layers.iter().filter(|layer| layer.view.any(&keys).is_some()).collect();
    if shown.is_empty() {
        return None;
    }
    let open = |layer: &Layer| shown.len() <= MOST_OPEN || layer.hurt.is_some_and(|h| h >= HARMFUL);
    let quantized = shown.iter().any(|layer| layer.view.get("activation_bits").is_some());
    let body = html! {
        @if quantized {
            p.note {
                "Heights are logarithms of counts. The light band is what is rounded to a value of the grid \
                 without being clipped; lines are the values of grids that have few. Weights are in steps of \
                 their output channel’s scale, so that all channels lie over one grid. A band far wider than \
                 the values wastes bits, and values beside it are clipped."
                @if report.get("sqnr_samples").is_some() {
                    " Outputs are those of the float network, on "
                    (report.show_of("sqnr_samples", Unit::Count)) " samples."
                }
            }
        } @else {
            p.note { "Heights are logarithms of counts." }
        }
        @for layer in &shown {
            details.layer open[open(layer)] {
                summary {
                    span.name { (layer.name) } " " span.op { (layer.view.text_of("op")) }
                }
                div.panels {
                    @if let Some(weights) = layer.view.get("weight_histogram") {
                        (panel(layer, &weights, "weights", layer.bits(), "weight_sqnr_db"))
                    }
                    @if let Some(values) = layer.view.get("output_histogram") {
                        @let bits = layer.view.get("activation_bits");
                        (panel(layer, &values, "output", bits, "sqnr_db"))
                    }
                }
            }
        }
    };
    Some(Section { id: "histograms", title: "Weights and activations over their grids", body })
}

fn panel(layer: &Layer, view: &View, what: &str, bits: Option<View>, noise: &str) -> Markup {
    let number = |key: &str| view.number_of(key).unwrap_or(0.0);
    let grid = view.get("grid").and_then(|grid| {
        let [scale, zero, min, max] =
            ["scale", "zero_point", "min", "max"].map(|key| grid.number_of(key));
        let (scale, zero) = (scale?, zero?);
        Some(((min? - zero) * scale, (max? - zero) * scale, scale))
    });
    let in_steps = view.text_of("unit") == "steps";
    let counts = view.list("counts").iter().map(|count| count.number().unwrap_or(0.0)).collect();
    let drawn = Histogram { ends: (number("low"), number("high")), counts, grid };
    let alt = format!("histogram of the {what} of {}", layer.name);
    html! {
        figure {
            h3 {
                (what)
                @if let Some(bits) = bits { ", " (bits.show(Unit::Count)) " bits" }
                @if layer.view.get(noise).is_some() {
                    ", noise " (layer.view.show_of(noise, Unit::Decibels)) " dB"
                }
            }
            (histogram(&drawn, &alt))
            p.note {
                @if view.get("smallest").is_some() {
                    "from " (view.show_of("smallest", Unit::Real)) " to "
                    (view.show_of("largest", Unit::Real))
                    @if in_steps { " steps" }
                }
                @if let Some(grid) = view.get("grid").filter(|_| !in_steps) {
                    "; scale " (grid.show_of("scale", Unit::Real))
                    ", zero point " (grid.show_of("zero_point", Unit::Count))
                }
                @for (key, side) in [("below", "below"), ("above", "above")] {
                    @if number(key) > 0.0 {
                        "; " (view.show_of(key, Unit::Count)) " further " (side)
                    }
                }
            }
        }
    }
}
