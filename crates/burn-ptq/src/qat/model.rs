//! A quantized network as a module that trains.

use std::collections::HashMap;
use std::sync::Arc;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::graph::{ValueId, single};
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
    inputs: Vec<FakeQuantize>,
    #[module(skip)]
    quantized: Arc<QuantizedGraph>,
}

impl QatConfig {
    /// A model that computes what `quantized` does, on `device`, which has autodiff for training.
    pub fn init(&self, quantized: &QuantizedGraph, device: &Device) -> QatModel {
        let graph = &quantized.graph;
        let whole = Segment {
            nodes: 0..graph.nodes.len(),
            inputs: graph.inputs.clone(),
            targets: graph
                .outputs
                .iter()
                .copied()
                .filter(|&o| graph.producer(o).is_some())
                .collect(),
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
        let input = |id: &ValueId| FakeQuantize::new(quantized.activations[id.0].grid);
        QatModel {
            network: SegmentModel::new(quantized, &whole, &spreads, u8::MAX, &how, device),
            inputs: graph.inputs.iter().map(input).collect(),
            quantized: Arc::new(quantized.clone()),
        }
    }
}

impl QatModel {
    /// Runs a batch through a network of one input and one output; the output is not rounded.
    ///
    /// # Shapes
    /// - input: `[batch, d1, d2, d3]`, the graph's input sample padded with trailing ones
    /// - output: likewise, the graph's output sample
    ///
    /// # Panics
    /// If the network has several inputs or outputs: [`forward_all`](Self::forward_all) takes them.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        single(self.forward_all(vec![input]))
    }

    /// Runs a batch: a tensor for each input, and one for each output, which is not rounded.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward), for each input and output.
    ///
    /// # Panics
    /// If there is not one tensor for each input.
    pub fn forward_all(&self, inputs: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        let graph = &self.quantized.graph;
        assert_eq!(inputs.len(), graph.inputs.len(), "a network takes one tensor for each input");
        let rounded = self.inputs.iter().zip(inputs).map(|(quantize, x)| quantize.forward(x));
        let border: HashMap<ValueId, Tensor<4>> =
            graph.inputs.iter().copied().zip(rounded).collect();
        let mut computed = self.network.forward(&border, |_| None).into_iter();
        let output = |id: &ValueId| match border.get(id) {
            Some(input) => input.clone(),
            None => computed.next().expect("the segment has the other outputs as its targets"),
        };
        graph.outputs.iter().map(output).collect()
    }

    /// The quantized graph with what was learned, ready for
    /// [`refined`](crate::Quantized::refined), which refuses it if training diverged.
    pub fn quantized(&self) -> QuantizedGraph {
        let mut quantized = self.quantized.as_ref().clone();
        self.network.store(&mut quantized);
        quantized
    }
}
