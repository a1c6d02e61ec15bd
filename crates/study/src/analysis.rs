//! From runs to cells: means, deviations, comparisons and verdicts.

use std::collections::{BTreeMap, HashMap};

use burn_ptq_eval::metric::Metric;
use burn_ptq_eval::metric::Outcomes;
use burn_ptq_eval::statistics::{Against, Claim, Draw, Judge, Judged, correct, mean_and_deviation};
use rayon::prelude::*;
use serde::Serialize;

use super::file::{Mode, StudyError};
use super::plan::{Plan, PlannedExperiment, Run};
use super::record::{Measured, Outcome, Producer, RunRecord, TaskRecord};
use super::results::Results;

/// A study with its numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// The study's name.
    pub name: String,
    /// The version of burn-ptq that ran it.
    pub version: String,
    /// The backend that float networks ran on.
    pub backend: String,
    /// What else made runs of the result file, which have no part in this, and how many.
    pub others: Vec<(Producer, usize)>,
    /// Comparisons with the float network that are judged together: one for each distinct cell with
    /// several draws.
    pub float_comparisons: usize,
    /// The tasks.
    pub tasks: Vec<TaskSummary>,
    /// The experiments.
    pub experiments: Vec<ExperimentResult>,
    /// Runs that the study needs.
    pub planned: usize,
    /// Finished runs.
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
    /// How its axes combine.
    pub mode: Mode,
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

/// A run that succeeded.
#[derive(Clone, Copy)]
struct Succeeded<'a> {
    run: &'a Run,
    record: &'a RunRecord,
    measured: &'a Measured,
}

impl Succeeded<'_> {
    /// What the run drew at random. Where inputs are made from a seed, that is what differs.
    fn draw(&self) -> Draw {
        match self.run.recipe.calibration.source.component().synthesis() {
            Some(_) => Draw::Seed(self.run.recipe.seed),
            None => Draw::Samples(self.run.draw),
        }
    }
}

impl Analysis {
    /// Analyzes the last study of `results`.
    ///
    /// # Errors
    /// As [`Results::plan`], and if outcomes are damaged.
    pub fn new(results: &Results) -> Result<Self, StudyError> {
        let plan = results.plan()?;
        let records: HashMap<&str, &RunRecord> =
            results.runs.iter().map(|run| (run.id.as_str(), run)).collect();
        let records: Vec<Option<&RunRecord>> =
            plan.runs.iter().map(|run| records.get(run.id.as_str()).copied()).collect();
        let judges = plan.tasks.iter().map(judge).collect::<Result<Vec<_>, _>>()?;
        let float = |(task, judge): (&TaskRecord, &Judge)| {
            Ok(judge.values(&unpack(&task.outcomes, &task.name, task.evaluation_samples)?))
        };
        let floats = plan.tasks.iter().zip(&judges).map(float);
        let floats = floats.collect::<Result<Vec<_>, StudyError>>()?;
        let succeeded = plan.runs.iter().zip(&records).map(|(run, record)| {
            let record = (*record)?;
            Some(Succeeded { run, record, measured: record.measured.as_ref()? })
        });
        let succeeded: Vec<Option<Succeeded>> = succeeded.collect();
        let cells_of = Cells { plan: &plan, runs: &succeeded, judges: &judges, floats: &floats };
        let experiments = plan.experiments.iter().map(|e| cells_of.experiment(e));
        let mut experiments = experiments.collect::<Result<Vec<_>, _>>()?;
        let float_comparisons = correct_against_float(&plan, &mut experiments);
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
        let mut others = results.producers();
        others.retain(|(producer, count)| *producer != plan.producer && *count > 0);
        Ok(Self {
            name: plan.name.clone(),
            version: plan.producer.version.clone(),
            backend: plan.producer.backend.clone(),
            others,
            float_comparisons,
            tasks: tasks.collect(),
            experiments,
            planned: plan.runs.len(),
            finished: present().count(),
            failures: present().filter_map(failed).collect(),
        })
    }
}

