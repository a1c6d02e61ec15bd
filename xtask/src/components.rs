//! `cargo xtask components`: exchanges one component at a time and writes `docs/components.md`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::results::{assets, build, quantize_with, write};

/// Quantize two MLPerf Tiny tasks with one component exchanged at a time and write
/// docs/results/components.md.
///
/// BURN_PTQ_ASSETS names the folder of the tasks.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

const TASKS: [&str; 2] = ["kws", "vww"];

/// A stage, what all its rows have in common, and the rows: name and lines of a recipe.
struct Study {
    title: &'static str,
    base: &'static str,
    rows: &'static [(&'static str, &'static str)],
}

const STUDIES: &[Study] = &[
    Study { title: "Rounding, W3A8", base: "weights.bits = 3", rows: ROUNDINGS },
    Study { title: "Rounding, W2A8", base: "weights.bits = 2", rows: ROUNDINGS },
    Study {
        title: "Inputs of coordinate descent, W2A8",
        base: "weights.bits = 2\nrounding = 'coordinate-descent'",
        rows: &[
            ("inputs = \"float\"", "layerwise.inputs = 'float'"),
            ("inputs = \"quantized\"", ""),
            ("rows = 64", "layerwise.rows = 64"),
            ("rows = 256", "layerwise.rows = 256"),
            ("fit_bias = false", "layerwise.fit_bias = false"),
            ("damping = 0.1", "layerwise.damping = 0.1"),
        ],
    },
    Study {
        title: "Ranges of weights, W4A8, nearest rounding",
        base: "weights.bits = 4",
        rows: &[
            ("min-max", "weights.range = 'min-max'"),
            ("moving-average", "weights.range = 'moving-average'"),
            ("percentile", "weights.range = 'percentile'"),
            ("mse", "weights.range = 'mse'"),
            ("kl", "weights.range = 'kl'"),
            ("aciq", "weights.range = 'aciq'"),
            ("octav", "weights.range = 'octav'"),
            ("output-mse", "weights.range = 'output-mse'"),
            ("output-mse, per tensor", "weights.granularity = 'per-tensor'"),
            ("output-mse, power of two", "weights.power_of_two = true"),
        ],
    },
    Study {
        title: "Ranges of activations, W8A4",
        base: "weights.bits = 8\nactivations.bits = 4",
        rows: &[
            ("min-max", "activations.range = 'min-max'"),
            ("moving-average", "activations.range = 'moving-average'"),
            ("percentile", "activations.range = 'percentile'"),
            ("mse", "activations.range = 'mse'"),
            ("mse, exponent 2", "activations.range = { mse = { exponent = 2.0 } }"),
            ("kl", "activations.range = 'kl'"),
            ("aciq", "activations.range = 'aciq'"),
            ("octav", "activations.range = 'octav'"),
            ("mse, power of two", "activations.power_of_two = true"),
            ("joint_range = \"lapq\"", "joint_range = 'lapq'"),
        ],
    },
    Study {
        title: "Conditioning, W4A4, coordinate descent",
        base: "weights.bits = 4\nactivations.bits = 4\nrounding = 'coordinate-descent'",
        rows: CONDITIONINGS,
    },
    Study {
        title: "Conditioning, W4A8 per tensor, nearest rounding",
        base: "weights.bits = 4\nweights.granularity = 'per-tensor'",
        rows: CONDITIONINGS,
    },
    Study {
        title: "Correction, W3A8, nearest rounding, ranges by mse",
        base: "weights.bits = 3\nweights.range = 'mse'",
        rows: &[
            ("none", "correction = 'none'"),
            ("bias", "correction = 'bias'"),
            ("analytic-bias", "correction = 'analytic-bias'"),
            ("affine", "correction = 'affine'"),
        ],
    },
    Study {
        title: "Reconstruction, W2A8 after GPTQ, 150 steps a part",
        base: "weights.bits = 2\nrounding = 'gptq'\nreconstruction.iterations = 150\n\
               reconstruction.learning_rate = 1e-2",
        rows: &[
            ("none", ""),
            ("layer", "reconstruction.granularity = 'layer'"),
            ("block", "reconstruction.granularity = 'block'"),
            ("block-pairs", "reconstruction.granularity = 'block-pairs'"),
            ("network", "reconstruction.granularity = 'network'"),
            (
                "network, fisher",
                "reconstruction.granularity = 'network'\nreconstruction.loss = 'fisher'",
            ),
            (
                "network, prediction-difference",
                "reconstruction.granularity = 'network'\n\
                 reconstruction.loss = 'prediction-difference'",
            ),
            (
                "network, prediction-difference, mixup 0.5",
                "reconstruction.granularity = 'network'\nreconstruction.mixup = 0.5\n\
                 reconstruction.loss = 'prediction-difference'",
            ),
            (
                "block, soft roundings",
                "reconstruction.granularity = 'block'\nreconstruction.rounding = 'adaround'",
            ),
        ],
    },
    Study {
        title: "Reconstruction, W4A4 after GPTQ, 100 steps a part",
        base: "weights.bits = 4\nactivations.bits = 4\nrounding = 'gptq'\n\
               reconstruction.iterations = 100",
        rows: &[
            ("none", ""),
            ("block", "reconstruction.granularity = 'block'"),
            ("block, drop 0.5", "reconstruction.granularity = 'block'\nreconstruction.drop = 0.5"),
            (
                "block, scales not learned",
                "reconstruction.granularity = 'block'\n\
                 reconstruction.learn_activation_scales = false\n\
                 reconstruction.learn_weight_scales = false",
            ),
        ],
    },
    Study {
        title: "Calibration, W8A8",
        base: "weights.bits = 8",
        rows: &[
            ("data", ""),
            ("data, 16 samples", "calibration.samples = 16"),
            ("data-free", "calibration.source = 'data-free'"),
        ],
    },
];

