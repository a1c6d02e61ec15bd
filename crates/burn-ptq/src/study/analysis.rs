//! From runs to cells: means, deviations, comparisons and verdicts.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::Serialize;

use super::file::{Study, StudyError};
use super::plan::{Plan, PlannedExperiment, Point};
use super::record::{Contents, Outcome, Record, RunRecord, StudyRecord, TaskRecord};
use super::statistics::{Comparison, Judge, Resampled, Resamples, holm, mean_and_deviation};
use crate::metric::Metric;

/// How often samples and runs are drawn anew.
pub const RESAMPLES: usize = 10_000;

/// The level of all claims, after Holm's correction.
pub const LEVEL: f64 = 0.05;

/// What a result file holds, sorted.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The studies; the last is the present one.
    pub studies: Vec<StudyRecord>,
    /// The tasks.
    pub tasks: Vec<TaskRecord>,
    /// The runs; of one that stands twice the last.
    pub runs: Vec<RunRecord>,
}

/// A study with its numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// The study's name.
    pub name: String,
    /// The version of burn-ptq that ran it.
    pub version: String,
    /// The tasks.
    pub tasks: Vec<TaskSummary>,
    /// The experiments.
    pub experiments: Vec<ExperimentResult>,
    /// Runs that the study needs.
    pub planned: usize,
    /// Runs that are there.
    pub finished: usize,
    /// Runs that failed: task, recipe, reason.
    pub failures: Vec<(String, String, String)>,
}

/// A task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskSummary {
    /// Its name.
    pub name: String,
    /// The metric.
    pub metric: Metric,
    /// Samples on which it was judged.
    pub evaluation_samples: usize,
    /// Calibration samples that there are.
    pub calibration_samples: usize,
    /// The float network's metric.
    pub float: f64,
    /// Its runs.
    pub runs: usize,
    /// Seconds of its runs, by stage.
    pub seconds: BTreeMap<String, f64>,
}

/// An experiment.
#[derive(Clone, Debug, Serialize)]
pub struct ExperimentResult {
    /// The question.
    pub question: String,
    /// What readers should know about it.
    pub note: String,
    /// What its recipes have in common, by that of the first point.
    pub setting: String,
    /// The axes, with names and values.
    pub axes: Vec<AxisResult>,
    /// Its tasks, by index.
    pub tasks: Vec<usize>,
    /// The cells: points by tasks.
    pub cells: Vec<Cell>,
    /// How many comparisons are corrected together.
    pub comparisons: usize,
}

/// An axis.
#[derive(Clone, Debug, Serialize)]
pub struct AxisResult {
    /// Its name.
    pub name: String,
    /// The recipe's key, if it is one.
    pub key: Option<String>,
    /// The names of its values.
    pub labels: Vec<String>,
    /// The values, if they are numbers.
    pub numbers: Vec<Option<f64>>,
}

/// A point on a task.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The task, by index.
    pub task: usize,
    /// The value of each axis.
    pub levels: Vec<usize>,
    /// The recipe in a line.
    pub recipe: String,
    /// The levels of the cell that this one is compared with.
    pub reference: Vec<usize>,
    /// Its runs that succeeded.
    pub runs: usize,
    /// Its runs that failed or are not there.
    pub lacking: usize,
    /// The mean of the metric over runs.
    pub mean: f64,
    /// The standard deviation over runs.
    pub deviation: Option<f64>,
    /// Against the float network.
    pub float: Option<Claim>,
    /// Against the reference; absent for the reference itself.
    pub against: Option<Claim>,
    /// Bytes of constants.
    pub flash_bytes: usize,
    /// Bytes of the arena.
    pub ram_bytes: usize,
    /// Multiply-accumulates.
    pub macs: usize,
    /// Multiply-accumulates times weight bits times input bits.
    pub bit_operations: usize,
    /// Mean seconds of a run from statistics to the integer program.
    pub seconds: f64,
    /// For each layer with weights: its name, bits, and mean noise ratio in dB.
    pub layers: Vec<(String, u8, Option<f64>)>,
}

