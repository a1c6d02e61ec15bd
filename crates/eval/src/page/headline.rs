//! What counts first: the metric of the three networks, and flash, RAM and instructions against budgets.

use maud::{Markup, html};

use super::number::Unit;
use super::section::{Section, stacked};
use super::view::View;
use crate::metric::{Metric, MetricKind};
use crate::plot::{self, Axis, Dot};

/// The three networks that a metric is known of, the one that runs on the device first.
const NETWORKS: [&str; 3] = ["integer", "simulated", "float"];

pub(super) fn section(report: &View) -> Option<Section> {
    let further = report.list("further");
    let several = report.list("outputs").len() > 1;
    let body = html! {
        div.panels {
            @if report.get("metric").is_some() { (judged(report, several)) }
            @for output in &further { (judged(output, several)) }
            @if let Some(cost) = detailed(report) { (costs(report, &cost)) }
            (sizes(report))
            (all_costs(report))
        }
    };
    Some(Section { id: "headline", title: "At a glance", body })
}

/// The metric that a report, or one of its further outputs, names.
pub(super) fn metric_of(view: &View) -> Option<Metric> {
    view.get("metric")?.text().parse().ok()
}

/// A metric with its intervals, as a figure and in numbers; of `several` outputs it names its own.
fn judged(view: &View, several: bool) -> Markup {
    let metric = metric_of(view);
    let kind = metric.map_or(MetricKind::Error, Metric::kind);
    let heading = metric.map_or_else(|| view.text_of("metric"), |metric| metric.heading().into());
    let unit = Unit::Metric(kind);
    let present: Vec<&str> = NETWORKS.into_iter().filter(|name| view.get(name).is_some()).collect();
    html! {
        figure {
            h3 {
                (heading)
                @if let Some(output) = view.get("output").filter(|_| several) {
                    " of " span.name { (output.text()) }
                }
            }
            (intervals(view, &present, kind, &heading))
            table {
                thead {
                    tr { th.text { "network" } th { (heading) } th { "95 % confidence interval" } }
                }
                tbody {
                    @for name in &present {
                        tr {
                            td.text { (name) }
                            td { (view.show_of(name, unit)) }
                            td { (interval(view.get(&format!("{name}_ci")), unit)) }
                        }
                    }
                    @for figure in view.list("figures") {
                        @for name in ["integer", "float"] {
                            @let unit = Unit::Metric(MetricKind::Share);
                            tr {
                                td.text { (name) ", " (figure.text_of("name")) }
                                td { (figure.show_of(name, unit)) }
                                td { (interval(figure.get(&format!("{name}_ci")), unit)) }
                            }
                        }
                    }
                }
            }
            p.note {
                @if view.get("samples").is_some() {
                    "On " (view.show_of("samples", Unit::Count)) " samples. "
                }
                "The integer network is what runs on the device."
            }
            @if let Some(note) = view.get("metric_note") { p.note { "How it is judged: " (note.text()) } }
        }
    }
}

fn interval(bounds: Option<View>, unit: Unit) -> Markup {
    match bounds.map(|bounds| bounds.items()).as_deref() {
        Some([low, high]) => html! { (low.show(unit)) " to " (high.show(unit)) },
        _ => html! { "–" },
    }
}

/// The values with their intervals, drawn.
fn intervals(view: &View, present: &[&str], kind: MetricKind, heading: &str) -> Markup {
    let factor = if kind == MetricKind::Share { 100.0 } else { 1.0 };
    let dot = |name: &&str| {
        let value = factor * view.number_of(name)?;
        let bounds = view.list(&format!("{name}_ci"));
        let bound = |at: usize| Some(factor * bounds.get(at)?.number()?);
        let interval = (bound(0).unwrap_or(value), bound(1).unwrap_or(value));
        Some(Dot { label: (*name).to_owned(), value, interval })
    };
    let rows: Vec<Dot> = present.iter().filter_map(dot).collect();
    let ends = plot::roomy(rows.iter().flat_map(|row| [row.interval.0, row.interval.1]), 1e-9);
    let ticks = plot::round_ticks(ends, 5.0);
    let axis = Axis { title: heading, ends, logarithmic: false, ticks, text: plot::significant };
    plot::dots(&axis, &rows, None, &format!("{heading} of the networks with confidence intervals"))
}

/// What the network takes on the microcontroller that is told of in detail.
fn detailed<'a>(report: &View<'a>) -> Option<View<'a>> {
    let costs = report.list("costs");
    let target = report.text_of("target");
    let own = costs.iter().find(|cost| cost.text_of("target") == target);
    own.or_else(|| costs.first()).cloned()
}

fn costs(report: &View, cost: &View) -> Markup {
    let budgets = report.get("budgets");
    let of = |key: &str| budgets.as_ref().and_then(|budgets| budgets.get(key));
    let part = |key: &str| cost.number_of(key).unwrap_or(0.0);
    html! {
        figure {
            h3 { "On " (cost.text_of("target")) }
            div.rows {
                span { "flash" }
                (usage(&[part("constant_bytes"), part("code_bytes")], of("flash").as_ref()))
                p.more {
                    (taken(cost.show_of("flash_bytes", Unit::Bytes), of("flash").as_ref(), Unit::Bytes))
                    ": constants " (cost.show_of("constant_bytes", Unit::Bytes))
                    ", code " (cost.show_of("code_bytes", Unit::Bytes))
                }
                span { "RAM" }
                (usage(&[part("arena_bytes"), part("stack_bytes")], of("ram").as_ref()))
                p.more {
                    (taken(cost.show_of("ram_bytes", Unit::Bytes), of("ram").as_ref(), Unit::Bytes))
                    ": arena " (cost.show_of("arena_bytes", Unit::Bytes))
                    ", stack " (cost.show_of("stack_bytes", Unit::Bytes))
                }
                span { "instructions" }
                @if of("instructions").is_some() {
                    (usage(&[part("instructions")], of("instructions").as_ref()))
                } @else { span {} }
                p.more {
                    @let all = cost.show_of("instructions", Unit::Count);
                    (taken(all, of("instructions").as_ref(), Unit::Count))
                    " of one inference"
                }
            }
            p.note {
                "Predicted for exported C at -O2. "
                @if budgets.is_some() { "A full bar is the budget." }
                @else { "Dark: constants and arena; light: code and stack." }
            }
        }
    }
}

