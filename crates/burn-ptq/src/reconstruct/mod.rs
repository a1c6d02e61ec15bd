//! Reconstruction: weights, scales and biases of several layers are tuned together, so that the
//! outputs of a part of the network become those of the float network.
//!
//! Starts from the integers that the layer-wise rounding found.

mod blocks;
mod error;
mod loss;
mod model;
mod train;
mod variables;

pub use blocks::{Segment, segments};
pub use error::ReconstructError;
pub use loss::{Compared, Fisher, Loss, LossChoice, Mse, PredictionDifference};
pub use model::SegmentModel;
pub(crate) use train::reconstruct;
pub use variables::{ActivationVariables, LayerVariables};

/// How parts of the network are tuned.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Reconstruction {
    /// What is tuned together.
    pub granularity: ReconstructionGranularity,
    /// The names of the nodes that end a block; found from the graph if there are none.
    pub blocks: Vec<String>,
    /// What outputs are compared by.
    pub loss: LossChoice,
    /// How integers are learned.
    pub rounding: LearnedRounding,
    /// Steps of Adam for each part.
    pub iterations: usize,
    /// Samples of a step.
    pub batch: usize,
    /// Calibration samples, at the most.
    pub samples: usize,
    /// The learning rate at the start, in quantization steps of a weight.
    pub learning_rate: f64,
    /// The probability with which an activation is not rounded while tuning (QDrop).
    pub drop: f64,
    /// The probability that a sample is mixed with another; only for the whole network.
    pub mixup: f64,
    /// Whether the scales of weights are learned.
    pub learn_weight_scales: bool,
    /// Whether the scales of activations of fewer than 8 bits are learned (LSQ).
    pub learn_activation_scales: bool,
    /// The weight of the term that decides soft roundings; only for `rounding = "adaround"`.
    pub regularization: f64,
    /// The share of samples that is held out to decide whether the tuned weights of a part are
    /// kept.
    pub validation: f64,
}

/// What is tuned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ReconstructionGranularity {
    /// No reconstruction.
    None,
    /// Each layer with weights.
    Layer,
    /// Residual units, and depthwise convolutions with the pointwise ones that follow (BRECQ).
    Block,
    /// Pairs of adjacent blocks (MRECG).
    BlockPairs,
    /// The whole network, comparing every block's output and the prediction.
    Network,
}

/// How integers are learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LearnedRounding {
    /// Weights move freely and are rounded with straight-through gradients.
    StraightThrough,
    /// Rectified sigmoids between rounding down and up, decided by a regularizer.
    Adaround,
}

impl Reconstruction {
    /// Whether another seed gives another result: the samples of a step are drawn at random.
    pub fn is_random(&self) -> bool {
        self.granularity != ReconstructionGranularity::None
    }
}

impl Default for Reconstruction {
    fn default() -> Self {
        Self {
            granularity: ReconstructionGranularity::None,
            blocks: Vec::new(),
            loss: LossChoice::Mse(Default::default()),
            rounding: LearnedRounding::StraightThrough,
            iterations: 300,
            batch: 32,
            samples: 1024,
            learning_rate: 5e-3,
            drop: 0.0,
            mixup: 0.0,
            learn_weight_scales: true,
            learn_activation_scales: true,
            regularization: 1.0,
            validation: 0.0,
        }
    }
}
