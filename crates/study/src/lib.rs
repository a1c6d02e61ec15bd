//! Ablation studies for burn-ptq: which choice of a recipe matters, on which task, and whether the
//! difference is statistically significant.
//!
//! | file | what |
//! |---|---|
//! | `file` | the study file: tasks, a base recipe, experiments with axes |
//! | `recipes`, `fragment` | recipes made of pieces; laying one over the other, setting one key |
//! | `plan` | the runs that a study needs, each with an id that follows from what it computes |
//! | `record`, `journal` | what is known about a run, and the file that survives being killed |
//! | `merge` | joining such files |
//! | `bench` | tasks opened once, and what runs share |
//! | `runner`, `estimate` | running what is missing, and how long that takes |
//! | `results`, `analysis` | a file's records sorted; cells with means and verdicts |
//! | `report` | HTML, Markdown, CSV and JSON |
//! | `schema` | JSON schemas of study files and result lines, with the feature `schema` |
//!
//! The verdicts and the tests behind them are [`burn_ptq_eval::statistics`].

pub mod analysis;
mod bench;
mod estimate;
mod file;
mod fragment;
mod journal;
mod merge;
mod plan;
mod recipes;
mod record;
pub mod report;
mod results;
mod runner;
#[cfg(feature = "schema")]
pub mod schema;

pub use bench::Bench;
pub use file::{
    Axis, Case, Experiment, MAX_RUNS, MAX_STUDY_BYTES, Mode, Study, StudyError, TaskEntry,
};
pub use journal::{Journal, read};
pub use merge::{Merged, merge};
pub use plan::{Level, Plan, PlannedAxis, PlannedExperiment, Point, Run, Shard};
pub use record::{
    LayerNoise, Measured, Outcome, Producer, Record, RunRecord, StudyRecord, TaskRecord,
};
pub use results::Results;
pub use runner::{Options, StudyEvent, Summary, expected_seconds, is_done, run};

#[cfg(test)]
mod tests;
