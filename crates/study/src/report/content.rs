//! What a report says.

use burn_ptq_eval::metric::Metric;
use burn_ptq_eval::plot::{self, Axis, Series};
use burn_ptq_eval::statistics::{LEVEL, Verdict};
use maud::Markup;

use super::document::{Block, Panel, Section, Table};
use super::{costs, words};
use crate::analysis::{Analysis, Cell, ExperimentResult};

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
        n => format!(" {n} of the {} planned runs are missing.", analysis.planned),
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
        let mut row = vec![experiment.question.clone()];
        row.extend(Verdict::ALL.map(count));
        row
    });
    let mut counted = vec!["question"];
    counted.extend(Verdict::ALL.map(Verdict::text));
    let backend = match analysis.backend.as_str() {
        "flex" => String::new(),
        other => format!(" on the backend {other}"),
    };
    let others = analysis.others.iter().map(|(producer, count)| {
        format!(
            " The result file also holds {count} runs of burn-ptq {} on the backend {}: they have no \
             part in this report.",
            producer.version, producer.backend
        )
    });
    let others: String = others.collect();
    Section {
        title: "What was run".into(),
        blocks: vec![
            Block::Text(format!(
                "{} runs of burn-ptq {}{backend}; {failed}.{state}{others} Every number is the metric \
                 of the integer program, which is what the exported code computes bit for bit. \
                 “Better”, “worse” and “not significant” are verdicts of a test over evaluation \
                 samples and draws of calibration data, such that on average at most {} % of the claims are \
                 false: of those of a question against its reference, and of those among {} comparisons of \
                 distinct cells with the float network; the last section says how.",
                analysis.finished,
                analysis.version,
                100.0 * LEVEL,
                analysis.float_comparisons
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
        "The reference: {}. {} comparisons are judged together. First the differences from the \
         reference, averaged over what else is varied, and how many of the single comparisons are \
         better, worse, or not significant:",
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

/// For each value that is compared: its mean difference by task, and how often it was significant.
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
    header.push("better / worse / not significant".into());
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
    // The first axis turns fastest, so the others come before it, once.
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
) -> Markup {
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
            let label = words::levels(experiment, &cell.levels, &[]);
            plot::Dot::around(label, shown(cell.mean), error(cell))
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
            None => series.push(Series { name, points: vec![point], marked: true }),
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
         the seconds of a quantization.",
        "A cell is a recipe on a task. It is run with several calibration sets, drawn at random \
         from the task's calibration data, each with its own seed; a smaller set is part of the \
         larger one of the same draw. Recipes that use no random numbers have one seed a set, and \
         where all samples are taken there is one set. All runs are judged on the same evaluation \
         samples.",
        "A difference of two cells varies with the evaluation samples and with the draws. The part of \
         the samples is the variance of what each adds to the difference, averaged over draws (for the \
         area under the ROC curve by DeLong, DeLong and Clarke-Pearson 1988, within each group's normal \
         and anomalous samples; for right and wrong answers with one sample more each way, Bonett and \
         Price 2012). The part of the draws is the variance of the difference over draws, which are \
         paired where both cells have them; seeds of a draw are averaged first. A few draws tell that \
         variance with as many degrees of freedom less one, so each part counts with its own quantile of \
         Student's distribution: a difference is significant if its square exceeds the sum of t² times \
         variance (Banerjee 1960), which for normal parts claims falsely at most as often as the level \
         says, whatever the parts' sizes. The interval is the same sum's at 95 %, and the p-value the \
         level at which the difference would just be significant. No random numbers are used.",
        "The p-values are adjusted for the false discovery rate (Benjamini and Hochberg 1995), those of \
         the comparisons with the reference question by question, and those with the float network once \
         over the distinct cells of the whole study, so that a cell has one verdict against it wherever \
         it stands: of the claims that are made together, at most 5 % are false on average. Cells whose every run gives what the reference gives on \
         every sample are said to have the same results, and are not counted among the comparisons. \
         Cells of a single draw get no verdict.",
        "“Not significant” does not say that there is no difference: with some hundred \
         evaluation samples, differences of one or two points stay hidden; and with few draws, so do \
         all differences that are not many times larger than their spread over draws. More draws help \
         against that more than anything. Draws from small calibration data overlap, so that their \
         spread is understated. About one claim in twenty may be false.",
    ]
    .map(String::from);
    Section { title: "How it was judged".into(), blocks: texts.map(Block::Text).into() }
}
