//! Trains the example of a stream: a temporal convolution network that tells from a smart watch what its
//! wearer does, to ONNX.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin train_motions [FOLDER]
//! ```
//!
//! Reads the recordings in `examples/motions` and writes `FOLDER/model.onnx`, by default beside them. The
//! network takes recordings of ten seconds and does not pad, so that `export --stream` makes the same of every
//! step. The number of epochs is fixed and the evaluation split is looked at once, at the end: its accuracy
//! chose nothing.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::optim::AdamConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use burn_ptq_examples::onnx::layers::{batch_norm, conv1d};
use burn_ptq_examples::onnx::{Axis, OnnxWriter, write_model};
use burn_ptq_examples::recordings::{Recordings, folder};
use burn_ptq_examples::training::{Schedule, cross_entropy, descend};

const SCHEDULE: Schedule = Schedule { batch: 10, epochs: 60, learning_rate: 5e-3, seed: 1 };
/// The unit of the stored samples, as `input_scale` of `task.toml` says.
const STEP: f32 = 1.0 / 512.0;
/// Standard deviation of the noise that training adds to samples.
const NOISE: f64 = 0.2;
/// Three of the accelerometer, three of the gyroscope.
const SENSORS: usize = 6;
/// Of a recording.
const STEPS: usize = 100;
/// Steps before the first one that has an output.
const LOOK_BACK: usize = 30;
const CHANNELS: usize = 16;
const ACTIVITIES: usize = 4;
const DESCRIPTION: &str = "Classifier of each step of a smart watch's accelerometer and gyroscope at 10 Hz by the \
    31 steps up to it (Basic Motions, timeseriesclassification.com).";

/// A convolution of three steps, `dilation` apart, and its normalization.
#[derive(Module, Debug)]
struct Block {
    conv: Conv1d,
    norm: BatchNorm,
}

impl Block {
    fn new(inputs: usize, dilation: usize, device: &Device) -> Self {
        let conv = Conv1dConfig::new(inputs, CHANNELS, 3).with_dilation(dilation).with_bias(false);
        Self { conv: conv.init(device), norm: BatchNormConfig::new(CHANNELS).init(device) }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        relu(self.norm.forward(self.conv.forward(input)))
    }
}

#[derive(Module, Debug)]
struct Activities {
    stem: Block,
    blocks: Vec<Block>,
    head: Conv1d,
}

impl Activities {
    fn new(device: &Device) -> Self {
        Self {
            stem: Block::new(SENSORS, 1, device),
            blocks: [2, 4, 8].map(|dilation| Block::new(CHANNELS, dilation, device)).into(),
            head: Conv1dConfig::new(CHANNELS, ACTIVITIES, 1).init(device),
        }
    }

    /// `[batch, 6, steps]` to logits `[batch, 4, steps - 30]`
    fn forward(&self, samples: Tensor<3>) -> Tensor<3> {
        let mut x = self.stem.forward(samples);
        for block in &self.blocks {
            let branch = block.forward(x.clone());
            let [_, _, steps] = branch.dims();
            // The newest steps: each is added to what the block makes of it and of those before.
            let skip = x.slice_dim(2, -(steps as isize)..);
            x = branch + skip;
        }
        self.head.forward(x)
    }

    /// `samples` `[N, 6, 100]` to `activity` `[N, 4, 70]`.
    fn to_onnx(&self) -> Vec<u8> {
        let batch = Axis::Symbol("N");
        let mut onnx = OnnxWriter::new("motions");
        let samples = onnx.input("samples", &[batch, Axis::Size(SENSORS), Axis::Size(STEPS)]);
        let block = |onnx: &mut OnnxWriter, name: &str, block: &Block, x: String| {
            let x = conv1d(onnx, &format!("{name}.conv"), &block.conv, x);
            let x = batch_norm(onnx, &format!("{name}.norm"), &block.norm, x);
            onnx.node("Relu", &format!("{name}.relu"), &[x], vec![])
        };
        let mut x = block(&mut onnx, "stem", &self.stem, samples);
        let (end, axis) = (onnx.integers("end", &[i64::MAX]), onnx.integers("time", &[2]));
        for (index, own) in self.blocks.iter().enumerate() {
            let name = format!("block{}", index + 1);
            let branch = block(&mut onnx, &name, own, x.clone());
            let lost = own.conv.dilation * (own.conv.kernel_size - 1);
            let start = onnx.integers(&format!("{name}.start"), &[lost as i64]);
            let newest = [x, start, end.clone(), axis.clone()];
            let skip = onnx.node("Slice", &format!("{name}.newest"), &newest, vec![]);
            x = onnx.node("Add", &format!("{name}.add"), &[branch, skip], vec![]);
        }
        let x = conv1d(&mut onnx, "activity", &self.head, x);
        onnx.output(&x, &[batch, Axis::Size(ACTIVITIES), Axis::Size(STEPS - LOOK_BACK)]);
        onnx.finish("train_motions", DESCRIPTION)
    }
}

/// Logits of all steps, one after the other: `[batch * steps, classes]`.
fn by_step(logits: Tensor<3>) -> Tensor<2> {
    logits.swap_dims(1, 2).flatten(0, 1)
}

fn main() -> Result<(), Box<dyn Error>> {
    let data = folder("motions");
    let folder = std::env::args_os().nth(1).map_or_else(|| data.clone(), PathBuf::from);
    let train = Recordings::read(&data, "train", STEP)?;
    let evaluation = Recordings::read(&data, "eval", STEP)?;

    let start = Instant::now();
    let device = Device::flex().autodiff();
    device.seed(SCHEDULE.seed);
    let net = Activities::new(&device);
    let cross_entropy = cross_entropy(&net);
    let adam = AdamConfig::new().with_weight_decay(Some(WeightDecayConfig::new(1e-3)));
    let net = descend(net, train.len(), adam, SCHEDULE, |net, indices, _, device| {
        let samples = train.batch(indices, device);
        let noise = Tensor::random(samples.shape(), Distribution::Normal(0.0, NOISE), device);
        let logits = by_step(net.forward(samples + noise));
        cross_entropy.forward(logits, train.labels(indices, device))
    });
    let net = net.valid();
    println!("trained {} parameters in {:.1?}", net.num_params(), start.elapsed());
    for (name, split) in [("training", &train), ("evaluation", &evaluation)] {
        let accuracy = split.accuracy(|samples| by_step(net.forward(samples)))?;
        println!("float accuracy of steps, {name}: {:.2} %", 100.0 * accuracy);
    }
    write_model(&folder, &net.to_onnx())
}
