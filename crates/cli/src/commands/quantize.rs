//! `burn-ptq quantize`.

use anyhow::Context;
use burn::tensor::Device;
use burn_ptq::job::{Job, run as run_job};
use burn_ptq::recipe::{LayerOverride, Recipe};
use burn_ptq::report::Report;

use super::task;
use crate::args::Quantize;
use crate::progress::Reporter;
use crate::table;

pub fn run(args: Quantize) -> anyhow::Result<()> {
    let job = Job {
        task: task(&args.data, args.model.as_ref(), args.calib.as_ref())?,
        recipe: recipe(&args)?,
        exports: args.export.clone(),
        out: Some(args.out.clone()),
    };
    let reporter = Reporter::new();
    let (report, _) = run_job(&job, &Device::flex(), &|event| reporter.show(event))?;
    drop(reporter);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    print!("{}", summary(&report));
    println!("written to {}: model.bptq, report.json{}", args.out.display(), {
        let folders: Vec<String> = args.export.iter().map(|name| format!(", {name}/")).collect();
        folders.concat()
    });
    Ok(())
}

/// The recipe that a preset or file and the flags give together; flags win.
fn recipe(args: &Quantize) -> anyhow::Result<Recipe> {
    let mut recipe = match (&args.preset, &args.recipe) {
        (Some(name), _) => Recipe::preset(name)?,
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
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
                layer.sqnr_db.map_or_else(dash, |x| format!("{x:.1}")),
                layer.differing.map_or_else(dash, |x| format!("{:.2}", 100.0 * x)),
                layer.bytes.to_string(),
                layer.macs.to_string(),
            ]
        })
        .collect();
    let header = ["layer", "op", "W", "A", "SQNR dB", "differ %", "bytes", "MACs"];
    let mut text = table::render(&header, &rows);
    text.push('\n');
    let recipe = Recipe::parse(&report.recipe, "the report").ok();
    let (border, overridden) =
        recipe.map_or((8, false), |r| (r.activations.border_bits, !r.layers.is_empty()));
    let layers = if overridden { "all layers but those with their own bits" } else { "all layers" };
    text.push_str(&format!(
        "{}, {}: {layers} at this width; the model's input and output at {border} bits\n",
        report.task, report.label
    ));
    if let (Some(metric), Some(float), Some(simulated), Some(integer)) =
        (report.metric, report.float, report.simulated, report.integer)
    {
        text.push_str(&format!(
            "{metric} on {} samples: integer {integer:.4}, simulated {simulated:.4}, float {float:.4}\n",
            report.samples
        ));
    } else {
        text.push_str("not evaluated: give --eval X.npy --labels Y.npy, or --task DIR\n");
    }
    let seconds: f64 = report.seconds.values().sum();
    text.push_str(&format!(
        "flash {} of constants, RAM {}, {} MACs; {seconds:.1} s\n",
        table::bytes(report.flash_bytes),
        table::bytes(report.ram_bytes),
        report.macs
    ));
    text
}
