//! `burn-ptq quantize`.

use std::path::Path;

use anyhow::Context;
use burn::tensor::Device;
use burn_ptq::backend::device;
use burn_ptq::import::onnx::Requantize;
use burn_ptq::network::MeasuredOn;
use burn_ptq::recipe::{LayerOverride, MAX_RECIPE_BYTES, Recipe, Source};
use burn_ptq_deploy::bounded;
use burn_ptq_deploy::export::check_name;
use burn_ptq_deploy::preprocess::{DataLayout, Preprocessing};
use burn_ptq_deploy::printable;
use burn_ptq_eval::board::Board;
use burn_ptq_eval::explain::LayerCost;
use burn_ptq_eval::job::{Job, run as run_job};
use burn_ptq_eval::metric::{Interval, Metric};
use burn_ptq_eval::program;
use burn_ptq_eval::report::{ExplainReport, FigureReport, Report};
use burn_ptq_eval::task::Task;

use super::task;
use crate::args::Quantize;
use crate::output::{self, outln};
use crate::progress::Reporter;
use crate::table;

pub(crate) fn run(args: Quantize) -> anyhow::Result<()> {
    let device = device(&args.backend.backend)?;
    let job = Job {
        task: named(task(&args.data, args.model.as_ref(), &args.calib)?, &args.results.name)?,
        recipe: recipe(&args)?,
        exports: args.results.export.clone(),
        explain: args.explain,
        keep_all_channels: args.keep_all_channels,
        out: Some(args.results.out.clone()),
    };
    check_kept(&args, &job.task)?;
    run_and_show(&job, None, &device, args.json)
}

/// Refuses flags that a model that stays as its file gives it has no use for.
fn check_kept(args: &Quantize, task: &Task) -> anyhow::Result<()> {
    if task.requantize == Some(Requantize::All) || !program::is_quantized_onnx(&task.model) {
        return Ok(());
    }
    let keeps_weights = task.requantize.is_none();
    let flags = [
        ("--preset", keeps_weights && args.preset.is_some()),
        ("--recipe", keeps_weights && args.recipe.is_some()),
        ("--weights", keeps_weights && args.weights.is_some()),
        ("--activations", args.activations.is_some()),
        ("--first-last", args.first_last.is_some()),
        ("--layer", keeps_weights && !args.layers.is_empty()),
    ];
    let Some((flag, _)) = flags.iter().find(|(_, given)| *given) else { return Ok(()) };
    let what = if keeps_weights {
        "its integers and grids stay"
    } else {
        "its activations keep their grids"
    };
    anyhow::bail!(
        "{} is quantized already, and {what}: leave out {flag}, or quantize the whole model anew with --requantize",
        task.model.display()
    )
}

/// Runs a job and prints its report, with the time on `board` if bits were chosen for it.
pub(super) fn run_and_show(
    job: &Job,
    board: Option<&Board>,
    device: &Device,
    json: bool,
) -> anyhow::Result<()> {
    let reporter = Reporter::new();
    let (report, _) = run_job(job, device, &|event| reporter.show(event))?;
    drop(reporter);
    if json {
        return output::json(&report);
    }
    if let Some(fit) = &report.fit {
        output::print(super::fit::text(fit, board))?;
    }
    output::print(summary(&report))?;
    let Some(out) = &job.out else { return Ok(()) };
    let folders: Vec<String> = job.exports.iter().map(|name| format!(", {name}/")).collect();
    let fitted = if report.fit.is_some() { ", fitted.toml" } else { "" };
    let (out, folders) = (out.display(), folders.concat());
    outln!("written to {out}: model.bptq, report.json, report.html{fitted}{folders}")
}

/// The task, renamed if asked for.
pub(super) fn named(task: Task, name: &Option<String>) -> anyhow::Result<Task> {
    let Some(name) = name else { return Ok(task) };
    check_name(name)?;
    Ok(Task { name: name.clone(), ..task })
}

/// The recipe of a file.
pub(super) fn read_recipe(path: &Path) -> anyhow::Result<Recipe> {
    let text = bounded::read_to_string(path, MAX_RECIPE_BYTES)
        .with_context(|| format!("cannot read the recipe {}", path.display()))?;
    Ok(Recipe::parse(&text, &path.display().to_string())?)
}

