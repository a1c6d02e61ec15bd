//! `burn-ptq fit`.

use anyhow::{Context, ensure};
use burn::tensor::Device;
use burn_ptq::Recipe;
use burn_ptq::backend::device;
use burn_ptq::recipe::FitRecipe;
use burn_ptq_deploy::output::Transaction;
use burn_ptq_deploy::printable;
use burn_ptq_deploy::target::Target;
use burn_ptq_eval::board::Board;
use burn_ptq_eval::evaluate::{Evaluation, integer_predictor};
use burn_ptq_eval::fit::{
    Budgets, Fit as Found, FitError, Front, FrontPoint, Question, Taken, front,
};
use burn_ptq_eval::job::Job;
use burn_ptq_eval::metric::Metric;
use burn_ptq_eval::opened::OpenTask;
use burn_ptq_eval::task::Task;

use super::quantize::{named, read_recipe, run_and_show};
use super::{processor, task};
use crate::args::Fit;
use crate::output::{self, errln, outln};
use crate::progress::Reporter;
use crate::table;

pub(crate) fn run(args: Fit) -> anyhow::Result<()> {
    let device = device(&args.backend.backend)?;
    let task = named(task(&args.data, args.model.as_ref(), &args.calib)?, &args.results.name)?;
    let (board, target) = processor(args.board.as_deref(), args.target.as_deref())?;
    let target = target.context("no processor is named: give --target or --board")?;
    let recipe = recipe(&args, target, board)?;
    if args.front {
        return along_the_front(&args, task, &recipe, &device);
    }
    let job = Job {
        task,
        recipe,
        exports: args.results.export.clone(),
        explain: false,
        keep_all_channels: false,
        out: Some(args.results.out.clone()),
    };
    run_and_show(&job, board, &device, args.json)
}

/// The recipe of a preset or file, or a plain one, with the budgets of the flags and of the board.
fn recipe(args: &Fit, target: &Target, board: Option<&Board>) -> anyhow::Result<Recipe> {
    let clock = args.milliseconds.zip(args.clock.or(board.map(|board| board.clock_mhz)));
    note_budgets(args, board);
    let mut fit = FitRecipe {
        target: target.name.to_owned(),
        flash: args.flash.or(board.map(|board| board.flash_bytes)),
        ram: args.ram.or(board.map(|board| board.ram_bytes)),
        instructions: args.instructions.or(clock.map(|(ms, mhz)| (ms * mhz * 1e3) as u64)),
        max_loss: args.max_loss,
        weights: args.weights.clone(),
        activations: args.activations.clone(),
        presets: args.preset.is_none() && args.recipe.is_none(),
    };
    fit.activations.sort_unstable_by(|a, b| b.cmp(a));
    ensure!(args.front || fit.has_budget(), FitError::NoBudget);
    let base = match (&args.preset, &args.recipe) {
        (Some(name), _) => Recipe::preset(name)?,
        (None, Some(path)) => read_recipe(path)?,
        (None, None) => Recipe::default(),
    };
    let seed = args.results.seed.unwrap_or(base.seed);
    Ok(Recipe { seed, fit: Some(fit), ..base })
}

/// Says which budgets are all that the board has.
fn note_budgets(args: &Fit, board: Option<&Board>) {
    let Some(board) = board else { return };
    let flash = format!("{} of flash", table::capacity(board.flash_bytes));
    let ram = format!("{} of RAM", table::capacity(board.ram_bytes));
    let all = [args.flash.is_none().then_some(flash), args.ram.is_none().then_some(ram)];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if !all.is_empty() {
        errln!(
            "note: the budget is all that {} has, {}; the rest of the firmware needs its share: --flash and --ram \
             set less",
            board.name,
            all.join(" and ")
        );
    }
}

/// Writes and shows what accuracy costs.
fn along_the_front(args: &Fit, task: Task, recipe: &Recipe, device: &Device) -> anyhow::Result<()> {
    let mut transaction = Transaction::begin(&args.results.out)?;
    let reporter = Reporter::new();
    let show = |event: burn_ptq::Event| reporter.show(event);
    let opened = OpenTask::open(&task, true)?;
    let classifies = opened.classifies();
    let question = Question { recipe, classifies, device, progress: &show };
    let mut quantize = |recipe: &Recipe| opened.quantize_once(recipe, false, device, &show);
    let evaluation = opened.evaluation.as_ref();
    let mut judge = |quantized: &burn_ptq::Quantized| {
        let judged = |evaluation: &Evaluation| {
            let mut predict = integer_predictor(&quantized.program);
            evaluation.judge_samples("evaluate", &mut predict, &show)
        };
        let judgement = evaluation.map(judged).transpose()?;
        Ok(judgement.map(|judgement| (judgement.metric, judgement.interval)))
    };
    let found = front(question, &mut quantize, &mut judge)?;
    drop(reporter);
    let json = serde_json::to_string_pretty(&found).context("the result is not JSON")?;
    transaction.write("front.json", format!("{json}\n").as_bytes())?;
    let mut written = vec!["front.json".to_owned()];
    for point in found.best() {
        let name = format!("{}.toml", point.name);
        transaction.write(&name, point.recipe.to_toml().as_bytes())?;
        written.push(name);
    }
    transaction.commit()?;
    if args.json {
        return output::json(&found);
    }
    output::print(front_text(&found, evaluation.map(|evaluation| evaluation.metric)))?;
    outln!("written to {}: {}", args.results.out.display(), written.join(", "))
}

