//! The device side of MLPerf Tiny, as C99 exports have it: it speaks the protocol, computes what the
//! interpreter computes, and survives commands that are wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use burn_ptq_deploy::board::board;
use burn_ptq_deploy::export::{C99, Exporter, Options, Rust, SelfTest, target, write_folder};
use burn_ptq_deploy::harness::{Harness, MLPERF_TINY};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::preprocess::{Element, Preprocessing};
use burn_ptq_deploy::program::{
    Border, DType, Input, IntNode, IntOp, IntTensor, Output as ProgramOutput, Program, Provenance,
    State, TensorId, Weighted, Weights,
};
use burn_ptq_deploy::run::{Interpreter, Path as Kernel, dequantize_outputs};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Clamp;
use burn_ptq_mcu::{Device, available};

const MODELS: [&str; 4] = ["ic01", "kws01", "vww01", "ad01"];
const PATIENCE: Duration = Duration::from_secs(120);

/// Pseudo-random bytes.
fn bytes(count: usize, seed: usize) -> Vec<u8> {
    let mixed = |i: usize| (i + seed * 7919).wrapping_mul(2_654_435_761) >> 13;
    (0..count).map(|i| mixed(i) as u8).collect()
}

fn tensor(name: &str, shape: [usize; 3], scale: f32, zero_point: i32) -> IntTensor {
    let grid = Grid { scale, zero_point, min: -128, max: 127 };
    IntTensor { name: name.into(), shape, dtype: DType::I8, bits: 8, grid }
}

fn fully_connected(inputs: usize, outputs: usize, factor: f64) -> IntOp {
    IntOp::FullyConnected {
        rows: 1,
        in_features: inputs,
        out_features: outputs,
        weighted: Weighted {
            weights: Weights {
                shape: vec![outputs, inputs],
                bits: 8,
                storage: 8,
                data: bytes(inputs * outputs, 1)
                    .into_iter()
                    .map(|byte| if byte == 128 { 0 } else { byte })
                    .collect(),
                scales: vec![0.01; outputs],
            },
            bias: vec![7; outputs],
            multipliers: vec![Multiplier::from_real(factor).expect("a factor"); outputs],
            clamp: Clamp { min: -128, max: 127 },
        },
    }
}

/// A program with the inputs and outputs of a model of the benchmark.
fn program(model: &str) -> Placed {
    let (x, border, y, factor, preprocessing) = match model {
        "ic01" | "vww01" => {
            let side = if model == "ic01" { 32 } else { 96 };
            let rule = Preprocessing {
                element: Element::U8,
                scale: 1.0 / 255.0,
                mean: vec![0.5, 0.25, 0.75],
                ..Preprocessing::default()
            };
            let border = Border::permuted(&[3, side, side], [1, 2, 0]);
            let outputs = if model == "ic01" { 10 } else { 2 };
            // The step of the outputs makes ties of their third decimals.
            let y = tensor("y", [1, 1, outputs], 0.0625, -3);
            (tensor("x", [side, side, 3], 0.004, 5), border, y, 1e-4, rule)
        }
        "kws01" => {
            let border = Border::permuted(&[1, 49, 10], [1, 2, 0]);
            let y = tensor("y", [1, 1, 12], 0.0039, -128);
            (tensor("x", [49, 10, 1], 0.6, 80), border, y, 1e-4, Preprocessing::default())
        }
        _ => {
            let y = tensor("y", [1, 1, 640], 0.3, 11);
            let border = Border::plain(&[640]);
            (tensor("x", [1, 1, 640], 0.4, -7), border, y, 2e-4, Preprocessing::default())
        }
    };
    let op = fully_connected(x.len(), y.len(), factor);
    let input = Input { preprocessing, ..Input::new("x", TensorId(0), border) };
    let output = ProgramOutput::new("y", TensorId(1), Border::plain(&[y.len()]));
    let node = IntNode { name: "fc".into(), op, inputs: vec![TensorId(0)], output: TensorId(1) };
    let program = Program {
        name: "net".into(),
        inputs: vec![input],
        outputs: vec![output],
        tensors: vec![x, y],
        nodes: vec![node],
        states: Vec::new(),
        loops: Vec::new(),
        provenance: Provenance::default(),
    };
    program.place(Kernels::Portable, Memory::Whole).expect("a valid program")
}