/// The recipe from a preset or file, overridden by flags; its name records what they changed.
///
/// Without a preset or file, the widths select the preset.
fn recipe(args: &Quantize) -> anyhow::Result<Recipe> {
    let mut recipe = match (&args.preset, &args.recipe) {
        (Some(name), _) => Recipe::preset(name)?.at_widths(args.weights, args.activations),
        (None, Some(path)) => read_recipe(path)?.at_widths(args.weights, args.activations),
        (None, None) => {
            Recipe::for_widths(args.weights.unwrap_or(8), args.activations.unwrap_or(8))?
        }
    };
    let mut flags = Vec::new();
    if args.first_last.is_some() {
        recipe.first_last_bits = args.first_last;
        flags.push("--first-last");
    }
    if args.data_free {
        recipe.calibration.source = Source::Synthesis(Default::default());
        flags.push("--data-free");
    }
    for layer in &args.layers {
        recipe.layers.push(layer_override(layer)?);
    }
    if !args.layers.is_empty() {
        flags.push("--layer");
    }
    if args.samples.is_some() {
        recipe.calibration.samples = args.samples;
        flags.push("--samples");
    }
    if let Some(seed) = args.results.seed {
        recipe.seed = seed;
        flags.push("--seed");
    }
    if !flags.is_empty() {
        recipe.name = format!("{} with {}", recipe.name, flags.join(", "));
    }
    recipe.validate()?;
    Ok(recipe)
}

/// Parses `GLOB:weights=8,activations=8`.
fn layer_override(text: &str) -> anyhow::Result<LayerOverride> {
    let expected = || format!("--layer '{text}': expected GLOB:weights=BITS,activations=BITS");
    let (name, settings) = text.rsplit_once(':').with_context(expected)?;
    let mut layer = LayerOverride { name: name.into(), weights: None, activations: None };
    for setting in settings.split(',') {
        let (key, bits) = setting.split_once('=').with_context(expected)?;
        let bits = bits.trim().parse().with_context(expected)?;
        match key.trim() {
            "weights" => layer.weights = Some(bits),
            "activations" => layer.activations = Some(bits),
            other => anyhow::bail!("{}; '{other}' is not such a key", expected()),
        }
    }
    Ok(layer)
}

/// The report as text for a terminal.
pub(crate) fn summary(report: &Report) -> String {
    let dash = || "-".to_string();
    let rows: Vec<Vec<String>> = (report.layers.iter())
        .map(|layer| {
            vec![
                layer.name.clone(),
                layer.op.clone(),
                layer.bits.map_or_else(dash, |b| b.to_string()),
                layer.activation_bits.to_string(),
                layer.weight_sqnr_db.map_or_else(dash, |x| format!("{x:.1}")),
                layer.sqnr_db.map_or_else(dash, |x| format!("{x:.1}")),
                layer.differing.map_or_else(dash, |x| format!("{:.2}", 100.0 * x)),
                layer.bytes.to_string(),
                layer.macs.to_string(),
            ]
        })
        .collect();
    let fitted = report.sqnr_on == MeasuredOn::Fitted;
    let output = if fitted { "fitted dB" } else { "output dB" };
    let header = ["layer", "op", "W", "A", "weight dB", output, "differ %", "bytes", "MACs"];
    let mut text = table::render(&header, &rows);
    text.push_str(&format!("{output}: on {} {}", report.sqnr_samples, report.sqnr_on));
    text.push_str(match fitted {
        true => {
            ", which overstates it; measure on other samples with --eval or more calibration samples\n\n"
        }
        false => "\n\n",
    });
    text.push_str(&format!("{}, {}: {}\n", report.task, report.label, widths(report)));
    if report.calibration == "data-free" {
        text.push_str(
            "calibrated without data, on inputs made from batch normalization statistics\n",
        );
    }
    text.push_str(&metrics(report));
    if let Some(explained) = &report.explain {
        text.push_str(&explain(explained, report.metric));
    }
    text.push_str(&format!("input: {}\n", preprocessing(report)));
    for note in &report.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let seconds: f64 = report.seconds.values().sum();
    let (exported, how) = match &report.stream {
        Some(stream) => (&stream.exported, " frame by frame"),
        None => (&report.exported, ""),
    };
    text.push_str(&format!(
        "exported{how}: flash {} of constants (plus code), RAM {}{}; model.bptq with whole layers: {} and {}\n\
         {} MACs{}; {seconds:.1} s\n",
        table::bytes(exported.flash_bytes),
        table::bytes(exported.ram_bytes),
        match exported.row_by_row {
            0 => String::new(),
            1 => ", 1 operation row by row".into(),
            operations => format!(", {operations} operations row by row"),
        },
        table::bytes(report.flash_bytes),
        table::bytes(report.ram_bytes),
        report.macs,
        // The others multiply channels that cannot change the outputs.
        match report.weights - report.kept_weights {
            0 => String::new(),
            _ => format!("; {} weights, {} kept", report.weights, report.kept_weights),
        }
    ));
    text
}

