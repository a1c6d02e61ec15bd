//! What a report says.

use super::plot::{self, Axis, Series};
use super::{costs, words};
use crate::metric::Metric;
use crate::study::analysis::{Analysis, Cell, ExperimentResult, LEVEL, RESAMPLES, Verdict};

/// A section of a report.
pub(super) struct Section {
    /// Its heading.
    pub(super) title: String,
    /// What stands in it.
    pub(super) blocks: Vec<Block>,
}

/// A part of a section.
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// A table over the whole width.
    Table(Table),
    /// Figures beside each other, each with its numbers.
    Panels(Vec<Panel>),
}

/// A table.
pub(super) struct Table {
    /// Columns at the left that hold text; the others hold numbers.
    pub(super) texts: usize,
    /// The headings of columns.
    pub(super) header: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<Vec<String>>,
}

/// A figure with its numbers.
pub(super) struct Panel {
    /// Its title.
    pub(super) title: String,
    /// The figure as SVG.
    pub(super) figure: String,
    /// The numbers.
    pub(super) table: Table,
}

impl Table {
    /// A table whose first column holds text.
    pub(super) fn new(header: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { texts: 1, header: header.iter().map(|h| (*h).to_string()).collect(), rows }
    }
}

/// The whole report.
pub(super) fn sections(analysis: &Analysis) -> Vec<Section> {
    let mut sections = vec![overview(analysis)];
    sections.extend(analysis.experiments.iter().map(|e| experiment(analysis, e)));
    sections.push(costs::flash(analysis));
    sections.push(costs::operations(analysis));
    sections.push(costs::layers(analysis));
    sections.push(costs::time(analysis));
    if !analysis.failures.is_empty() {
        sections.push(failures(analysis));
    }
    sections.push(method());
    sections
}

fn overview(analysis: &Analysis) -> Section {
    let lacking = analysis.planned - analysis.finished;
    let state = match lacking {
        0 => String::new(),
        n => format!(" {n} of the {} planned runs are not there yet.", analysis.planned),
    };
    let failed = match analysis.failures.len() {
        0 => "none failed".into(),
        n => format!("{n} failed, see below"),
    };
    let tasks = analysis.tasks.iter().map(|task| {
        vec![
            task.name.clone(),
            words::unit(task.metric).into(),
            words::value(task.metric, task.float),
            task.evaluation_samples.to_string(),
            task.calibration_samples.to_string(),
            task.runs.to_string(),
        ]
    });
    let header =
        ["task", "metric", "float", "evaluation samples", "calibration samples there are", "runs"];
    let summary = analysis.experiments.iter().map(|experiment| {
        let count = |verdict| claims(experiment).filter(|v| *v == verdict).count().to_string();
        vec![
            experiment.question.clone(),
            count(Verdict::Better),
            count(Verdict::Worse),
            count(Verdict::NoDifferenceShown),
            count(Verdict::OneRun),
        ]
    });
    let counted = ["question", "better", "worse", "no difference shown", "one run: no claim"];
    Section {
        title: "What was run".into(),
        blocks: vec![
            Block::Text(format!(
                "{} runs of burn-ptq {}; {failed}.{state} Every number is the metric of the integer \
                 program, which is what the exported code computes bit for bit. “Better”, \
                 “worse” and “no difference shown” are verdicts of a paired bootstrap \
                 over evaluation samples and runs at the {} % level, corrected by Holm's method over \
                 all comparisons of a question; how, stands at the end.",
                analysis.finished,
                analysis.version,
                100.0 * LEVEL
            )),
            Block::Table(Table::new(&header, tasks.collect())),
            Block::Text(
                "The comparisons with each question's reference (the first value of what is \
                 varied), counted over tasks and settings:"
                    .into(),
            ),
            Block::Table(Table::new(&counted, summary.collect())),
        ],
    }
}

fn claims(experiment: &ExperimentResult) -> impl Iterator<Item = Verdict> + '_ {
    experiment.cells.iter().filter_map(|cell| Some(cell.against?.verdict))
}

