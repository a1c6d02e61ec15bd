//! Bad input: each case with the message that it must give, exit code 2, and nothing written.

use std::path::{Path, PathBuf};

use crate::support::{demo, f32_bytes, files, run, stderr, write_npy};

/// A folder for one test, and a shorthand for paths in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.text(name)
    }
}

fn demo_file(name: &str) -> String {
    demo().join(name).display().to_string()
}

/// Runs `quantize` with an output folder and expects it to fail with all of `messages`.
#[track_caller]
fn fails(place: &Place, arguments: &[&str], messages: &[&str]) {
    let before = files(place.folder.path());
    let out = place.text("out");
    let output = run(&[&["quantize"], arguments, &["--out", &out]].concat());
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for message in messages {
        assert!(text.contains(message), "expected {message:?} in:\n{text}");
    }
    assert_says_nothing_twice(&text);
    assert!(!place.path("out").exists(), "the output folder was left behind");
    assert_eq!(files(place.folder.path()), before, "files were left behind");
}

/// No cause occurs twice in an error, as it would if an error and its source both stated it.
#[track_caller]
fn assert_says_nothing_twice(text: &str) {
    let error = text.find("error: ").map_or(text, |start| &text[start..]);
    let mut parts: Vec<&str> = error.split([':', ';', '\n']).map(str::trim).collect();
    parts.retain(|part| part.len() > 20);
    parts.sort_unstable();
    if let Some(twice) = parts.windows(2).find(|pair| pair[0] == pair[1]) {
        panic!("{:?} occurs twice in:\n{text}", twice[0]);
    }
}

/// Quantizes the demo with other arguments.
#[track_caller]
fn demo_fails(arguments: &[&str], messages: &[&str]) {
    let task = demo().display().to_string();
    fails(&Place::new(), &[&["--task", &task], arguments].concat(), messages);
}