/// The program, which also keeps its input for the next call.
fn changed_by_a_state(program: Placed) -> Placed {
    let (mut program, _) = program.into_parts();
    let held = TensorId(program.tensors.len());
    program.tensors.push(program.tensors[0].clone());
    program.states.push(State {
        name: "seen".into(),
        input: held,
        output: program.inputs[0].tensor,
        initial: 0,
    });
    program.place(Kernels::Portable, Memory::Whole).expect("a valid program")
}

fn harness(program: &Placed) -> Harness {
    let is_kws = program.input_bytes() == 490;
    Harness::new(MLPERF_TINY, None, is_kws.then_some("0.5847029,83"), program).expect("it fits")
}

fn export(program: &Placed, target_name: &str) -> tempfile::TempDir {
    let self_test = SelfTest::new(program, &[vec![0; program.input_bytes()]]).expect("a sample");
    let target = target(target_name).expect("known");
    let options = Options { harness: Some(harness(program)), ..Options::new(target) };
    let rendered = C99.render(program, &self_test, &options).expect("an export");
    let folder = tempfile::tempdir().expect("a folder");
    write_folder(folder.path(), C99.name(), &rendered.files).expect("written");
    folder
}

fn run(command: &mut Command) -> Option<Output> {
    let output = command.output();
    if output.is_err() {
        eprintln!("SKIPPED {:?}: not installed", command.get_program());
    }
    output.ok()
}

fn succeeds(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
}

fn build(folder: &Path, flags: &str) -> Option<PathBuf> {
    let folder = folder.join("mlperf-tiny");
    let output = run(Command::new("make").arg("-C").arg(&folder).arg(format!("CFLAGS={flags}")))?;
    succeeds(&output);
    let program = ["harness", "harness.elf"].map(|name| folder.join(name));
    program.into_iter().find(|path| path.exists())
}

/// The harness on this machine, with every check that compilers have.
fn on_host(program: &Placed) -> Option<(tempfile::TempDir, Device)> {
    let folder = export(program, "host");
    let flags = "-O1 -g -Werror -Wshadow -fsanitize=address,undefined -fno-sanitize-recover=all";
    let harness = build(folder.path(), flags)?;
    let device = Device::start(&mut Command::new(harness), PATIENCE).expect("it answers");
    Some((folder, device))
}

fn on_board(program: &Placed, name: &str) -> Option<(tempfile::TempDir, Device)> {
    let target = target(name).expect("known");
    if !available(target) {
        eprintln!("SKIPPED the harness on {name}: no cross compiler or no QEMU");
        return None;
    }
    let folder = export(program, name);
    let elf = build(folder.path(), "-O2 -Werror")?;
    let board = board(target).expect("a board");
    let mut command = Command::new(board.emulator);
    command.args(board.serial_arguments()).arg("-kernel").arg(elf);
    Some((folder, Device::start(&mut command, PATIENCE).expect("it answers")))
}

fn agrees(program: &Placed, device: &mut Device, samples: usize) {
    let harness = harness(program);
    let mut interpreter = Interpreter::new(program, Kernel::Reference);
    for seed in 0..samples {
        let sample = match harness.benchmark().name() {
            "ad01" => bytes(640, seed)
                .iter()
                .flat_map(|&byte| (f32::from(byte as i8) * 0.37).to_le_bytes())
                .collect(),
            _ => bytes(harness.benchmark().sample_bytes(), seed),
        };
        device.load(&sample).expect("it takes the sample");
        // Running overwrites the network's input: the second run must see it again.
        let inference = device.infer(2, 1).expect("it runs");
        let input = harness.input(program, &sample).expect("its length fits");
        let outputs = dequantize_outputs(program, interpreter.run(&input).expect("it fits"));
        let expected = harness.results(&sample, &outputs);
        assert_eq!(inference.line, Harness::results_line(&expected), "sample {seed}");
        let first = outputs.first().expect("an output");
        assert!(outputs.iter().any(|value| value != first), "the sample says nothing");
    }
}