fn experiment(analysis: &Analysis, experiment: &ExperimentResult) -> Section {
    let setting = format!(
        "The reference: {}. {} comparisons are corrected together. First the differences from the \
         reference, averaged over what else is varied, and how many of the single comparisons show \
         better, worse, or no difference:",
        experiment.setting, experiment.comparisons
    );
    let panel = |&task: &usize| panel(analysis, experiment, task);
    let mut blocks = vec![Block::Text(setting), Block::Table(main_effects(analysis, experiment))];
    if !experiment.note.is_empty() {
        blocks.insert(0, Block::Text(experiment.note.clone()));
    }
    blocks.push(Block::Panels(experiment.tasks.iter().map(panel).collect()));
    Section { title: experiment.question.clone(), blocks }
}

/// For each value that is compared: its mean difference by task, and how often it was shown.
fn main_effects(analysis: &Analysis, experiment: &ExperimentResult) -> Table {
    let several = experiment.axes.iter().enumerate().filter(|(at, _)| {
        experiment.cells.iter().any(|c| c.against.is_some() && c.levels[*at] != c.reference[*at])
    });
    let several = several.count() > 1;
    let mut header = vec![match several {
        true => "value".to_string(),
        false => format!("against “{}”", experiment.axes[0].labels[0]),
    }];
    for &task in &experiment.tasks {
        header.push(analysis.tasks[task].name.clone());
    }
    header.push("better / worse / not shown".into());
    let mut rows = Vec::new();
    for (at, axis) in experiment.axes.iter().enumerate() {
        for level in 1..axis.labels.len() {
            let of_level: Vec<&Cell> = (experiment.cells.iter())
                .filter(|c| c.against.is_some() && c.levels[at] == level && c.reference[at] == 0)
                .collect();
            if of_level.is_empty() {
                continue;
            }
            let label = axis.labels[level].clone();
            let mut row = vec![match several {
                true => format!("{}: {label} against {}", axis.name, axis.labels[0]),
                false => label,
            }];
            for &task in &experiment.tasks {
                let claims = of_level.iter().filter(|c| c.task == task);
                let found: Vec<f64> = claims.filter_map(|c| Some(c.against?.difference)).collect();
                let mean = found.iter().sum::<f64>() / found.len().max(1) as f64;
                row.push(match found.len() {
                    0 => "–".into(),
                    _ => words::difference(analysis.tasks[task].metric, mean),
                });
            }
            let verdicts = || of_level.iter().filter_map(|c| Some(c.against?.verdict));
            let count = |verdict| verdicts().filter(|v| *v == verdict).count();
            let (better, worse) = (count(Verdict::Better), count(Verdict::Worse));
            row.push(format!("{better} / {worse} / {}", of_level.len() - better - worse));
            rows.push(row);
        }
    }
    Table { texts: 1, header, rows }
}

fn panel(analysis: &Analysis, experiment: &ExperimentResult, task: usize) -> Panel {
    let summary = &analysis.tasks[task];
    let cells: Vec<&Cell> = experiment.cells.iter().filter(|c| c.task == task).collect();
    // The first axis turns fastest, so the others stand before it, said once.
    let mut said: Vec<Option<usize>> = vec![None; experiment.axes.len()];
    let rows = cells.iter().map(|cell| {
        let mut row = Vec::new();
        for at in (0..experiment.axes.len()).rev() {
            let level = cell.levels[at];
            let again = at > 0 && said[at] == Some(level);
            row.push(if again { String::new() } else { experiment.axes[at].labels[level].clone() });
            said[at] = Some(level);
        }
        row.extend([
            words::mean(summary.metric, cell),
            words::claim(summary.metric, cell.against.as_ref()),
            words::claim(summary.metric, cell.float.as_ref()),
            words::kibibytes(cell.flash_bytes),
            words::seconds(cell.seconds),
        ]);
        row
    });
    let mut header: Vec<String> = experiment.axes.iter().rev().map(|a| a.name.clone()).collect();
    let unit = words::unit(summary.metric);
    header.extend([unit, "against reference", "against float", "KiB", "s"].map(String::from));
    Panel {
        title: format!("{} (float {})", summary.name, words::value(summary.metric, summary.float)),
        figure: figure(summary.metric, summary.float, experiment, &cells, &summary.name),
        table: Table { texts: experiment.axes.len(), rows: rows.collect(), header },
    }
}