/// The metrics of a report, with their confidence intervals.
fn metrics(report: &Report) -> String {
    let (Some(metric), Some(float), Some(simulated), Some(integer)) =
        (report.metric, report.float, report.simulated, report.integer)
    else {
        return "not evaluated: add --eval X.npy --labels Y.npy, or --task DIR\n".into();
    };
    let shown = |value, interval| shown(metric, value, interval);
    let of = match (&report.output, report.outputs.len()) {
        (Some(output), 2..) => format!(" of the output '{}'", printable::line(output)),
        _ => String::new(),
    };
    let mut text = format!(
        "{metric}{of} on {} sample{}: integer {}, simulated {}, float {}\n",
        report.samples,
        if report.samples == 1 { "" } else { "s" },
        shown(integer, report.integer_ci),
        shown(simulated, report.simulated_ci),
        shown(float, report.float_ci),
    );
    if let Some(note) = &report.metric_note {
        text.push_str(&format!("  {note}\n"));
    }
    text.push_str(&figures(&report.figures));
    for further in &report.further {
        let shown = |value, interval| self::shown(further.metric, value, interval);
        text.push_str(&format!(
            "{} of the output '{}': integer {}, simulated {}, float {}\n",
            further.metric,
            printable::line(&further.output),
            shown(further.integer, further.integer_ci),
            shown(further.simulated, further.simulated_ci),
            shown(further.float, further.float_ci),
        ));
        if let Some(note) = &further.metric_note {
            text.push_str(&format!("  {note}\n"));
        }
        text.push_str(&figures(&further.figures));
    }
    text
}

fn figures(figures: &[FigureReport]) -> String {
    let share = |value, interval| Metric::Binary.text(value, interval);
    let line = |figure: &FigureReport| {
        let integer = share(figure.integer, figure.integer_ci);
        let float = share(figure.float, figure.float_ci);
        format!("  {}: integer {integer}, float {float}\n", figure.name)
    };
    figures.iter().map(line).collect()
}

/// A value of the metric of this name, with its confidence interval.
fn shown(metric: &str, value: f64, interval: Option<Interval>) -> String {
    match metric.parse::<Metric>() {
        Ok(metric) => metric.text(value, interval),
        Err(_) => value.to_string(),
    }
}

/// The preprocessing of samples, as the report records it.
fn preprocessing(report: &Report) -> String {
    let Preprocessing { element, scale, mean, std, layout, window_frames, .. } =
        &report.preprocessing;
    let list = |values: &[f32]| {
        let texts: Vec<String> = values.iter().map(f32::to_string).collect();
        if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) }
    };
    let mut formula = "x".to_string();
    if *scale != 1.0 {
        formula = format!("x * {scale}");
    }
    if !mean.is_empty() {
        formula = format!("{formula} - {}", list(mean));
    }
    if !std.is_empty() {
        formula = format!("({formula}) / {}", list(std));
    }
    let mut text = format!("{} elements, {formula}", element.name());
    match layout {
        DataLayout::Model => {}
        DataLayout::ChannelsLast => text.push_str(", channels last in the data"),
        DataLayout::ChannelsFirst => text.push_str(", channels first in the data"),
    }
    if let Some(frames) = window_frames {
        text.push_str(&format!(", windows of {frames} frames"));
    }
    text
}

/// The cost of quantizing single layers, as a table.
fn explain(explained: &ExplainReport, metric: Option<&str>) -> String {
    let judged = explained.layers.iter().any(|layer| layer.metric.is_some());
    let name = metric.unwrap_or("metric");
    let row = |cost: &LayerCost| {
        let mut row =
            vec![cost.name.clone(), table::number(cost.loss), table::number(cost.loss_error)];
        if let (Some(value), Some(lost), Some(error)) = (cost.metric, cost.lost, cost.lost_error) {
            row.push(shown(name, value, None));
            row.extend([lost, error].map(table::number));
        }
        row
    };
    let rows: Vec<_> = explained.layers.iter().map(row).collect();
    let ExplainReport { loss, samples, samples_are, evaluation_samples, .. } = explained;
    let mut header = vec!["only this layer quantized", *loss, "+-"];
    let mut text = format!("\n{loss} of the network's predictions on {samples} {samples_are}");
    if judged {
        header.extend([name, "lost", "+-"]);
        text.push_str(&format!("; the metric on {evaluation_samples} evaluation samples"));
    }
    text.push_str("; +- one standard error\n");
    text.push_str(&table::render(&header, &rows));
    text.push('\n');
    text
}

/// Which layers have the bits of the report's label.
fn widths(report: &Report) -> String {
    let Ok(recipe) = Recipe::parse(&report.recipe, "the report") else {
        return "all layers at these bits".into();
    };
    let name = &recipe.name;
    let but = if recipe.layers.is_empty() { "" } else { " except those with --layer" };
    let ends = recipe
        .first_last_bits
        .map_or(String::new(), |bits| format!(", first and last at {bits} bits"));
    let border = recipe.activations.border_bits;
    format!(
        "recipe {name}; all layers at these bits{but}{ends}; model input and output at {border} bits"
    )
}
