//! Exports that take a recording frame by frame.

use std::path::{Path, PathBuf};
use std::process::Command;

use burn_ptq_deploy::file;
use burn_ptq_deploy::run::{Path as Kernels, run_batch, run_sequence};

use crate::support::{f32_bytes, run, stderr, stdout, write_npy};

/// A temporal convolution network of 48 frames of 4 numbers, whose last step is its output.
fn model() -> String {
    let nets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../eval/tests/nets");
    nets.join("tcn.legacy.onnx").display().to_string()
}

struct Place(tempfile::TempDir);

impl Place {
    /// With calibration data, and the network quantized to `out`.
    fn new(arguments: &[&str]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let values: Vec<f32> =
            (0..64 * 4 * 48).map(|i| ((i * i * 7 + i * 31) % 97) as f32 / 40.0 - 1.2).collect();
        write_npy(&place.path("calib.npy"), "<f4", false, &[64, 4, 48], &f32_bytes(&values));
        let (model, calib, out) = (model(), place.text("calib.npy"), place.text("out"));
        let base = ["quantize", &model, "--calib", &calib, "--out", &out];
        let output = run(&[&base[..], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

fn self_test(folder: &str) {
    match Command::new("make").args(["-C", folder, "test"]).output() {
        Ok(made) => {
            let text = String::from_utf8_lossy(&made.stdout);
            assert!(text.contains("samples, 0 differing bytes"), "{text}");
        }
        Err(error) => eprintln!("SKIPPED the self-test of a stream: {error}"),
    }
}

#[test]
fn an_export_takes_frames_and_gives_what_whole_recordings_give() {
    let place = Place::new(&["--preset", "w4a8"]);
    let (model, out) = (place.text("out/model.bptq"), place.text("stream"));
    let arguments = ["export", &model, "--to", "c,rust", "--stream", "--out", &out];
    let output = run(&arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "frame by frame along axis 1: 1 frame a call, of the 48 that the network takes offline",
        "of the last 48 frames, complete after 60 calls",
        "cortex-m4: ",
    ] {
        assert!(text.contains(part), "expected {part:?} in:\n{text}");
    }
    self_test(&place.text("stream/c"));

    // The first window after a reset is padded alike in both.
    let offline = file::read(&place.path("out/model.bptq")).unwrap();
    let stream = file::read(&place.path("stream/streamed.bptq")).unwrap();
    let frames: Vec<u8> = (0..48 * 4).map(|i| ((i * 61) % 251) as u8).collect();
    let border = &offline.inputs[0].border;
    // The program holds frame after frame, or number after number.
    let by_frames = offline.input_tensors().next().unwrap().shape[2] == 4;
    assert!(by_frames, "{border:?}");
    let window = run_batch(&offline, Kernels::Fast, &frames).unwrap();
    let calls = run_sequence(&stream, Kernels::Fast, &frames).unwrap();
    assert_eq!(calls[calls.len() - window.len()..], window[..]);

    // Chunks are multiples of what strides allow, and the axis one of the input's.
    let again = [&arguments[..], &["--chunk", "6"]].concat();
    let text = stdout(&run(&again));
    assert!(text.contains("6 frames a call"), "{text}");
    for (wrong, part) in [
        (&["--time-axis", "5"][..], "axis 5 cannot be the time of the inputs (x: [4, 48])"),
        (&["--chunk", "0"], "0 frames a call: expected a multiple of 1"),
    ] {
        let output = run(&[&arguments[..], wrong].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    let output = run(&["export", &model, "--to", "c", "--chunk", "2", "--out", &out]);
    assert!(stderr(&output).contains("--stream"), "{}", stderr(&output));
    let streamed = place.text("stream/streamed.bptq");
    let output = run(&["export", &streamed, "--to", "c", "--stream", "--out", &out]);
    assert!(stderr(&output).contains("a program can be streamed once"), "{}", stderr(&output));
    let output = run(&["compare", &model, &streamed]);
    assert!(stderr(&output).contains("keeps states from one call to the next"));
}

#[test]
fn a_recipe_exports_frame_by_frame() {
    let place = Place(tempfile::tempdir().unwrap());
    std::fs::write(place.path("recipe.toml"), "[stream]\nchunk = 4\n").unwrap();
    let recipe = place.text("recipe.toml");
    let place = Place::new(&["--recipe", &recipe, "--export", "c"]);
    let report = std::fs::read_to_string(place.path("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let stream = &report["stream"];
    assert_eq!((stream["chunk"].as_u64(), stream["time_axis"].as_u64()), (Some(4), Some(1)));
    assert_eq!(stream["outputs"][0]["warm_up"].as_u64(), Some(15));
    let program = file::read(&place.path("out/streamed.bptq")).unwrap();
    assert_eq!(stream["state_bytes"].as_u64(), Some(program.state_bytes() as u64));
    assert!(file::read(&place.path("out/model.bptq")).unwrap().states.is_empty());
    self_test(&place.text("out/c"));
}

#[test]
fn of_several_axes_one_is_to_be_named() {
    let place = Place(tempfile::tempdir().unwrap());
    let (demo, out) = (place.text("demo"), place.text("out"));
    assert!(run(&["demo", "--out", &demo]).status.success());
    let model = place.text("demo/w8a8/model.bptq");
    let arguments = ["export", &model, "--to", "c", "--stream", "--out", &out];
    let output = run(&arguments);
    let text = stderr(&output);
    assert!(text.contains("time can be axis 1 or 2 of an input"), "{text}");
    let output = run(&[&arguments[..], &["--time-axis", "1"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("where the stream has real frames: outputs differ from those"), "{text}");
    self_test(&place.text("out/c"));
}