/// Lines where an axis is made of numbers, dots otherwise.
fn figure(
    metric: Metric,
    float: f64,
    experiment: &ExperimentResult,
    cells: &[&Cell],
    task: &str,
) -> String {
    let cells: Vec<&Cell> = cells.iter().copied().filter(|c| c.runs > 0).collect();
    let shown = |x: f64| words::shown(metric, x);
    let error = |cell: &Cell| shown(cell.deviation.unwrap_or(0.0));
    let ends = cells.iter().flat_map(|c| {
        let (mean, error) = (shown(c.mean), error(c));
        [mean - error, mean + error]
    });
    let float = shown(float);
    let ends = plot::roomy(ends.chain([float]), 0.2);
    let alt = format!("{}: {task}", experiment.question);
    let of_metric = |ticks: f64| Axis {
        title: words::unit(metric),
        ends,
        logarithmic: false,
        ticks: plot::round_ticks(ends, ticks),
        text: plot::plain,
    };
    let numeric = |axis: &usize| experiment.axes[*axis].numbers.iter().flatten().count() > 2;
    let Some(along) = (0..experiment.axes.len()).rev().find(numeric) else {
        let row = |cell: &&Cell| {
            (words::levels(experiment, &cell.levels, &[]), shown(cell.mean), error(cell))
        };
        let rows: Vec<plot::Dot> = cells.iter().map(row).collect();
        return plot::dots(&of_metric(5.0), &rows, Some((float, "float")), &alt);
    };
    let mut series: Vec<Series> = Vec::new();
    for cell in &cells {
        let axis = &experiment.axes[along];
        let Some(x) = axis.numbers[cell.levels[along]] else { continue };
        let name = words::levels(experiment, &cell.levels, &[along]);
        let point = (x, shown(cell.mean), error(cell));
        match series.iter_mut().find(|s| s.name == name) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name, points: vec![point] }),
        }
    }
    series.iter_mut().for_each(|s| s.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    let mut numbers: Vec<f64> = experiment.axes[along].numbers.iter().flatten().copied().collect();
    numbers.sort_by(f64::total_cmp);
    let (low, high) = (numbers[0], numbers[numbers.len() - 1]);
    let logarithmic = low > 0.0 && high / low >= 16.0;
    let ends = match logarithmic {
        true => (low / 1.15, high * 1.15),
        false => (low - 0.05 * (high - low), high + 0.05 * (high - low)),
    };
    let title = &experiment.axes[along].name;
    let x = Axis { title, ends, logarithmic, ticks: numbers, text: plot::plain };
    plot::lines(&x, &of_metric(6.0), &series, Some((float, "float")), &alt)
}

fn failures(analysis: &Analysis) -> Section {
    let row = |(task, recipe, reason): &(String, String, String)| {
        vec![task.clone(), recipe.replace('\n', " "), reason.clone()]
    };
    let rows = analysis.failures.iter().map(row).collect();
    Section {
        title: "What failed".into(),
        blocks: vec![Block::Table(Table::new(&["task", "recipe", "reason"], rows))],
    }
}

fn method() -> Section {
    let texts = [
        "In the tables stand the mean and, after ±, the standard deviation over runs (their number \
         in parentheses); a difference from the reference and from the float network with its 95 % \
         interval, which is before correction, and the verdict, which is after; flash in KiB; and \
         the seconds of a quantization."
            .to_string(),
        "A cell is a recipe on a task. It is run with several calibration sets, drawn at random \
         from the task's calibration data, each with its own seed; a smaller set is part of the \
         larger one of the same draw. Recipes that use no random numbers have one seed a set, and \
         where all samples are taken there is one set. All runs are judged on the same evaluation \
         samples."
            .to_string(),
        format!(
            "For the comparison of two cells the evaluation samples and the runs are drawn anew, with \
             replacement, {RESAMPLES} times (samples of the area under the ROC curve within each \
             group's normal and anomalous samples). Both cells get the same samples, and the same \
             draws where they have them, so the comparison is paired. The interval holds the middle \
             95 % of the differences; the p-value is twice the share of differences on the rarer \
             side of zero. Drawing two crossed factors anew widens intervals rather than narrowing \
             them. Holm's method corrects the p-values of a question, those against the reference \
             and those against the float network apart."
        ),
        "“No difference shown” does not say that there is none: with some hundred \
         evaluation samples and few runs, differences of one or two points stay hidden. A few draws \
         say little about the spread over draws, and draws from small calibration data overlap. \
         Questions are corrected each by itself: with many questions, about one claim in twenty \
         questions may still be false. A cell of one run gets no verdict."
            .to_string(),
    ];
    Section { title: "How it was judged".into(), blocks: texts.map(Block::Text).into() }
}