/// The points of the front and those near it.
fn front_text(front: &Front, metric: Option<Metric>) -> String {
    let row = |point: &FrontPoint| {
        let bits: Vec<String> = point.layers.iter().map(|layer| layer.bits.to_string()).collect();
        let Taken { flash, ram, instructions } = point.taken;
        let mut row = vec![
            if point.on_front { format!("{} *", point.name) } else { point.name.clone() },
            flash.to_string(),
            ram.to_string(),
            instructions.to_string(),
            table::number(point.loss),
            table::number(point.loss_error),
        ];
        if let (Some(metric), Some(value)) = (metric, point.metric) {
            row.push(metric.text(value, point.metric_ci));
        }
        row.push(if point.fits { "yes" } else { "no" }.to_owned());
        row.push(bits.join(" "));
        row
    };
    let rows: Vec<Vec<String>> = front.points.iter().map(row).collect();
    let mut header = vec!["network", "flash", "RAM", "instructions", "loss", "+-"];
    header.extend(metric.map(|metric| metric.name()));
    header.extend(["fits", "bits of weights"]);
    let mut text = table::render(&header, &rows);
    text.push_str(&format!(
        "\non {}, predicted; * no other takes no more and loses less. loss: how much the predictions change, on \
         calibration samples\n",
        front.target
    ));
    text
}

/// The chosen bits, and what they take, with the time on the board if there is one.
pub(super) fn text(fit: &Found, board: Option<&Board>) -> String {
    let rows: Vec<Vec<String>> = (fit.layers.iter())
        .map(|layer| {
            let chosen = layer.choices.iter().find(|choice| choice.bits == layer.bits);
            let mut row = vec![
                layer.name.clone(),
                layer.bits.to_string(),
                chosen.map_or(String::new(), |choice| choice.constants.to_string()),
                chosen.map_or(String::new(), |choice| choice.instructions.to_string()),
            ];
            row.extend(layer.choices.iter().map(|choice| table::number(choice.loss)));
            row
        })
        .collect();
    let losses: Vec<String> = fit.widths.iter().map(|bits| format!("loss at {bits}")).collect();
    let mut header = vec!["layer", "bits", "bytes", "instructions"];
    header.extend(losses.iter().map(String::as_str));
    let mut text = table::render(&header, &rows);
    text.push_str(
        "\nlosses: how much the predictions change if that layer alone has so many bits; on calibration samples\n",
    );
    if !fit.narrow.is_empty() {
        let names: Vec<String> = fit
            .narrow
            .iter()
            .map(|output| format!("'{}' ({})", printable::line(&output.name), output.bits))
            .collect();
        let names = names.join(", ");
        text.push_str(&format!(
            "RAM is short: outputs with fewer bits than {}: {names}\n",
            fit.activations
        ));
    }
    text.push('\n');
    let mut rows: Vec<Vec<String>> = Vec::new();
    let of = |name: String, taken: &Taken, loss: f64| {
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
    for each in &fit.uniform {
        rows.push(of(format!("all layers at {} bits", each.bits), &each.taken, each.loss));
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
    text.push_str(&shares(fit));
    for more in &fit.more {
        let percent = 100.0 * more.saves;
        text.push_str(&match percent >= 0.1 {
            true => format!("{} more would save {percent:.1} % of the losses\n", more.what),
            false => format!("{} more would save nothing\n", more.what),
        });
    }
    text.push('\n');
    if let Some(board) = board {
        let milliseconds = table::number(board.milliseconds(fit.taken.instructions as f64));
        let (name, clock) = (&board.name, board.clock_mhz);
        text.push_str(&format!(
            "on {name}: {milliseconds} ms at {clock} MHz, an estimate at one instruction a cycle\n\n"
        ));
    }
    text
}

/// How much of each budget is used, and which of them binds: where a little more would help.
fn shares(fit: &Found) -> String {
    let share = |what: &str, taken: u64, budget: Option<u64>, binds: bool| {
        let percent = |budget: u64| 100.0 * taken as f64 / budget as f64;
        let binds = if binds { "; it binds" } else { "" };
        budget.map(|budget| format!("{what}: {:.1} % of the budget{binds}\n", percent(budget)))
    };
    let helps =
        |word: &str| fit.more.iter().any(|more| more.what.contains(word) && more.saves > 0.0);
    let narrow = !fit.narrow.is_empty();
    let Budgets { flash, ram, instructions } = fit.budgets;
    let shares = [
        share("flash", fit.taken.flash as u64, flash.map(|bytes| bytes as u64), helps("flash")),
        share("RAM", fit.taken.ram as u64, ram.map(|bytes| bytes as u64), narrow || helps("RAM")),
        share("instructions", fit.taken.instructions, instructions, helps("instructions")),
    ];
    shares.into_iter().flatten().collect()
}
