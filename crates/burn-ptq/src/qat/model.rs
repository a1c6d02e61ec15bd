//! A quantized network as a module that trains.

use std::collections::HashMap;
use std::sync::Arc;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::quant::{FakeQuantize, QuantizedGraph};
use crate::reconstruct::{LearnedRounding, Reconstruction, Segment, SegmentModel};

/// How a [`QatModel`] learns.
#[derive(Config, Debug)]
pub struct QatConfig {
    /// Whether the scales of weights are learned, as in LSQ (Esser et al. 2020).
    #[config(default = true)]
    pub learn_weight_scales: bool,
    /// Whether the scales of activations are learned, likewise.
    #[config(default = true)]
    pub learn_activation_scales: bool,
}

/// A quantized network whose weights, biases and scales are variables.
///
/// It rounds where the integer program rounds; gradients go straight through (Bengio et al. 2013).
/// Variables stand in units that suit one learning rate: weights in steps of their scale, biases in
/// deviations of their layer's output, scales in fifths of their logarithm. Adam at 1e-3 to 1e-2 is a
/// good start.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::{AdamConfig, GradientsParams};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use burn_ptq::{Quantizer, Recipe, capture, qat::QatConfig};
///
/// let device = Device::flex();
/// let layer = LinearConfig::new(8, 3).init(&device);
/// let graph = capture(&layer, Tensor::<2>::zeros([1, 8], &device), |l, x| l.forward(x))?;
/// let batch = Tensor::<2>::random([64, 8], Distribution::Default, &device);
/// let quantized = Quantizer::new(Recipe::preset("w2a8")?).quantize(graph, [batch.clone()])?;
///
/// let training = device.autodiff();
/// let mut model = QatConfig::new().init(&quantized.graph, &training);
/// let mut adam = AdamConfig::new().init();
/// // One step of a loop of your own:
/// let inputs = Tensor::<2>::from_inner(batch.clone()).reshape([64, 8, 1, 1]);
/// let targets = Tensor::<2>::from_inner(layer.forward(batch));
/// let outputs = model.forward(inputs).reshape([64, 3]);
/// let loss = (outputs - targets).powi_scalar(2).mean();
/// let gradients = GradientsParams::from_grads(loss.backward(), &model);
/// model = adam.step(1e-2, model, gradients);
///
/// let quantized = quantized.refined(model.quantized())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct QatModel {
    network: SegmentModel,
    input: FakeQuantize,
    #[module(skip)]
    quantized: Arc<QuantizedGraph>,
}

impl QatConfig {
    /// A model that computes what `quantized` does, on `device`, which has autodiff for training.
    pub fn init(&self, quantized: &QuantizedGraph, device: &Device) -> QatModel {
        let graph = &quantized.graph;
        let whole = Segment {
            nodes: 0..graph.nodes.len(),
            inputs: vec![graph.input],
            targets: vec![graph.output],
        };
        let how = Reconstruction {
            rounding: LearnedRounding::StraightThrough,
            learn_weight_scales: self.learn_weight_scales,
            learn_activation_scales: self.learn_activation_scales,
            ..Default::default()
        };
        // A grid covers about six deviations.
        let spread = |a: &crate::quant::QuantizedActivation| {
            a.grid.scale * (a.grid.max - a.grid.min) as f32 / 6.0
        };
        let spreads: Vec<f32> = quantized.activations.iter().map(spread).collect();
        let input = quantized.activations[graph.input.0].grid;
        QatModel {
            network: SegmentModel::new(quantized, &whole, &spreads, u8::MAX, &how, device),
            input: FakeQuantize::new(input),
            quantized: Arc::new(quantized.clone()),
        }
    }
}

impl QatModel {
    /// Runs a batch; the output is not rounded.
    ///
    /// # Shapes
    /// - input: `[batch, d1, d2, d3]`, the graph's input sample padded with trailing ones
    /// - output: likewise, the graph's output sample
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let border = HashMap::from([(self.quantized.graph.input, self.input.forward(input))]);
        let mut outputs = self.network.forward(&border, |_| None);
        outputs.pop().expect("the segment has the output as its only target")
    }

    /// The quantized graph with what was learned, ready for
    /// [`lower`](crate::lower::lower).
    pub fn quantized(&self) -> QuantizedGraph {
        let mut quantized = self.quantized.as_ref().clone();
        self.network.store(&mut quantized);
        quantized
    }
}