/// A comparison, and what may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// The difference of the means.
    pub difference: f64,
    /// Its 95 % confidence interval.
    pub interval: (f64, f64),
    /// The p-value.
    pub p: f64,
    /// The p-value after Holm's correction over the experiment.
    pub adjusted_p: f64,
    /// What may be claimed.
    pub verdict: Verdict,
}

/// What may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The cell is better.
    Better,
    /// The cell is worse.
    Worse,
    /// Neither is shown.
    NoDifferenceShown,
    /// A single run claims nothing.
    OneRun,
}

impl Verdict {
    /// As people read it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceShown => "no difference shown",
            Self::OneRun => "one run: no claim",
        }
    }
}

impl Results {
    /// Sorts records.
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let mut results = Self::default();
        let mut places = HashMap::new();
        for record in records {
            match record {
                Record::Study(study) => results.studies.push(study),
                Record::Task(task) => results.tasks.push(*task),
                Record::Run(run) => {
                    let place = *places.entry(run.id.clone()).or_insert(results.runs.len());
                    match results.runs.get_mut(place) {
                        Some(known) => *known = *run,
                        None => results.runs.push(*run),
                    }
                }
            }
        }
        results
    }

    /// The plan of the last study on the tasks as they were.
    ///
    /// # Errors
    /// If there is no study, or a task of it was not run.
    pub fn plan(&self) -> Result<(Plan, String), StudyError> {
        let wrong = |problem: &str| StudyError::File {
            origin: "the result file".into(),
            problem: problem.into(),
        };
        let study = self.studies.last().ok_or_else(|| wrong("it names no study"))?;
        let study = Study::parse(&study.text, &study.name)?;
        let task = |entry: &super::file::TaskEntry| {
            let found = self.tasks.iter().rfind(|task| task.name == entry.name);
            found.cloned().ok_or_else(|| wrong(&format!("task '{}' was not run", entry.name)))
        };
        let tasks = study.tasks.iter().map(task).collect::<Result<Vec<_>, _>>()?;
        let version = self.runs.last().map_or(env!("CARGO_PKG_VERSION"), |run| &run.version);
        Ok((Plan::new(&study, tasks, version)?, version.into()))
    }
}

/// A run with what its comparisons need.
struct Judged<'a> {
    record: &'a RunRecord,
    metric: f64,
    resampled: Resampled,
}

impl Analysis {
    /// Analyzes the last study of `results`.
    ///
    /// # Errors
    /// As [`Results::plan`], and if outcomes are damaged.
    pub fn new(results: &Results) -> Result<Self, StudyError> {
        let (plan, version) = results.plan()?;
        let records: HashMap<&str, &RunRecord> =
            results.runs.iter().map(|run| (run.id.as_str(), run)).collect();
        let records: Vec<Option<&RunRecord>> =
            plan.runs.iter().map(|run| records.get(run.id.as_str()).copied()).collect();
        let resamples = plan.tasks.iter().map(resamples).collect::<Result<Vec<_>, _>>()?;
        let float = |(task, resamples): (&TaskRecord, &Resamples)| {
            Ok(resamples.run(&unpack(&task.outcomes, &task.name, task.evaluation_samples)?))
        };
        let floats: Vec<Resampled> =
            plan.tasks.iter().zip(&resamples).map(float).collect::<Result<_, StudyError>>()?;
        let judged = |(run, record): (&super::plan::Run, &Option<&'_ RunRecord>)| {
            let Some(record) = *record else { return Ok(None) };
            let Some(measured) = &record.measured else { return Ok(None) };
            let samples = plan.tasks[run.task].evaluation_samples;
            let outcomes = unpack(&measured.outcomes, &record.id, samples)?;
            let resampled = resamples[run.task].run(&outcomes);
            Ok(Some((measured.metric, resampled)))
        };
        let metrics = plan.runs.iter().zip(&records).map(judged);
        let metrics = metrics.collect::<Result<Vec<_>, StudyError>>()?;
        let judged: Vec<Option<Judged>> = metrics
            .into_iter()
            .zip(&records)
            .map(|(found, record)| {
                let ((metric, resampled), record) = (found?, (*record)?);
                Some(Judged { record, metric, resampled })
            })
            .collect();
        let desk = Desk { plan: &plan, judged: &judged, resamples: &resamples, floats: &floats };
        let experiments = plan.experiments.iter().map(|e| desk.experiment(e)).collect();
        let present = || plan.runs.iter().zip(&records).filter_map(|(run, r)| Some((run, (*r)?)));
        let tasks = plan.tasks.iter().enumerate().map(|(at, task)| {
            let mut seconds = task.seconds.clone();
            let mut runs = 0;
            for (_, record) in present().filter(|(run, _)| run.task == at) {
                runs += 1;
                for (stage, spent) in &record.seconds {
                    *seconds.entry(stage.clone()).or_default() += spent;
                }
            }
            TaskSummary {
                name: task.name.clone(),
                metric: task.metric,
                evaluation_samples: task.evaluation_samples,
                calibration_samples: task.calibration_samples,
                float: task.float,
                runs,
                seconds,
            }
        });
        let failed =
            |(_, r): (_, &RunRecord)| Some((r.task.clone(), r.recipe.clone(), r.error.clone()?));
        Ok(Self {
            name: plan.name.clone(),
            version,
            tasks: tasks.collect(),
            experiments,
            planned: plan.runs.len(),
            finished: present().count(),
            failures: present().filter_map(failed).collect(),
        })
    }
}