#[test]
fn answers_are_those_of_the_interpreter_on_the_host() {
    for model in MODELS {
        let program = program(model);
        let Some((_folder, mut device)) = on_host(&program) else { return };
        assert!(device.greeting().last().is_some_and(|line| line == "m-init-done"));
        assert_eq!(device.send("name").expect("answer"), ["m-name-dut-[unspecified]"]);
        let profile = device.send("profile").expect("answer");
        assert_eq!(profile[0], "m-profile-[ULPMark for tinyML Firmware V0.0.1]");
        assert_eq!(profile[1], format!("m-model-[{model}]"));
        let time = device.send("timestamp").expect("answer");
        assert!(time[0].strip_prefix("m-lap-us-").expect("a time").parse::<u64>().is_ok());
        agrees(&program, &mut device, 3);
    }
}

#[test]
fn answers_are_those_of_the_interpreter_on_emulated_boards() {
    let runs = [("ic01", "cortex-m4"), ("kws01", "cortex-m3"), ("ad01", "cortex-m7")];
    for (model, target) in runs {
        let program = program(model);
        let Some((_folder, mut device)) = on_board(&program, target) else { continue };
        agrees(&program, &mut device, 1);
        let first = device.infer(1, 0).expect("it runs");
        let many = device.infer(20, 0).expect("it runs");
        assert_eq!(first.line, many.line);
        // The emulated clock counts instructions.
        let ratio = many.microseconds as f64 / first.microseconds as f64;
        assert!((15.0..25.0).contains(&ratio), "{model} on {target}: {first:?}, {many:?}");
        wrong_commands_are_refused(&mut device, program.input_bytes());
    }
}

/// Sends what is wrong; each must be answered by one line e-[..], and change nothing.
fn wrong_commands_are_refused(device: &mut Device, most: usize) {
    let refused = |device: &mut Device, command: &str| {
        let answer = device.send(command).expect("an answer");
        let is_error = |line: &String| line.starts_with("e-[") && line.ends_with(']');
        assert!(answer.len() == 1 && is_error(&answer[0]), "{command:?}: {answer:?}");
    };
    let before = device.send("results").expect("answer");
    let long = "0".repeat(5000);
    let commands = [
        "",
        "  ",
        "nonsense",
        "infer x",
        "infer 0",
        "infer -1",
        "infer 1 -1",
        "infer 99999999999999999999",
        "infer 1 x",
        "db",
        "db load",
        "db load 0",
        "db load -3",
        "db load x",
        "db load 4294967297",
        "db zz",
        "db 0",
        "db 012",
        "db \u{e9}",
        &long,
        &format!("db {long}"),
        &format!("infer {long}"),
    ];
    for command in commands {
        refused(device, command);
    }
    refused(device, &format!("db load {}", 8 * most + 1));
    assert_eq!(device.send("results").expect("answer"), before);
    // More bytes than were announced, and none more after the last one.
    assert_eq!(device.send("db load 2").expect("answer"), ["m-[Expecting 2 bytes]"]);
    refused(device, "infer 1 0");
    refused(device, "db 010203");
    assert_eq!(device.send("db 0aF9").expect("answer"), ["m-load-done"]);
    refused(device, "db 01");
    assert_eq!(device.send("db print").expect("answer"), ["m-buffer-0a-f9"]);
    refused(device, "infer 1 0");
    refused(device, "results");
    // A percent sign ends a command wherever it is; line ends are spaces.
    device.write(b"na%me%\r\nname\r\n%").expect("sent");
    for expected in
        ["e-[Unknown command: na]", "e-[Unknown command: me]", "m-name-dut-[unspecified]"]
    {
        assert_eq!(device.answer("name").expect("answer"), [expected]);
    }
}

