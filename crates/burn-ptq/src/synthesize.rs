//! Calibration without data: inputs made from the statistics of batch normalization.

use std::cell::RefCell;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::evaluate::to_vec;
use crate::graph::{Graph, Node, Parameters, execute};
use crate::pipeline::{Event, PipelineError, Progress};

/// Makes inputs on which every layer has the statistics that its batch normalization remembers.
///
/// Inputs start as noise and are moved by Adam until the means and deviations of each layer's
/// outputs are those of the normalization, `beta` and `|gamma|` (Cai et al., ZeroQ, 2020). Each input
/// is noise times a deviation plus a mean for each channel, all learned, so that the scale of the
/// model's inputs need not be known.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Synthesis {
    /// Inputs to make.
    pub samples: usize,
    /// Inputs that are made together; statistics are taken over them.
    pub batch: usize,
    /// Steps of Adam for a batch.
    pub steps: usize,
    /// Its learning rate.
    pub learning_rate: f64,
}

impl Default for Synthesis {
    fn default() -> Self {
        Self { samples: 128, batch: 32, steps: 300, learning_rate: 0.1 }
    }
}

/// A batch of inputs as variables.
#[derive(Module, Debug)]
struct Inputs {
    noise: Param<Tensor<4>>,
    /// Of each channel.
    mean: Param<Tensor<4>>,
    /// The logarithm of the deviation of each channel.
    deviation: Param<Tensor<4>>,
}

impl Inputs {
    fn values(&self) -> Tensor<4> {
        (self.noise.val() + self.mean.val()) * self.deviation.val().exp()
    }
}

/// Makes inputs for `graph`, a prepared graph that has kept its normalizations; one sample after the
/// other, in the order of the graph's input.
///
/// # Errors
/// If the graph has no batch normalization, and on cancellation.
pub fn synthesize(
    graph: &Arc<Graph>,
    how: &Synthesis,
    seed: u64,
    device: &Device,
    progress: Progress,
) -> Result<Vec<f32>, PipelineError> {
    if graph.nodes.iter().all(|n| n.batch_norm.is_none()) {
        return Err(PipelineError::NoStatistics);
    }
    let autodiff = device.clone().autodiff();
    let [a, b, c] = graph.value(graph.input).dims();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let layers: Vec<Parameters> =
        graph.nodes.iter().map(|n| Parameters::new(n.op.parameters(), device)).collect();
    let mut samples = Vec::new();
    for made in (0..how.samples).step_by(how.batch.max(1)) {
        let batch = how.batch.max(1).min(how.samples - made);
        let noise: Vec<f32> = (0..batch * a * b * c).map(|_| normal(&mut random)).collect();
        let noise = Tensor::from_data(TensorData::new(noise, [batch, a, b, c]), &autodiff);
        let mut inputs = Inputs {
            noise: Param::from_tensor(noise),
            mean: Param::from_tensor(Tensor::zeros([1, a, 1, 1], &autodiff)),
            deviation: Param::from_tensor(Tensor::zeros([1, a, 1, 1], &autodiff)),
        };
        let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
        for step in 0..how.steps {
            let loss = mismatch(graph, &layers, inputs.values());
            let gradients = GradientsParams::from_grads(loss.backward(), &inputs);
            let share = step as f64 / how.steps as f64;
            let rate = how.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
            inputs = adam.step(rate, inputs, gradients);
            let done = made * how.steps + step * batch;
            let total = Some(how.samples * how.steps);
            if !progress(Event::Progress { stage: "synthesize", done, total }) {
                return Err(PipelineError::Cancelled);
            }
        }
        let loss = f64::from(mismatch(graph, &layers, inputs.values()).into_scalar::<f32>());
        progress(Event::Loss { stage: "synthesize", loss });
        samples.extend(to_vec(inputs.values().inner()));
    }
    Ok(samples)
}

/// How far the statistics of each layer's outputs are from its normalization's, in squared
/// deviations, the mean over channels, summed over layers.
fn mismatch(graph: &Graph, layers: &[Parameters], input: Tensor<4>) -> Tensor<1> {
    let losses = RefCell::new(Vec::new());
    let compute = |_, node: &Node, inputs: &[Tensor<4>], parameters: &[Tensor<1>]| {
        let output = node.op.operator().forward(inputs, parameters);
        if let Some(statistics) = &node.batch_norm {
            let channels = statistics.beta.len();
            let device = output.device();
            let row = |x: Vec<f32>| {
                Tensor::<1>::from_floats(x.as_slice(), &device).reshape::<2, _>([channels, 1])
            };
            let wanted_mean = row(statistics.beta.clone());
            let wanted = row(statistics.gamma.iter().map(|g| g.abs().max(1e-3)).collect());
            let elements = output.dims().iter().product::<usize>();
            let rows =
                output.clone().swap_dims(0, 1).reshape::<2, _>([channels, elements / channels]);
            let mean = rows.clone().mean_dim(1);
            let deviation = ((rows - mean.clone()).square().mean_dim(1) + 1e-8).sqrt();
            let shift = ((mean - wanted_mean) / wanted.clone()).square();
            let stretch = (deviation / wanted - 1.0).square();
            losses.borrow_mut().push((shift + stretch).mean());
        }
        output
    };
    execute(graph, layers, input, compute, |_, value| value);
    let losses = losses.into_inner();
    losses.into_iter().reduce(|a, b| a + b).expect("there are normalizations")
}

/// A standard normal number, by Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f32 {
    let mut uniform = || (f64::from(random.next_u32()) + 1.0) / (f64::from(u32::MAX) + 2.0);
    let (u, v) = (uniform(), uniform());
    ((-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()) as f32
}
