//! `burn-ptq ablate`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use burn_ptq::Event;
use burn_ptq::backend::device;
use burn_ptq_deploy::bounded;
use burn_ptq_study::{
    Bench, Journal, Options, Plan, Producer, Record, Results, RunRecord, Study, StudyRecord,
    expected_seconds,
};
use indicatif::HumanDuration;

use crate::args::{Ablate, AblateCommand};
use crate::output::{self, outln};
use crate::progress::{Reporter, StudyReporter, proceed};
use crate::table;

/// The file of an unsharded study.
const RESULTS: &str = "results.jsonl";

pub(crate) fn run(args: Ablate) -> anyhow::Result<()> {
    match (&args.command, &args.study, &args.out) {
        (Some(AblateCommand::Merge { results, out }), ..) => merge(results, out),
        (None, Some(study), Some(out)) => ablate(&args, study, out),
        _ => anyhow::bail!("expected a study and --out DIR"),
    }
}

fn ablate(args: &Ablate, path: &Path, out: &Path) -> anyhow::Result<()> {
    let text = bounded::read_to_string(path, burn_ptq_study::MAX_STUDY_BYTES)
        .with_context(|| format!("cannot read the study {}", path.display()))?;
    let study = Study::parse(&text, &path.display().to_string())?;
    let device = device(&args.backend.backend)?;
    let assets = assets(args, &study, path);
    let file = out.join(match args.shard {
        Some(shard) => format!("results-{}-of-{}.jsonl", shard.index, shard.count),
        None => RESULTS.into(),
    });
    let known = if file.exists() { burn_ptq_study::read(&file)? } else { Vec::new() };
    let known = Results::new(known.into_iter().map(|(record, _)| record));
    let reporter = Reporter::new();
    let progress = |event: Event| reporter.show(event);
    let mut bench = Bench::open(&study, &assets, &known.tasks, &device, &progress)?;
    drop(reporter);
    let plan = Plan::new(&study, bench.facts(), &Producer::here(&args.backend.backend))?;
    if args.dry_run {
        return output::print(list(&bench, &plan, args, &known.runs));
    }
    // Nothing is written before everything is checked.
    std::fs::create_dir_all(out).with_context(|| format!("cannot write {}", out.display()))?;
    let (mut journal, known) = Journal::open(&file)?;
    let known = Results::new(known);
    let record = StudyRecord::new(&study.name, &text);
    if known.studies.last() != Some(&record) {
        journal.append(&Record::Study(record))?;
    }
    // The last task of a name is the present one, also where its data were changed and changed back.
    for task in bench.facts().into_iter().filter(|task| known.task(&task.name) != Some(task)) {
        journal.append(&Record::Task(Box::new(task)))?;
    }
    let runs = known.runs;
    let options =
        Options { jobs: args.jobs.into(), shard: args.shard, retry_failed: args.retry_failed };
    let reporter = StudyReporter::new();
    let tell = |event: burn_ptq_study::StudyEvent| reporter.show(event);
    let summary =
        burn_ptq_study::run(&mut bench, &plan, &mut journal, &runs, options, &tell, &proceed)?;
    drop(reporter);
    drop(journal);
    // Files first: what cannot be printed does not keep them from being written.
    let written = match args.shard {
        Some(_) => "`burn-ptq ablate merge` joins the shards and writes the report".into(),
        None => report(&file, out, Some(Producer::here(&args.backend.backend)))?,
    };
    outln!(
        "{} runs: {} finished before, {} succeeded now, {} failed now; {}\n{written}",
        summary.found + summary.succeeded + summary.failed,
        summary.found,
        summary.succeeded,
        summary.failed,
        file.display()
    )
}

/// Writes the report of a result file, about the runs of `producer`, or of what made most of them;
/// returns where.
fn report(file: &Path, out: &Path, producer: Option<Producer>) -> anyhow::Result<String> {
    let records = burn_ptq_study::read(file)?.into_iter().map(|(record, _)| record);
    let results = Results { producer, ..Results::new(records) };
    let files = burn_ptq_study::report::write(&results, out)?;
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    Ok(format!("report: {}", names.join(", ")))
}

/// The folder that the paths of tasks are relative to.
fn assets(args: &Ablate, study: &Study, path: &Path) -> PathBuf {
    let home = path.parent().unwrap_or(Path::new("."));
    let named = study.assets.as_ref().map(|assets| {
        let elsewhere = std::env::var_os("BURN_PTQ_ASSETS").map(PathBuf::from);
        elsewhere.unwrap_or_else(|| home.join(assets))
    });
    args.assets.clone().or(named).unwrap_or_else(|| home.into())
}

/// The runs of a plan, with the time that they may take.
fn list(bench: &Bench, plan: &Plan, args: &Ablate, known: &[RunRecord]) -> String {
    let part = plan.part(args.shard);
    let seconds = expected_seconds(bench, plan, &part, known);
    // What the runner would not run again is not left.
    let done = known.iter().filter(|record| burn_ptq_study::is_done(record, args.retry_failed));
    let done: HashMap<&str, &RunRecord> = done.map(|record| (record.id.as_str(), record)).collect();
    let rows: Vec<Vec<String>> = (part.iter().zip(&seconds))
        .map(|(&index, seconds)| {
            let run = &plan.runs[index];
            vec![
                run.id.clone(),
                plan.tasks[run.task].name.clone(),
                run.recipe.label(),
                match &run.recipe.fit {
                    Some(fit) if fit.presets => "of presets".into(),
                    _ => run.recipe.rounding.name().into(),
                },
                run.samples.to_string(),
                run.draw.to_string(),
                run.recipe.seed.to_string(),
                match done.get(run.id.as_str()) {
                    None => format!("{seconds:.1}"),
                    Some(record) if record.error.is_none() => "finished".into(),
                    Some(_) => "failed".into(),
                },
            ]
        })
        .collect();
    let header = ["run", "task", "widths", "rounding", "samples", "draw", "seed", "seconds"];
    let mut text = table::render(&header, &rows);
    let left: f64 = (part.iter().zip(&seconds))
        .filter(|(index, _)| !done.contains_key(plan.runs[**index].id.as_str()))
        .map(|(_, seconds)| seconds)
        .sum();
    let jobs = f64::from(args.jobs);
    text.push_str(&format!(
        "\n{} runs of {} experiments on {} tasks; about {:#} left with --jobs {}\n",
        part.len(),
        plan.experiments.len(),
        plan.tasks.len(),
        // Seconds in hostile records may be out of range.
        HumanDuration(Duration::from_secs_f64((left / jobs).clamp(0.0, 1e9))),
        args.jobs
    ));
    text
}

fn merge(results: &[PathBuf], out: &Path) -> anyhow::Result<()> {
    let file = out.join(RESULTS);
    let merged = burn_ptq_study::merge(results, &file)?;
    let written = report(&file, out, None)?;
    outln!(
        "{} runs in {}; {} were in several files\n{written}",
        merged.runs,
        file.display(),
        merged.repeated
    )
}
