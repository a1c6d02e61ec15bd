//! Runs what is missing, several at a time, and writes down each run as it ends.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use burn_ptq::Cancelled;
use burn_ptq_eval::Error;

use super::bench::Bench;
use super::estimate;
use super::file::StudyError;
use super::fragment::essentials;
use super::journal::Journal;
use super::plan::{Plan, Run, Shard};
use super::record::{Record, RunRecord};

/// How a study is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Runs at a time.
    pub jobs: usize,
    /// Only this part of the runs.
    pub shard: Option<Shard>,
    /// Whether runs that failed are tried again.
    pub retry_failed: bool,
}

/// What is told while a study runs.
#[derive(Clone, Copy, Debug)]
pub enum StudyEvent<'a> {
    /// The work is known.
    Begin {
        /// Runs that are finished already.
        finished: usize,
        /// Runs in all.
        total: usize,
        /// Seconds that the others are expected to take.
        seconds: f64,
    },
    /// A run has ended and is recorded in the file.
    Finished {
        /// The run.
        run: &'a RunRecord,
        /// Runs that are finished.
        finished: usize,
        /// Seconds that the others are expected to take.
        seconds: f64,
    },
}

/// How a study ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs that were finished before.
    pub found: usize,
    /// Runs that succeeded now.
    pub succeeded: usize,
    /// Runs that failed now.
    pub failed: usize,
}

/// What workers share.
struct State<'a> {
    waiting: VecDeque<&'a Run>,
    journal: &'a mut Journal,
    summary: Summary,
    /// Seconds that runs were expected to take: finished ones, and the rest.
    expected: (f64, f64),
    begun: Instant,
    problem: Option<StudyError>,
}

/// Seconds that each run of `part` is expected to take, by the times of finished runs where there are
/// some of the same task.
pub fn expected_seconds(
    bench: &Bench,
    plan: &Plan,
    part: &[usize],
    known: &[RunRecord],
) -> Vec<f64> {
    let rough = |run: &Run| {
        let samples = plan.tasks[run.task].evaluation_samples as f64;
        estimate::seconds(bench, run, samples * bench.windows(run.task))
    };
    let runs: HashMap<&str, &Run> = plan.runs.iter().map(|r| (r.id.as_str(), r)).collect();
    let mut ratios = vec![(0.0, 0.0); plan.tasks.len()];
    for record in known.iter().filter(|r| r.error.is_none()) {
        if let Some(run) = runs.get(record.id.as_str()) {
            ratios[run.task].0 += record.seconds.values().sum::<f64>();
            ratios[run.task].1 += rough(run);
        }
    }
    let ratio = |task: usize| match ratios[task] {
        (found, expected) if expected > 0.0 => found / expected,
        _ => 1.0,
    };
    part.iter().map(|&i| rough(&plan.runs[i]) * ratio(plan.runs[i].task)).collect()
}

/// Whether a run has a final result: it succeeded, or it failed and is not to be tried again.
pub fn is_done(record: &RunRecord, retry_failed: bool) -> bool {
    record.error.is_none() || !retry_failed
}

