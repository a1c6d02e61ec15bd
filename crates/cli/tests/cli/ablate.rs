//! `burn-ptq ablate`: the small study of the repository, killed, cut into shards, and wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{burn_ptq, demo, stderr, stdout};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn smoke() -> PathBuf {
    root().join("studies/smoke.toml")
}

fn ablate(study: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = burn_ptq();
    command.arg("ablate").arg(study).arg("--out").arg(out).args(more);
    command
}

pub(crate) fn finished(output: Output) -> String {
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// The records of a result file, without times.
fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let parse = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().remove("seconds");
        record
    };
    text.lines().map(parse).collect()
}

/// The same, in an order that does not depend on when they were written.
pub(crate) fn sorted(path: &Path) -> Vec<String> {
    let mut lines: Vec<String> = records(path).iter().map(Value::to_string).collect();
    lines.sort();
    lines
}

/// How often each run occurs in a file.
pub(crate) fn ids(path: &Path) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    let text = std::fs::read_to_string(path).unwrap_or_default();
    for line in text.lines() {
        // The last line may be torn by a kill.
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        if record["kind"] == "run" {
            *ids.entry(record["id"].as_str().unwrap().to_string()).or_default() += 1;
        }
    }
    ids
}

#[test]
fn two_jobs_give_the_same_results_as_one_and_a_second_start_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let said = finished(ablate(&smoke(), &one, &[]).output().unwrap());
    assert!(said.starts_with("31 runs:"), "the small study is kept small: {said}");
    assert!(said.contains(" 0 finished before") && said.contains(" 0 failed now"), "{said}");
    finished(ablate(&smoke(), &two, &["--jobs", "2"]).output().unwrap());
    assert_eq!(sorted(&one.join("results.jsonl")), sorted(&two.join("results.jsonl")));
    // A second start finds everything done and changes nothing.
    let before = std::fs::read(one.join("results.jsonl")).unwrap();
    let said = finished(ablate(&smoke(), &one, &[]).output().unwrap());
    assert!(said.contains(" 0 succeeded now"), "{said}");
    assert_eq!(std::fs::read(one.join("results.jsonl")).unwrap(), before);
}

#[test]
fn twenty_kills_at_random_moments_lose_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let clock = Instant::now();
    finished(ablate(&smoke(), &whole, &[]).output().unwrap());
    let whole_time = clock.elapsed();
    let expected = ids(&whole.join("results.jsonl"));

    let killed = folder.path().join("killed");
    let file = killed.join("results.jsonl");
    // A fixed sequence of odd numbers: the moments are as random as the machine makes them.
    let mut random: u32 = 2_654_435_769;
    let (mut kills, mut starts, mut between) = (0, 0, 0);
    let mut known = BTreeMap::new();
    while kills < 20 {
        starts += 1;
        assert!(starts < 200, "the study ends before it can be killed: {kills} kills");
        if known.len() == expected.len() {
            // It came to its end between two kills: once more from the beginning.
            std::fs::remove_dir_all(&killed).unwrap();
            known.clear();
        }
        let mut child = ablate(&smoke(), &killed, &["--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let share = f64::from(random) / f64::from(u32::MAX);
        if starts % 2 == 0 {
            // Half of them while runs come to their ends, however long it takes to get there.
            while ids(&file).len() == known.len() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(whole_time.mul_f64(0.05 * share));
        } else {
            std::thread::sleep(whole_time.mul_f64(0.3 * share) + Duration::from_millis(2));
        }
        // Nothing can be done about SIGKILL: no handler runs.
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let killed_now = status.code().is_none();
        kills += usize::from(killed_now);
        let now = ids(&file);
        let some_and_not_all = now.len() > known.len() && now.len() < expected.len();
        between += usize::from(killed_now && some_and_not_all);
        for id in known.keys() {
            assert!(now.contains_key(id), "run {id} was finished and is lost");
        }
        assert!(now.values().all(|&times| times == 1), "a run was repeated: {now:?}");
        known = now;
    }
    println!(
        "{kills} kills in {starts} starts, {between} of them between the first and the last run of a \
         process; {} runs survived the last",
        known.len()
    );
    let said = finished(ablate(&smoke(), &killed, &[]).output().unwrap());
    assert!(said.contains(&format!(" {} finished before", known.len())), "{said}");
    assert_eq!(ids(&file), expected);
    assert_eq!(sorted(&file), sorted(&whole.join("results.jsonl")));
}

#[test]
fn a_torn_line_is_cut_off_and_its_run_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.jsonl");
    finished(ablate(&smoke(), folder.path(), &[]).output().unwrap());
    let bytes = std::fs::read(&file).unwrap();
    let expected = sorted(&file);
    for cut in [1, 2, 200] {
        std::fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
        let said = finished(ablate(&smoke(), folder.path(), &[]).output().unwrap());
        assert!(said.contains(" 1 succeeded now"), "{said}");
        assert_eq!(sorted(&file), expected);
    }
    // Damage before the last line is not a torn write, and nothing is discarded.
    let mut damaged = bytes.clone();
    damaged[3] = b'#';
    std::fs::write(&file, &damaged).unwrap();
    let output = ablate(&smoke(), folder.path(), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("line 1 is not a record"), "{}", stderr(&output));
    assert_eq!(std::fs::read(&file).unwrap(), damaged);
}

