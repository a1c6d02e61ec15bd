//! One recipe on every backend that is compiled in: the integers and the metric agree with those of
//! the default backend.

#![allow(clippy::print_stdout, reason = "tests say what they skip or measure")]

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_ptq::backend::{BACKENDS, device};
use burn_ptq::{Quantized, Recipe};
use burn_ptq_eval::job::{Job, run};
use burn_ptq_eval::report::Report;
use burn_ptq_eval::task::Task;

fn tasks() -> Vec<Task> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tasks = vec![Task::open(&root.with_file_name("cli").join("demo")).unwrap()];
    tasks[0].name = "demo".into();
    let assets = std::env::var_os("BURN_PTQ_ASSETS").map(PathBuf::from);
    match assets.and_then(|assets| Task::open(&assets.join("kws")).ok()) {
        Some(task) => tasks.push(task),
        None => println!("SKIPPED kws on other backends: set BURN_PTQ_ASSETS"),
    }
    tasks
}

fn quantize(task: &Task, recipe: &str, device: &Device) -> (Report, Quantized) {
    let recipe = Recipe::preset(recipe).unwrap();
    let job = Job {
        task: task.clone(),
        recipe,
        exports: Vec::new(),
        explain: false,
        keep_all_channels: false,
        target: None,
        out: None,
    };
    run(&job, device, &|_| true).unwrap()
}

/// The share of weights in which two quantized networks agree.
fn same_weights(a: &Quantized, b: &Quantized) -> f64 {
    let (mut same, mut all) = (0, 0);
    let layers = a.graph.weights.iter().zip(&b.graph.weights);
    for (a, b) in layers.filter_map(|(a, b)| a.as_ref().zip(b.as_ref())) {
        all += a.values.len();
        same += a.values.iter().zip(&b.values).filter(|(a, b)| a == b).count();
    }
    same as f64 / all as f64
}

#[test]
fn integers_and_metrics_agree_between_backends() {
    let default = Device::flex();
    let others: Vec<(&str, Device)> = BACKENDS[1..]
        .iter()
        .filter_map(|backend| Some((backend.name, device(backend.name).ok()?)))
        .collect();
    if others.is_empty() {
        println!("SKIPPED other backends: build with --features ndarray");
    }
    for (name, other) in others {
        for task in tasks() {
            // Roundings that make up for the errors before them answer a flipped weight with others,
            // and may end at another scale of a row: equally good, but not the same integers.
            for (preset, share) in [("nearest", 0.999), ("w4a8", 0.8)] {
                let (expected, a) = quantize(&task, preset, &default);
                let (found, b) = quantize(&task, preset, &other);
                let same = same_weights(&a, &b);
                let [e, f] = [expected.integer.unwrap(), found.integer.unwrap()];
                println!("backend {name} {} {preset} {:.4} {e:.4} {f:.4}", task.name, 100.0 * same);
                assert!(same >= share, "{name}, {} {preset}: {same} of the weights", task.name);
                assert!((e - f).abs() <= 0.01, "{name}, {} {preset}: {f} and {e}", task.name);
            }
        }
    }
}
