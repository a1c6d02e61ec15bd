//! `burn-ptq demo`.

use std::path::Path;

use anyhow::Context;
use burn::tensor::Device;
use burn_ptq::Recipe;
use burn_ptq_eval::job::{Job, run as run_job};
use burn_ptq_eval::metric::Interval;
use burn_ptq_eval::task::Task;

use crate::args::Demo;
use crate::output::{self, outln};
use crate::progress::Reporter;
use crate::table;

/// The embedded task: a small network on the UCI optical digits, see `demo/README.md`.
const FILES: &[(&str, &[u8])] = &[
    ("model.onnx", include_bytes!("../../demo/model.onnx")),
    ("task.toml", include_bytes!("../../demo/task.toml")),
    ("calib_x.npy", include_bytes!("../../demo/calib_x.npy")),
    ("eval_x.npy", include_bytes!("../../demo/eval_x.npy")),
    ("eval_y.npy", include_bytes!("../../demo/eval_y.npy")),
];

/// The recipes that are compared.
const PRESETS: &[&str] = &["w8a8", "w4a8", "w4a4", "w2a8"];

pub(crate) fn run(args: Demo) -> anyhow::Result<()> {
    let folder = args.out.join("digits");
    unpack(&folder).with_context(|| format!("cannot write the demo to {}", folder.display()))?;
    outln!("A small network on 8x8 digits, quantized with {} recipes.\n", PRESETS.len())?;
    let reporter = Reporter::new();
    let mut rows = Vec::new();
    for preset in PRESETS {
        let out = args.out.join(preset);
        let job = Job {
            task: Task::open(&folder)?,
            recipe: Recipe::preset(preset)?,
            exports: vec!["c".into()],
            explain: false,
            keep_all_channels: false,
            out: Some(out.clone()),
        };
        let (report, _) = run_job(&job, &Device::flex(), &|event| reporter.show(event))?;
        rows.push(vec![
            report.label.clone(),
            percent(report.float, report.float_ci),
            percent(report.simulated, report.simulated_ci),
            percent(report.integer, report.integer_ci),
            table::bytes(report.exported.flash_bytes),
            table::bytes(report.exported.ram_bytes),
            format!("{:.1}", report.seconds.values().sum::<f64>()),
            out.display().to_string(),
        ]);
    }
    drop(reporter);
    let header =
        ["recipe", "float %", "simulated %", "integer %", "flash", "RAM", "seconds", "results"];
    output::print(table::render(&header, &rows))?;
    outln!("Brackets: 95 % confidence intervals over the evaluation samples.")?;
    let c = args.out.join(PRESETS[0]).join("c");
    outln!(
        "\nEach folder contains model.bptq, report.html, report.json and C code. Verify the C code on this machine:\n  \
         make -C {} test",
        c.display()
    )
}

/// A share in percent with its confidence interval.
fn percent(share: Option<f64>, interval: Option<Interval>) -> String {
    match (share, interval) {
        (Some(x), Some((low, high))) => {
            format!("{:.1} [{:.1}, {:.1}]", 100.0 * x, 100.0 * low, 100.0 * high)
        }
        (Some(x), None) => format!("{:.1}", 100.0 * x),
        (None, _) => "-".into(),
    }
}

fn unpack(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, bytes) in FILES {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
