//! How long quantizing and evaluating a network takes, and how fast the interpreter is.
//!
//! Runs the task `ic` in the folder that `BURN_PTQ_ASSETS` names, the demo task without it. Nothing is
//! timed before its outputs were compared with the reference kernels'.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use burn_ptq::Recipe;
use burn_ptq_deploy::run::{Interpreter, Path as KernelPath, quantize_inputs};
use burn_ptq_eval::data::Samples;
use burn_ptq_eval::input::ModelInput;
use burn_ptq_eval::job::{self, Job};
use burn_ptq_eval::task::Task;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let task = match std::env::var_os("BURN_PTQ_ASSETS") {
        Some(assets) => Task::open(&PathBuf::from(assets).join("ic")).expect("a task folder"),
        None => Task::open(&root.join("crates/cli/demo")).expect("part of the repository"),
    };
    let recipe = Recipe::preset("w8a8").expect("a preset");
    let job = Job {
        task: task.clone(),
        recipe,
        exports: Vec::new(),
        explain: false,
        keep_all_channels: false,
        target: None,
        out: None,
    };

    let clock = Instant::now();
    let (report, quantized) = job::run(&job, &Device::flex(), &|_| true).expect("the job runs");
    println!(
        "{}: quantized and evaluated at W8A8 in {:.1} s, integer {:.4}{}",
        task.name,
        clock.elapsed().as_secs_f64(),
        report.integer.unwrap_or(f64::NAN),
        peak_memory().map_or(String::new(), |peak| format!(", peak memory {peak}"))
    );

    let input = ModelInput::of_graph(&quantized.float, &task.input).expect("settings that fit");
    let path =
        task.calibration.as_ref().and_then(|paths| paths.single()).expect("calibration samples");
    let samples = Samples::open(path, &input).expect("calibration samples are readable");
    let mut batches = samples.batches(32, None).expect("samples");
    let batch = batches.next().expect("a batch").expect("clean samples");
    let program = &quantized.program;
    let inputs = quantize_inputs(program, &batch.values);
    let inputs: Vec<&[u8]> = inputs.chunks(program.input_bytes()).collect();
    let [mut fast, mut plain] =
        [KernelPath::Fast, KernelPath::Reference].map(|path| Interpreter::new(program, path));
    for input in &inputs {
        assert_eq!(fast.run(input).expect("it runs"), plain.run(input).expect("it runs"));
    }
    let rate = |interpreter: &mut Interpreter, rounds: usize| {
        let clock = Instant::now();
        for input in inputs.iter().cycle().take(rounds) {
            interpreter.run(input).expect("it runs");
        }
        rounds as f64 * report.macs as f64 / clock.elapsed().as_secs_f64() / 1e9
    };
    let rounds = (2_000_000_000 / report.macs.max(1)).max(inputs.len());
    let (quick, slow) = (rate(&mut fast, rounds), rate(&mut plain, rounds / 8 + 1));
    println!(
        "interpreter on one core: {quick:.2} GMAC/s, {:.1} times the reference kernels",
        quick / slow
    );
}

/// The most memory that this process ever held, where the system tells.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line["VmHWM:".len()..].trim().to_string())
}
