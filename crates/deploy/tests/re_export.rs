//! Exports over earlier exports: files added or changed by hand are kept, and everything else is
//! new.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn_ptq_deploy::export::{ExportError, Exported, SelfTest, check_folder, exporter, target};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::target::{HOST, TARGETS, Target};
use network::proven;

mod network;

fn export_to(
    name: &str,
    model: &Placed,
    self_test: &SelfTest,
    target: &Target,
    dir: &Path,
) -> Result<Exported, ExportError> {
    exporter(name)?.export(model, self_test, target, dir)
}

/// Every file below a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let name = format!("{prefix}{}", entry.file_name().display());
            if entry.path().is_dir() {
                collect(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name, fs::read(entry.path()).expect("readable"));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, "", &mut found);
    found
}

fn append(path: &Path, text: &str) {
    let mut contents = fs::read(path).expect("readable");
    contents.extend(text.as_bytes());
    fs::write(path, contents).expect("writable");
}

fn m4() -> &'static Target {
    target("cortex-m4").expect("known")
}

#[test]
fn files_that_the_user_added_stay_and_those_of_the_last_export_go() {
    for name in ["c", "rust"] {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("export");
        let (first, self_test) = proven("first");
        export_to(name, &first, &self_test, m4(), &dir).expect("an export");
        for own in ["notes.txt", "src/own.rs", "runtime/own.c", "build/first.o"] {
            fs::create_dir_all(dir.join(own).parent().expect("a folder")).expect("made");
            fs::write(dir.join(own), "mine").expect("written");
        }
        let (second, self_test) = proven("second");
        export_to(name, &second, &self_test, &HOST, &dir).expect("the next export");
        let found = contents(&dir);
        for own in ["notes.txt", "src/own.rs", "runtime/own.c", "build/first.o"] {
            assert_eq!(found[own], b"mine", "{name}");
        }
        // Another model for another target: as a fresh export, except for the user's own files.
        let fresh = tempfile::tempdir().expect("a folder");
        export_to(name, &second, &self_test, &HOST, &fresh.path().join("export")).expect("fresh");
        let fresh = contents(&fresh.path().join("export"));
        let left: Vec<_> = found.keys().filter(|name| !fresh.contains_key(*name)).collect();
        assert_eq!(left.len(), 4, "{name}: {left:?}");
        assert!(fresh.iter().all(|(name, file)| found[name] == *file), "{name}");
        assert!(!dir.join("firmware").exists(), "{name}");
    }
}

#[test]
fn changed_files_of_a_board_stay_and_are_named() {
    for (name, script) in [("c", "firmware/link.ld"), ("rust", "firmware/link.ld")] {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let (first, self_test) = proven("net");
        let before = export_to(name, &first, &self_test, m4(), dir).expect("an export");
        assert!(before.kept.is_empty());
        append(&dir.join(script), "/* my board */\n");
        let own = fs::read(dir.join(script)).expect("readable");
        let unchanged = contents(dir);
        let again = export_to(name, &first, &self_test, m4(), dir).expect("the same again");
        let [kept] = &again.kept[..] else { panic!("{:?}", again.kept) };
        assert_eq!((&kept.path, kept.outdated), (&dir.join(script), false), "{name}");
        assert_eq!(contents(dir), unchanged, "{name}");
        // For another board, the file would be another one; it stays, and says so, as often as asked.
        for _ in 0..2 {
            let m33 = target("cortex-m33").expect("known");
            let moved = export_to(name, &first, &self_test, m33, dir).expect("for another board");
            let [kept] = &moved.kept[..] else { panic!("{:?}", moved.kept) };
            assert!(kept.outdated && kept.path.ends_with(script), "{name}");
            assert_eq!(fs::read(dir.join(script)).expect("readable"), own, "{name}");
        }
        let host = export_to(name, &first, &self_test, &HOST, dir).expect("without a board");
        assert_eq!(host.kept.len(), 1, "{name}: {:?}", host.kept);
        assert_eq!(contents(&dir.join("firmware")).len(), 1, "{name}");
    }
}