/// Everything that experiments are judged with.
struct Cells<'a> {
    plan: &'a Plan,
    runs: &'a [Option<Succeeded<'a>>],
    judges: &'a [Judge],
    /// What each sample adds to the metric of the float network.
    floats: &'a [Vec<f64>],
}

impl Cells<'_> {
    fn experiment(&self, planned: &PlannedExperiment) -> Result<ExperimentResult, StudyError> {
        let axes = planned.axes.iter().map(|axis| AxisResult {
            name: axis.name.clone(),
            key: axis.key.clone(),
            labels: axis.levels.iter().map(|l| l.label.clone()).collect(),
            numbers: axis.levels.iter().map(|l| l.number).collect(),
        });
        let cell = |(point, task): (usize, usize)| self.cell(planned, point, task);
        let places: Vec<(usize, usize)> = places(planned).collect();
        let cells = places.into_par_iter().map(cell).collect::<Result<Vec<_>, _>>();
        let mut cells: Vec<Cell> = cells?;
        let comparisons = correct(cells.iter_mut().filter_map(|cell| cell.against.as_mut()));
        Ok(ExperimentResult {
            question: planned.question.clone(),
            note: planned.note.clone(),
            setting: planned.setting.clone(),
            mode: planned.mode,
            axes: axes.collect(),
            tasks: planned.tasks.clone(),
            cells,
            comparisons,
        })
    }

    fn cell(
        &self,
        planned: &PlannedExperiment,
        at: usize,
        place: usize,
    ) -> Result<Cell, StudyError> {
        let point = &planned.points[at];
        let task = planned.tasks[place];
        let found = |point: usize| -> Vec<Succeeded> {
            planned.points[point].runs[place].iter().filter_map(|&run| self.runs[run]).collect()
        };
        let runs = found(at);
        let judged = self.judged(task, &runs)?;
        let metrics: Vec<f64> = runs.iter().map(|run| run.measured.metric).collect();
        let (mean, deviation) = mean_and_deviation(&metrics);
        let facts = &self.plan.tasks[task];
        let binary = matches!(facts.outcomes, Outcome::Correct(..));
        let claim = |against: Against, same: bool| {
            let found = self.judges[task].compare(&judged, against, binary);
            Claim::new(&found, facts.metric, same)
        };
        let float = (!runs.is_empty()).then(|| {
            let same = runs.iter().all(|run| run.measured.outcomes == facts.outcomes);
            claim(Against::Network(&self.floats[task]), same)
        });
        let reference = found(point.reference);
        let compared = point.reference != at && !runs.is_empty() && !reference.is_empty();
        let against = match compared {
            true => {
                let other = self.judged(task, &reference)?;
                Some(claim(Against::Cell(&other), same(&runs, &reference)))
            }
            false => None,
        };
        let first = runs.first().map(|run| run.measured);
        let seconds: Vec<f64> =
            runs.iter().filter_map(|r| r.record.seconds.get("quantize").copied()).collect();
        Ok(Cell {
            task,
            levels: point.levels.clone(),
            recipe: point.recipe.clone(),
            reference: planned.points[point.reference].levels.clone(),
            runs: runs.len(),
            lacking: point.runs[place].len() - runs.len(),
            mean,
            deviation,
            float,
            against,
            flash_bytes: first.map_or(0, |m| m.flash_bytes),
            ram_bytes: first.map_or(0, |m| m.ram_bytes),
            macs: first.map_or(0, |m| m.macs),
            bit_operations: first.map_or(0, |m| m.bit_operations),
            seconds: mean_and_deviation(&seconds).0,
            layers: layers(&runs),
        })
    }

    /// Runs as they are compared. They are unpacked for each cell anew, so that a study of any size
    /// takes the memory of a cell.
    fn judged(&self, task: usize, runs: &[Succeeded]) -> Result<Vec<Judged>, StudyError> {
        let samples = self.plan.tasks[task].evaluation_samples;
        let judged = |run: &Succeeded| {
            let outcomes = unpack(&run.measured.outcomes, &run.record.id, samples)?;
            Ok(Judged { draw: run.draw(), values: self.judges[task].values(&outcomes) })
        };
        runs.iter().map(judged).collect()
    }
}

