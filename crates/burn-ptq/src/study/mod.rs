//! Ablation studies: which choice matters, on which task, and whether the difference is shown.
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
//! | `statistics` | paired bootstrap, Holm's correction |
//! | `analysis` | cells with means, deviations and verdicts |
//! | `report` | HTML, Markdown, CSV and JSON |

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
mod runner;
pub mod statistics;

pub use bench::Bench;
pub use file::{Axis, Case, Experiment, Mode, Study, StudyError, TaskEntry};
pub use journal::{Journal, read};
pub use merge::{Merged, merge};
pub use plan::{Level, Plan, PlannedAxis, PlannedExperiment, Point, Run, Shard};
pub use record::{
    Contents, LayerNoise, Measured, Outcome, Record, RunRecord, StudyRecord, TaskRecord,
};
pub use runner::{Options, StudyEvent, Summary, expected_seconds, run};

#[cfg(test)]
mod tests;
