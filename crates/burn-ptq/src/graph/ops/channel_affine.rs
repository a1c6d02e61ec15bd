//! One scale and shift a channel: batch normalization at inference, or constant factors and terms.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Array, Operator, OutputGrid};
use crate::graph::dims3;

/// `y = x * scale[c] + shift[c]`, where `c` runs over a sample's first axis.
#[derive(Clone, Debug)]
pub struct ChannelAffine {
    /// `[channels]`.
    pub scale: Array,
    /// `[channels]`.
    pub shift: Array,
}

impl ChannelAffine {
    /// Batch normalization with running statistics: `scale = gamma / sqrt(variance + epsilon)`,
    /// `shift = beta - mean * scale`, computed in f64.
    pub fn from_batch_norm(statistics: &BatchNormStatistics) -> Self {
        let s = statistics;
        let channels = s.gamma.len();
        let mut scale = Vec::with_capacity(channels);
        let mut shift = Vec::with_capacity(channels);
        for c in 0..channels {
            let deviation = (f64::from(s.variance[c]) + f64::from(s.epsilon)).sqrt();
            let factor = f64::from(s.gamma[c]) / deviation;
            scale.push(factor as f32);
            shift.push((f64::from(s.beta[c]) - f64::from(s.mean[c]) * factor) as f32);
        }
        Self { scale: Array::new([channels], scale), shift: Array::new([channels], shift) }
    }
}

/// The parameters of a batch normalization, kept after folding for the methods that correct biases
/// or synthesize data from them. One element a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormStatistics {
    /// The normalization's name in the source model.
    pub name: String,
    /// The learned factor.
    pub gamma: Vec<f32>,
    /// The learned term.
    pub beta: Vec<f32>,
    /// The running mean.
    pub mean: Vec<f32>,
    /// The running variance.
    pub variance: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl BatchNormStatistics {
    /// The standard deviation that each channel of the output had in training:
    /// `|gamma| * sqrt(variance / (variance + epsilon))`.
    ///
    /// A channel that training switched off has a variance of nearly 0 and so is constant, whatever
    /// its `gamma`.
    pub fn deviations(&self) -> Vec<f64> {
        let deviation = |(&gamma, &variance): (&f32, &f32)| {
            let variance = f64::from(variance.max(0.0));
            let total = variance + f64::from(self.epsilon);
            let kept = if total > 0.0 { (variance / total).sqrt() } else { 0.0 };
            f64::from(gamma.abs()) * kept
        };
        self.gamma.iter().zip(&self.variance).map(deviation).collect()
    }
}

impl Operator for ChannelAffine {
    fn name(&self) -> &'static str {
        "ChannelAffine"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [channels, ..] = dims3(inputs[0]);
        if self.scale.len() != channels || self.shift.len() != channels {
            return Err(format!(
                "expected {channels} scales and shifts, found {} and {}",
                self.scale.len(),
                self.shift.len()
            ));
        }
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, inputs: &[Tensor<4>], parameters: &[Tensor<1>]) -> Tensor<4> {
        let channels = self.scale.len();
        let [scale, shift] =
            [0, 1].map(|i| parameters[i].clone().reshape::<4, _>([1, channels, 1, 1]));
        inputs[0].clone() * scale + shift
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Observed
    }

    fn macs(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        inputs[0].iter().product()
    }

    fn arity(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn moves_elements(&self) -> bool {
        false
    }

    fn averages(&self) -> bool {
        false
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        true
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
