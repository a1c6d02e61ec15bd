//! What the operating system sees: memory, and Ctrl-C.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{burn_ptq, demo, files, write_npy};

/// The demo's calibration images, repeated to `count` samples.
fn repeated(path: &Path, count: usize) {
    let bytes = std::fs::read(demo().join("calib_x.npy")).unwrap();
    let images = &bytes[bytes.len() - 256 * 64..];
    let data: Vec<u8> = images.iter().copied().cycle().take(count * 64).collect();
    write_npy(path, "|u1", false, &[count, 1, 8, 8], &data);
}

fn start(folder: &Path, samples: usize) -> Child {
    let calib = folder.join(format!("calib{samples}.npy"));
    repeated(&calib, samples);
    burn_ptq()
        .arg("quantize")
        .arg(demo().join("model.onnx"))
        .args(["--input-scale", "0.0625", "--export", "c", "--calib"])
        .arg(calib)
        .arg("--out")
        .arg(folder.join(format!("out{samples}")))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The largest peak that `/proc` showed while the process ran, in KiB.
fn peak(mut child: Child) -> usize {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let found = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
        peak = found.unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn memory_does_not_grow_with_the_number_of_calibration_samples() {
    let folder = tempfile::tempdir().unwrap();
    let [few, many] = [256, 16384].map(|samples| peak(start(folder.path(), samples)));
    println!("peak memory: {few} KiB for 256 samples, {many} KiB for 16384");
    assert!(few > 1000 && many < few + few / 4 + 4096, "{few} and {many} KiB");
    let [few, many] = [64, 4096].map(|samples| peak(start(folder.path(), samples)));
    println!("peak memory: {few} KiB for 64 samples, {many} KiB for 4096");
    // The first 256 samples are also looked at by range search, so 64 need a little less.
    assert!(many < few + few / 2 + 8192, "{few} and {many} KiB");
}

#[test]
fn an_interrupt_at_any_moment_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Instant::now();
    let mut child = start(folder.path(), 8192);
    assert!(child.wait().unwrap().success());
    let whole = clock.elapsed();
    let finished = files(&folder.path().join("out8192"));
    for step in 0..=12 {
        let _ = std::fs::remove_dir_all(folder.path().join("out8192"));
        let before = files(folder.path());
        let mut child = start(folder.path(), 8192);
        std::thread::sleep(whole * step / 12);
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).output();
        assert!(interrupt.is_ok());
        let status = child.wait().unwrap();
        let left = files(&folder.path().join("out8192"));
        match status.code() {
            Some(0) => assert_eq!(left, finished),
            // Before the handler is installed, the signal itself ends the process.
            Some(130) | None => {
                assert!(!left.iter().any(|f| f.contains("tmp")), "{left:?}");
                assert_eq!(files(folder.path()).len() - left.len(), before.len(), "{left:?}");
                // Each artefact appears whole or not at all.
                let c = left.iter().filter(|f| f.starts_with("c/")).count();
                let all = finished.iter().filter(|f| f.starts_with("c/")).count();
                assert!(c == 0 || c == all, "{left:?}");
            }
            other => panic!("exit code {other:?}"),
        }
    }
}
