//! Transactions that are committed, dropped, killed after each step, and refused.

use super::*;

type Contents = Vec<(String, String)>;

/// Every file below `folder`, except in staging folders.
fn contents(folder: &Path) -> Contents {
    fn collect(folder: &Path, prefix: &str, found: &mut Contents) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let name = format!("{prefix}{}", entry.file_name().display());
            if entry.path().is_dir() {
                if !is_staging(&entry.file_name()) {
                    collect(&entry.path(), &format!("{name}/"), found);
                }
            } else {
                found.push((name, fs::read_to_string(entry.path()).expect("text")));
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, "", &mut found);
    found.sort();
    found
}

fn staging_folders(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.filter(|entry| is_staging(&entry.file_name())).count()
}

fn old() -> Contents {
    let files = ["c/gone.c", "c/net.c", "c/own.c", "model.bptq", "report.json"];
    files.map(|name| (name.to_owned(), format!("old {name}"))).into()
}

fn new() -> Contents {
    let mut files: Contents = ["c/net.c", "c/runtime/add.c", "model.bptq", "report.json"]
        .map(|name| (name.to_owned(), format!("new {name}")))
        .into();
    files.push(("c/own.c".to_owned(), "old c/own.c".to_owned()));
    files.sort();
    files
}

/// A folder of results, and changes to it that are ready to take place.
fn prepared() -> (tempfile::TempDir, Transaction) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in old() {
        let path = folder.path().join(name);
        fs::create_dir_all(folder_of(&path)).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let mut transaction = Transaction::begin(folder.path()).expect("begun");
    transaction.remove("report.json");
    transaction.remove("never there");
    for path in ["model.bptq", "c/net.c", "c/runtime/add.c"] {
        transaction.write(path, format!("new {path}").as_bytes()).expect("staged");
    }
    transaction.remove("c/gone.c");
    transaction.write("report.json", b"new report.json").expect("staged");
    (folder, transaction)
}

/// What a process leaves that is killed: nothing is cleaned up, but its locks are gone.
fn kill(transaction: Transaction) {
    let mut transaction = std::mem::ManuallyDrop::new(transaction);
    let staging = &mut transaction.staging;
    staging._lock = File::open(staging.path.join(LOCK)).expect("the lock is there");
}

#[test]
fn all_changes_take_place_and_nothing_else_stays() {
    let (folder, transaction) = prepared();
    assert_eq!(contents(folder.path()), old(), "nothing changes before the commit");
    transaction.commit().expect("committed");
    assert_eq!(contents(folder.path()), new());
    assert_eq!(staging_folders(folder.path()), 0);
}

#[test]
fn changes_that_are_dropped_leave_what_was_there() {
    let (folder, transaction) = prepared();
    drop(transaction);
    assert_eq!(contents(folder.path()), old());
    assert_eq!(staging_folders(folder.path()), 0);
    let nested = folder.path().join("a/b");
    drop(Transaction::begin(&nested).expect("begun"));
    assert!(!folder.path().join("a").exists());
}

#[test]
fn a_process_that_dies_before_its_decision_has_changed_nothing() {
    let (folder, transaction) = prepared();
    kill(transaction);
    assert_eq!(staging_folders(folder.path()), 1);
    recover(folder.path()).expect("recovered");
    assert_eq!((contents(folder.path()), staging_folders(folder.path())), (old(), 0));
}

#[test]
fn steps_that_lead_out_of_the_folder_are_not_taken() {
    let steps = parse("place ../x\nremove /etc/x\nplace c/../../x\nplace c/x\nremove y\n");
    let taken =
        |step: &Step| matches!(step, Step::Place(p) | Step::Remove(p) if p == "c/x" || p == "y");
    assert!(steps.len() == 2 && steps.iter().all(taken), "{steps:?}");
}

#[test]
fn a_process_that_dies_after_any_step_is_completed_by_the_next() {
    let steps = prepared().1.steps.len();
    for taken in 0..=steps {
        let (folder, transaction) = prepared();
        transaction.write_commit().expect("decided");
        let Transaction { root, staging, steps, .. } = &transaction;
        take(root, staging, &steps[..taken]).expect("taken");
        let between = contents(folder.path());
        let holds =
            |name: &str, text: &str| between.contains(&(name.to_owned(), format!("{text} {name}")));
        let consistent = !(holds("model.bptq", "new") && holds("report.json", "old"));
        assert!(consistent, "after {taken} steps a new model stands beside an old report");
        assert!(holds("c/net.c", "old") || holds("c/net.c", "new"), "after {taken} steps");
        // Steps may have been taken without the next process being told.
        kill(transaction);
        let next = Transaction::begin(folder.path()).expect("the next run");
        assert_eq!(contents(folder.path()), new(), "after {taken} steps");
        drop(next);
        assert_eq!(staging_folders(folder.path()), 0);
    }
}

#[test]
fn an_error_at_any_step_leaves_what_was_there() {
    let steps = prepared().1.steps.len();
    for broken in 0..steps {
        let (folder, mut transaction) = prepared();
        // A folder in the place of a file stops every user, root too.
        let obstacle = folder.path().join("obstacle/inside");
        fs::create_dir_all(&obstacle).expect("a folder");
        transaction.write("obstacle", b"text").expect("staged");
        let last = transaction.steps.pop().expect("a step");
        transaction.steps.insert(broken, last);
        let error = transaction.commit().expect_err("refused").to_string();
        assert!(error.contains("obstacle"), "{error}");
        assert_eq!(contents(folder.path()), old(), "broken at {broken}");
        assert!(obstacle.is_dir());
        assert_eq!(staging_folders(folder.path()), 0);
    }
}

#[test]
fn a_living_process_keeps_others_out_and_strange_folders_are_left_alone() {
    let (folder, transaction) = prepared();
    let error = Transaction::begin(folder.path()).expect_err("busy").to_string();
    assert!(error.contains("another burn-ptq is writing to"), "{error}");
    drop(transaction);
    let strange = folder.path().join(format!("{PREFIX}notes"));
    fs::create_dir(&strange).expect("a folder");
    fs::write(strange.join(LOCK), "my notes").expect("a file");
    fs::write(strange.join(COMMIT), "remove model.bptq\n").expect("a file");
    recover(folder.path()).expect("nothing to do");
    assert_eq!(contents(folder.path()), old());
    assert!(strange.join(LOCK).is_file());
}