#[test]
fn files_that_are_no_onnx_models_are_named_as_such() {
    let place = Place::new();
    let model = std::fs::read(demo().join("model.onnx")).unwrap();
    let calib = demo_file("calib_x.npy");
    let noise: Vec<u8> =
        (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (name, bytes, message) in [
        ("empty.onnx", &[][..], "empty"),
        ("truncated.onnx", &model[..model.len() / 2], "truncated.onnx"),
        ("noise.onnx", &noise, "noise.onnx"),
        ("text.onnx", b"This is not a model at all.", "text.onnx"),
    ] {
        let path = place.write(name, bytes);
        fails(&place, &[&path, "--calib", &calib], &["error: ", message]);
    }
    fails(&place, &[&place.text("absent.onnx"), "--calib", &calib], &["absent.onnx"]);
}

#[test]
fn shapes_that_the_model_cannot_have_are_refused() {
    demo_fails(&["--shape", "1x1x9x9"], &["--shape says [1, 1, 9, 9]", "the file says"]);
    demo_fails(&["--shape", "pixels=1x1x8x8"], &["'pixels'", "the model's inputs are"]);
    demo_fails(&["--shape", "1,1,8,8"], &["'1,1,8,8' is not a shape", "such as 1x3x96x96"]);
}

#[test]
fn calibration_data_that_does_not_fit_is_refused() {
    let place = Place::new();
    let model = demo_file("model.onnx");
    let check = |name: &str, messages: &[&str]| {
        fails(&place, &[&model, "--calib", &place.text(name)], messages);
    };
    let npy = |name: &str, descr: &str, shape: &[usize], data: &[u8]| {
        write_npy(&place.path(name), descr, false, shape, data);
    };
    npy("rank.npy", "|u1", &[4, 8, 7], &[0; 224]);
    check("rank.npy", &["[8, 7]", "[1, 8, 8]", "first axis of the file counts the samples"]);
    npy("channels.npy", "|u1", &[2, 3, 8, 8], &[0; 384]);
    check("channels.npy", &["[3, 8, 8]", "'image' expects [1, 8, 8]"]);
    npy("objects.npy", "|O", &[1, 1, 8, 8], &[0; 512]);
    check("objects.npy", &["type", "'|O'", "numpy.stack"]);
    npy("none.npy", "|u1", &[0, 1, 8, 8], &[]);
    check("none.npy", &["holds no samples"]);
    for (name, broken) in [("nan.npy", f32::NAN), ("inf.npy", f32::INFINITY)] {
        let mut values = vec![0.5; 192];
        values[130] = broken;
        npy(name, "<f4", &[3, 1, 8, 8], &f32_bytes(&values));
        check(name, &["sample 2 holds 1 value that is NaN or infinite"]);
    }
    place.write("few.csv", b"a,b\n1,2\n");
    check("few.csv", &["2 columns ('a', 'b')", "has 64 elements"]);
    place.write("x.pkl", b"\x80\x04");
    check("x.pkl", &["pickle", "numpy.save"]);
    place.write("x.raw", &[0; 64]);
    check("x.raw", &["without type and shape"]);
    check("", &["holds no .png"]);
    check("/dev/zero", &["not a regular file"]);
    npy("short.npy", "|u1", &[4, 1, 8, 8], &[0; 100]);
    check("short.npy", &["more than the file holds"]);
    place.write("garbage.npy", b"garbage");
    check("garbage.npy", &["garbage.npy"]);
    check("absent.npy", &["absent.npy"]);
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let place = Place::new();
    let eval = demo_file("eval_x.npy");
    let task = demo().display().to_string();
    write_npy(&place.path("few.npy"), "|u1", false, &[3], &[0, 1, 2]);
    let few = place.text("few.npy");
    let arguments = ["--task", &task, "--eval", &eval, "--labels", &few];
    fails(&place, &arguments, &["labels of 3 samples", "holds 500 samples"]);
    write_npy(&place.path("high.npy"), "|u1", false, &[500], &[77; 500]);
    let high = place.text("high.npy");
    let arguments = ["--task", &task, "--eval", &eval, "--labels", &high];
    fails(&place, &arguments, &["500 of 500 labels", "the classes 0 to 9", "77 (500 times)"]);
    fails(&place, &["--task", &task, "--eval", &eval], &["top1", "needs labels", "--labels"]);
    write_npy(&place.path("floats.npy"), "<f4", false, &[500], &f32_bytes(&[0.5; 500]));
    let floats = place.text("floats.npy");
    let arguments = ["--task", &task, "--eval", &eval, "--labels", &floats];
    fails(&place, &arguments, &["hold 0.5: expected whole numbers", "--metric mse"]);
}

#[test]
fn recipes_with_mistakes_say_where_and_what_was_meant() {
    let place = Place::new();
    let task = demo().display().to_string();
    for (text, messages) in [
        ("[weights]\nbitz = 4\n", &["line 2, column 1", "did you mean `bits`?"][..]),
        ("[wieghts]\nbits = 4\n", &["did you mean `weights`?"]),
        ("rounding = 'adaruond'\n", &["unknown rounding", "nearest", "line 1"]),
        ("[weights.range.mse]\n[weights.range.min-max]\n", &["two choices"]),
        ("[weights]\nbits = 9\n", &["weights cannot have 9 bits: expected 2 to 8"]),
        ("[activations]\nbits = 1\n", &["activations cannot have 1 bit: expected 2 to 8, or 16"]),
        ("not toml", &["r.toml is not a recipe", "line 1"]),
    ] {
        let recipe = place.write("r.toml", text.as_bytes());
        fails(&place, &["--task", &task, "--recipe", &recipe], messages);
    }
    demo_fails(&["--recipe", "/no/such/recipe.toml"], &["/no/such/recipe.toml"]);
    demo_fails(&["--preset", "w4a9"], &["unknown preset 'w4a9'", "did you mean 'w4a"]);
}

#[test]
fn flags_out_of_range_are_refused() {
    demo_fails(&["--weights", "9"], &["weights cannot have 9 bits: expected 2 to 8"]);
    demo_fails(&["--weights", "1"], &["weights cannot have 1 bit"]);
    demo_fails(&["--activations", "12"], &["activations cannot have 12 bits"]);
    demo_fails(&["--samples", "0"], &["calibration.samples is 0: expected at least 1"]);
    demo_fails(&["--layer", "stem.conv"], &["expected GLOB:weights=BITS,activations=BITS"]);
    demo_fails(&["--layer", "stem*:weight=8"], &["'weight' is not such a key"]);
    demo_fails(&["--layer", "sten*:weights=8"], &["matches no layer of the model", "stem"]);
    demo_fails(&["--layer", "stem*:weights=11"], &["weights of layer 'stem*' cannot have 11 bits"]);
    demo_fails(&["--input-scale", "nan"], &["--input-scale"]);
    demo_fails(&["--input-std", "0"], &["--input-std", "positive"]);
    demo_fails(&["--backend", "flexx"], &["unknown backend 'flexx'", "did you mean 'flex'?"]);
    demo_fails(&["--export", "fortran"], &["fortran", "known: c"]);
    demo_fails(&["--window-frames", "0"], &["--window-frames is 0"]);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_named() {
    let place = Place::new();
    let file = place.write("file", b"kept");
    let task = demo().display().to_string();
    for out in [format!("{file}/out"), file.clone(), "/proc/burn-ptq".into()] {
        let output = run(&["quantize", "--task", &task, "--out", &out]);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(text.contains("cannot create the folder") && text.contains(&out), "{text}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

#[test]
fn an_export_over_foreign_files_is_refused() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("out/c")).unwrap();
    place.write("out/c/precious.c", b"int x;");
    let task = demo().display().to_string();
    let out = place.text("out");
    let output = run(&["quantize", "--task", &task, "--export", "c", "--out", &out]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("holds no export of burn-ptq"), "{}", stderr(&output));
    assert_eq!(files(&place.path("out/c")), ["precious.c"]);
}

#[test]
fn task_folders_with_mistakes_are_named() {
    let place = Place::new();
    std::fs::create_dir(place.path("task")).unwrap();
    let task = place.text("task");
    fails(&place, &["--task", &task], &["task.toml", "a task folder holds"]);
    place.write("task/task.toml", b"metric = 'topp1'\n");
    fails(&place, &["--task", &task], &["task.toml", "top1"]);
    place.write("task/task.toml", b"metric = 'top1'\ninput_scal = 2.0\n");
    fails(&place, &["--task", &task], &["unknown field `input_scal`"]);
    place.write("task/task.toml", b"metric = 'top1'\n");
    fails(&place, &["--task", &task], &["model.onnx"]);
    std::fs::copy(demo().join("model.onnx"), place.path("task/model.onnx")).unwrap();
    fails(&place, &["--task", &task], &["no calibration samples"]);
}

#[test]
fn integer_models_that_are_damaged_are_refused() {
    let place = Place::new();
    let out = place.text("good");
    let task = demo().display().to_string();
    let output = run(&["quantize", "--task", &task, "--samples", "32", "--out", &out]);
    assert!(output.status.success(), "{}", stderr(&output));
    let good = std::fs::read(place.path("good/model.bptq")).unwrap();
    let mut newer = good.clone();
    newer[4] = 99;
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for (bytes, message) in [
        (&[][..], "bptq"),
        (b"garbage garbage garbage garbage", "bptq"),
        (&good[..good.len() / 2], "bytes"),
        (&newer, "99"),
        (&flipped, "checksum"),
    ] {
        let path = place.write("bad.bptq", bytes);
        let c = place.text("c");
        for arguments in [
            &["inspect", &path][..],
            &["export", &path, "--to", "c", "--out", &c],
            &["evaluate", &path, "--task", &task],
        ] {
            let output = run(arguments);
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.contains(message), "expected {message:?} in: {text}");
        }
        assert!(!Path::new(&c).exists());
    }
}
