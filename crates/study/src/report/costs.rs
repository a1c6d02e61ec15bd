//! What accuracy costs: flash, operations, time; and where the noise comes from.

use std::collections::BTreeMap;

use burn_ptq_eval::plot::{self, Axis, Series};

use super::document::{Block, Panel, Section, Table};
use super::words;
use crate::analysis::{Analysis, AxisResult, Cell, ExperimentResult, TaskSummary};
use crate::file::Mode;

/// Series of a plot over layers, at the most.
const SERIES: usize = 4;

pub(super) fn flash(analysis: &Analysis) -> Section {
    let cost = Cost {
        name: "flash, KiB",
        scale: 1024.0,
        of: |cell| cell.flash_bytes,
        text: words::kibibytes,
    };
    pareto(
        analysis,
        "What does flash buy?",
        "Every cell of the study, by the bytes of its constants as stored (weights, biases, \
         multipliers, tables), without code. The staircase joins the cells that no smaller one \
         equals; the table has the numbers. Hollow points are single runs, which may be good \
         by chance and are not joined. The best of many cells looks a little better \
         than it is, since it was chosen on the evaluation samples.",
        &cost,
    )
}

pub(super) fn operations(analysis: &Analysis) -> Section {
    let cost = Cost {
        name: "bit operations, millions",
        scale: 1e6,
        of: |cell| cell.bit_operations,
        text: words::millions,
    };
    let macs = analysis.tasks.iter().enumerate().map(|(at, task)| {
        let cells = cells(analysis, at);
        let counts = || cells.iter().map(|c| c.macs);
        let (low, high) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
        let range = match low == high {
            true => words::millions(low),
            false => format!("{} to {}", words::millions(low), words::millions(high)),
        };
        vec![task.name.clone(), range]
    });
    let macs = Table::new(&["task", "multiply-accumulates, millions"], macs.collect());
    let mut section = pareto(
        analysis,
        "What do operations buy?",
        "Multiply-accumulates of an inference do not depend on bits: only splitting channels adds \
         some. What bits change is the work in each, so cells are plotted by the sum of \
         multiply-accumulates times weight bits times input bits.",
        &cost,
    );
    section.blocks.insert(1, Block::Table(macs));
    section
}

/// A cost of a cell.
struct Cost {
    name: &'static str,
    scale: f64,
    of: fn(&Cell) -> usize,
    text: fn(usize) -> String,
}

/// The cells of a task that have runs.
fn cells(analysis: &Analysis, task: usize) -> Vec<&Cell> {
    let all = analysis.experiments.iter().flat_map(|e| &e.cells);
    all.filter(|c| c.task == task && c.runs > 0).collect()
}

fn pareto(analysis: &Analysis, title: &str, text: &str, cost: &Cost) -> Section {
    let panel = |(at, task): (usize, &TaskSummary)| {
        let cells = cells(analysis, at);
        let shown = |cell: &Cell| words::shown(task.metric, cell.mean);
        let x = |cell: &Cell| (cost.of)(cell) as f64 / cost.scale;
        let several: Vec<&Cell> = cells.iter().copied().filter(|c| c.runs > 1).collect();
        let front = front(&several, |c| (cost.of)(c), |c| -task.metric.lost(0.0, c.mean));
        let points = cells.iter().map(|c| (x(c), shown(c), c.runs == 1));
        let points: Vec<plot::Point> = points.collect();
        let ends = plot::roomy(points.iter().map(|p| p.0), 1e-3);
        let x_axis = Axis {
            title: cost.name,
            ends,
            logarithmic: false,
            ticks: plot::round_ticks(ends, 6.0),
            text: plot::plain,
        };
        let float = words::shown(task.metric, task.float);
        let ends = plot::roomy(points.iter().map(|p| p.1).chain([float]), 0.2);
        let y_axis = Axis {
            title: words::unit(task.metric),
            ends,
            logarithmic: false,
            ticks: plot::round_ticks(ends, 6.0),
            text: plot::plain,
        };
        let marked: Vec<(f64, f64)> = front.iter().map(|c| (x(c), shown(c))).collect();
        let alt = format!("{}: {} against {}", task.name, words::unit(task.metric), cost.name);
        let level = Some((float, "float"));
        let rows = front.iter().enumerate().map(|(at, cell)| {
            vec![
                (at + 1).to_string(),
                cell.recipe.clone(),
                (cost.text)((cost.of)(cell)),
                words::mean(task.metric, cell),
            ]
        });
        let header =
            ["#", "recipe", cost.name, words::unit(task.metric)].map(String::from).to_vec();
        Panel {
            title: task.name.clone(),
            figure: plot::scatter(&x_axis, &y_axis, &points, &marked, level, &alt),
            table: Table { texts: 2, header, rows: rows.collect() },
        }
    };
    let panels = analysis.tasks.iter().enumerate().map(panel).collect();
    Section { title: title.into(), blocks: vec![Block::Text(text.into()), Block::Panels(panels)] }
}