#[test]
fn changed_files_of_the_network_are_refused_before_anything_changes() {
    for (name, changed) in [("c", "net.c"), ("c", "runtime/bptq_pool.c"), ("rust", "src/lib.rs")] {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let (first, self_test) = proven("net");
        export_to(name, &first, &self_test, &HOST, dir).expect("an export");
        append(&dir.join(changed), "/* patched */\n");
        let before = contents(dir);
        let (second, self_test) = proven("other");
        let error = export_to(name, &second, &self_test, m4(), dir).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains(changed) && text.contains("nothing was changed"), "{text}");
        assert_eq!(contents(dir), before);
        let early = check_folder(dir).expect_err("refused before any work").to_string();
        assert!(early.contains(changed), "{early}");
        // What the message says to do helps.
        fs::remove_file(dir.join(changed)).expect("removed");
        check_folder(dir).expect("nothing stands in the way");
        export_to(name, &second, &self_test, m4(), dir).expect("an export");
    }
}

#[test]
fn files_of_the_user_are_not_overwritten_by_files_of_the_same_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let (first, self_test) = proven("first");
    export_to("c", &first, &self_test, &HOST, dir).expect("an export");
    fs::write(dir.join("second.h"), "mine").expect("written");
    let before = contents(dir);
    let (second, self_test) = proven("second");
    let error = export_to("c", &second, &self_test, &HOST, dir).expect_err("refused").to_string();
    assert!(error.contains("second.h"), "{error}");
    assert_eq!(contents(dir), before);
}

#[test]
fn the_same_export_again_touches_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let (model, self_test) = proven("net");
    let times = || -> Vec<_> {
        let files = contents(dir).into_keys();
        files.map(|name| fs::metadata(dir.join(name)).expect("there").modified().ok()).collect()
    };
    export_to("c", &model, &self_test, &HOST, dir).expect("an export");
    let before = times();
    export_to("c", &model, &self_test, &HOST, dir).expect("an export");
    assert_eq!(times(), before);
}

#[test]
fn lost_files_come_back_and_the_manifest_leads_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("export");
    let (model, self_test) = proven("net");
    export_to("c", &model, &self_test, &HOST, &dir).expect("an export");
    let whole = contents(&dir);
    fs::remove_file(dir.join("net.c")).expect("removed");
    fs::remove_file(dir.join("Makefile")).expect("removed");
    export_to("c", &model, &self_test, &HOST, &dir).expect("an export");
    assert_eq!(contents(&dir), whole);
    let outside = folder.path().join("precious");
    fs::write(&outside, "").expect("written");
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    append(&dir.join(".burn-ptq-export"), &format!("{nothing}  ../precious\n"));
    export_to("c", &model, &self_test, &HOST, &dir).expect("an export");
    assert!(outside.is_file());
}

#[cfg(unix)]
#[test]
fn exports_have_the_permissions_of_new_files_and_links_to_folders_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).expect("made");
    symlink("real", &link).expect("made");
    let (model, self_test) = proven("net");
    let exported = export_to("c", &model, &self_test, &HOST, &link).expect("an export");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    let plain = folder.path().join("plain");
    fs::write(&plain, "").expect("written");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode();
    assert!(exported.files.iter().all(|file| mode(file) == mode(&plain)));
    assert!(real.join("net.c").is_file());
}

#[test]
fn exports_carry_licenses_and_say_what_is_whose() {
    for (name, generated) in [("c", "net.c, net_io.c, samples.h"), ("rust", "src/network.rs")] {
        for target in [&HOST, m4()] {
            let folder = tempfile::tempdir().expect("a folder");
            let (model, self_test) = proven("net");
            export_to(name, &model, &self_test, target, folder.path()).expect("an export");
            let files = contents(folder.path());
            let text = |path: &str| String::from_utf8_lossy(&files[path]).into_owned();
            assert!(text("LICENSE-MIT").starts_with("MIT License"), "{name}");
            assert!(text("LICENSE-APACHE").contains("Apache License"), "{name}");
            assert!(
                text("NOTICE").contains(generated) && text("NOTICE").contains("claim no rights")
            );
            let identifier = "SPDX-License-Identifier: MIT OR Apache-2.0";
            for path in files
                .keys()
                .filter(|path| path.starts_with("runtime/") || path.starts_with("kernels/src/"))
            {
                assert!(text(path).lines().next().is_some_and(|line| line.contains(identifier)));
            }
        }
    }
}

#[test]
fn every_exporter_exports_for_every_target() {
    for target in TARGETS {
        for name in ["c", "rust"] {
            let folder = tempfile::tempdir().expect("a folder");
            let (model, self_test) = proven("net");
            let exported = export_to(name, &model, &self_test, target, folder.path());
            exported.unwrap_or_else(|error| panic!("{name} for {}: {error}", target.name));
        }
    }
}
