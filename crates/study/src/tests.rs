//! Tests of plans and journals, which need no network.

use std::collections::{BTreeMap, HashSet};

use burn_ptq_eval::metric::Metric;
use burn_ptq_eval::metric::Outcomes;
use burn_ptq_eval::statistics::Verdict;

use super::analysis::Analysis;
use super::*;

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

fn producer(version: &str, backend: &str) -> Producer {
    Producer { version: version.into(), backend: backend.into() }
}

fn plan_by(producer: &Producer) -> Plan {
    let study = Study::parse(STUDY, "s").unwrap();
    Plan::new(&study, vec![task("a", 100), task("b", 64)], producer).unwrap()
}

fn plan() -> Plan {
    plan_by(&producer("1", "flex"))
}

#[test]
fn shards_are_a_partition_of_the_runs_and_the_same_every_time() {
    let all: Vec<usize> = plan().part(None);
    for count in [1, 2, 3, 7, 100] {
        let shard = |index| plan().part(Some(Shard { index, count }));
        let mut joined: Vec<usize> = (1..=count).flat_map(shard).collect();
        joined.sort_unstable();
        assert_eq!(joined, all);
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
    let record = Record::Study(StudyRecord::new("s", STUDY));
    journal.append(&record).unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("another process is working on this study"), "{error}");
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().1, [record]);
}

#[test]
fn merging_never_loses_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan();
    let write = |name: &str, records: &[Record]| {
        let path = folder.path().join(name);
        let lines = records.iter().map(|r| serde_json::to_string(r).unwrap() + "\n");
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path
    };
    let with = |runs: std::ops::Range<usize>| {
        let mut records = beginning(&plan);
        records.extend(plan.runs[runs].iter().map(|run| record(&plan, run, 5)));
        records
    };
    let [one, two] = [write("one", &with(0..3)), write("two", &with(2..5))];
    let out = write("results.jsonl", &with(4..8));
    let merged = merge(&[one.clone(), two.clone()], &out).unwrap();
    assert_eq!(merged, Merged { runs: 8, repeated: 2 });
    let whole = std::fs::read_to_string(&out).unwrap();
    // Again, and with itself: nothing changes.
    assert_eq!(merge(&[one.clone(), out.clone()], &out).unwrap().runs, 8);
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), whole.lines().count());

    // Files that are not studies are left unchanged, as input and as output.
    let note = folder.path().join("note");
    std::fs::write(&note, "one line\n").unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let before = std::fs::read_to_string(&out).unwrap();
    for wrong in [&note, &empty] {
        assert!(merge(&[one.clone(), wrong.clone()], &out).is_err());
        assert_eq!(std::fs::read_to_string(&out).unwrap(), before);
    }
    assert!(merge(std::slice::from_ref(&one), &note).is_err());
    assert_eq!(std::fs::read_to_string(&note).unwrap(), "one line\n");
    let fresh = folder.path().join("new").join("results.jsonl");
    assert!(merge(&[empty], &fresh).is_err());
    assert!(!fresh.exists() && !fresh.parent().unwrap().exists());

    // A study that runs is not merged over.
    let (journal, _) = Journal::open(&out).unwrap();
    let error = merge(&[one], &out).unwrap_err().to_string();
    assert!(error.contains("another process is working on this study"), "{error}");
    drop(journal);
}

#[test]
fn data_that_were_changed_and_changed_back_are_the_present_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.jsonl");
    let mut records = beginning(&plan());
    for samples in [90, 100] {
        records.push(Record::Task(Box::new(task("a", samples))));
    }
    let lines = records.iter().map(|r| serde_json::to_string(r).unwrap() + "\n");
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    merge(std::slice::from_ref(&path), &path).unwrap();
    let merged = Results::new(read(&path).unwrap().into_iter().map(|(record, _)| record));
    assert_eq!(merged.task("a").unwrap().calibration_samples, 100);
}

