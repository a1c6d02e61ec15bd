//! The layers as a table whose bars show which of them takes most and which one hurts.

use std::borrow::Cow;

use maud::{Markup, html};

use super::number::Unit;
use super::section::{Section, bar};
use super::view::View;
use crate::plot::shown;

/// A layer as the sections of the page see it.
pub(super) struct Layer<'a> {
    /// Its place in the report.
    pub(super) view: View<'a>,
    /// Its name.
    pub(super) name: Cow<'a, str>,
    /// What quantizing it alone costs, if that was measured.
    pub(super) cost: Option<View<'a>>,
    /// How much it hurts, as a share of the one that hurts most: by what quantizing it alone changes, or
    /// else by the noise of its output.
    pub(super) hurt: Option<f64>,
    /// Whether it hurts most.
    pub(super) worst: bool,
}

impl<'a> Layer<'a> {
    /// All layers of a report.
    pub(super) fn all(report: &View<'a>) -> Vec<Self> {
        let costs = report.get("explain").map_or_else(Vec::new, |explain| explain.list("layers"));
        let mut layers: Vec<Self> = (report.list("layers").into_iter())
            .map(|view| {
                let name = view.text_of("name");
                let cost = costs.iter().find(|cost| cost.text_of("name") == name).cloned();
                Self { view, name, cost, hurt: None, worst: false }
            })
            .collect();
        let loss = |layer: &Self| layer.cost.as_ref().and_then(|cost| cost.number_of("loss"));
        let harm: Vec<Option<f64>> = match costs.is_empty() {
            false => layers.iter().map(loss).collect(),
            true => layers.iter().map(Self::noise).collect(),
        };
        let most = harm.iter().flatten().copied().fold(0.0, f64::max);
        if most > 0.0 {
            for (layer, harm) in layers.iter_mut().zip(&harm) {
                layer.hurt = harm.map(|harm| harm / most);
            }
            if let Some(layer) = layers.iter_mut().find(|layer| layer.hurt == Some(1.0)) {
                layer.worst = true;
            }
        }
        layers
    }

    /// The noise of its output as a share of the signal.
    fn noise(&self) -> Option<f64> {
        Some(10_f64.powf(-self.view.number_of("sqnr_db")? / 20.0))
    }

    /// The bits of its weights.
    pub(super) fn bits(&self) -> Option<View<'a>> {
        self.view.any(&["bits", "weight_bits"])
    }

    /// Its instructions: on the one target of a report, or on the first that was inspected.
    fn instructions(&self) -> Option<View<'a>> {
        let found = self.view.get("instructions")?;
        match found.number() {
            Some(_) => Some(found),
            None => found.items().into_iter().next(),
        }
    }
}

/// A column of numbers with bars.
struct Column {
    heading: Markup,
    label: &'static str,
    /// For each layer, the length of the bar, and the number.
    cells: Vec<(Option<f64>, Markup)>,
}

impl Column {
    /// A column whose bars are shares of the longest; none if no layer has one.
    fn new(
        heading: Markup,
        label: &'static str,
        layers: &[Layer],
        cell: impl Fn(&Layer) -> (Option<f64>, Markup),
    ) -> Option<Self> {
        let mut cells: Vec<(Option<f64>, Markup)> = layers.iter().map(cell).collect();
        let longest = cells.iter().filter_map(|(length, _)| *length).fold(0.0, f64::max);
        if cells.iter().all(|(length, _)| length.is_none()) {
            return None;
        }
        for (length, _) in &mut cells {
            *length = length.map(|length| if longest > 0.0 { length / longest } else { 0.0 });
        }
        Some(Self { heading, label, cells })
    }
}