#[test]
fn wrong_commands_are_errors_and_change_nothing() {
    let program = program("kws01");
    let Some((_folder, mut device)) = on_host(&program) else { return };
    for command in ["db 00", "infer", "results"] {
        let answer = device.send(command).expect("an answer");
        assert!(answer.len() == 1 && answer[0].starts_with("e-["), "{command}: {answer:?}");
    }
    device.load(&bytes(490, 1)).expect("it takes the sample");
    let first = device.infer(1, 0).expect("it runs");
    wrong_commands_are_refused(&mut device, 490);
    // Any bytes at all.
    for seed in 0..200 {
        let mut noise = bytes(seed * 3, seed);
        noise.retain(|&byte| byte != b'%');
        noise.push(b'%');
        device.write(&noise).expect("sent");
        let answer = device.answer("noise").expect("an answer");
        assert!(answer.iter().all(|line| line.starts_with("e-[")), "{noise:?}: {answer:?}");
    }
    device.load(&bytes(490, 1)).expect("it takes the sample");
    assert_eq!(device.infer(1, 0).expect("it runs").line, first.line);
    device.write(b"name").expect("sent");
    assert_eq!(device.finish(), ["e-[The last command does not end]"]);
}

/// Declarations as the benchmark's headers have them: C++, without `extern "C"`.
const API: [(&str, &str); 2] = [
    (
        "api/internally_implemented.h",
        "#pragma once
#include <stddef.h>
#include <stdint.h>
void ee_serial_command_parser_callback(char *command);
size_t ee_get_buffer(uint8_t *buffer, size_t most);
uint8_t *ee_get_buffer_pointer();
",
    ),
    (
        "api/submitter_implemented.h",
        "#pragma once
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
void th_load_tensor();
void th_results();
void th_infer();
void th_timestamp(void);
void th_printf(const char *format, ...);
char th_getchar();
void th_serialport_initialize(void);
void th_timestamp_initialize(void);
void th_final_initialize(void);
void th_pre();
void th_post();
void th_command_ready(char volatile *message);
int th_strncmp(const char *a, const char *b, size_t n);
char *th_strncpy(char *to, const char *from, size_t n);
size_t th_strnlen(const char *text, size_t n);
char *th_strcat(char *to, const char *from);
char *th_strtok(char *text, const char *separators);
int th_atoi(const char *text);
void *th_memset(void *bytes, int value, size_t n);
void *th_memcpy(void *to, const void *from, size_t n);
int th_vprintf(const char *format, va_list arguments);
",
    ),
];

