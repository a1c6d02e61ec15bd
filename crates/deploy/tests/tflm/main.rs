//! Single operations with random parameters give the same values in TensorFlow Lite Micro: 0
//! differing outputs, on the reference path and the fast one.

mod problems;
#[path = "../conformance/executors/tflm.rs"]
mod tflm;

use burn_ptq_deploy::interpreter::{Path, run_batch, tensor_integers};
use burn_ptq_deploy::model::{DType, IntModel};
use problems::{Problem, Random};

type Generate = fn(&mut Random, DType) -> Problem;

/// Every operation that both have.
const OPERATIONS: &[(&str, Generate, &[DType])] = &[
    ("conv2d", problems::conv, BOTH),
    ("depthwise", problems::depthwise, BOTH),
    ("fully connected", problems::fully_connected, BOTH),
    ("add", problems::add, BOTH),
    ("mul", problems::mul, BOTH),
    ("average pool", problems::average_pool, BOTH),
    ("max pool", problems::max_pool, BOTH),
    ("softmax", problems::softmax, &[DType::I8]),
    ("requantize", problems::requantize, BOTH),
    ("concat", problems::concat, BOTH),
    ("pad", problems::pad, BOTH),
    ("transpose", problems::transpose, BOTH),
];

const BOTH: &[DType] = &[DType::I8, DType::I16];

const PROBLEMS: usize = 100;

/// Outputs compared with TensorFlow Lite Micro's.
#[derive(Default)]
struct Count {
    outputs: usize,
    differing: usize,
    /// Outputs between the smallest and the largest of their tensor's grid: where rounding shows.
    within: usize,
}

impl Count {
    fn add(&mut self, model: &IntModel, expected: &[u8], found: &[u8]) {
        assert_eq!(expected.len(), found.len(), "outputs of one size");
        let tensor = &model.tensors[model.output.0];
        let pairs = tensor_integers(tensor, expected).zip(tensor_integers(tensor, found));
        for (expected, found) in pairs {
            self.outputs += 1;
            self.differing += usize::from(expected != found);
            self.within += usize::from(tensor.grid.min < expected && expected < tensor.grid.max);
        }
    }
}

#[test]
fn single_operations_equal_tensorflow_lite_micro() {
    let Some(python) = tflm::python("single_operations_equal_tensorflow_lite_micro") else {
        return;
    };
    let mut random = Random::new(2024);
    println!("operation          type  problems  outputs  differing: reference  fast");
    for &(name, generate, dtypes) in OPERATIONS {
        for &dtype in dtypes {
            let problems: Vec<Problem> =
                (0..PROBLEMS).map(|_| generate(&mut random, dtype)).collect();
            let jobs: Vec<_> = problems.iter().map(|p| (&p.model, &p.samples[..])).collect();
            let answers = tflm::run(&python, &jobs);
            let [mut reference, mut fast] = [Count::default(), Count::default()];
            for (problem, answer) in problems.iter().zip(answers) {
                let expected = answer.unwrap_or_else(|reason| panic!("{name} {dtype:?}: {reason}"));
                let expected: Vec<u8> = expected.concat();
                let input = problem.samples.concat();
                for (path, count) in [(Path::Reference, &mut reference), (Path::Fast, &mut fast)] {
                    let found = run_batch(&problem.model, path, &input)
                        .unwrap_or_else(|error| panic!("{name} {dtype:?}: {error}"));
                    count.add(&problem.model, &expected, &found);
                }
            }
            println!(
                "{name:18} {:4}  {:8}  {:7}  {:20}  {:4}",
                format!("{dtype:?}"),
                problems.len(),
                reference.outputs,
                reference.differing,
                fast.differing
            );
            assert_eq!((reference.differing, fast.differing), (0, 0), "{name} {dtype:?}");
            assert!(reference.outputs >= 2000, "{name}: {} outputs are few", reference.outputs);
            // Saturated outputs agree whatever the rounding is.
            let share = reference.within as f64 / reference.outputs as f64;
            assert!(share > 0.3, "{name} {dtype:?}: only {share} of the outputs are within");
        }
    }
}

#[test]
fn what_tensorflow_lite_micro_cannot_be_asked_has_a_reason() {
    let Some(python) = tflm::python("what_tensorflow_lite_micro_cannot_be_asked_has_a_reason")
    else {
        return;
    };
    let mut random = Random::new(5);
    let plain = problems::max_pool(&mut random, DType::I8);
    let mut bounded = plain.model.clone();
    problems::bound(&mut bounded, -3, 5);
    let mut rescaled = problems::fully_connected(&mut random, DType::I8).model;
    rescaled.tensors[1].grid.scale *= 1.5;
    let sample = |model: &IntModel| vec![vec![0; model.tensors[0].bytes()]];
    let samples = [&bounded, &rescaled].map(sample);
    let answers = tflm::run(&python, &[(&bounded, &samples[0][..]), (&rescaled, &samples[1][..])]);
    assert_eq!(answers[0], Err("no fused activation gives the bounds -3 to 5".into()));
    assert_eq!(answers[1], Err("the multipliers do not follow from the scales".into()));
}
