//! The two streaming networks of the examples: from training, and from their task folders to an emulated
//! microcontroller that gets recordings frame by frame.

use std::process::Command;

use burn::tensor::Device;
use burn_ptq::graph::to_vec;
use burn_ptq::{Quantized, Recipe};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::Program;
use burn_ptq_deploy::run::{Path, quantize_inputs, run_batch, run_sequence};
use burn_ptq_deploy::streaming::Streaming;
use burn_ptq_deploy::target::{Target, target};
use burn_ptq_eval::job::{self, Job};
use burn_ptq_eval::task::Task;
use burn_ptq_examples::recordings::{Recordings, folder};
use burn_ptq_mcu::{Toolchain, available};

/// A network that was quantized, with the shares of labels that it and the float one have right.
struct Judged {
    quantized: Quantized,
    float: f64,
    integer: f64,
}

fn quantize(task: &str, preset: &str) -> Judged {
    let task = Task::open(&folder(task)).unwrap();
    let recipe = Recipe::preset(preset).unwrap();
    let job =
        Job { task, recipe, exports: vec![], explain: false, keep_all_channels: false, out: None };
    let (report, quantized) = job::run(&job, &Device::flex(), &|_| true).unwrap();
    let (float, integer) = (report.float.unwrap(), report.integer.unwrap());
    println!("{preset}: float {float:.4}, integer {integer:.4}");
    Judged { quantized, float, integer }
}

/// The evaluation recordings as input bytes of `program`, one after the other.
fn recordings(task: &str, step: f32, program: &Program) -> Vec<u8> {
    let recordings = Recordings::read(&folder(task), "eval", step).unwrap();
    let all: Vec<usize> = (0..recordings.len()).collect();
    quantize_inputs(program, &to_vec(recordings.batch(&all, &Device::flex())))
}

/// The outputs of `stream`, all in one sequence, by exported C on `target`; `None` without its tools.
fn on_board(target: &'static Target, program: &Placed, stream: &[u8]) -> Option<Vec<u8>> {
    if !available(target) {
        eprintln!("SKIPPED frames on {}: no cross compiler or no QEMU", target.name);
        return None;
    }
    let firmware = Toolchain::new(target, "-O2").unwrap().build(&[program]).unwrap();
    let mut runs = firmware.run(&[stream]).unwrap();
    let run = runs.remove(0);
    let calls = stream.len() / program.input_bytes();
    println!("{}: {calls} calls of {} instructions", target.name, run.instructions());
    Some(run.outputs)
}

#[test]
fn training_makes_networks_as_good_as_the_ones_that_are_kept() {
    let programs =
        [(env!("CARGO_BIN_EXE_train_vowels"), 0.90), (env!("CARGO_BIN_EXE_train_motions"), 0.97)];
    for (program, floor) in programs {
        let out = tempfile::tempdir().unwrap();
        let trained = Command::new(program).arg(out.path()).output().unwrap();
        let text = String::from_utf8_lossy(&trained.stdout);
        let errors = String::from_utf8_lossy(&trained.stderr);
        assert!(trained.status.success(), "{text}\n{errors}");
        let (_, accuracy) = text.split_once("evaluation: ").expect("an accuracy");
        let (accuracy, _) = accuracy.split_once(" %").expect("in percent");
        assert!(accuracy.parse::<f64>().unwrap() >= 100.0 * floor, "{text}");
        assert!(out.path().join("model.onnx").is_file(), "{text}");
    }
}

#[test]
fn a_recurrent_network_hears_recordings_frame_by_frame() {
    for (preset, loss) in [("w8a8", 0.005), ("w4a8", 0.01)] {
        let Judged { quantized, float, integer } = quantize("vowels", preset);
        assert!(float - integer <= loss, "{preset}: float {float}, integer {integer}");
        assert_eq!(quantized.program.states.len(), 1, "its state stays on the device");
        let stream = recordings("vowels", 1.0 / 56.0, &quantized.program);
        assert_eq!(stream.len(), 88 * 64 * 12);
        for name in ["cortex-m4", "cortex-m55", "rv32"] {
            let target = target(name).unwrap();
            let program =
                quantized.program.program().clone().place(target.kernels, Memory::Whole).unwrap();
            let expected = run_sequence(&program, Path::Reference, &stream).unwrap();
            let Some(outputs) = on_board(target, &program, &stream) else { continue };
            assert!(outputs == expected, "{preset} on {name}: other bytes than the interpreter's");
        }
    }
}

#[test]
fn a_convolution_network_sees_recordings_step_by_step() {
    for (preset, loss) in [("w8a8", 0.005), ("w4a8", 0.01)] {
        let Judged { quantized, float, integer } = quantize("motions", preset);
        assert!(float - integer <= loss, "{preset}: float {float}, integer {integer}");
        let offline = &quantized.program;
        let stream = recordings("motions", 1.0 / 512.0, offline);
        let whole = run_batch(offline, Path::Reference, &stream).unwrap();
        let (steps, row) = (100, offline.output_bytes() / 70);
        for chunk in [1, 4] {
            let streaming = Streaming { axis: None, chunk: Some(chunk) };
            let streamed = offline.program().streamed(&streaming).unwrap();
            assert_eq!(streamed.outputs[0].delay, 30);
            for name in ["cortex-m4", "cortex-m55", "rv32"] {
                let target = target(name).unwrap();
                let program =
                    streamed.program.clone().place(target.kernels, Memory::Whole).unwrap();
                let Some(outputs) = on_board(target, &program, &stream) else { continue };
                // A row that looks back into the recording before has no counterpart offline.
                for (recording, rows) in whole.chunks(offline.output_bytes()).enumerate() {
                    let first = (recording * steps + steps - 70) * row;
                    let same = outputs[first..first + rows.len()] == *rows;
                    assert!(same, "{preset} on {name}, {chunk} a call, recording {recording}");
                }
            }
        }
    }
}