/// Everything that experiments are judged with.
struct Desk<'a> {
    plan: &'a Plan,
    judged: &'a [Option<Judged<'a>>],
    resamples: &'a [Resamples],
    floats: &'a [Resampled],
}

impl Desk<'_> {
    fn experiment(&self, planned: &PlannedExperiment) -> ExperimentResult {
        let axes = planned.axes.iter().map(|axis| AxisResult {
            name: axis.name.clone(),
            key: axis.key.clone(),
            labels: axis.levels.iter().map(|l| l.label.clone()).collect(),
            numbers: axis.levels.iter().map(|l| l.number).collect(),
        });
        let places: Vec<(usize, usize)> = (0..planned.points.len())
            .flat_map(|point| (0..planned.tasks.len()).map(move |task| (point, task)))
            .collect();
        let cell = |&(point, task): &(usize, usize)| self.cell(planned, point, task);
        let mut cells: Vec<Cell> = places.par_iter().map(cell).collect();
        let comparisons = correct(&mut cells, |cell| cell.against.as_mut());
        correct(&mut cells, |cell| cell.float.as_mut());
        ExperimentResult {
            question: planned.question.clone(),
            note: planned.note.clone(),
            setting: planned.setting.clone(),
            axes: axes.collect(),
            tasks: planned.tasks.clone(),
            cells,
            comparisons,
        }
    }

    fn runs(&self, point: &Point, place: usize) -> Vec<&Judged<'_>> {
        point.runs[place].iter().filter_map(|&run| self.judged[run].as_ref()).collect()
    }

    fn cell(&self, planned: &PlannedExperiment, at: usize, place: usize) -> Cell {
        let point = &planned.points[at];
        let task = planned.tasks[place];
        let runs = self.runs(point, place);
        let metrics: Vec<f64> = runs.iter().map(|run| run.metric).collect();
        let (mean, deviation) = mean_and_deviation(&metrics);
        let own: Vec<(f64, &Resampled)> = runs.iter().map(|r| (r.metric, &r.resampled)).collect();
        let resamples = &self.resamples[task];
        let metric = self.plan.tasks[task].metric;
        let claim = |other: &[(f64, &Resampled)], paired: bool, enough: bool| {
            (!own.is_empty() && !other.is_empty())
                .then(|| Claim::new(resamples.compare(&own, other, paired), metric, enough))
        };
        let several = runs.len() > 1;
        let float = [(self.plan.tasks[task].float, &self.floats[task])];
        let reference = self.runs(&planned.points[point.reference], place);
        let key = |run: &&Judged| (run.record.draw, run.record.samples);
        let draws = |runs: &[&Judged]| runs.iter().map(|r| key(r).0).collect::<Vec<_>>();
        let paired = runs.len() == reference.len() && draws(&runs) == draws(&reference);
        let other: Vec<(f64, &Resampled)> =
            reference.iter().map(|r| (r.metric, &r.resampled)).collect();
        let against = (point.reference != at)
            .then(|| claim(&other, paired, several && reference.len() > 1))
            .flatten();
        let measured: Vec<_> = runs.iter().filter_map(|r| r.record.measured.as_ref()).collect();
        let first = measured.first();
        let seconds: Vec<f64> =
            runs.iter().filter_map(|r| r.record.seconds.get("quantize").copied()).collect();
        Cell {
            task,
            levels: point.levels.clone(),
            recipe: point.recipe.clone(),
            reference: planned.points[point.reference].levels.clone(),
            runs: runs.len(),
            lacking: point.runs[place].len() - runs.len(),
            mean,
            deviation,
            float: claim(&float, false, several),
            against,
            flash_bytes: first.map_or(0, |m| m.flash_bytes),
            ram_bytes: first.map_or(0, |m| m.ram_bytes),
            macs: first.map_or(0, |m| m.macs),
            bit_operations: first.map_or(0, |m| m.bit_operations),
            seconds: mean_and_deviation(&seconds).0,
            layers: layers(&runs),
        }
    }
}