/// A run that is right on all samples but every `wrong`th.
fn record(plan: &Plan, run: &Run, wrong: usize) -> Record {
    let first = run.draw + run.recipe.seed as usize;
    let correct: Vec<bool> = (0..200).map(|i| i % wrong != first % wrong).collect();
    let metric = correct.iter().filter(|&&c| c).count() as f64 / 200.0;
    Record::Run(Box::new(RunRecord {
        id: run.id.clone(),
        task: plan.tasks[run.task].name.clone(),
        fingerprint: plan.tasks[run.task].fingerprint.clone(),
        version: plan.producer.version.clone(),
        backend: plan.producer.backend.clone(),
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
    let study = StudyRecord::new("s", STUDY);
    let mut records = vec![Record::Study(study)];
    records.extend(plan.tasks.iter().map(|t| Record::Task(Box::new(t.clone()))));
    // Two-bit weights are wrong three times as often, all else is like the float network.
    let wrong = |run: &Run| if run.recipe.weights.bits == 2 { 3 } else { 10 };
    records.extend(plan.runs.iter().map(|run| record(&plan, run, wrong(run))));
    let analysis = Analysis::new(&Results::new(records)).unwrap();
    assert_eq!((analysis.planned, analysis.finished), (plan.runs.len(), plan.runs.len()));
    // W8 on task b stands in both experiments, and one of the others has one draw.
    assert_eq!(analysis.float_comparisons, 12 + 1);
    for cell in &analysis.experiments[0].cells {
        let float = cell.float.unwrap();
        let expected =
            if cell.levels[1] == 2 { Verdict::Worse } else { Verdict::NoDifferenceShown };
        assert_eq!(float.verdict, expected, "{cell:?}");
        assert!(float.p > 0.0 && float.p <= float.adjusted_p);
        if let Some(against) = cell.against {
            assert_eq!(against.verdict, Verdict::NoDifferenceShown);
            assert!(against.adjusted_p >= against.p);
        }
    }
    let single = analysis.experiments[1].cells.iter().find(|c| c.runs == 1).unwrap();
    assert_eq!(single.against.unwrap().verdict, Verdict::OneDraw);
    assert_eq!(single.float.unwrap().verdict, Verdict::OneDraw);
}

/// The study's records without runs.
fn beginning(plan: &Plan) -> Vec<Record> {
    let mut records = vec![Record::Study(StudyRecord::new("s", STUDY))];
    records.extend(plan.tasks.iter().map(|t| Record::Task(Box::new(t.clone()))));
    records
}

#[test]
fn a_cell_has_one_verdict_against_the_float_network() {
    let plan = plan();
    let mut records = beginning(&plan);
    records.extend(plan.runs.iter().map(|run| record(&plan, run, 4)));
    let analysis = Analysis::new(&Results::new(records)).unwrap();
    let [crossed, single] = &analysis.experiments[..] else { panic!() };
    let claim = |e: &super::analysis::ExperimentResult, levels: &[usize]| {
        e.cells.iter().find(|c| c.task == 1 && c.levels == levels).unwrap().float
    };
    let found = claim(crossed, &[0, 0]);
    assert!(found.is_some());
    // The numbers of comparisons differ by experiment.
    assert_eq!(found, claim(single, &[0, 0]));
}

#[test]
fn the_same_results_are_no_comparison() {
    let plan = plan();
    let mut records = beginning(&plan);
    records.extend(plan.runs.iter().map(|run| {
        // All weights of 4 bits give what 8 bits give by nearest rounding.
        let seedless = Run { recipe: plan.runs[0].recipe.clone(), ..run.clone() };
        record(&plan, &seedless, if run.recipe.weights.bits == 2 { 4 } else { 10 })
    }));
    let results = Results::new(records);
    let analysis = Analysis::new(&results).unwrap();
    let crossed = &analysis.experiments[0];
    for cell in crossed.cells.iter().filter(|c| c.against.is_some()) {
        assert_eq!(cell.against.unwrap().verdict, Verdict::SameResults);
    }
    assert_eq!(crossed.comparisons, 0);
    let folder = tempfile::tempdir().unwrap();
    let files = report::write(&results, folder.path()).unwrap();
    let markdown = std::fs::read_to_string(&files[1]).unwrap();
    assert!(markdown.contains("| same results |"), "{markdown}");
}

#[test]
fn seeds_of_one_draw_claim_nothing() {
    let text = STUDY.replace("draws = 3", "draws = 1").replace("seeds = 2", "seeds = 6");
    let study = Study::parse(&text, "s").unwrap();
    let tasks = vec![task("a", 100), task("b", 64)];
    let plan = Plan::new(&study, tasks, &producer("1", "flex")).unwrap();
    let mut records = vec![Record::Study(StudyRecord::new("s", &text))];
    records.extend(plan.tasks.iter().map(|t| Record::Task(Box::new(t.clone()))));
    let wrong = |run: &Run| if run.recipe.weights.bits == 2 { 2 } else { 10 };
    records.extend(plan.runs.iter().map(|run| record(&plan, run, wrong(run))));
    let analysis = Analysis::new(&Results::new(records)).unwrap();
    let cells = &analysis.experiments[0].cells;
    assert!(cells.iter().any(|cell| cell.runs == 6));
    for claim in cells.iter().flat_map(|cell| [cell.float, cell.against]).flatten() {
        assert_eq!(claim.verdict, Verdict::OneDraw);
    }
}

#[test]
fn a_report_is_about_what_made_most_runs_and_names_the_others() {
    let (old, new) = (plan_by(&producer("1", "flex")), plan_by(&producer("2", "flex")));
    let mut records = beginning(&old);
    records.extend(old.runs.iter().take(3).map(|run| record(&old, run, 5)));
    records.extend(new.runs.iter().map(|run| record(&new, run, 5)));
    // A merge moves what failed to the end.
    let Record::Run(mut failed) = record(&old, &old.runs[9], 5) else { panic!() };
    (failed.measured, failed.error) = (None, Some("line\nof many".into()));
    records.push(Record::Run(failed));
    let results = Results::new(records);
    let analysis = Analysis::new(&results).unwrap();
    assert_eq!((&*analysis.version, analysis.finished), ("2", new.runs.len()));
    assert_eq!(analysis.others, [(producer("1", "flex"), 3)]);
    let folder = tempfile::tempdir().unwrap();
    let files = report::write(&results, folder.path()).unwrap();
    let html = std::fs::read_to_string(&files[0]).unwrap();
    assert!(html.contains("also holds 3 runs of burn-ptq 1 on the backend flex"));
}

#[test]
fn reasons_of_several_lines_stay_in_their_row() {
    let plan = plan();
    let mut records = beginning(&plan);
    let Record::Run(mut failed) = record(&plan, &plan.runs[0], 5) else { panic!() };
    (failed.measured, failed.error) = (None, Some("a reason\n  of | two lines".into()));
    records.push(Record::Run(failed));
    let folder = tempfile::tempdir().unwrap();
    let files = report::write(&Results::new(records), folder.path()).unwrap();
    let markdown = std::fs::read_to_string(&files[1]).unwrap();
    assert!(markdown.contains("| a reason of \\| two lines |\n"), "{markdown}");
}

#[test]
fn single_runs_are_not_on_a_front() {
    let plan = plan();
    let mut records = beginning(&plan);
    // All samples can be taken in one way: the only cell of one run, and the best of its task.
    let alone = plan.experiments[1].points[1].runs[0][0];
    records.extend(plan.runs.iter().enumerate().map(|(at, run)| {
        let mut found = record(&plan, run, 5);
        if let (Record::Run(run), true) = (&mut found, at == alone) {
            let measured = run.measured.as_mut().unwrap();
            (measured.metric, measured.flash_bytes) = (0.99, 500);
        }
        found
    }));
    let folder = tempfile::tempdir().unwrap();
    let files = report::write(&Results::new(records), folder.path()).unwrap();
    let html = std::fs::read_to_string(&files[0]).unwrap();
    assert!(html.contains("class=\"point single\""));
    let (_, section) = html.split_once("<h2>What does flash buy?</h2>").unwrap();
    let (section, _) = section.split_once("</section>").unwrap();
    assert!(!section.contains("99.0 (1)"), "{section}");
}

#[test]
fn noise_by_layer_is_shown_when_axes_are_varied_one_at_a_time() {
    let text = "name = 's'\ndraws = 2\n[[task]]\nname = 'a'\nfolder = 'a'\n[[experiment]]\n\
                question = 'q'\nmode = 'one-at-a-time'\n[[experiment.axis]]\nkey = 'weights.bits'\n\
                values = [8, 4, 2]\n[[experiment.axis]]\nkey = 'rounding'\n\
                values = ['nearest', 'stochastic']";
    let study = Study::parse(text, "s").unwrap();
    let plan = Plan::new(&study, vec![task("a", 100)], &producer("1", "flex")).unwrap();
    let mut records = vec![Record::Study(StudyRecord::new("s", text))];
    records.push(Record::Task(Box::new(plan.tasks[0].clone())));
    records.extend(plan.runs.iter().map(|run| record(&plan, run, 5)));
    let folder = tempfile::tempdir().unwrap();
    let files = report::write(&Results::new(records), folder.path()).unwrap();
    let markdown = std::fs::read_to_string(&files[1]).unwrap();
    assert!(markdown.contains("| # | layer | weights.bits 8, nearest |"), "{markdown}");
}

#[test]
fn more_calibration_samples_than_there_are_are_refused() {
    let study = Study::parse(STUDY, "s").unwrap();
    let tasks = vec![task("a", 100), task("b", 63)];
    let error = Plan::new(&study, tasks, &producer("1", "flex")).unwrap_err().to_string();
    let expected = "experiment 'one at a time': calibration.samples is 64, but task 'b' has 63 \
                    calibration samples: take at most as many";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_backend_makes_other_runs_and_old_records_are_of_the_first() {
    let ids = |backend: &str| {
        plan_by(&producer("1", backend)).runs.into_iter().map(|r| r.id).collect::<HashSet<_>>()
    };
    assert!(ids("flex").is_disjoint(&ids("ndarray")));
    // Ids on the first backend are what they were before backends were told apart.
    let Run { id, recipe, samples, .. } = &plan().runs[0];
    let parts = ["1", "a", "a100", &recipe.to_toml(), "0", &samples.to_string()];
    assert_eq!(*id, super::plan::digest(&parts));
    let plan = plan_by(&producer("1", "ndarray"));
    for (plan, named) in [(&self::plan(), false), (&plan, true)] {
        let line = serde_json::to_string(&record(plan, &plan.runs[0], 5)).unwrap();
        assert_eq!(line.contains("\"backend\":\"ndarray\""), named, "{line}");
        let Record::Run(run) = serde_json::from_str(&line).unwrap() else { panic!() };
        assert_eq!(run.producer(), plan.producer);
    }
}

#[test]
fn shards_get_every_value_of_every_axis() {
    let study = Study::parse(
        "name = 's'\ndraws = 4\n[base]\ncalibration.samples = 32\n[[task]]\nname = 'a'\nfolder = 'a'\n\
         [[experiment]]\nquestion = 'q'\n[[experiment.axis]]\nkey = 'rounding'\n\
         values = ['nearest', 'adaround']\n[[experiment.axis]]\nkey = 'weights.bits'\n\
         values = [8, 7, 6, 5, 4, 3, 2]",
        "s",
    );
    let tasks = vec![task("a", 100)];
    let plan = Plan::new(&study.unwrap(), tasks, &producer("1", "flex")).unwrap();
    // In the order of the plan, one of two shards would get all of the slow roundings.
    for index in [1, 2] {
        let part = plan.part(Some(Shard { index, count: 2 }));
        assert!(part.is_sorted());
        let slow = part.iter().filter(|&&i| plan.runs[i].recipe.rounding.name() == "adaround");
        assert!((7..=21).contains(&slow.count()));
    }
}

#[test]
fn a_study_that_grows_leaves_finished_runs_in_their_shards() {
    let part = |plan: &Plan| -> HashSet<String> {
        let part = plan.part(Some(Shard { index: 1, count: 3 }));
        part.into_iter().map(|run| plan.runs[run].id.clone()).collect()
    };
    let small = plan();
    let study = Study::parse(&STUDY.replace("draws = 3", "draws = 5"), "s").unwrap();
    let grown = Plan::new(&study, small.tasks.clone(), &small.producer).unwrap();
    assert!(grown.runs.len() > small.runs.len());
    assert!(part(&small).is_subset(&part(&grown)));
    assert!(!part(&small).is_empty());
}

#[test]
fn a_report_of_half_a_study_says_what_is_not_there() {
    let plan = plan();
    let study = StudyRecord::new("<half>", STUDY);
    let mut records = vec![Record::Study(study)];
    records.extend(plan.tasks.iter().map(|t| Record::Task(Box::new(t.clone()))));
    records.extend(plan.runs.iter().take(4).map(|run| record(&plan, run, 5)));
    let folder = tempfile::tempdir().unwrap();
    let files = report::write(&Results::new(records), folder.path()).unwrap();
    assert_eq!(files.len(), report::FILES.len());
    let html = std::fs::read_to_string(&files[0]).unwrap();
    let lacking =
        format!("{} of the {} planned runs are missing", plan.runs.len() - 4, plan.runs.len());
    assert!(html.contains(&lacking) && html.contains("no result"));
    for no_number in ["NaN", "\"inf", ">inf", "-inf", " inf\""] {
        assert!(!html.contains(no_number), "{no_number} in {html}");
    }
}
