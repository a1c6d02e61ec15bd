//! Study files. What is accepted is planned.

use std::collections::BTreeMap;

use burn_ptq_eval::metric::Metric;
use burn_ptq_study::{Outcome, Plan, Producer, Study, TaskRecord};

use crate::mutate::Random;
use crate::text::damage;
use crate::{Target, damaged};

/// See the module.
pub const TARGET: Target = Target { name: "study", seeds, mutate, run };

fn seeds() -> Vec<Vec<u8>> {
    let smoke = include_str!("../../../studies/smoke.toml");
    let small = "name = 's'\ndraws = 2\nseeds = 2\nevaluation_samples = 9\npreset = 'w4a8'\n[[task]]\n\
                 name = 'a'\nmodel = 'm.onnx'\nevaluation = 'x.npy'\nlabels = 'y.npy'\n[[task]]\n\
                 name = 'b'\nfolder = 'b'\nmetric = 'auc'\nwindow_frames = 5\n[[experiment]]\n\
                 question = 'q'\nmode = 'one-at-a-time'\ntasks = ['a']\nset = { weights.bits = 4 }\n\
                 [[experiment.axis]]\nkey = 'seed'\nvalues = [1, 2, 3]\n[[experiment.axis]]\n\
                 name = 'n'\ncases = [{ name = 'x' }, { name = 'y', set = { activations.bits = 16 } }]\n";
    vec![smoke.as_bytes().to_vec(), small.as_bytes().to_vec()]
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    damaged(random, seeds, damage)
}

fn run(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(study) = Study::parse(text, "fuzz") else { return false };
    let tasks = study.tasks.iter().map(|entry| task(&entry.name)).collect();
    let Ok(plan) = Plan::new(&study, tasks, &Producer::default()) else { return true };
    let runs = plan.experiments.iter().flat_map(|e| &e.points).flat_map(|p| &p.runs).flatten();
    assert!(runs.into_iter().all(|&run| run < plan.runs.len()), "a run that is not planned");
    true
}

/// What is known of a task of a hundred samples.
pub(super) fn task(name: &str) -> TaskRecord {
    let correct: Vec<bool> = (0..100).map(|i| i % 7 != 0).collect();
    TaskRecord {
        name: name.into(),
        fingerprint: "0123456789abcdef".into(),
        model_sha256: "00".into(),
        calibration_sha256: "11".into(),
        evaluation_sha256: "22".into(),
        calibration_samples: 100,
        evaluation_samples: 100,
        metric: Metric::Top1,
        anomalous: None,
        groups: Vec::new(),
        float: 0.86,
        outcomes: Outcome::bits(&correct),
        seconds: BTreeMap::new(),
    }
}
