//! What the metric asks for: the confusion matrix, ROC curves, or outputs beside their targets.

use std::borrow::Cow;

use maud::{Markup, html};

use super::number::Unit;
use super::section::Section;
use super::view::View;
use crate::plot::{self, Axis, Series, WIDTH, document, n, plain, shorten};

/// Matrices of more classes are drawn without numbers.
const MOST_IN_TABLE: usize = 24;

/// Confusions that are listed at most.
const MOST_LISTED: usize = 12;

/// The most characters of the name of a class beside a matrix.
const NAME: usize = 16;

pub(super) fn section(report: &View) -> Option<Section> {
    let keys = ["confusion", "roc", "scatter"];
    let mut judged = vec![report.clone()];
    judged.extend(report.list("further"));
    judged.retain(|view| view.any(&keys).is_some());
    if judged.is_empty() {
        return None;
    }
    let body = html! {
        @for view in &judged {
            @if let Some(output) = view.get("output").filter(|_| judged.len() > 1) {
                h3 { "Output " span.name { (output.text()) } }
            }
            @if let Some(counts) = view.get("confusion") { (confusion(&counts)) }
            @let curves = view.list("roc");
            @if !curves.is_empty() {
                div.panels { @for curve in &curves { (roc(curve)) } }
            }
            @if let Some(pairs) = view.get("scatter") { (scatter(&pairs)) }
        }
    };
    Some(Section { id: "judged", title: "Right and wrong", body })
}

/// A matrix of counts: a row for each label, a column for each prediction.
struct Matrix<'a> {
    rows: Vec<Vec<View<'a>>>,
    names: Vec<Cow<'a, str>>,
}

impl<'a> Matrix<'a> {
    fn new(view: &View<'a>, network: &str) -> Self {
        let rows: Vec<Vec<View>> = view.list(network).iter().map(View::items).collect();
        let classes = view.list("classes");
        let name = |at: usize| match classes.get(at) {
            Some(class) => class.text(),
            None => at.to_string().into(),
        };
        let names = (0..rows.len()).map(name).collect();
        Self { rows, names }
    }

    /// The largest count of a row, by which its cells are shaded.
    fn sum(row: &[View]) -> f64 {
        row.iter().filter_map(View::number).sum::<f64>().max(1.0)
    }
}

fn confusion(view: &View) -> Markup {
    let matrix = Matrix::new(view, "integer");
    html! {
        p.note {
            "How often the integer network takes the class of a row, the label, for that of a column. Cells \
             are as dark as their share of the row."
        }
        @if matrix.rows.len() <= MOST_IN_TABLE {
            div.scroll { (counts(&matrix)) }
            details {
                summary { "The same of the float network" }
                div.scroll { (counts(&Matrix::new(view, "float"))) }
            }
        } @else {
            figure { (heat(&matrix)) }
        }
        (most_confused(view, &matrix))
    }
}