/// The cells that no other equals at the same or a smaller cost, the cheapest first.
fn front<'a>(
    cells: &[&'a Cell],
    cost: impl Fn(&Cell) -> usize,
    goodness: impl Fn(&Cell) -> f64,
) -> Vec<&'a Cell> {
    let mut order = cells.to_vec();
    order.sort_by(|a, b| cost(a).cmp(&cost(b)).then(goodness(b).total_cmp(&goodness(a))));
    let mut front: Vec<&Cell> = Vec::new();
    for cell in order {
        if front.last().is_none_or(|last| goodness(cell) > goodness(last)) {
            front.push(cell);
        }
    }
    front
}

pub(super) fn layers(analysis: &Analysis) -> Section {
    let text = "The signal-to-quantization-noise ratio of each layer's output against the float \
                network, in dB, on the first calibration samples, averaged over runs: how noise \
                grows on its way through the network, in the order of execution. Six dB are a bit.";
    let panel = |task: usize| {
        let (experiment, cells) = profile(analysis, task)?;
        let names: Vec<&str> = cells.first()?.layers.iter().map(|l| l.0.as_str()).collect();
        let ratios: Vec<f64> =
            cells.iter().flat_map(|c| c.layers.iter().filter_map(|l| l.2)).collect();
        let ends = plot::roomy(ratios.into_iter().chain([0.0]), 1.0);
        let y = Axis {
            title: "output SQNR, dB",
            ends,
            logarithmic: false,
            ticks: plot::round_ticks(ends, 6.0),
            text: plot::plain,
        };
        let count = names.len() as f64;
        let ticks = plot::round_ticks((1.0, count), 10.0);
        let ticks = ticks.into_iter().filter(|t| t.fract() == 0.0).collect();
        let ends = (0.5, count + 0.5);
        let x = Axis { title: "layer", ends, logarithmic: false, ticks, text: plot::plain };
        let label = |cell: &&Cell| words::levels(experiment, &cell.levels, &[]);
        let series: Vec<Series> = (cells.iter())
            .map(|cell| {
                let points = cell.layers.iter().enumerate();
                let points = points.filter_map(|(i, l)| Some((i as f64 + 1.0, l.2?, 0.0)));
                Series { name: label(cell), points: points.collect(), marked: true }
            })
            .collect();
        let rows = names.iter().enumerate().map(|(at, name)| {
            let ratio = |cell: &&Cell| {
                let found = cell.layers.get(at).and_then(|l| l.2);
                found.map_or("–".into(), |ratio| format!("{ratio:.1}"))
            };
            let mut row = vec![(at + 1).to_string(), (*name).to_string()];
            row.extend(cells.iter().map(ratio));
            row
        });
        let mut header = vec!["#".to_string(), "layer".into()];
        header.extend(cells.iter().map(label));
        let name = &analysis.tasks[task].name;
        Some(Panel {
            title: name.clone(),
            figure: plot::lines(&x, &y, &series, None, &format!("{name}: noise by layer")),
            table: Table { texts: 2, header, rows: rows.collect() },
        })
    };
    let panels = (0..analysis.tasks.len()).filter_map(panel).collect();
    Section {
        title: "Where does the noise come from?".into(),
        blocks: vec![Block::Text(text.into()), Block::Panels(panels)],
    }
}

/// Some cells of a task that differ in the bits of weights, or else the first few that there are.
fn profile(analysis: &Analysis, task: usize) -> Option<(&ExperimentResult, Vec<&Cell>)> {
    let all = || analysis.experiments.iter().filter(|e| e.tasks.contains(&task));
    let by_bits = all().map(|experiment| (experiment, along_bits(experiment, task)));
    let any = all().map(|experiment| {
        (experiment, experiment.cells.iter().filter(|c| c.task == task && c.runs > 0).collect())
    });
    let (experiment, cells) = by_bits.chain(any).find(|(_, cells)| !cells.is_empty())?;
    let step = cells.len().div_ceil(SERIES).max(1);
    Some((experiment, cells.into_iter().step_by(step).collect()))
}