#[test]
fn a_foreign_file_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.jsonl");
    let other = folder.path().join("other.jsonl");
    for text in ["{\"loss\": 0.5}\n", "{\"loss\": 0.5}", "notes\n", "notes"] {
        for path in [&file, &other] {
            std::fs::write(path, text).unwrap();
        }
        let run = ablate(&smoke(), folder.path(), &[]).output().unwrap();
        let mut merge = burn_ptq();
        merge.args(["ablate", "merge"]).arg(&other).arg("--out").arg(folder.path());
        for (output, named) in [(run, "results.jsonl"), (merge.output().unwrap(), "other.jsonl")] {
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            assert!(stderr(&output).contains(named), "{}", stderr(&output));
            assert!(stderr(&output).contains("line 1 is not a record"), "{}", stderr(&output));
        }
        for path in [&file, &other] {
            assert_eq!(std::fs::read_to_string(path).unwrap(), text);
        }
    }
}

#[test]
fn merging_into_the_folder_of_a_study_keeps_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, out] = ["whole", "out"].map(|name| folder.path().join(name));
    finished(ablate(&smoke(), &whole, &[]).output().unwrap());
    finished(ablate(&smoke(), &out, &["--shard", "1/2"]).output().unwrap());
    let part = out.join("results-1-of-2.jsonl");
    // A study that was run unsharded before stands in the same folder, all of it.
    std::fs::copy(whole.join("results.jsonl"), out.join("results.jsonl")).unwrap();
    let mut merge = burn_ptq();
    merge.args(["ablate", "merge"]).arg(&part).arg("--out").arg(&out);
    finished(merge.output().unwrap());
    assert_eq!(sorted(&out.join("results.jsonl")), sorted(&whole.join("results.jsonl")));
    let said = finished(ablate(&smoke(), &out, &[]).output().unwrap());
    assert!(said.contains(" 0 succeeded now"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_whole_lines_and_the_study_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, out] = ["whole", "out"].map(|name| folder.path().join(name));
    finished(ablate(&smoke(), &whole, &[]).output().unwrap());
    let size = std::fs::metadata(whole.join("results.jsonl")).unwrap().len();
    // Files may grow to half of what is needed, in blocks of 512 bytes; a write beyond is cut short.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", size / 1024);
    let mut command = Command::new("sh");
    command.args(["-c", &limit, "sh", env!("CARGO_BIN_EXE_burn-ptq"), "ablate"]);
    command.arg(smoke()).arg("--out").arg(&out).args(["--jobs", "4"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("results.jsonl"), "{}", stderr(&output));
    let file = out.join("results.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.ends_with('\n') && !ids(&file).is_empty(), "{text}");
    records(&file);
    finished(ablate(&smoke(), &out, &[]).output().unwrap());
    assert_eq!(sorted(&file), sorted(&whole.join("results.jsonl")));
}

#[test]
fn merged_shards_are_the_whole_study() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, parts, merged] = ["whole", "parts", "merged"].map(|n| folder.path().join(n));
    finished(ablate(&smoke(), &whole, &[]).output().unwrap());
    for shard in ["1/2", "2/2"] {
        finished(ablate(&smoke(), &parts, &["--shard", shard]).output().unwrap());
    }
    let files = ["results-1-of-2.jsonl", "results-2-of-2.jsonl"].map(|name| parts.join(name));
    let counts = files.each_ref().map(|file| ids(file).len());
    assert!(counts[0].abs_diff(counts[1]) <= 1, "{counts:?}");
    let mut merge = burn_ptq();
    merge.args(["ablate", "merge"]).args(&files).arg("--out").arg(&merged);
    finished(merge.output().unwrap());
    let [merged, whole] = [merged, whole].map(|f| f.join("results.jsonl"));
    assert_eq!(sorted(&merged), sorted(&whole));
    // Merging again, with everything twice, adds nothing.
    let again = folder.path().join("again");
    let mut merge = burn_ptq();
    merge.args(["ablate", "merge"]).arg(&whole).args(&files).arg("--out").arg(&again);
    let said = finished(merge.output().unwrap());
    assert!(said.contains(&format!("{} were in several files", counts[0] + counts[1])), "{said}");
    assert_eq!(sorted(&again.join("results.jsonl")), sorted(&whole));
}

