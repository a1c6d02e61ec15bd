//! What a result file holds, sorted.

use std::collections::HashMap;

use super::file::{Study, StudyError, TaskEntry};
use super::plan::Plan;
use super::record::{Producer, Record, RunRecord, StudyRecord, TaskRecord};

/// What a result file holds, sorted.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The studies; the last is the present one.
    pub studies: Vec<StudyRecord>,
    /// The tasks; of those of a name, the last is the present one.
    pub tasks: Vec<TaskRecord>,
    /// The runs; of one that occurs twice the last.
    pub runs: Vec<RunRecord>,
    /// Whose runs a report is about; by default those of what made most of them.
    pub producer: Option<Producer>,
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

    /// The task of this name as it was last.
    pub fn task(&self, name: &str) -> Option<&TaskRecord> {
        self.tasks.iter().rfind(|task| task.name == name)
    }

    /// What the runs were made by, with the number of those that succeeded; first what made most of
    /// them, of several the one whose runs come last.
    pub fn producers(&self) -> Vec<(Producer, usize)> {
        let mut found: Vec<(Producer, usize)> = Vec::new();
        for run in &self.runs {
            let producer = run.producer();
            // Where a merge moved failures to the end, they say nothing about what is new.
            let succeeded = usize::from(run.error.is_none());
            match found.iter_mut().find(|(known, _)| *known == producer) {
                Some((_, count)) => *count += succeeded,
                None => found.push((producer, succeeded)),
            }
        }
        found.reverse();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }

    /// The plan of the last study on the tasks as they were, for [`producer`](Self::producer).
    ///
    /// # Errors
    /// If there is no study, or a task of it was not run.
    pub fn plan(&self) -> Result<Plan, StudyError> {
        let wrong = |problem: &str| StudyError::File {
            origin: "the result file".into(),
            problem: problem.into(),
        };
        let study = self.studies.last().ok_or_else(|| wrong("it names no study"))?;
        let study = Study::parse(&study.text, &study.name)?;
        let task = |entry: &TaskEntry| {
            let found = self.task(&entry.name).cloned();
            found.ok_or_else(|| wrong(&format!("task '{}' was not run", entry.name)))
        };
        let tasks = study.tasks.iter().map(task).collect::<Result<Vec<_>, _>>()?;
        let most = || self.producers().into_iter().next().map(|(producer, _)| producer);
        let producer = self.producer.clone().or_else(most);
        Plan::new(&study, tasks, &producer.unwrap_or_default())
    }
}
