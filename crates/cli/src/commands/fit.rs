//! `burn-ptq fit`.

use anyhow::Context;
use burn_ptq::backend::device;
use burn_ptq_deploy::export::target;
use burn_ptq_deploy::output::write_atomically;
use burn_ptq_eval::fit::{Budgets, Fit as Found, WIDTHS, fit};
use burn_ptq_eval::job::{Job, run as run_job};
use serde::Serialize;

use super::quantize::{named, summary};
use super::task;
use crate::args::Fit;
use crate::output::{self, outln};
use crate::progress::Reporter;
use crate::table;

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    fit: &'a Found,
    report: &'a burn_ptq_eval::report::Report,
}

pub(crate) fn run(args: Fit) -> anyhow::Result<()> {
    let device = device(&args.backend.backend)?;
    let target = target(&args.target)?;
    let task = named(task(&args.data, args.model.as_ref(), &args.calib)?, &args.name)?;
    let budgets = Budgets { flash: args.flash, ram: args.ram, instructions: args.instructions };
    let reporter = Reporter::new();
    let show = |event: burn_ptq::Event| reporter.show(event);
    let found = fit(&task, target, budgets, args.activations, args.seed, &device, &show)?;
    let job = Job {
        task,
        recipe: found.recipe.clone(),
        exports: args.export.clone(),
        explain: false,
        keep_all_channels: false,
        target: Some((target, budgets)),
        out: Some(args.out.clone()),
    };
    let (report, _) = run_job(&job, &device, &show)?;
    drop(reporter);
    let json = serde_json::to_string_pretty(&found).context("the result is not JSON")?;
    for (name, text) in [("fit.json", json), ("recipe.toml", found.recipe.to_toml())] {
        let path = args.out.join(name);
        write_atomically(&path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        return output::json(&Printed { fit: &found, report: &report });
    }
    output::print(text(&found))?;
    output::print(summary(&report))?;
    outln!(
        "written to {}: model.bptq, report.json, report.html, fit.json, recipe.toml",
        args.out.display()
    )
}

/// The chosen bits, and what they take.
fn text(fit: &Found) -> String {
    let rows: Vec<Vec<String>> = (fit.layers.iter())
        .map(|layer| {
            let at = WIDTHS.iter().position(|&bits| bits == layer.bits).unwrap_or(0);
            let mut row = vec![
                layer.name.clone(),
                layer.bits.to_string(),
                layer.constants[at].to_string(),
                layer.instructions[at].to_string(),
            ];
            row.extend(layer.losses.iter().map(|&loss| table::number(loss)));
            row
        })
        .collect();
    let losses = WIDTHS.map(|bits| format!("loss at {bits}"));
    let mut header = vec!["layer", "bits", "bytes", "instructions"];
    header.extend(losses.iter().map(String::as_str));
    let mut text = table::render(&header, &rows);
    text.push_str(
        "\nlosses: how much the predictions change if that layer alone has so many bits; on calibration samples\n\n",
    );
    let mut rows: Vec<Vec<String>> = Vec::new();
    let of = |name: String, taken: &burn_ptq_eval::fit::Taken, loss: f64| {
        let fits = if taken.fits(&fit.budgets) { "yes" } else { "no" };
        vec![
            name,
            taken.flash.to_string(),
            taken.ram.to_string(),
            taken.instructions.to_string(),
            table::number(loss),
            fits.to_owned(),
        ]
    };
    for (bits, taken, loss) in &fit.uniform {
        rows.push(of(format!("all layers at {bits} bits"), taken, *loss));
    }
    rows.push(of("chosen".into(), &fit.taken, fit.loss));
    let budget = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
    rows.push(vec![
        "budget".into(),
        budget(fit.budgets.flash.map(|bytes| bytes as u64)),
        budget(fit.budgets.ram.map(|bytes| bytes as u64)),
        budget(fit.budgets.instructions),
        String::new(),
        String::new(),
    ]);
    let header = ["network", "flash", "RAM", "instructions", "loss", "fits"];
    text.push_str(&table::render(&header, &rows));
    text.push_str(&format!(
        "\non {}, predicted; choices that were quantized and measured: {}\n",
        fit.target, fit.measured
    ));
    let share = |what: &str, taken: u64, budget: Option<u64>| {
        let percent = |budget: u64| 100.0 * taken as f64 / budget as f64;
        budget.map(|budget| format!("{what}: {:.1} % of the budget\n", percent(budget)))
    };
    let Budgets { flash, ram, instructions } = fit.budgets;
    let shares = [
        share("flash", fit.taken.flash as u64, flash.map(|bytes| bytes as u64)),
        share("RAM", fit.taken.ram as u64, ram.map(|bytes| bytes as u64)),
        share("instructions", fit.taken.instructions, instructions),
    ];
    text.extend(shares.into_iter().flatten());
    for more in &fit.more {
        let percent = 100.0 * more.saves;
        text.push_str(&match percent >= 0.1 {
            true => format!("{} more would save {percent:.1} % of the losses\n", more.what),
            false => format!("{} more would save nothing\n", more.what),
        });
    }
    text.push('\n');
    text
}