const ROUNDINGS: &[(&str, &str)] = &[
    ("nearest", "rounding = 'nearest'"),
    ("stochastic", "rounding = 'stochastic'"),
    ("adaround", "rounding = 'adaround'"),
    ("adaquant", "rounding = 'adaquant'"),
    ("flexround", "rounding = 'flexround'"),
    ("obq", "rounding = 'obq'"),
    ("gptq", "rounding = 'gptq'"),
    ("coordinate-descent", "rounding = 'coordinate-descent'"),
];

const CONDITIONINGS: &[(&str, &str)] = &[
    ("none", ""),
    ("equalize", "conditioning = ['equalize']"),
    ("equalize, absorb-bias", "conditioning = ['equalize', 'absorb-bias']"),
    ("split-channels", "conditioning = ['split-channels']"),
    ("migrate", "conditioning = ['migrate']"),
];

pub fn run(_: &Arguments) -> Result<ExitCode> {
    build()?;
    let assets = assets()?;
    let mut text = HEAD.to_string();
    for Study { title, base, rows } in STUDIES {
        writeln!(text, "\n## {title}\n")?;
        let columns: String = TASKS.iter().map(|task| format!(" {task} | seconds |")).collect();
        writeln!(text, "| component |{columns}\n|---|{}", "---|---|".repeat(TASKS.len()))?;
        for (name, lines) in *rows {
            write!(text, "| {name} |")?;
            for task in TASKS {
                eprintln!("{title}: {name}, {task} ...");
                let recipe = tempfile(&format!("{base}\n{lines}\n"))?;
                let flags = ["--recipe".into(), recipe.display().to_string()];
                let report = quantize_with(&assets.join(task), &flags)?;
                let stages =
                    ["condition", "synthesize", "calibrate", "round", "reconstruct", "correct"];
                let seconds: f64 =
                    stages.iter().filter_map(|stage| report["seconds"][stage].as_f64()).sum();
                let integer = report["integer"].as_f64().unwrap_or(f64::NAN);
                write!(text, " {integer:.4} | {seconds:.1} |")?;
                std::fs::remove_file(recipe)?;
            }
            writeln!(text)?;
        }
    }
    write("components.md", &text)?;
    Ok(ExitCode::SUCCESS)
}

fn tempfile(text: &str) -> Result<std::path::PathBuf> {
    let path = std::env::temp_dir().join(format!("burn-ptq-recipe-{}.toml", std::process::id()));
    std::fs::write(&path, text)?;
    Ok(path)
}

const HEAD: &str = "\
# Components, one exchanged at a time

Written by `cargo xtask components`; not edited by hand.

The integer metric (top-1) of `kws` and `vww` (float .9355 and .8091), and the seconds from calibration to
the quantized network on 2 cores. Everything that a title does not name is the default of recipes:
per-channel weights, ranges of weights by `output-mse`, of activations by `mse`, nearest rounding, bias
correction. One standard error is about 0.015: the tables show what matters, not a ranking of neighbours.
";
