//! The noise of quantization: how far the values of the quantized network are from the float one's.

use std::collections::VecDeque;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use serde::Serialize;

use crate::event::{Cancelled, Event, Progress};
use crate::graph::{Batch, FloatModel, Graph, ValueId, to_vec};
use crate::network::Bins;
use crate::quant::{QuantizedGraph, SimulatedModel};

/// Samples that are run at once.
const CHUNK: usize = 8;

/// The most samples on which noise is measured.
pub const NOISE_SAMPLES: usize = 64;

/// The fewest samples that say something about noise.
pub const FEWEST_NOISE_SAMPLES: usize = 8;

/// Which samples a measurement ran on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum MeasuredOn {
    /// Calibration samples that no weight, scale or bias was fitted to.
    #[serde(rename = "held-out")]
    HeldOut,
    /// Evaluation samples, without their labels.
    #[serde(rename = "evaluation samples")]
    Evaluation,
    /// There were no others: what is measured on them looks better than it is.
    #[serde(rename = "calibration samples that layers were fitted to")]
    Fitted,
}

impl std::fmt::Display for MeasuredOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HeldOut => "held-out calibration samples",
            Self::Evaluation => "evaluation samples",
            Self::Fitted => "calibration samples that layers were fitted to",
        })
    }
}

/// The noise of every value of the quantized graph.
#[derive(Clone, Debug)]
pub struct Noise {
    /// Which samples it was measured on.
    pub on: MeasuredOn,
    /// These samples.
    pub inputs: Batch,
    /// By index of the value; `None` for values that only the quantized graph has.
    pub values: Vec<Option<ValueNoise>>,
}

/// The noise of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueNoise {
    /// The sum of the squares of the float elements.
    signal: f64,
    /// The sum of the squares of the differences.
    noise: f64,
    /// Elements seen.
    pub elements: usize,
    /// Float elements that lie outside the grid, by more than half a step.
    pub outside: usize,
    /// The largest magnitude of each channel of the float value, along the first axis of a sample.
    pub largest: Vec<f32>,
    /// Where the float elements lie around the grid.
    pub bins: Bins,
}

impl ValueNoise {
    /// The signal-to-quantization-noise ratio, `10 log10(sum x^2 / sum (x - x^)^2)` in dB; `None` where
    /// nothing differs or there is no signal.
    pub fn sqnr_db(&self) -> Option<f64> {
        Some(10.0 * (self.signal / self.noise).log10()).filter(|ratio| ratio.is_finite())
    }

    fn add(&mut self, float: &[f32], quantized: &[f32], channels: usize, [low, high]: [f32; 2]) {
        for (x, q) in float.iter().zip(quantized) {
            self.signal += f64::from(*x) * f64::from(*x);
            self.noise += f64::from(x - q) * f64::from(x - q);
            self.outside += usize::from(*x < low || *x > high);
        }
        self.elements += float.len();
        if self.bins.counts.is_empty() {
            self.bins = Bins::around([low, high]);
        }
        self.bins.add(float.iter().copied());
        self.largest.resize(channels, 0.0);
        // Runs of a channel follow each other in every sample.
        let run = (float.len() / channels.max(1)).max(1);
        debug_assert_eq!(run * channels.max(1), float.len());
        for (largest, run) in self.largest.iter_mut().zip(float.chunks(run)) {
            *largest = run.iter().fold(*largest, |m, x| m.max(x.abs()));
        }
    }
}

impl Noise {
    /// The ratio of a value; `None` where nothing differs, or the float network has no such value.
    pub fn sqnr_db(&self, id: ValueId) -> Option<f64> {
        self.values.get(id.0)?.as_ref()?.sqnr_db()
    }

    /// Runs `inputs` through the float and the simulated network.
    ///
    /// # Errors
    /// On cancellation.
    pub(crate) fn measure(
        float: &Arc<Graph>,
        quantized: &QuantizedGraph,
        inputs: Batch,
        on: MeasuredOn,
        device: &Device,
        progress: Progress,
    ) -> Result<Self, Cancelled> {
        let model = FloatModel::new(Arc::clone(float), device);
        let simulated = SimulatedModel::new(quantized, device);
        let ends: Vec<[f32; 2]> = (quantized.activations.iter())
            .map(|a| {
                let half = 0.5 * a.grid.scale;
                let [low, high] = [a.grid.min, a.grid.max].map(|q| a.grid.dequantize(q));
                [low - half, high + half]
            })
            .collect();
        let mut values: Vec<Option<ValueNoise>> = vec![None; quantized.graph.values.len()];
        for (index, chunk) in inputs.chunks(CHUNK).enumerate() {
            Event::Progress { stage: "compare", done: index * CHUNK, total: Some(inputs.count) }
                .tell(progress)?;
            // Of values in loops, one for each step.
            let mut real: Vec<VecDeque<Tensor<4>>> = vec![VecDeque::new(); float.values.len()];
            model.forward_with(chunk.clone().into_tensors(float, device), |id, value| {
                real[id.0].push_back(value.clone());
                value
            });
            simulated.forward_with(chunk.into_tensors(float, device), |id, value| {
                let Some(real) = real.get_mut(id.0).and_then(VecDeque::pop_front) else { return };
                let [batch, channels, ..] = real.dims();
                let (x, q) = (to_vec(real.clone()), to_vec(value.clone()));
                let noise = values[id.0].get_or_insert_default();
                for (x, q) in x.chunks(x.len() / batch).zip(q.chunks(x.len() / batch)) {
                    noise.add(x, q, channels, ends[id.0]);
                }
            });
        }
        Ok(Self { on, inputs, values })
    }
}

/// The signal-to-quantization-noise ratio of the weights of node `index`, in dB.
pub fn weight_sqnr(quantized: &QuantizedGraph, index: usize) -> Option<f64> {
    let (float, _) = quantized.graph.nodes[index].op.weight_and_bias()?;
    let rounded = quantized.weights[index].as_ref()?.dequantize(&float.shape);
    let power = |values: &mut dyn Iterator<Item = f32>| -> f64 {
        values.map(|x| f64::from(x) * f64::from(x)).sum()
    };
    let signal = power(&mut float.data.iter().copied());
    let noise = power(&mut float.data.iter().zip(&rounded.data).map(|(w, q)| w - q));
    Some(10.0 * (signal / noise).log10()).filter(|ratio| ratio.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_relative_to_the_signal_and_counts_what_lies_outside() {
        let mut noise = ValueNoise::default();
        noise.add(&[3.0, -4.0, 0.0, 5.0], &[3.0, -3.0, 0.0, 5.0], 2, [-3.5, 6.0]);
        assert_eq!((noise.elements, noise.outside), (4, 1));
        assert_eq!(noise.bins.extremes, Some((-4.0, 5.0)));
        assert_eq!(noise.largest, [4.0, 5.0]);
        assert!((noise.sqnr_db().unwrap() - 10.0 * 50.0_f64.log10()).abs() < 1e-9);
        assert_eq!(ValueNoise::default().sqnr_db(), None);
    }
}
