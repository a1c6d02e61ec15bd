//! Tests of plans and journals, which need no network.

use std::collections::{BTreeMap, HashSet};

use super::analysis::{Analysis, Results, Verdict};
use super::*;
use crate::evaluate::Outcomes;
use crate::metric::Metric;

fn task(name: &str, calibration_samples: usize) -> TaskRecord {
    let correct: Vec<bool> = (0..200).map(|i| i % 10 != 0).collect();
    TaskRecord {
        name: name.into(),
        fingerprint: format!("{name}{calibration_samples}"),
        model_sha256: String::new(),
        calibration_sha256: String::new(),
        evaluation_sha256: String::new(),
        calibration_samples,
        evaluation_samples: 200,
        metric: Metric::Top1,
        anomalous: None,
        groups: Vec::new(),
        float: 0.9,
        outcomes: Outcome::pack(&Outcomes::Correct(correct)),
        seconds: BTreeMap::new(),
    }
}

const STUDY: &str = "\
name = 's'
draws = 3
seeds = 2
[base]
calibration.samples = 32
[[task]]
name = 'a'
folder = 'a'
[[task]]
name = 'b'
folder = 'b'
[[experiment]]
question = 'crossed'
[[experiment.axis]]
key = 'rounding'
values = ['nearest', 'stochastic']
[[experiment.axis]]
key = 'weights.bits'
values = [8, 4, 2]
[[experiment]]
question = 'one at a time'
mode = 'one-at-a-time'
tasks = ['b']
[[experiment.axis]]
key = 'calibration.samples'
values = [32, 64]
[[experiment.axis]]
key = 'weights.granularity'
values = ['per-channel', 'per-tensor']
";

fn plan() -> Plan {
    let study = Study::parse(STUDY, "s").unwrap();
    Plan::new(&study, vec![task("a", 100), task("b", 64)], "1").unwrap()
}

#[test]
fn shards_are_a_partition_of_the_runs_and_the_same_every_time() {
    let all: Vec<usize> = plan().part(None);
    for count in [1, 2, 3, 7, 100] {
        let shard = |index| plan().part(Some(Shard { index, count }));
        let mut joined: Vec<usize> = (1..=count).flat_map(shard).collect();
        joined.sort_unstable();
        assert_eq!(joined, all);
        let sizes = (1..=count).map(|index| shard(index).len());
        assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
    }
    let ids = |plan: &Plan| plan.runs.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&plan()), ids(&plan()));
    let distinct: HashSet<String> = ids(&plan()).into_iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn draws_and_seeds_are_repeated_only_where_they_matter() {
    let plan = plan();
    let runs = |experiment: usize, point: usize, task: usize| {
        plan.experiments[experiment].points[point].runs[task].len()
    };
    // Points turn fastest on the first axis: nearest and stochastic take turns.
    assert_eq!((runs(0, 0, 0), runs(0, 1, 0)), (3, 6));
    // Task b has 64 samples: there is one way to draw them all.
    assert_eq!((runs(1, 0, 0), runs(1, 1, 0), runs(1, 2, 0)), (3, 1, 3));
    // W8 by nearest rounding stands in both experiments, and is run once.
    assert_eq!(plan.experiments[0].points[0].runs[1], plan.experiments[1].points[0].runs[0]);
}

#[test]
fn points_are_compared_along_one_axis() {
    let plan = plan();
    for experiment in &plan.experiments {
        for point in &experiment.points {
            let reference = &experiment.points[point.reference];
            let differing = (0..point.levels.len())
                .filter(|&axis| point.levels[axis] != reference.levels[axis])
                .collect::<Vec<_>>();
            assert!(differing.is_empty() || differing == [point.axis]);
            assert_eq!(reference.levels[point.axis], 0);
        }
    }
    let references: Vec<usize> = plan.experiments[0].points.iter().map(|p| p.reference).collect();
    assert_eq!(references, [0, 0, 2, 2, 4, 4]);
}

