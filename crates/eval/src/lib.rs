//! Evaluation for burn-ptq: data files, metrics, and whole jobs from a task folder to a report.
//!
//! [`burn_ptq`] quantizes a graph with batches that somebody hands it, and touches no files besides
//! models. This crate knows files: it reads samples and labels in common formats
//! ([`data`]), turns raw samples into a model's inputs as a task says ([`task`], [`input`]), judges the
//! float, the simulated and the integer network alike ([`evaluate`], [`metric`]), quantizes what a task
//! holds ([`opened`]), and runs the whole of it as a [`job`], whose [`report`] is `report.json`. It also sets
//! models and reports side by side ([`compare`]).
//!
//! ```no_run
//! use burn::tensor::Device;
//! use burn_ptq::Recipe;
//! use burn_ptq_eval::job::{self, Job};
//! use burn_ptq_eval::task::Task;
//!
//! let job = Job {
//!     task: Task::open("tasks/kws".as_ref())?,
//!     recipe: Recipe::preset("w4a8")?,
//!     exports: vec!["c".into()],
//!     explain: false,
//!     keep_all_channels: false,
//!     out: Some("out".into()),
//! };
//! let (report, _) = job::run(&job, &Device::default(), &|_| true)?;
//! println!("{:?} of {:?}", report.integer, report.float);
//! # Ok::<(), burn_ptq_eval::Error>(())
//! ```
//!
//! # Features
//!
//! `ndarray` and `wgpu` add Burn's backends of that name, as they do for [`burn_ptq`]. `schema` adds JSON
//! schemas of `task.toml` and `report.json`.

pub mod board;
pub mod compare;
pub mod costs;
pub mod data;
mod error;
pub mod evaluate;
pub mod explain;
pub mod fit;
pub mod input;
pub mod job;
pub mod metric;
pub mod opened;
pub mod page;
pub mod plot;
pub mod program;
pub mod report;
mod sampling_error;
#[cfg(feature = "schema")]
pub mod schema;
mod spread;
pub mod statistics;
pub mod task;
pub mod warnings;

pub use error::Error;
