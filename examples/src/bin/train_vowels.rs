//! Trains the recurrent example: a GRU that hears who is speaking, frame by frame, to ONNX.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin train_vowels [FOLDER]
//! ```
//!
//! Reads the recordings in `examples/vowels` and writes `FOLDER/model.onnx`, by default beside them. The
//! network is trained on whole sequences and written as one step, with its state as an input and an output.
//! The number of epochs is fixed and the evaluation split is looked at once, at the end: its accuracy chose
//! nothing.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn_ptq_examples::onnx::layers::{gru, linear};
use burn_ptq_examples::onnx::{Axis, OnnxWriter, write_model};
use burn_ptq_examples::recordings::{Recordings, folder};
use burn_ptq_examples::training::{Schedule, cross_entropy, descend};

const SCHEDULE: Schedule = Schedule { batch: 11, epochs: 120, learning_rate: 1e-2, seed: 1 };
/// The unit of the stored coefficients, as `input_scale` of `task.toml` says.
const STEP: f32 = 1.0 / 56.0;
/// Standard deviation of the noise that training adds to coefficients.
const NOISE: f64 = 0.1;
const COEFFICIENTS: usize = 12;
const HIDDEN: usize = 32;
const SPEAKERS: usize = 9;
const DESCRIPTION: &str = "One step of a classifier of speakers by 12 cepstral coefficients (Japanese Vowels, \
    M. Kudo, J. Toyama, M. Shimbo; CC BY 4.0); the state h is to be h_next of the step before, first zero.";

#[derive(Module, Debug)]
struct Speakers {
    gru: Gru,
    head: Linear,
}

impl Speakers {
    fn new(device: &Device) -> Self {
        Self {
            gru: GruConfig::new(COEFFICIENTS, HIDDEN, true).init(device),
            head: LinearConfig::new(HIDDEN, SPEAKERS).init(device),
        }
    }

    /// `[batch, frames, 12]` to logits `[batch * frames, 9]`
    fn forward(&self, frames: Tensor<3>) -> Tensor<2> {
        self.head.forward(self.gru.forward(frames, None).flatten(0, 1))
    }

    /// One step: `frame` `[N, 12]` and `h` `[N, 32]` to `scores` `[N, 9]` and `h_next`.
    fn to_onnx(&self) -> Vec<u8> {
        let batch = Axis::Symbol("N");
        let mut onnx = OnnxWriter::new("vowels");
        let frame = onnx.input("frame", &[batch, Axis::Size(COEFFICIENTS)]);
        let h = onnx.input("h", &[batch, Axis::Size(HIDDEN)]);
        let first = onnx.integers("first", &[0]);
        let frame = onnx.node("Unsqueeze", "frame_sequence", &[frame, first.clone()], vec![]);
        let h = onnx.node("Unsqueeze", "h_layer", &[h, first.clone()], vec![]);
        let h = gru(&mut onnx, "gru", &self.gru, frame, h);
        let h = onnx.node("Squeeze", "h_next", &[h, first], vec![]);
        let scores = linear(&mut onnx, "scores", &self.head, h.clone());
        onnx.output(&scores, &[batch, Axis::Size(SPEAKERS)]);
        onnx.output(&h, &[batch, Axis::Size(HIDDEN)]);
        onnx.finish("train_vowels", DESCRIPTION)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let data = folder("vowels");
    let folder = std::env::args_os().nth(1).map_or_else(|| data.clone(), PathBuf::from);
    let train = Recordings::read(&data, "train", STEP)?;
    let evaluation = Recordings::read(&data, "eval", STEP)?;

    let start = Instant::now();
    let device = Device::flex().autodiff();
    device.seed(SCHEDULE.seed);
    let net = Speakers::new(&device);
    let cross_entropy = cross_entropy(&net);
    let adam = AdamConfig::new().with_weight_decay(Some(WeightDecayConfig::new(1e-4)));
    let net = descend(net, train.len(), adam, SCHEDULE, |net, indices, _, device| {
        let frames = train.batch(indices, device);
        let noise = Tensor::random(frames.shape(), Distribution::Normal(0.0, NOISE), device);
        cross_entropy.forward(net.forward(frames + noise), train.labels(indices, device))
    });
    let net = net.valid();
    println!("trained {} parameters in {:.1?}", net.num_params(), start.elapsed());
    for (name, split) in [("training", &train), ("evaluation", &evaluation)] {
        let accuracy = split.accuracy(|frames| net.forward(frames))?;
        println!("float accuracy of frames, {name}: {:.2} %", 100.0 * accuracy);
    }
    write_model(&folder, &net.to_onnx())
}
