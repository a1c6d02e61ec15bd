//! The C99 export as a user meets it: a folder that compiles, proves itself, and never clobbers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use burn_ptq_deploy::export::{ExportError, SelfTest, exporter};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::size::parameter_bytes;
use burn_ptq_deploy::target::HOST;
use network::{proven, several};

mod network;

const STRICT: &str = "-O2 -Werror";
const SANITIZED: &str =
    "-O1 -g -Werror -fsanitize=address,undefined -fno-sanitize-recover=undefined";

fn export(model: &Placed, self_test: &SelfTest, dir: &Path) -> Result<Vec<PathBuf>, ExportError> {
    exporter("c")?.export(model, self_test, &HOST, dir).map(|exported| exported.files)
}

fn available(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED c_export with {program}: not installed (Debian: apt install {program})");
    }
    found
}

/// The compilers that are installed; none without make.
fn compilers() -> Vec<&'static str> {
    if !available("make") {
        return Vec::new();
    }
    ["gcc", "clang"].into_iter().filter(|compiler| available(compiler)).collect()
}

fn make(dir: &Path, compiler: &str, flags: &str, target: &str) -> Output {
    let run = |target: &str| {
        Command::new("make")
            .current_dir(dir)
            .args([&format!("CC={compiler}"), &format!("CFLAGS={flags}"), target])
            .output()
            .expect("make runs")
    };
    run("clean");
    run(target)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn export_builds_without_warnings_and_passes_its_self_test() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("c");
    let (model, self_test) = proven("tiny net");
    export(&model, &self_test, &dir).expect("an export");
    for compiler in compilers() {
        for flags in [STRICT, SANITIZED] {
            let output = make(&dir, compiler, flags, "test");
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{compiler} {flags}:\n{stdout}{stderr}");
            assert!(stdout.contains("self-test: 5 samples, 0 differing bytes\n"), "{stdout}");
            assert!(stderr.is_empty(), "{stderr}");
        }
    }
}

#[test]
fn networks_of_several_inputs_and_outputs_pass_and_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, mut self_test) = several("net");
    let inputs: Vec<u8> = self_test.samples.iter().flat_map(|(input, _)| input.clone()).collect();
    let expected: Vec<u8> = self_test.samples.iter().flat_map(|(_, out)| out.clone()).collect();
    export(&model, &self_test, folder.path()).expect("an export");
    for compiler in compilers() {
        // One is enough for the sanitizers.
        let flags = if compiler == "gcc" { &[STRICT, SANITIZED][..] } else { &[STRICT] };
        for flags in flags {
            let output = make(folder.path(), compiler, flags, "test");
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{compiler} {flags}:\n{stdout}{stderr}");
            assert!(stdout.contains("self-test: 5 samples, 0 differing bytes\n"), "{stdout}");
            assert!(stderr.is_empty(), "{stderr}");
        }
        assert!(make(folder.path(), compiler, STRICT, "all").status.success());
        let samples = folder.path().join("samples.bin");
        let run = |bytes: &[u8]| {
            fs::write(&samples, bytes).expect("samples written");
            Command::new(folder.path().join("build/net")).arg(&samples).output().expect("it runs")
        };
        assert_eq!(run(&inputs).stdout, expected);
        let partial = run(&inputs[..inputs.len() - 1]);
        assert_eq!(partial.status.code(), Some(1));
        assert_eq!(text(&partial.stderr), "the last sample has 201 of 202 bytes\n");
    }
    // A byte of the last output.
    let last = self_test.samples[1].1.len() - 1;
    self_test.samples[1].1[last] ^= 1;
    let folder = tempfile::tempdir().expect("a folder");
    export(&model, &self_test, folder.path()).expect("an export");
    if let Some(compiler) = compilers().first() {
        let output = make(folder.path(), compiler, STRICT, "test");
        assert!(text(&output.stdout).contains("5 samples, 1 differing bytes\n"));
    }
}

#[test]
fn self_test_fails_if_one_expected_byte_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, mut self_test) = proven("net");
    self_test.samples[3].1[2] ^= 1;
    export(&model, &self_test, folder.path()).expect("an export");
    for compiler in compilers() {
        let output = make(folder.path(), compiler, STRICT, "test");
        assert!(!output.status.success());
        let stdout = text(&output.stdout);
        assert!(stdout.contains("self-test: 5 samples, 1 differing bytes\n"), "{stdout}");
    }
}

#[test]
fn example_streams_samples_and_refuses_a_partial_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    export(&model, &self_test, folder.path()).expect("an export");
    let Some(compiler) = compilers().into_iter().next() else { return };
    assert!(make(folder.path(), compiler, STRICT, "all").status.success());
    let inputs: Vec<u8> = self_test.samples.iter().flat_map(|(input, _)| input.clone()).collect();
    let expected: Vec<u8> = self_test.samples.iter().flat_map(|(_, out)| out.clone()).collect();
    let samples = folder.path().join("samples.bin");
    let run = |bytes: &[u8]| {
        fs::write(&samples, bytes).expect("samples written");
        Command::new(folder.path().join("build/net")).arg(&samples).output().expect("it runs")
    };
    assert_eq!(run(&inputs).stdout, expected);
    let partial = run(&inputs[..inputs.len() - 1]);
    assert_eq!(partial.status.code(), Some(1));
    assert_eq!(text(&partial.stderr), "the last sample has 107 of 108 bytes\n");
}