#[test]
fn a_smaller_draw_is_part_of_a_larger_one() {
    let run = |draw, samples| Run { draw, samples, ..plan().runs[0].clone() };
    let chosen = |draw, samples| run(draw, samples).chosen(100);
    let [few, many] = [16, 64].map(|samples| chosen(1, samples));
    assert_eq!((few.len(), many.len()), (16, 64));
    assert!(few.iter().all(|sample| many.contains(sample)));
    assert!(many.is_sorted() && many.iter().all(|&sample| sample < 100));
    assert_ne!(chosen(0, 16), chosen(1, 16));
}

#[test]
fn only_one_process_writes_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.jsonl");
    let (mut journal, known) = Journal::open(&path).unwrap();
    assert!(known.is_empty());
    let record = Record::Study(StudyRecord { name: "s".into(), text: STUDY.into() });
    journal.append(&record).unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("another process is working on this study"), "{error}");
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().1, [record]);
}

/// A run that is right on all samples but every `wrong`th.
fn record(plan: &Plan, run: &Run, wrong: usize) -> Record {
    let correct: Vec<bool> = (0..200).map(|i| i % wrong != run.draw).collect();
    let metric = correct.iter().filter(|&&c| c).count() as f64 / 200.0;
    Record::Run(Box::new(RunRecord {
        id: run.id.clone(),
        task: plan.tasks[run.task].name.clone(),
        fingerprint: plan.tasks[run.task].fingerprint.clone(),
        version: "1".into(),
        draw: run.draw,
        samples: run.samples,
        recipe: String::new(),
        measured: Some(Measured {
            metric,
            outcomes: Outcome::pack(&Outcomes::Correct(correct)),
            flash_bytes: 1000,
            ram_bytes: 100,
            macs: 10,
            bit_operations: 640,
            layers: vec![("conv".into(), 8, Some(30.0))],
        }),
        error: None,
        seconds: BTreeMap::new(),
    }))
}

#[test]
fn verdicts_need_several_runs_and_a_difference() {
    let plan = plan();
    let study = StudyRecord { name: "s".into(), text: STUDY.into() };
    let mut records = vec![Record::Study(study)];
    records.extend(plan.tasks.iter().map(|t| Record::Task(Box::new(t.clone()))));
    // Two-bit weights are wrong three times as often, all else is like the float network.
    let wrong = |run: &Run| if run.recipe.weights.bits == 2 { 3 } else { 10 };
    records.extend(plan.runs.iter().map(|run| record(&plan, run, wrong(run))));
    let analysis = Analysis::new(&Results::new(records)).unwrap();
    assert_eq!((analysis.planned, analysis.finished), (plan.runs.len(), plan.runs.len()));
    for cell in &analysis.experiments[0].cells {
        let float = cell.float.unwrap();
        let expected =
            if cell.levels[1] == 2 { Verdict::Worse } else { Verdict::NoDifferenceShown };
        assert_eq!(float.verdict, expected, "{cell:?}");
        if let Some(against) = cell.against {
            assert_eq!(against.verdict, Verdict::NoDifferenceShown);
            assert!(against.adjusted_p >= against.p);
        }
    }
    let single = analysis.experiments[1].cells.iter().find(|c| c.runs == 1).unwrap();
    assert_eq!(single.against.unwrap().verdict, Verdict::OneRun);
    assert_eq!(single.float.unwrap().verdict, Verdict::OneRun);
}

#[test]
fn a_report_of_half_a_study_says_what_is_not_there() {
    let plan = plan();
    let study = StudyRecord { name: "<half>".into(), text: STUDY.into() };
    let mut records = vec![Record::Study(study)];
    records.extend(plan.tasks.iter().map(|t| Record::Task(Box::new(t.clone()))));
    records.extend(plan.runs.iter().take(4).map(|run| record(&plan, run, 5)));
    let folder = tempfile::tempdir().unwrap();
    let files = report::write(&Results::new(records), folder.path()).unwrap();
    assert_eq!(files.len(), report::FILES.len());
    let html = std::fs::read_to_string(&files[0]).unwrap();
    let lacking =
        format!("{} of the {} planned runs are not there", plan.runs.len() - 4, plan.runs.len());
    assert!(html.contains(&lacking) && html.contains("no result"));
    for no_number in ["NaN", "\"inf", ">inf", "-inf", " inf\""] {
        assert!(!html.contains(no_number), "{no_number} in {html}");
    }
}