/// The cells of a task that differ in the bits of weights only, if those are varied.
fn along_bits(experiment: &ExperimentResult, task: usize) -> Vec<&Cell> {
    let weights = |a: &AxisResult| a.key.as_deref() == Some("weights.bits") && a.labels.len() > 2;
    let Some(axis) = experiment.axes.iter().position(weights) else { return Vec::new() };
    // Crossed axes stand at their last values: those that are thought of as the best.
    let other = |axis: &AxisResult| match experiment.mode {
        Mode::Cross => axis.labels.len() - 1,
        Mode::OneAtATime => 0,
    };
    let others: Vec<usize> = experiment.axes.iter().map(other).collect();
    let among = |cell: &&Cell| {
        let like = (0..others.len()).all(|a| a == axis || cell.levels[a] == others[a]);
        cell.task == task && cell.runs > 0 && like
    };
    experiment.cells.iter().filter(among).collect()
}

pub(super) fn time(analysis: &Analysis) -> Section {
    let stages = [
        ("float", "float network"),
        ("calibrate", "calibration, shared"),
        ("quantize", "quantization"),
        ("evaluate", "integer evaluation"),
        ("measure", "noise by layer"),
    ];
    let spent = |seconds: &BTreeMap<String, f64>| -> Vec<f64> {
        stages.iter().map(|(key, _)| seconds.get(*key).copied().unwrap_or(0.0)).collect()
    };
    let bars: Vec<(String, Vec<f64>)> = (analysis.tasks.iter())
        .map(|task| {
            let minutes = spent(&task.seconds).iter().map(|s| s / 60.0).collect();
            (task.name.clone(), minutes)
        })
        .collect();
    let names: Vec<&str> = stages.iter().map(|(_, name)| *name).collect();
    let rows = analysis.tasks.iter().map(|task| {
        let all = spent(&task.seconds);
        let mut row = vec![task.name.clone(), task.runs.to_string()];
        row.extend(all.iter().map(|s| words::seconds(*s)));
        row.push(words::seconds(all.iter().sum::<f64>()));
        row
    });
    let mut header = vec!["task".to_string(), "runs".into()];
    header.extend(names.iter().map(|n| format!("{n}, s")));
    header.push("all, s".into());
    let panel = Panel {
        title: "Minutes of all runs, by task and stage".into(),
        figure: plot::bars(&bars, &names, "minutes", "time of all runs by task and stage"),
        table: Table { texts: 1, header, rows: rows.collect() },
    };
    Section {
        title: "How long did it take?".into(),
        blocks: vec![
            Block::Text(
                "Wall time as it passed while runs shared the machine with each other, so rather \
                 an order of magnitude than a benchmark. Calibrations are shared by runs and \
                 counted once. The second table holds the mean seconds of a quantization, from \
                 statistics to the integer program."
                    .into(),
            ),
            Block::Panels(vec![panel]),
            Block::Table(quantization_seconds(analysis)),
        ],
    }
}

/// The mean seconds of a quantization for each value of the first axis of each experiment.
fn quantization_seconds(analysis: &Analysis) -> Table {
    let mut header = vec!["question".to_string(), "value".into()];
    header.extend(analysis.tasks.iter().map(|t| format!("{}, s", t.name)));
    let mut rows = Vec::new();
    for experiment in &analysis.experiments {
        for (level, label) in experiment.axes[0].labels.iter().enumerate() {
            let question = if level == 0 { experiment.question.clone() } else { String::new() };
            let mut row = vec![question, label.clone()];
            for task in 0..analysis.tasks.len() {
                let cells = experiment.cells.iter();
                let cells = cells.filter(|c| c.task == task && c.levels[0] == level && c.runs > 0);
                let seconds: Vec<f64> = cells.map(|c| c.seconds).collect();
                let mean = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
                row.push(if seconds.is_empty() { "–".into() } else { words::seconds(mean) });
            }
            rows.push(row);
        }
    }
    Table { texts: 2, header, rows }
}
