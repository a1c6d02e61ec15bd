//! Networks that burn-onnx turned into Burn code and that were captured become the same integer
//! programs as imported models, except for names.
//!
//! With the feature `burn-onnx` the code is generated now, of the MLPerf Tiny tasks too, and what is
//! committed for the demo's network must be what comes out.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_ptq::graph::Graph;
use burn_ptq::import::{capture, onnx};
use burn_ptq::{Quantizer, Recipe};
use burn_ptq_deploy::place::Placement;
use burn_ptq_deploy::program::Program;
use burn_ptq_eval::data::Samples;
use burn_ptq_eval::input::ModelInput;
use burn_ptq_eval::task::Task;
use burn_ptq_examples::training::demo;

/// Quantizes, and forgets what things are called.
fn program(task: &Task, graph: Graph) -> (Program, Placement) {
    let input = ModelInput::of_graph(&graph, &task.input).unwrap();
    let samples =
        Samples::open(task.calibration.as_ref().unwrap().single().unwrap(), &input).unwrap();
    let batches = samples.batches(32, Some(128)).unwrap();
    let quantizer = Quantizer::new(Recipe::preset("w4a8").unwrap());
    let quantized = quantizer.quantize_samples(graph, batches, None, &|_| true).unwrap();
    let (mut program, placement) = quantized.program.into_parts();
    program.name = String::new();
    program.tensors.iter_mut().for_each(|tensor| tensor.name = String::new());
    program.nodes.iter_mut().for_each(|node| node.name = String::new());
    program.inputs.iter_mut().for_each(|input| input.name = String::new());
    program.outputs.iter_mut().for_each(|output| output.name = String::new());
    (program, placement)
}

fn check<M: Module, const I: usize, const O: usize>(
    folder: &Path,
    model: &M,
    shape: [usize; I],
    forward: impl FnOnce(&M, Tensor<I>) -> Tensor<O>,
) {
    let task = Task::open(folder).unwrap();
    let sample = Tensor::zeros(shape, &Device::flex());
    let captured = program(&task, capture(model, sample, forward).unwrap());
    let imported = program(&task, onnx::read(&task.model).unwrap());
    assert_eq!(captured.0.nodes.len(), imported.0.nodes.len());
    for (captured, imported) in captured.0.nodes.iter().zip(&imported.0.nodes) {
        assert_eq!(captured, imported);
    }
    assert_eq!(captured, imported);
}

#[allow(clippy::all, dead_code, unreachable_pub)]
mod digits {
    include!("../burn-onnx/digits.rs.in");
}

#[test]
fn the_demo_network_is_the_same_captured_and_imported() {
    let model = digits::Model::default();
    check(&demo(), &model, [1, 1, 8, 8], |m: &digits::Model, x: Tensor<4>| m.forward(x));
}

/// What is generated, without the paths of this machine.
#[cfg(feature = "burn-onnx")]
#[test]
fn the_committed_code_is_what_burn_onnx_generates() {
    let out = Path::new(env!("OUT_DIR"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("burn-onnx");
    let read = |path: &Path| std::fs::read(path).expect("it is there");
    let generated = String::from_utf8(read(&out.join("digits/digits.rs"))).expect("UTF-8");
    let weights = format!("\"{}\"", out.join("digits/digits.bpk").display());
    let committed = "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/burn-onnx/digits.bpk\")";
    let model = format!("\"{}\"", out.join("digits.onnx").display());
    let generated = generated.replace(&weights, committed).replace(&model, "\"digits.onnx\"");
    assert_eq!(generated, String::from_utf8(read(&root.join("digits.rs.in"))).expect("UTF-8"));
    assert!(
        read(&out.join("digits/digits.bpk")) == read(&root.join("digits.bpk")),
        "weights differ"
    );
}

macro_rules! task {
    ($test:ident, $task:ident, $cfg:ident, $rank:literal, $shape:expr) => {
        #[allow(clippy::all, dead_code, unreachable_pub)]
        #[cfg($cfg)]
        mod $task {
            include!(concat!(
                env!("OUT_DIR"),
                "/",
                stringify!($task),
                "/",
                stringify!($task),
                ".rs"
            ));
        }

        #[test]
        fn $test() {
            #[cfg($cfg)]
            {
                let folder = Path::new(env!("BURN_PTQ_GENERATED_FROM")).join(stringify!($task));
                let forward = |m: &$task::Model, x: Tensor<$rank>| m.forward(x);
                check(&folder, &$task::Model::default(), $shape, forward);
            }
            #[cfg(not($cfg))]
            println!(
                "SKIPPED {}: set BURN_PTQ_ASSETS and the feature burn-onnx",
                stringify!($test)
            );
        }
    };
}

task!(ic_is_the_same_captured_and_imported, ic, has_ic, 4, [1, 3, 32, 32]);
task!(kws_is_the_same_captured_and_imported, kws, has_kws, 4, [1, 1, 49, 10]);
task!(vww_is_the_same_captured_and_imported, vww, has_vww, 4, [1, 3, 96, 96]);
task!(ad_is_the_same_captured_and_imported, ad, has_ad, 2, [1, 640]);