/// A study on the demo with one experiment.
fn study(folder: &Path, experiment: &str) -> PathBuf {
    let path = folder.join("study.toml");
    let text = format!(
        "name = 's'\ndraws = 2\n[base]\ncalibration.samples = 32\n[[task]]\nname = 'digits'\n\
         folder = '{}'\n[[experiment]]\nquestion = 'q'\n{experiment}",
        demo().display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_failing_run_is_recorded_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    // The second names a layer that is not there, which only the model can tell.
    let axis = "[[experiment.axis]]\nname = 'layer'\ncases = [{ name = 'all' }, { name = 'wrong', \
                set = { layer = [{ name = 'no_such_layer', weights = 8 }] } }]";
    let path = study(folder.path(), axis);
    let out = folder.path().join("out");
    let said = finished(ablate(&path, &out, &[]).output().unwrap());
    assert!(said.contains("2 succeeded now, 2 failed now"), "{said}");
    let failed: Vec<Value> = records(&out.join("results.jsonl"))
        .into_iter()
        .filter(|r| r["error"].is_string())
        .collect();
    assert_eq!(failed.len(), 2);
    assert!(failed[0]["error"].as_str().unwrap().contains("matches no layer"), "{failed:?}");
    // It is not tried again, unless one asks for it.
    let said = finished(ablate(&path, &out, &[]).output().unwrap());
    assert!(said.contains("4 finished before"), "{said}");
    let dry = |more: &[&str]| {
        let said =
            finished(ablate(&path, &out, &[&["--dry-run"], more].concat()).output().unwrap());
        [" failed", " finished"].map(|state| said.lines().filter(|l| l.ends_with(state)).count())
    };
    assert_eq!((dry(&[]), dry(&["--retry-failed"])), ([2, 2], [0, 2]));
    let said = finished(ablate(&path, &out, &["--retry-failed"]).output().unwrap());
    assert!(said.contains("2 finished before, 0 succeeded now, 2 failed now"), "{said}");
}

#[test]
fn budgets_are_an_axis() {
    let folder = tempfile::tempdir().unwrap();
    let axis = "set = { fit.target = 'm4', fit.presets = true }\n[[experiment.axis]]\n\
                key = 'fit.flash'\nvalues = [1000000, 22000, 1000]";
    let path = study(folder.path(), axis);
    let text = std::fs::read_to_string(&path).unwrap().replace("draws = 2", "draws = 1");
    std::fs::write(&path, text).unwrap();
    let out = folder.path().join("out");
    let said = finished(ablate(&path, &out, &["--jobs", "2"]).output().unwrap());
    assert!(said.contains("2 succeeded now, 1 failed now"), "{said}");
    let runs = records(&out.join("results.jsonl"));
    let run_of = |flash: &str| {
        let has =
            |run: &&Value| run["recipe"].as_str().is_some_and(|recipe| recipe.contains(flash));
        runs.iter().find(has).unwrap_or_else(|| panic!("no run of {flash}"))
    };
    let flash = |run: &Value| run["measured"]["flash_bytes"].as_u64().unwrap();
    let [free, tight] = ["1000000", "22000"].map(|budget| flash(run_of(budget)));
    assert!(tight < free && tight < 22_000, "{tight} {free}");
    let error = run_of("flash = 1000\n")["error"].as_str().unwrap();
    assert!(error.contains("1000 bytes of flash"), "{error}");
}

#[test]
fn a_study_may_grow_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let axis =
        |values: &str| format!("[[experiment.axis]]\nkey = 'weights.bits'\nvalues = {values}");
    let out = folder.path().join("out");
    finished(ablate(&study(folder.path(), &axis("[8, 4]")), &out, &[]).output().unwrap());
    let grown = study(folder.path(), &axis("[8, 4, 2]"));
    let said = finished(ablate(&grown, &out, &[]).output().unwrap());
    assert!(said.contains("4 finished before, 2 succeeded now"), "{said}");
}

#[test]
fn a_dry_run_lists_the_runs_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let said = finished(ablate(&smoke(), &out, &["--dry-run"]).output().unwrap());
    let runs = said.lines().filter(|line| line.contains(" digits ")).count();
    assert!(said.contains(&format!("{runs} runs of 3 experiments on 1 tasks; about ")), "{said}");
    assert!(!out.exists());
}