/// The point and the place of the task of each cell, in the order of an experiment's cells.
fn places(planned: &PlannedExperiment) -> impl Iterator<Item = (usize, usize)> + '_ {
    let tasks = planned.tasks.len();
    (0..planned.points.len()).flat_map(move |point| (0..tasks).map(move |task| (point, task)))
}

/// Whether two cells have the same draws, and their runs the same outcomes.
fn same(runs: &[Succeeded], reference: &[Succeeded]) -> bool {
    let among = |runs: &[Succeeded], run: &Succeeded| {
        let mut others = runs.iter().filter(|other| other.draw() == run.draw()).peekable();
        others.peek().is_some() && others.all(|o| o.measured.outcomes == run.measured.outcomes)
    };
    runs.iter().all(|run| among(reference, run)) && reference.iter().all(|run| among(runs, run))
}

/// Corrects the comparisons with the float network. A cell that stands in several experiments is one
/// comparison, and has one verdict; returns how many there are.
fn correct_against_float(plan: &Plan, experiments: &mut [ExperimentResult]) -> usize {
    let keys = plan.experiments.iter().flat_map(|planned| {
        places(planned).map(|(point, task)| planned.points[point].runs[task].as_slice())
    });
    let cells = experiments.iter_mut().flat_map(|experiment| &mut experiment.cells);
    let mut distinct: BTreeMap<&[usize], Claim> = BTreeMap::new();
    let mut places = Vec::new();
    for (key, cell) in keys.zip(cells) {
        if let Some(claim) = &mut cell.float {
            distinct.insert(key, *claim);
            places.push((key, claim));
        }
    }
    let comparisons = correct(distinct.values_mut());
    for (key, claim) in places {
        *claim = distinct[key];
    }
    comparisons
}

/// The mean noise of each layer over runs that have the same layers.
fn layers(runs: &[Succeeded]) -> Vec<(String, u8, Option<f64>)> {
    let Some(first) = runs.first() else { return Vec::new() };
    let layer = |(at, (name, bits, _)): (usize, &(String, u8, Option<f64>))| {
        let ratios = runs.iter().filter_map(|run| run.measured.layers.get(at)?.2);
        let ratios: Vec<f64> = ratios.collect();
        let mean = (!ratios.is_empty()).then(|| mean_and_deviation(&ratios).0);
        (name.clone(), *bits, mean)
    };
    first.measured.layers.iter().enumerate().map(layer).collect()
}

fn judge(task: &TaskRecord) -> Result<Judge, StudyError> {
    let samples = task.evaluation_samples;
    let Some(anomalous) = &task.anomalous else { return Ok(Judge::Mean) };
    let Outcomes::Correct(anomalous) = unpack(anomalous, &task.name, samples)? else {
        return Err(damaged(&task.name));
    };
    let groups = match task.groups.len() {
        0 => vec![0; samples],
        found if found == samples => task.groups.clone(),
        _ => return Err(damaged(&task.name)),
    };
    Ok(Judge::Auc { anomalous, groups })
}

fn unpack(outcome: &Outcome, owner: &str, samples: usize) -> Result<Outcomes, StudyError> {
    let contents = outcome.unpack().ok_or_else(|| damaged(owner))?;
    let found = match &contents {
        Outcomes::Correct(correct) => correct.len(),
        Outcomes::Scores(scores) => scores.len(),
    };
    if found == samples { Ok(contents) } else { Err(damaged(owner)) }
}

fn damaged(owner: &str) -> StudyError {
    StudyError::File {
        origin: "the result file".into(),
        problem: format!("the outcomes of '{owner}' are damaged"),
    }
}
