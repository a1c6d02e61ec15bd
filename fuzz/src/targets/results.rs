//! Result files of studies. What is accepted is analyzed and reported.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn_ptq_study::{
    Measured, Outcome, Plan, Producer, Record, Results, RunRecord, Study, StudyRecord,
};
use tempfile::TempDir;

use super::study::task;
use crate::mutate::Random;
use crate::text::damage;
use crate::{Target, damaged};

/// See the module.
pub const TARGET: Target = Target { name: "results", seeds, mutate, run };

const STUDY: &str = "name = 's'\ndraws = 2\n[base]\ncalibration.samples = 16\n[[task]]\n\
                     name = 'a'\nfolder = 'a'\n[[experiment]]\nquestion = 'q'\n\
                     [[experiment.axis]]\nkey = 'weights.bits'\nvalues = [8, 4, 2]\n";

fn seeds() -> Vec<Vec<u8>> {
    let study = Study::parse(STUDY, "seed").expect("a good study");
    let plan = Plan::new(&study, vec![task("a")], &Producer::default()).expect("it can be planned");
    let study = Record::Study(StudyRecord::new("s", STUDY));
    let runs = plan.runs.iter().enumerate().map(|(at, run)| {
        let correct: Vec<bool> = (0..100).map(|i| (i + at) % 9 != 0).collect();
        let measured = Measured {
            metric: 0.9 - 0.01 * at as f64,
            outcomes: Outcome::bits(&correct),
            flash_bytes: 1000 * (at + 1),
            ram_bytes: 2048,
            macs: 100_000,
            bit_operations: 6_400_000,
            layers: vec![("conv".into(), 8, Some(31.25)), ("dense".into(), 4, None)],
        };
        let failed = at == 5;
        Record::Run(Box::new(RunRecord {
            id: run.id.clone(),
            task: "a".into(),
            fingerprint: "0123456789abcdef".into(),
            version: plan.producer.version.clone(),
            backend: plan.producer.backend.clone(),
            draw: run.draw,
            samples: run.samples,
            recipe: "weights.bits = 4".into(),
            measured: (!failed).then_some(measured),
            error: failed.then(|| "it failed".into()),
            seconds: BTreeMap::from([("quantize".into(), 1.5), ("calibrate".into(), 0.5)]),
        }))
    });
    let records = [study, Record::Task(Box::new(task("a")))].into_iter().chain(runs);
    let line = |record| serde_json::to_string(&record).expect("it can be written") + "\n";
    vec![records.map(line).collect::<String>().into_bytes()]
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    damaged(random, seeds, damage)
}

fn run(input: &[u8]) -> bool {
    thread_local! {
        static FOLDER: RefCell<TempDir> =
            RefCell::new(tempfile::tempdir().expect("a temporary folder"));
    }
    FOLDER.with_borrow(|folder| {
        let path = folder.path().join("results.jsonl");
        std::fs::write(&path, input).expect("the temporary folder can be written");
        let Ok(records) = burn_ptq_study::read(&path) else { return false };
        let results = Results::new(records.into_iter().map(|(record, _)| record));
        burn_ptq_study::report::write(&results, folder.path()).is_ok()
    })
}