/// A number, and the budget that it is part of.
fn taken(number: Markup, budget: Option<&View>, unit: Unit) -> Markup {
    html! {
        b { (number) }
        @if let Some(budget) = budget {
            " of " (budget.show_of("budget", unit)) " (" (budget.show_of("share", Unit::Share)) ")"
        }
    }
}

/// A bar of what is taken: of the budget, or of all that is taken.
fn usage(parts: &[f64], budget: Option<&View>) -> Markup {
    let sum: f64 = parts.iter().sum();
    let whole = budget.and_then(|budget| budget.number_of("budget")).unwrap_or(sum);
    let share = |part: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let classes = if sum > whole { ["over", "over"] } else { ["a", "b"] };
    let parts: Vec<(f64, &str)> =
        parts.iter().zip(classes).map(|(&part, class)| (share(part), class)).collect();
    stacked(&parts)
}

/// Sizes that do not depend on a processor.
fn sizes(report: &View) -> Markup {
    let exported = report.get("exported");
    let row = |name: &str, number: Markup| html! { tr { td.text { (name) } td { (number) } } };
    html! {
        figure {
            h3 { "The network in numbers" }
            table {
                tbody {
                    (row("multiply-accumulates", report.show_of("macs", Unit::Count)))
                    @if report.get("weights").is_some() {
                        (row("weights", report.show_of("weights", Unit::Count)))
                        (row("weights that are kept", report.show_of("kept_weights", Unit::Count)))
                    }
                    @if let Some(exported) = exported {
                        @let bytes = |key: &str| exported.show_of(key, Unit::Bytes);
                        (row("constants of an export for any machine", bytes("flash_bytes")))
                        (row("arena of such an export", bytes("ram_bytes")))
                        @let rows = exported.show_of("row_by_row", Unit::Count);
                        (row("operations that run row by row", rows))
                    }
                    (row("constants of the model", report.show_of("flash_bytes", Unit::Bytes)))
                    @if report.get("ram_bytes").is_some() {
                        (row("arena of the model", report.show_of("ram_bytes", Unit::Bytes)))
                    }
                }
            }
            (ends(report))
        }
    }
}

/// Inputs and outputs with their shapes.
fn ends(report: &View) -> Markup {
    let end = |end: &View| {
        html! {
            span.name { (end.text_of("name")) } " ["
            @for (at, extent) in end.list("shape").iter().enumerate() {
                @if at > 0 { ", " }
                (extent.show(Unit::Count))
            }
            "]"
            @if end.get("bits").is_some() { " at " (end.show_of("bits", Unit::Count)) " bits" }
            @if end.get("sqnr_db").is_some() {
                ", noise " (end.show_of("sqnr_db", Unit::Decibels)) " dB"
            }
        }
    };
    html! {
        @for (key, name) in [("inputs", "Input"), ("outputs", "Output")] {
            @for each in report.list(key) { p.note { (name) " " (end(&each)) } }
        }
    }
}

/// The predictions for every processor, where there are several.
fn all_costs(report: &View) -> Markup {
    let all = report.list("costs");
    let unknown = all.iter().any(|cost| cost.get("instructions").is_none());
    html! {
        @if all.len() > 1 {
            figure {
                h3 { "On all microcontrollers, predicted" }
                div.scroll { (table_of_costs(&all)) }
                p.note {
                    "Flash includes code, RAM the stack."
                    @if unknown { " ? stands for a kernel that was never measured there." }
                }
            }
        }
    }
}

fn table_of_costs(all: &[View]) -> Markup {
    // The last word says what narrow pages leave out.
    let numbers = [
        ("flash_bytes", "flash", None),
        ("code_bytes", "code", Some("extra")),
        ("ram_bytes", "RAM", None),
        ("stack_bytes", "stack", Some("extra")),
    ];
    let timed = all.iter().any(|cost| cost.get("milliseconds").is_some());
    html! {
        table.narrow {
            thead {
                tr {
                    th.text { "processor" }
                    @for (_, name, class) in numbers { th class=[class] { (name) } }
                    th { "instructions" }
                    @if timed { th { "ms" } }
                }
            }
            tbody {
                @for cost in all {
                    tr {
                        td.text { (cost.text_of("target")) }
                        @for (key, _, class) in numbers {
                            td class=[class] { (cost.show_of(key, Unit::Bytes)) }
                        }
                        td {
                            @match cost.get("instructions") {
                                Some(count) => { (count.show(Unit::Count)) }
                                None => { "?" }
                            }
                        }
                        @if timed { td { (cost.show_of("milliseconds", Unit::Real)) } }
                    }
                }
            }
        }
    }
}
