//! What the outputs of a tuned part are compared by.

use burn::tensor::Tensor;

use crate::recipe::choice::choices;

/// One output of a tuned part.
#[derive(Debug)]
pub struct Compared<'a> {
    /// The quantized network's.
    pub found: Tensor<4>,
    /// The float network's.
    pub wanted: &'a Tensor<4>,
    /// The variance of the float network's over the calibration samples.
    pub variance: f32,
    /// The squared gradients of the prediction's loss, if the loss asked for them.
    pub importance: Option<&'a Tensor<4>>,
}

/// A comparison of outputs.
pub trait Loss: Sync {
    /// Whether [`Compared::importance`] is required.
    fn needs_importance(&self) -> bool {
        false
    }

    /// The weight of the difference of the network's predictions, which the rest of the network,
    /// in floats, makes of the part's outputs.
    fn prediction_weight(&self) -> f64 {
        0.0
    }

    /// The temperature of the predictions.
    fn temperature(&self) -> f64 {
        1.0
    }

    /// How much an output differs.
    fn compare(&self, compared: Compared) -> Tensor<1> {
        let Compared { found, wanted, variance, importance } = compared;
        let square = (found - wanted.clone()).square();
        match importance {
            Some(importance) => (square * importance.clone()).mean() / variance,
            None => square.mean() / variance,
        }
    }
}

/// Compares outputs by the mean squared error, relative to the variance of the output.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mse {}

impl Loss for Mse {}

/// Weights squared errors by the squared gradient of the prediction's loss: the diagonal of the
/// Fisher information (BRECQ, equation 10).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fisher {}

impl Loss for Fisher {
    fn needs_importance(&self) -> bool {
        true
    }
}

/// Adds the Kullback-Leibler divergence of the network's predictions to the squared error (PD-Quant).
///
/// A network that ends without a softmax has no predictions: there it adds the relative squared
/// error of the network's output.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PredictionDifference {
    /// The weight of the divergence.
    pub weight: f64,
    /// The temperature that divides logits.
    pub temperature: f64,
}

impl Default for PredictionDifference {
    fn default() -> Self {
        Self { weight: 1.0, temperature: 1.0 }
    }
}

impl Loss for PredictionDifference {
    fn prediction_weight(&self) -> f64 {
        self.weight
    }

    fn temperature(&self) -> f64 {
        self.temperature
    }
}

choices! {
    /// The losses that a recipe can name.
    LossChoice of Loss, a "loss" {
        "mse" => Mse: "relative mean squared error",
        "fisher" => Fisher: "squared errors weighted by squared gradients of the prediction",
        "prediction-difference" => PredictionDifference: "squared errors plus the divergence of predictions",
    }
}
