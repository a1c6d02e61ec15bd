//! `burn-ptq quantize`.

use anyhow::Context;
use burn_ptq::backend::device;
use burn_ptq::job::{Job, run as run_job};
use burn_ptq::metric::Metric;
use burn_ptq::recipe::{LayerOverride, MAX_RECIPE_BYTES, Recipe, Source};
use burn_ptq::report::{LayerCost, Report};
use burn_ptq::task::Task;
use burn_ptq_deploy::bounded;
use burn_ptq_deploy::export::check_name;
use burn_ptq_deploy::preprocess::{DataLayout, Preprocessing};

use super::task;
use crate::args::Quantize;
use crate::output::{self, outln};
use crate::progress::Reporter;
use crate::table;

pub fn run(args: Quantize) -> anyhow::Result<()> {
    let device = device(&args.backend.backend)?;
    let job = Job {
        task: named(task(&args.data, args.model.as_ref(), args.calib.as_ref())?, &args.name)?,
        recipe: recipe(&args)?,
        exports: args.export.clone(),
        explain: args.explain,
        out: Some(args.out.clone()),
    };
    let reporter = Reporter::new();
    let (report, _) = run_job(&job, &device, &|event| reporter.show(event))?;
    drop(reporter);
    if args.json {
        return output::json(&report);
    }
    output::print(summary(&report))?;
    outln!("written to {}: model.bptq, report.json{}", args.out.display(), {
        let folders: Vec<String> = args.export.iter().map(|name| format!(", {name}/")).collect();
        folders.concat()
    })
}

/// The task under the name that was asked for.
fn named(task: Task, name: &Option<String>) -> anyhow::Result<Task> {
    let Some(name) = name else { return Ok(task) };
    check_name(name)?;
    Ok(Task { name: name.clone(), ..task })
}

/// The recipe that a preset or file and the flags give together; flags win.
fn recipe(args: &Quantize) -> anyhow::Result<Recipe> {
    let mut recipe = match (&args.preset, &args.recipe) {
        (Some(name), _) => Recipe::preset(name)?,
        (None, Some(path)) => {
            let text = bounded::read_to_string(path, MAX_RECIPE_BYTES)
                .with_context(|| format!("cannot read the recipe {}", path.display()))?;
            Recipe::parse(&text, &path.display().to_string())?
        }
        (None, None) => Recipe::preset("w8a8")?,
    };
    let base = recipe.clone();
    if let Some(bits) = args.weights {
        recipe.weights.bits = bits;
    }
    if let Some(bits) = args.activations {
        recipe.activations.bits = bits;
    }
    if args.first_last.is_some() {
        recipe.first_last_bits = args.first_last;
    }
    if args.data_free {
        recipe.calibration.source = Source::Synthesis(Default::default());
    }
    for layer in &args.layers {
        recipe.layers.push(layer_override(layer)?);
    }
    if args.samples.is_some() {
        recipe.calibration.samples = args.samples;
    }
    if let Some(seed) = args.seed {
        recipe.seed = seed;
    }
    if recipe != base {
        recipe.name = format!("{} with flags", base.name);
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
            other => anyhow::bail!("{}; '{other}' is neither", expected()),
        }
    }
    Ok(layer)
}

/// The report as people read it on a terminal.
pub fn summary(report: &Report) -> String {
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
    let header = ["layer", "op", "W", "A", "weight dB", "output dB", "differ %", "bytes", "MACs"];
    let mut text = table::render(&header, &rows);
    text.push('\n');
    text.push_str(&format!("{}, {}: {}\n", report.task, report.label, widths(report)));
    if report.calibration == "data-free" {
        text.push_str("calibrated without data: inputs made from batch normalization statistics\n");
    }
    text.push_str(&metrics(report));
    if !report.explain.is_empty() {
        let row = |cost: &LayerCost| {
            vec![cost.name.clone(), format!("{:.4}", cost.metric), format!("{:.4}", cost.lost)]
        };
        let rows: Vec<_> = report.explain.iter().map(row).collect();
        text.push_str("\nonly this layer quantized:\n");
        text.push_str(&table::render(&["layer", "metric", "lost"], &rows));
        text.push('\n');
    }
    text.push_str(&format!("input: {}\n", preprocessing(report)));
    for note in &report.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let seconds: f64 = report.seconds.values().sum();
    text.push_str(&format!(
        "flash {} of constants, RAM {} (exported, row by row: {} and {}), {} MACs; {seconds:.1} s\n",
        table::bytes(report.flash_bytes),
        table::bytes(report.ram_bytes),
        table::bytes(report.streamed_flash_bytes),
        table::bytes(report.streamed_ram_bytes),
        report.macs
    ));
    text
}

/// The metrics of a report, with their confidence intervals.
fn metrics(report: &Report) -> String {
    let (Some(metric), Some(float), Some(simulated), Some(integer)) =
        (report.metric, report.float, report.simulated, report.integer)
    else {
        return "not evaluated: give --eval X.npy --labels Y.npy, or --task DIR\n".into();
    };
    let shown = |value: f64, interval| match metric.parse::<Metric>() {
        Ok(metric) => metric.text(value, interval),
        Err(_) => value.to_string(),
    };
    let mut text = format!(
        "{metric} on {} sample{}: integer {}, simulated {}, float {}\n",
        report.samples,
        if report.samples == 1 { "" } else { "s" },
        shown(integer, report.integer_ci),
        shown(simulated, report.simulated_ci),
        shown(float, report.float_ci),
    );
    if let Some(note) = &report.metric_note {
        text.push_str(&format!("  {note}\n"));
    }
    for figure in &report.figures {
        let share = |value, interval| Metric::Binary.text(value, interval);
        let integer = share(figure.integer, figure.integer_ci);
        let float = share(figure.float, figure.float_ci);
        text.push_str(&format!("  {}: integer {integer}, float {float}\n", figure.name));
    }
    text
}

/// How raw samples become inputs, as the report records it.
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
    let mut text = format!("{} elements, {formula}", format!("{element:?}").to_lowercase());
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

/// What the widths of a report hold for.
fn widths(report: &Report) -> String {
    let Ok(recipe) = Recipe::parse(&report.recipe, "the report") else {
        return "all layers at this width".into();
    };
    let but = if recipe.layers.is_empty() { "" } else { " but those with their own bits" };
    let ends = recipe
        .first_last_bits
        .map_or(String::new(), |bits| format!(", the first and the last at {bits} bits"));
    let border = recipe.activations.border_bits;
    format!("all layers at this width{but}{ends}; the model's input and output at {border} bits")
}