pub(super) fn section(report: &View, layers: &[Layer]) -> Option<Section> {
    if layers.is_empty() {
        return None;
    }
    let columns: Vec<Column> = columns(report, layers).into_iter().flatten().collect();
    let quantized = layers.iter().any(|layer| layer.view.get("activation_bits").is_some());
    let body = html! {
        (words(report, layers))
        table.layers {
            thead {
                tr {
                    th { "#" }
                    th.text { "layer" }
                    @if quantized { th { "bits: weights, output" } }
                    @for column in &columns { th { (column.heading) } }
                }
            }
            tbody {
                @for (at, layer) in layers.iter().enumerate() {
                    tr.worst[layer.worst] id={ "l" (at + 1) } {
                        td.number { span.order { (at + 1) } }
                        td.text {
                            span.name { (layer.name) } " "
                            span.op { (layer.view.text_of("op")) }
                        }
                        @if quantized { td.bits data-label="bits" { span { (bits(layer)) } } }
                        @for column in &columns {
                            @let (length, number) = &column.cells[at];
                            td.bars data-label=(column.label) {
                                div {
                                    @let class = if layer.worst { "bad" } else { "a" };
                                    @if let Some(length) = length { (bar(*length, class)) }
                                    @else { span {} }
                                    span { (number) }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Some(Section { id: "layers", title: "Layers", body })
}

fn bits(layer: &Layer) -> Markup {
    html! {
        @if let Some(bits) = layer.bits() { (bits.show(Unit::Count)) } @else { "–" }
        ", " (layer.view.show_of("activation_bits", Unit::Count))
    }
}

/// What the bars are.
fn words(report: &View, layers: &[Layer]) -> Markup {
    let measured = layers.iter().any(|layer| layer.noise().is_some());
    let explain = report.get("explain");
    html! {
        p.note {
            "In the order of execution; the longest bar of a column is the largest number, and longer bars \
             are worse. "
            @if measured {
                "Noise is the signal-to-quantization-noise ratio of the output against the float network, in \
                 dB, on " (report.show_of("sqnr_samples", Unit::Count)) " "
                (samples(report.text_of("sqnr_on").as_ref()))
                "; its bar is the noise as a share of the signal. "
            }
            @if let Some(explain) = &explain {
                "Sensitivity is the " (explain.text_of("loss")) " of the network’s predictions when that \
                 layer alone is quantized. "
            }
            @if layers.iter().any(|layer| layer.worst) {
                @if explain.is_some() { "The marked layer is the most sensitive." }
                @else { "The output of the marked layer is the noisiest." }
            }
        }
    }
}

/// Which samples noise was measured on.
fn samples(on: &str) -> &str {
    match on {
        "held-out" => "held-out calibration samples",
        other => other,
    }
}

fn columns(report: &View, layers: &[Layer]) -> [Option<Column>; 4] {
    let bytes = Column::new(html! { "bytes" }, "bytes", layers, |layer| {
        (layer.view.number_of("bytes"), layer.view.show_of("bytes", Unit::Bytes))
    });
    let target = report.get("target").or_else(|| report.list("costs").first()?.get("target"));
    let on = target.map_or_else(String::new, |target| format!(" on {}", target.text()));
    let time = Column::new(
        html! { "instructions" (shown(&on)) },
        "instructions",
        layers,
        |layer| {
            let count = layer.instructions();
            let number = html! {
                @match &count {
                    Some(count) => { (count.show(Unit::Count)) }
                    None => { "?" }
                }
                @if let Some(share) = layer.view.get("time_share") { ", " (share.show(Unit::Share)) }
            };
            (count.and_then(|count| count.number()), number)
        },
    );
    let noise = Column::new(html! { "noise, dB" }, "noise, dB", layers, |layer| {
        (layer.noise(), layer.view.show_of("sqnr_db", Unit::Decibels))
    });
    let sensitivity = Column::new(html! { "sensitivity" }, "sensitivity", layers, |layer| {
        let loss = layer.cost.as_ref().and_then(|cost| cost.get("loss"));
        let number = loss.as_ref().map_or_else(|| html! { "–" }, |loss| loss.show(Unit::Real));
        (loss.and_then(|loss| loss.number()), number)
    });
    [bytes, time, noise, sensitivity]
}