fn counts(matrix: &Matrix) -> Markup {
    html! {
        table.confusion {
            thead {
                tr {
                    th {}
                    @for name in &matrix.names {
                        th.top title=(name) { span.class { (shorten(name, NAME)) } }
                    }
                }
            }
            tbody {
                @for (at, row) in matrix.rows.iter().enumerate() {
                    @let sum = Matrix::sum(row);
                    tr {
                        th.side title=(matrix.names[at]) { span.class { (shorten(&matrix.names[at], NAME)) } }
                        @for (to, count) in row.iter().enumerate() {
                            @let share = count.number().unwrap_or(0.0) / sum;
                            td.hit[at == to] style=[shade(at == to, share)] {
                                @if share > 0.0 { (count.show(Unit::Count)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Blue where it is right and orange where it is wrong, light enough for text.
fn shade(right: bool, share: f64) -> Option<String> {
    let colour = if right { "0,114,178" } else { "213,94,0" };
    // The square root tells a few confusions from none.
    let strength = 0.6 * share.sqrt();
    (share > 0.0).then(|| format!("background:rgba({colour},{strength:.2})"))
}

fn heat(matrix: &Matrix) -> Markup {
    let size = (WIDTH - 20.0) / matrix.rows.len().max(1) as f64;
    let body = html! {
        rect.axis x="10" y="10" width=(n(WIDTH - 20.0)) height=(n(WIDTH - 20.0)) {}
        @for (at, row) in matrix.rows.iter().enumerate() {
            @let sum = Matrix::sum(row);
            @for (to, count) in row.iter().enumerate() {
                @let share = count.number().unwrap_or(0.0) / sum;
                @if share > 0.0 {
                    rect x=(n(10.0 + to as f64 * size)) y=(n(10.0 + at as f64 * size))
                        width=(n(size)) height=(n(size))
                        fill=(if at == to { "#0072B2" } else { "#D55E00" })
                        fill-opacity=(format!("{:.2}", share.sqrt())) {}
                }
            }
        }
    };
    document(WIDTH, &body, "confusion matrix: labels downward, predictions to the right")
}

/// The confusions that the integer network makes most often.
fn most_confused(view: &View, matrix: &Matrix) -> Markup {
    let mut wrong: Vec<(f64, usize, usize)> = Vec::new();
    for (at, row) in matrix.rows.iter().enumerate() {
        for (to, count) in row.iter().enumerate().filter(|(to, _)| *to != at) {
            wrong.extend(count.number().filter(|count| *count > 0.0).map(|count| (count, at, to)));
        }
    }
    wrong.sort_by(|a, b| b.0.total_cmp(&a.0));
    wrong.truncate(MOST_LISTED);
    let float = Matrix::new(view, "float");
    html! {
        @if !wrong.is_empty() {
            details {
                summary { "What is confused most often" }
                table {
                    thead {
                        tr { th.text { "label" } th.text { "taken for" } th { "integer" } th { "float" } }
                    }
                    tbody {
                        @for &(_, at, to) in &wrong {
                            tr {
                                td.text { span.class { (matrix.names[at]) } }
                                td.text { span.class { (matrix.names[to]) } }
                                td { (matrix.rows[at][to].show(Unit::Count)) }
                                td {
                                    @if let Some(count) = float.rows.get(at).and_then(|row| row.get(to)) {
                                        (count.show(Unit::Count))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Pairs of numbers.
fn pairs(view: &View, network: &str) -> Vec<(f64, f64)> {
    let pair = |pair: &View| match pair.items()[..] {
        [ref x, ref y] => Some((x.number()?, y.number()?)),
        _ => None,
    };
    view.list(network).iter().filter_map(pair).collect()
}

fn roc(curve: &View) -> Markup {
    let axis = |title| Axis {
        title,
        ends: (0.0, 1.04),
        logarithmic: false,
        ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0],
        text: plain,
    };
    let series = ["integer", "float"].map(|name| Series {
        name: name.into(),
        points: pairs(curve, name).into_iter().map(|(x, y)| (x, y, 0.0)).collect(),
        marked: false,
    });
    let (x, y) = (axis("false positive rate"), axis("true positive rate"));
    html! {
        figure {
            h3 {
                "ROC curve"
                @if curve.get("group").is_some() { ", group " (curve.show_of("group", Unit::Count)) }
            }
            (plot::lines(&x, &y, &series, None, "ROC curves of the integer and the float network"))
            p.note {
                "Area under the curve: integer " (curve.show_of("integer_auc", Unit::Real)) ", float "
                (curve.show_of("float_auc", Unit::Real))
            }
        }
    }
}

fn scatter(view: &View) -> Markup {
    html! {
        p.note { "On the dotted line, outputs are equal to their targets." }
        div.panels {
            @for name in ["integer", "float"] {
                @let alt = format!("outputs of the {name} network against targets");
                figure {
                    h3 { (name) }
                    (plot::cloud(["target", "output"], &pairs(view, name), &alt))
                }
            }
        }
    }
}
