//! The fit of calibration samples to the batch normalization of the demo's network.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burn_ptq::import::onnx;
use burn_ptq::prepare;
use burn_ptq::warnings::{BatchNormFit, FirstNorm, Scaling};
use burn_ptq_eval::data::Samples;
use burn_ptq_eval::input::{InputSettings, ModelInput};

/// Inputs that were multiplied once more.
fn by(factor: f32) -> Scaling {
    Scaling { factor, term: 0.0, what: "", on_top: true }
}

/// The demo's network on its calibration samples, scaled.
fn fit(scaling: Scaling) -> BatchNormFit {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/demo");
    let graph = Arc::new(prepare(onnx::read(&demo.join("model.onnx")).unwrap()).unwrap());
    let settings = InputSettings { scale: Some(0.0625), ..Default::default() };
    let input = ModelInput::of_graph(&graph, &settings).unwrap();
    let samples = Samples::open(&demo.join("calib_x.npy"), &input).unwrap();
    let mut batches = samples.batches(64, None).unwrap();
    let inputs = scaling.apply(&batches.next().unwrap().unwrap());
    FirstNorm::of(&graph, &Device::flex()).unwrap().measure(&inputs).unwrap()
}

#[test]
fn samples_like_those_of_training_fit() {
    let found = fit(by(1.0));
    assert!(!found.is_far() && found.rescaled.is_none(), "{found:?}");
    assert!((0.7..1.4).contains(&found.stretch) && found.shift < 0.5, "{found:?}");
}

#[test]
fn a_wrong_scale_is_found_with_what_makes_up_for_it() {
    for factor in [255.0, 16.0, 1.0 / 255.0, 1.0 / 16.0, 1.0 / 37.0] {
        let found = fit(by(factor));
        assert!(found.is_far(), "{found:?}");
        let scaling = found.rescaled.expect("a scaling that fits");
        assert!((scaling.factor * factor - 1.0).abs() < 1e-3, "{factor}: {found:?}");
        assert_eq!(scaling.term, 0.0, "{factor}: {found:?}");
    }
    let found = fit(by(0.0));
    assert!(found.is_far() && found.rescaled.is_none(), "{found:?}");
}
