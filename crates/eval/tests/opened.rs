//! Tasks as jobs and studies open them.

use std::path::Path;

use burn::tensor::Device;
use burn_ptq::CalibrateError;
use burn_ptq::graph::Batch;
use burn_ptq::recipe::Recipe;
use burn_ptq_eval::Error;
use burn_ptq_eval::evaluate::Evaluation;
use burn_ptq_eval::opened::OpenTask;
use burn_ptq_eval::task::Task;

fn demo() -> Task {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Task::open(&root.with_file_name("cli").join("demo")).unwrap()
}

fn recipe(text: &str) -> Recipe {
    Recipe::parse(text, "test").unwrap()
}

/// The inputs on which an evaluation judges, sample after sample.
fn inputs(evaluation: &Evaluation) -> Vec<Vec<f32>> {
    let mut seen = Vec::new();
    let predict = &mut |batch: Batch| {
        seen.extend(batch.samples().map(<[f32]>::to_vec));
        Ok(vec![0.0; batch.count * 10])
    };
    evaluation.judge_samples("look", predict, &|_| true).unwrap();
    seen
}

#[test]
fn a_part_of_a_part_is_spread_over_the_whole_with_its_labels() {
    let whole = OpenTask::open(&demo(), true).unwrap().evaluation.unwrap();
    let (all, labels) = (inputs(&whole), whole.class_labels().unwrap());
    let part = whole.limited_to(40).limited_to(8);
    let places: Vec<usize> = (0..8).map(|i| (i * 40 / 8) * all.len() / 40).collect();
    let expected: Vec<i64> = places.iter().map(|&i| labels[i]).collect();
    assert_eq!(part.class_labels().unwrap(), expected);
    let expected: Vec<&Vec<f32>> = places.iter().map(|&i| &all[i]).collect();
    assert_eq!(inputs(&part).iter().collect::<Vec<_>>(), expected);
    assert_eq!(whole.limited_to(usize::MAX).count(), all.len());
}

#[test]
fn recipes_calibrate_with_what_they_say() {
    let opened = OpenTask::open(&demo(), true).unwrap();
    let count = |text: &str| opened.calibration_samples(&recipe(text)).unwrap();
    let all = opened.calibration.as_ref().unwrap().count();
    assert_eq!(count(""), all);
    assert_eq!(count("calibration.samples = 5"), 5);
    assert_eq!(count("calibration.samples = 1000000"), all);
    let data_free = "calibration.source = { data-free = { samples = 7 } }";
    assert_eq!(count(data_free), 7);

    let without = OpenTask::open(&demo(), false).unwrap();
    assert_eq!((without.calibration_sha256.as_str(), without.calibration.is_none()), ("", true));
    let device = Device::flex();
    assert!(without.quantizer(&recipe(data_free), &device).is_ok());
    let Err(Error::Quantize(burn_ptq::Error::Calibrate(error))) =
        without.quantizer(&recipe(""), &device)
    else {
        panic!("there are no samples")
    };
    assert!(matches!(error, CalibrateError::NoSamples), "{error}");
}