/// The mean noise of each layer over runs that have the same layers.
fn layers(runs: &[&Judged]) -> Vec<(String, u8, Option<f64>)> {
    let measured: Vec<_> = runs.iter().filter_map(|r| r.record.measured.as_ref()).collect();
    let Some(first) = measured.first() else { return Vec::new() };
    let layer = |(at, (name, bits, _)): (usize, &(String, u8, Option<f64>))| {
        let ratios = measured.iter().filter_map(|m| m.layers.get(at)?.2);
        let ratios: Vec<f64> = ratios.collect();
        let mean = (!ratios.is_empty()).then(|| mean_and_deviation(&ratios).0);
        (name.clone(), *bits, mean)
    };
    first.layers.iter().enumerate().map(layer).collect()
}

impl Claim {
    /// A claim before correction; `enough` runs allow one at all.
    fn new(found: Comparison, metric: Metric, enough: bool) -> Self {
        let better = metric.lost(0.0, found.difference) < 0.0;
        let verdict = match (enough, better) {
            (false, _) => Verdict::OneRun,
            (true, true) => Verdict::Better,
            (true, false) => Verdict::Worse,
        };
        Self {
            difference: found.difference,
            interval: (found.low, found.high),
            p: found.p,
            adjusted_p: found.p,
            verdict,
        }
    }
}

/// Corrects the claims of an experiment together; returns how many.
fn correct(cells: &mut [Cell], claim: impl Fn(&mut Cell) -> Option<&mut Claim>) -> usize {
    let mut claims: Vec<&mut Claim> = cells.iter_mut().filter_map(claim).collect();
    claims.retain(|claim| claim.verdict != Verdict::OneRun);
    let adjusted = holm(&claims.iter().map(|claim| claim.p).collect::<Vec<_>>());
    for (claim, adjusted) in claims.iter_mut().zip(&adjusted) {
        claim.adjusted_p = *adjusted;
        if *adjusted >= LEVEL {
            claim.verdict = Verdict::NoDifferenceShown;
        }
    }
    claims.len()
}

fn resamples(task: &TaskRecord) -> Result<Resamples, StudyError> {
    let samples = task.evaluation_samples;
    let judge = match &task.anomalous {
        None => Judge::Mean,
        Some(anomalous) => {
            let Contents::Correct(anomalous) = unpack(anomalous, &task.name, samples)? else {
                return Err(damaged(&task.name));
            };
            let groups = match task.groups.len() {
                0 => vec![0; samples],
                _ => task.groups.clone(),
            };
            Judge::Auc { anomalous, groups }
        }
    };
    // The seed is fixed: the same results give the same report.
    Ok(Resamples::new(judge, samples, RESAMPLES, 1 << 32))
}

fn unpack(outcome: &Outcome, owner: &str, samples: usize) -> Result<Contents, StudyError> {
    let contents = outcome.unpack().ok_or_else(|| damaged(owner))?;
    let found = match &contents {
        Contents::Correct(correct) => correct.len(),
        Contents::Scores(scores) => scores.len(),
    };
    if found == samples { Ok(contents) } else { Err(damaged(owner)) }
}

fn damaged(owner: &str) -> StudyError {
    StudyError::File {
        origin: "the result file".into(),
        problem: format!("the outcomes of '{owner}' are damaged"),
    }
}