/// Runs what `part` of the plan is not among `known`, and appends to `journal`. `proceed` is asked
/// often; `false` stops the study, and loses the runs that are under way.
///
/// A run that fails is written down with its reason, and does not stop the others.
///
/// # Errors
/// If the file cannot be written, and when stopped.
pub fn run(
    bench: &mut Bench,
    plan: &Plan,
    journal: &mut Journal,
    known: &[RunRecord],
    options: Options,
    tell: &(dyn Fn(StudyEvent) + Sync),
    proceed: &(dyn Fn() -> bool + Sync),
) -> Result<Summary, StudyError> {
    let done = known.iter().filter(|record| is_done(record, options.retry_failed));
    let done: HashSet<&str> = done.map(|record| record.id.as_str()).collect();
    let part = plan.part(options.shard);
    let missing = |i: &usize| !done.contains(plan.runs[*i].id.as_str());
    let missing: Vec<usize> = part.iter().copied().filter(missing).collect();
    bench.prepare_for(missing.iter().map(|&i| &plan.runs[i]));
    let expected = expected_seconds(bench, plan, &missing, known);
    let seconds: HashMap<&str, f64> =
        missing.iter().map(|&i| plan.runs[i].id.as_str()).zip(expected.iter().copied()).collect();
    let total: f64 = expected.iter().sum();
    let found = part.len() - missing.len();
    let jobs = options.jobs.max(1);
    tell(StudyEvent::Begin { finished: found, total: part.len(), seconds: total / jobs as f64 });
    let state = Mutex::new(State {
        waiting: missing.iter().map(|&i| &plan.runs[i]).collect(),
        journal,
        summary: Summary { found, ..Summary::default() },
        expected: (0.0, total),
        begun: Instant::now(),
        problem: None,
    });
    let (bench, state_of_all, seconds) = (&*bench, &state, &seconds);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(move || work(bench, plan, state_of_all, seconds, tell, proceed));
        }
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.problem {
        Some(problem) => Err(problem),
        None if !state.waiting.is_empty() || !proceed() => Err(Cancelled.into()),
        None => Ok(state.summary),
    }
}

/// Takes runs until there are none.
fn work(
    bench: &Bench,
    plan: &Plan,
    state: &Mutex<State>,
    expected: &HashMap<&str, f64>,
    tell: &(dyn Fn(StudyEvent) + Sync),
    proceed: &(dyn Fn() -> bool + Sync),
) {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let run = {
            let mut state = lock();
            if state.problem.is_some() || !proceed() {
                return;
            }
            match state.waiting.pop_front() {
                Some(run) => run,
                None => return,
            }
        };
        let Some(record) = attempt(bench, plan, run, proceed) else {
            // What was cancelled is not finished.
            lock().waiting.push_front(run);
            return;
        };
        let record = Record::Run(Box::new(record));
        let mut state = lock();
        // Behind what another worker failed to write, nothing may follow.
        if state.problem.is_some() {
            return;
        }
        if let Err(problem) = state.journal.append(&record) {
            state.problem = Some(problem);
            return;
        }
        let Record::Run(record) = record else { return };
        match record.error {
            None => state.summary.succeeded += 1,
            Some(_) => state.summary.failed += 1,
        }
        let seconds = expected.get(run.id.as_str()).copied().unwrap_or(0.0);
        state.expected.0 += seconds;
        state.expected.1 -= seconds;
        // What is left takes as much longer than expected as what is finished took.
        let pace = state.begun.elapsed().as_secs_f64() / state.expected.0.max(1e-9);
        let summary = state.summary;
        let finished = summary.found + summary.succeeded + summary.failed;
        let seconds = (pace * state.expected.1).max(0.0);
        tell(StudyEvent::Finished { run: &record, finished, seconds });
    }
}

/// One run, or `None` if it was cancelled.
fn attempt(
    bench: &Bench,
    plan: &Plan,
    run: &Run,
    proceed: &(dyn Fn() -> bool + Sync),
) -> Option<RunRecord> {
    let mut seconds = BTreeMap::new();
    let execute = AssertUnwindSafe(|| bench.execute(run, &mut seconds, &|_| proceed()));
    let (measured, error) = match catch_unwind(execute) {
        Ok(Ok(measured)) => (Some(measured), None),
        Ok(Err(Error::Cancelled(_))) => return None,
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
            (None, Some(format!("panicked: {}", text.unwrap_or_default())))
        }
    };
    let task = &plan.tasks[run.task];
    Some(RunRecord {
        id: run.id.clone(),
        task: task.name.clone(),
        fingerprint: task.fingerprint.clone(),
        version: plan.producer.version.clone(),
        backend: plan.producer.backend.clone(),
        draw: run.draw,
        samples: run.samples,
        recipe: essentials(&run.recipe),
        measured,
        error,
        seconds,
    })
}