/// A main program of the benchmark's kind: one sample of zeros, through every function.
const OFFICIAL_MAIN: &str = "
#include \"api/internally_implemented.h\"
#include \"api/submitter_implemented.h\"
static uint8_t sample[96 * 96 * 3];
void ee_serial_command_parser_callback(char *command) { th_printf(\"%s %02x %zu\\r\\n\", command, 10, sizeof sample); }
size_t ee_get_buffer(uint8_t *buffer, size_t most)
{
    if (buffer != NULL) { memcpy(buffer, sample, most); }
    return most;
}
uint8_t *ee_get_buffer_pointer() { return sample; }
int main()
{
    char text[8] = \"a,b\";
    th_serialport_initialize();
    th_final_initialize();
    th_load_tensor();
    th_pre();
    th_infer();
    th_post();
    th_results();
    th_command_ready(text);
    return (th_strncmp(text, \"a,\", 2) | (int)(th_strnlen(text, 2) - 2) | (th_atoi(\"12\") - 12)
            | th_strncmp(th_strcat(th_strtok(text, \",\"), \"c\"), \"ac\", 3));
}
";

#[test]
fn the_functions_fit_the_sources_of_the_benchmark() {
    let program = program("ic01");
    let folder = export(&program, "host");
    fs::create_dir(folder.path().join("api")).expect("a folder");
    for (name, text) in API {
        fs::write(folder.path().join(name), text).expect("written");
    }
    fs::write(folder.path().join("official.cpp"), OFFICIAL_MAIN).expect("written");
    let strict = "-Wall -Wextra -Werror -I. -Iruntime -Imlperf-tiny";
    let gcc = |compiler: &str, arguments: &str, files: &[String]| {
        let mut command = Command::new(compiler);
        command.current_dir(folder.path()).stdin(Stdio::null());
        run(command.args(strict.split(' ')).args(arguments.split(' ')).args(files))
    };
    let mut sources = vec!["net.c".to_owned(), "net_io.c".into(), "mlperf-tiny/port.c".into()];
    let runtime = fs::read_dir(folder.path().join("runtime")).expect("there").flatten();
    let runtime = runtime.map(|entry| format!("runtime/{}", entry.file_name().to_string_lossy()));
    sources.extend(runtime.filter(|name| name.ends_with(".c")));
    let Some(output) = gcc("gcc", "-std=c99 -c", &sources) else { return };
    succeeds(&output);
    let objects = fs::read_dir(folder.path()).expect("there").flatten();
    let mut files: Vec<String> = objects
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".o"))
        .collect();
    files.insert(0, "-xnone".into());
    let cpp = "-DBPTQ_MLPERF_TINY_API -o official -xc++ mlperf-tiny/submitter.c official.cpp";
    let Some(output) = gcc("g++", cpp, &files) else { return };
    succeeds(&output);
    let output = run(&mut Command::new(folder.path().join("official"))).expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let harness = harness(&program);
    let sample = vec![0; 3072];
    let input = harness.input(&program, &sample).expect("it fits");
    let mut interpreter = Interpreter::new(&program, Kernel::Reference);
    let outputs = dequantize_outputs(&program, interpreter.run(&input).expect("it fits"));
    let line = Harness::results_line(&harness.results(&sample, &outputs));
    assert_eq!(text, format!("{line}\r\na,b 0a 27648\r\n"));
}

#[test]
fn programs_that_do_not_fit_are_refused() {
    let refused = |model: Option<&str>, features: Option<&str>, program: &Placed| {
        let error = Harness::new(MLPERF_TINY, model, features, program).expect_err("refused");
        error.to_string()
    };
    let ic = program("ic01");
    assert!(refused(Some("vww01"), None, &ic).starts_with("vww01: expected one input"));
    assert!(refused(Some("ic02"), None, &ic).contains("no model \"ic02\""));
    assert!(refused(Some("ic01"), Some("1"), &ic).contains("SCALE,ZERO_POINT"));
    assert!(Harness::new("other", None, None, &ic).is_err());
    let kws = program("kws01");
    assert!(refused(None, None, &kws).contains("--harness-features"));
    for features in ["0,1", "-1,1", "x,1", "1,x", "1,128", "inf,0", ""] {
        assert!(refused(None, Some(features), &kws).contains("not a grid"), "{features}");
    }
    let changed = |model: &str, change: &dyn Fn(&mut Program)| {
        let (mut program, placement) = program(model).into_parts();
        change(&mut program);
        Placed::new(program, placement, Kernels::Portable).expect("valid")
    };
    let floats = changed("vww01", &|p| p.inputs[0].preprocessing.element = Element::F32);
    assert!(refused(None, None, &floats).contains("type u8"));
    let scaled = changed("ad01", &|p| p.inputs[0].preprocessing.scale = 2.0);
    assert!(refused(None, None, &scaled).contains("no preprocessing"));
    let kept = changed_by_a_state(program("ic01"));
    let message = "runs every sample by itself, but the program keeps the state \"seen\"";
    assert!(refused(None, None, &kept).contains(message));
    let self_test = SelfTest::new(&ic, &[vec![0; 3072]]).expect("a sample");
    let harness = Some(harness(&ic));
    let m55 = Options { harness, ..Options::new(target("cortex-m55").expect("known")) };
    let options = Options { harness, ..Options::new(target("host").expect("known")) };
    let error = C99.render(&kept, &self_test, &options).expect_err("refused").to_string();
    assert!(error.contains(message), "{error}");
    let error = C99.render(&ic, &self_test, &m55).expect_err("refused").to_string();
    assert!(error.contains("cortex-m55") && error.contains("cortex-m4"), "{error}");
    let host = Options { harness, ..Options::new(target("host").expect("known")) };
    assert!(Rust.render(&ic, &self_test, &host).is_err());
}
