//! Calibration without data: inputs made from the statistics of batch normalization.

use std::cell::RefCell;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::event::{Cancelled, Event, Progress};
use crate::graph::{Batch, BatchNormStatistics, Graph, Node, Parameters, execute};

/// Makes inputs on which every layer has the statistics that its batch normalization remembers.
///
/// Inputs start as noise and are moved by Adam until the means and deviations of each layer's
/// outputs are those that the normalization gave them in training (Cai et al., ZeroQ, 2020). Each
/// input is noise times a deviation plus a mean for each channel, all learned, so that the scale of
/// the model's inputs need not be known.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Synthesis {
    /// The number of inputs to synthesize.
    pub samples: usize,
    /// The number of inputs that are synthesized together, and share statistics.
    pub batch: usize,
    /// Steps of Adam per batch.
    pub steps: usize,
    /// The learning rate of Adam.
    pub learning_rate: f64,
}

impl Default for Synthesis {
    fn default() -> Self {
        Self { samples: 128, batch: 32, steps: 300, learning_rate: 0.1 }
    }
}

/// Why no inputs could be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthesizeError {
    /// The model says nothing of the data that it was trained with.
    #[error(
        "data-free calibration synthesizes inputs from batch normalization statistics, but the model \
         has no batch normalization; give calibration data instead"
    )]
    NoStatistics,
    /// Samples of whole numbers cannot be learned.
    #[error(
        "data-free calibration synthesizes real numbers, but the input '{input}' holds whole ones; give \
         calibration data instead"
    )]
    Integers {
        /// The input.
        input: String,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A batch of one input as variables.
#[derive(Module, Debug)]
struct Inputs {
    noise: Param<Tensor<4>>,
    /// Of each channel, in deviations.
    mean: Param<Tensor<4>>,
    /// The logarithm of the deviation of each channel.
    deviation: Param<Tensor<4>>,
}

impl Inputs {
    fn new(dims: [usize; 4], random: &mut ChaCha8Rng, device: &Device) -> Self {
        let noise = TensorData::new(noise(dims.iter().product(), random), dims);
        let zeros = || Param::from_tensor(Tensor::zeros([1, dims[1], 1, 1], device));
        Self {
            noise: Param::from_tensor(Tensor::from_data(noise, device)),
            mean: zeros(),
            deviation: zeros(),
        }
    }

    fn values(&self) -> Tensor<4> {
        (self.noise.val() + self.mean.val()) * self.deviation.val().exp()
    }
}

/// Makes inputs for `graph`, a prepared graph that has kept its normalizations.
///
/// # Errors
/// If the graph has no batch normalization, and on cancellation.
pub(crate) fn synthesize(
    graph: &Arc<Graph>,
    how: &Synthesis,
    seed: u64,
    device: &Device,
    progress: Progress,
) -> Result<Batch, SynthesizeError> {
    if let Some(&id) = graph.inputs.iter().find(|&&id| graph.integer_grid(id).is_some()) {
        return Err(SynthesizeError::Integers { input: graph.value(id).name.clone() });
    }
    let targets = Targets::new(graph, device)?;
    let autodiff = device.clone().autodiff();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut samples = Batch::default();
    // Batches of nearly one size: the statistics of a small rest would mean little.
    let batches = how.samples.div_ceil(how.batch.max(1));
    for batch in 0..batches {
        let made = how.samples * batch / batches;
        let count = how.samples * (batch + 1) / batches - made;
        let dims = graph.inputs.iter().map(|&input| graph.value(input).dims());
        let mut inputs: Vec<Inputs> =
            dims.map(|[a, b, c]| Inputs::new([count, a, b, c], &mut random, &autodiff)).collect();
        let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
        for step in 0..how.steps {
            let loss = targets.mismatch(values(&inputs));
            let gradients = GradientsParams::from_grads(loss.backward(), &inputs);
            let share = step as f64 / how.steps as f64;
            let rate = how.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
            inputs = adam.step(rate, inputs, gradients);
            let done = made * how.steps + step * count;
            let total = Some(how.samples * how.steps);
            Event::Progress { stage: "synthesize", done, total }.tell(progress)?;
        }
        let values: Vec<Tensor<4>> = values(&inputs).into_iter().map(Tensor::inner).collect();
        let loss = f64::from(targets.mismatch(values.clone()).into_scalar::<f32>());
        Event::Loss { stage: "synthesize", loss }.tell(progress)?;
        samples.append(Batch::of_inputs(values));
    }
    Ok(samples)
}

/// The values of each input.
fn values(inputs: &[Inputs]) -> Vec<Tensor<4>> {
    inputs.iter().map(Inputs::values).collect()
}

/// The target statistics of the outputs of a graph's layers.
struct Targets {
    graph: Arc<Graph>,
    layers: Vec<Parameters>,
    /// By node; `None` where nothing is known of the output.
    targets: Vec<Option<Target>>,
}

impl Targets {
    fn new(graph: &Arc<Graph>, device: &Device) -> Result<Self, SynthesizeError> {
        let target = |n: &Node| n.batch_norm.as_ref().and_then(|s| Target::new(s, device));
        let targets: Vec<Option<Target>> = graph.nodes.iter().map(target).collect();
        if targets.iter().all(Option::is_none) {
            return Err(SynthesizeError::NoStatistics);
        }
        let parameters = |n: &Node| Parameters::new(n.op.parameters(), device);
        let layers = graph.nodes.iter().map(parameters).collect();
        Ok(Self { graph: Arc::clone(graph), layers, targets })
    }

    /// How far the layers' outputs are from their targets, summed over layers.
    fn mismatch(&self, inputs: Vec<Tensor<4>>) -> Tensor<1> {
        let losses = RefCell::new(Vec::new());
        let compute = |index: usize, node: &Node, x: &[Tensor<4>], parameters: &[Tensor<1>]| {
            let output = node.op.operator().forward(x, parameters);
            if let Some(target) = &self.targets[index] {
                losses.borrow_mut().push(target.mismatch(output.clone()));
            }
            output
        };
        execute(&self.graph, &self.layers, inputs, compute, |_, value| value);
        let losses = losses.into_inner();
        losses.into_iter().reduce(|a, b| a + b).expect("a graph without targets is an error")
    }
}

/// The target statistics of a layer's output: `[channels, 1]` each.
struct Target {
    mean: Tensor<2>,
    deviation: Tensor<2>,
    /// What differences are measured in.
    unit: Tensor<2>,
}

/// The smallest deviation that differences are measured in, as a share of the layer's largest:
/// channels that training switched off are nearly constant.
const SMALLEST_UNIT: f64 = 0.05;

impl Target {
    /// `None` if no channel varies: a layer that training switched off says nothing of its inputs.
    fn new(statistics: &BatchNormStatistics, device: &Device) -> Option<Self> {
        let deviations = statistics.deviations();
        let largest = deviations.iter().copied().fold(0.0, f64::max);
        let column = |numbers: Vec<f32>| {
            Tensor::<1>::from_floats(numbers.as_slice(), device).unsqueeze_dim::<2>(1)
        };
        let units = deviations.iter().map(|d| d.max(SMALLEST_UNIT * largest) as f32).collect();
        (largest > 0.0).then(|| Self {
            mean: column(statistics.beta.clone()),
            deviation: column(deviations.iter().map(|&d| d as f32).collect()),
            unit: column(units),
        })
    }

    /// The squared differences of means and deviations, the mean over channels.
    fn mismatch(&self, output: Tensor<4>) -> Tensor<1> {
        let [batch, channels, height, width] = output.dims();
        let rows = output.swap_dims(0, 1).reshape::<2, _>([channels, batch * height * width]);
        let rows = (rows - self.mean.clone()) / self.unit.clone();
        let mean = rows.clone().mean_dim(1);
        // The term keeps the root's gradient finite where a channel is constant.
        let deviation = ((rows - mean.clone()).square().mean_dim(1) + 1e-8).sqrt();
        let stretch = deviation - self.deviation.clone() / self.unit.clone();
        (mean.square() + stretch.square()).mean()
    }
}

/// Standard normal numbers, by Box and Muller.
pub(crate) fn noise(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut uniform = || (f64::from(random.next_u32()) + 1.0) / (f64::from(u32::MAX) + 2.0);
    let mut normal = || {
        let (u, v) = (uniform(), uniform());
        ((-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()) as f32
    };
    (0..count).map(|_| normal()).collect()
}

#[cfg(test)]
mod tests;
