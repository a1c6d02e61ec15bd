//! `reconstruction`: the error of an autoencoder, whose targets are its inputs.

use super::fit::extents;
use super::regression::of_errors;
use super::{Judge, Judgement, Measure, MetricKind, Setting};

/// The mean squared difference between outputs and inputs.
pub(super) struct Reconstruction;

impl Measure for Reconstruction {
    fn name(&self) -> &'static str {
        "reconstruction"
    }

    fn summary(&self) -> &'static str {
        "mean squared error of an autoencoder to its own preprocessed inputs; needs no labels"
    }

    fn heading(&self) -> &'static str {
        "reconstruction error"
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Error
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        if !reconstructs(setting) {
            return Err(format!(
                "the model gives outputs of shape {:?} for inputs of shape {:?}: an autoencoder gives \
                 as many, in the same order",
                setting.output.shape, setting.input
            ));
        }
        Ok(Box::new(ReconstructionJudge { errors: Vec::new() }))
    }
}

/// Whether outputs are laid out like inputs, so that they can be a reconstruction of them.
pub(super) fn reconstructs(setting: &Setting) -> bool {
    let (output, input) = (extents(&setting.output.shape), extents(setting.input));
    let len = |extents: &[usize]| extents.iter().product::<usize>();
    let flat = output.len() <= 1 || input.len() <= 1;
    len(&output) == len(&input) && (flat || output == input)
}

struct ReconstructionJudge {
    errors: Vec<f64>,
}

impl Judge for ReconstructionJudge {
    fn add(&mut self, outputs: &[f32], inputs: &[f32]) {
        self.errors.push(squared_error(outputs, inputs));
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        Ok(of_errors(self.errors))
    }
}

/// The mean squared difference of equally many numbers.
pub(super) fn squared_error(output: &[f32], target: &[f32]) -> f64 {
    let squares = output.iter().zip(target).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / output.len().max(1) as f64
}