#[test]
fn wrong_studies_and_options_are_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let refused = |command: &mut Command, message: &str| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    };
    let axis = "[[experiment.axis]]\nkey = 'weights.bitz'\nvalues = [4]";
    let wrong = study(folder.path(), axis);
    refused(&mut ablate(&wrong, &out, &[]), "did you mean `bits`?");
    let wrong = study(folder.path(), "colour = 'red'");
    refused(&mut ablate(&wrong, &out, &[]), "unknown field `colour`");
    refused(&mut ablate(Path::new("nowhere.toml"), &out, &[]), "cannot read the study");
    refused(&mut ablate(&smoke(), &out, &["--shard", "3/2"]), "expected i/n with i from 1 to n");
    refused(&mut ablate(&smoke(), &out, &["--jobs", "0"]), "0 is not in 1..=64");
    let nowhere = ["--assets", "/nowhere"];
    refused(&mut ablate(&smoke(), &out, &nowhere), "task 'digits': ");
    let many = "[[experiment.axis]]\nkey = 'calibration.samples'\nvalues = [32, 100000]";
    let wrong = study(folder.path(), many);
    refused(
        &mut ablate(&wrong, &out, &[]),
        "calibration.samples is 100000, but task 'digits' has ",
    );
    refused(&mut ablate(&wrong, &out, &["--dry-run"]), "take at most as many");
    assert!(!out.exists());
}

#[test]
fn ctrl_c_keeps_every_finished_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.jsonl");
    let child = ablate(&smoke(), folder.path(), &[])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while ids(&file).len() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).output();
    assert!(interrupt.is_ok());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(stderr(&output).contains("every finished run is kept"), "{}", stderr(&output));
    let before = ids(&file).len();
    let said = finished(ablate(&smoke(), folder.path(), &[]).output().unwrap());
    assert!(said.contains(&format!(" {before} finished before")), "{said}");
}

#[test]
fn a_run_is_what_quantize_gives() {
    let folder = tempfile::tempdir().unwrap();
    // All calibration samples, so that both take them in the order of the file.
    let study = folder.path().join("study.toml");
    let text = format!(
        "name = 's'\n[[task]]\nname = 'digits'\nfolder = '{}'\n[[experiment]]\nquestion = 'q'\n\
         [[experiment.axis]]\nkey = 'rounding'\nvalues = ['nearest', 'gptq', 'obq']\n\
         [[experiment.axis]]\nkey = 'weights.bits'\nvalues = [4, 2]",
        demo().display()
    );
    std::fs::write(&study, text).unwrap();
    let out = folder.path().join("out");
    finished(ablate(&study, &out, &["--jobs", "2"]).output().unwrap());
    let runs = records(&out.join("results.jsonl")).into_iter().filter(|r| r["kind"] == "run");
    let mut count = 0;
    for run in runs {
        // What the line says is enough to repeat the run, with a calibration of its own.
        let recipe = folder.path().join("recipe.toml");
        std::fs::write(&recipe, run["recipe"].as_str().unwrap()).unwrap();
        let mut quantize = burn_ptq();
        quantize.args(["quantize", "--json", "--task"]).arg(demo()).arg("--recipe").arg(&recipe);
        let said = finished(quantize.arg("--out").arg(folder.path().join("q")).output().unwrap());
        let report: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(report["integer"], run["measured"]["metric"], "{run}");
        assert_eq!(report["flash_bytes"], run["measured"]["flash_bytes"]);
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn the_report_is_one_file_with_plots_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    finished(ablate(&smoke(), folder.path(), &["--jobs", "2"]).output().unwrap());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let html = read("report.html");
    // Nothing is fetched: the only address is the name of SVG's vocabulary.
    let addresses = html.replace("http://www.w3.org/2000/svg", "");
    for elsewhere in ["http:", "https:", "<script", "<link", "<img", "url("] {
        assert!(!addresses.contains(elsewhere), "{elsewhere}");
    }
    assert!(html.contains("width=device-width") && html.matches("<svg").count() >= 6);
    let markdown = read("report.md");
    for question in ["Which rounding of 2-bit weights?", "How many bits?"] {
        assert!(html.contains(question) && markdown.contains(question));
    }
    let runs = ids(&folder.path().join("results.jsonl")).len();
    assert_eq!(read("runs.csv").lines().count(), runs + 1);
    let json: Value = serde_json::from_str(&read("report.json")).unwrap();
    let cells: usize = (json["experiments"].as_array().unwrap().iter())
        .map(|e| e["cells"].as_array().unwrap().len())
        .sum();
    assert_eq!(read("cells.csv").lines().count(), cells + 1);
    // Two-bit weights by nearest rounding lose, and the report may say so.
    assert!(markdown.contains("] worse") || markdown.contains("] better"), "{markdown}");
    // The report is a function of the results.
    let again = folder.path().join("again");
    let mut merge = burn_ptq();
    merge.args(["ablate", "merge"]).arg(folder.path().join("results.jsonl"));
    finished(merge.arg("--out").arg(&again).output().unwrap());
    assert_eq!(std::fs::read_to_string(again.join("report.html")).unwrap(), html);
}