#[test]
fn exports_of_odd_model_names_compile() {
    let names = ["", "int", "string", "main", "8 bit", "\u{fc}ber", "bptq", "self_test", "a*/b??/"];
    let compilers = compilers();
    // What is a name to one compiler is one to the other: they take turns.
    for (index, name) in names.into_iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, self_test) = proven(name);
        export(&model, &self_test, folder.path()).expect("an export");
        if let Some(compiler) = compilers.get(index % compilers.len().max(1)) {
            let output = make(folder.path(), compiler, "-O0 -Werror", "test");
            assert!(output.status.success(), "{name:?}: {}", text(&output.stderr));
        }
    }
}

/// C source without its comments.
fn code(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, tail)| tail);
    }
    out + rest
}

#[test]
fn generated_code_neither_allocates_nor_uses_floating_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    let files = export(&model, &self_test, folder.path()).expect("an export");
    let in_runtime = |file: &Path| file.parent().is_some_and(|folder| folder.ends_with("runtime"));
    let sources: Vec<_> =
        files.iter().filter(|file| file.ends_with("net.c") || in_runtime(file)).collect();
    assert!(sources.len() > 10);
    for file in sources {
        let code = code(&fs::read_to_string(file).expect("readable"));
        let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for forbidden in ["malloc", "calloc", "realloc", "alloca", "free", "float", "double"] {
            assert!(!words.contains(&forbidden), "{} uses {forbidden}", file.display());
        }
    }
}

#[test]
fn data_lines_are_at_most_100_columns_long() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    export(&model, &self_test, folder.path()).expect("an export");
    for file in ["net.c", "self_test.c"] {
        let source = code(&fs::read_to_string(folder.path().join(file)).expect("readable"));
        assert_eq!(source.lines().find(|line| line.len() > 100), None);
    }
}

#[test]
fn reported_bytes_are_those_of_the_stored_constants_and_the_arena() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    let exported = exporter("c")
        .expect("known")
        .export(&model, &self_test, &HOST, folder.path())
        .expect("an export");
    // 216 weights in bytes, 72 in 4 bits, 40 in 2 and 315 in 3, 28 channels with a bias and a
    // multiplier each, and the parameters of eight operations.
    let parameters: usize = model.nodes.iter().map(|node| parameter_bytes(&node.op)).sum();
    assert_eq!(exported.figures.flash_constant_bytes, 216 + 36 + 10 + 119 + 28 * 12 + parameters);
    assert_eq!(exported.figures.ram_bytes, model.arena_bytes().next_multiple_of(8));
    assert!(exported.files.iter().all(|file| file.is_file()));
}

#[test]
fn earlier_export_is_replaced_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("c");
    let (first, self_test) = proven("first");
    export(&first, &self_test, &dir).expect("an export");
    let (second, self_test) = proven("second");
    export(&second, &self_test, &dir).expect("the next export");
    assert!(dir.join("second.c").is_file() && !dir.join("first.c").exists());
    let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 1, "no temporary folder stays: {left:?}");
}

#[test]
fn folder_of_someone_else_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("thesis");
    fs::create_dir(&dir).expect("a folder");
    fs::write(dir.join("chapter1.txt"), "precious").expect("a file");
    let (model, self_test) = proven("net");
    let error = export(&model, &self_test, &dir).expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "{} is not empty and holds no export of burn-ptq; \
             choose another folder or empty it first",
            dir.display()
        )
    );
    assert_eq!(fs::read_dir(&dir).expect("readable").count(), 1);
}

#[test]
fn unwritable_folder_is_named_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let (model, self_test) = proven("net");
    // A file as the parent stops every user, root too.
    for dir in [file.join("c"), file.clone()] {
        let message = export(&model, &self_test, &dir).expect_err("refused").to_string();
        assert!(message.starts_with("cannot "), "{message}");
        assert!(message.contains(&file.display().to_string()), "{message}");
        assert!(message.contains("Not a directory"), "{message}");
    }
    assert!(file.is_file());
}

#[test]
fn unusable_requests_are_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("c");
    let (model, self_test) = proven("net");
    let message = |model: &Placed, self_test: &SelfTest| {
        export(model, self_test, &dir).expect_err("refused").to_string()
    };
    let unknown = exporter("cobol").err().expect("unknown").to_string();
    assert_eq!(
        unknown,
        "there is no exporter \"cobol\"; known: c, rust, tflite, onnx, onnx-qoperator"
    );
    assert_eq!(
        message(&model, &SelfTest::default()),
        "the self-test has no samples; give at least one"
    );
    let mut short = self_test.clone();
    short.samples[1].0.pop();
    assert_eq!(
        message(&model, &short),
        "sample 1 of the self-test: input of 108 bytes expected, found 107"
    );
    assert!(!dir.exists());
}
