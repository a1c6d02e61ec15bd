//! The translation of ONNX operators on computed values, one file a family.
//!
//! To add one: a function in the file of its family and a line in [`OPERATORS`].

mod activation;
mod arithmetic;
mod convolution;
mod linear;
mod normalization;
mod pooling;
mod shape;
mod window;

use super::error::Refusal;
use super::importer::{Binding, Importer, Site};
use crate::graph::ValueId;

/// Appends the nodes for one ONNX node and returns the value that stands for its first output.
type Translate = fn(&mut Importer, &Site) -> Result<ValueId, Refusal>;

/// The operators that have a translation.
const OPERATORS: &[(&str, Translate)] = &[
    ("Add", arithmetic::add),
    ("AveragePool", pooling::average_pool),
    ("BatchNormalization", normalization::batch_normalization),
    ("Cast", shape::cast),
    ("Clip", activation::clip),
    ("Concat", shape::concat),
    ("Conv", convolution::conv),
    ("Div", arithmetic::div),
    ("Dropout", normalization::dropout),
    ("Flatten", shape::flatten),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", pooling::global_average_pool),
    ("GlobalMaxPool", pooling::global_max_pool),
    ("HardSigmoid", activation::hard_sigmoid),
    ("HardSwish", activation::hard_swish),
    ("Identity", shape::identity),
    ("LeakyRelu", activation::leaky_relu),
    ("LogSoftmax", normalization::log_softmax),
    ("MatMul", linear::matmul),
    ("Max", activation::max),
    ("MaxPool", pooling::max_pool),
    ("Min", activation::min),
    ("Mul", arithmetic::mul),
    ("Neg", arithmetic::neg),
    ("Pad", shape::pad),
    ("ReduceMean", pooling::reduce_mean),
    ("Relu", activation::relu),
    ("Reshape", shape::reshape),
    ("Sigmoid", activation::sigmoid),
    ("Softmax", normalization::softmax),
    ("Squeeze", shape::squeeze),
    ("Sub", arithmetic::sub),
    ("Tanh", activation::tanh),
    ("Transpose", shape::transpose),
    ("Unsqueeze", shape::unsqueeze),
];

/// The operators that are only computed from constants and shapes.
const FOLDED: &[&str] = &[
    "Abs",
    "Ceil",
    "Constant",
    "ConstantOfShape",
    "Equal",
    "Exp",
    "Expand",
    "Floor",
    "Gather",
    "Pow",
    "Reciprocal",
    "ReduceProd",
    "Shape",
    "Slice",
    "Sqrt",
    "Where",
];

/// Whether nodes of `op` can be imported, in the right circumstances.
pub(super) fn is_supported(op: &str) -> bool {
    FOLDED.contains(&op) || translation(op).is_some()
}

fn translation(op: &str) -> Option<Translate> {
    OPERATORS.iter().find(|(name, _)| *name == op).map(|(_, translate)| *translate)
}

/// Translates a node that reads computed values.
pub(super) fn import(importer: &mut Importer, site: &Site) -> Result<Binding, Refusal> {
    let translate = translation(site.op).ok_or_else(|| {
        Refusal::new(
            format!("{} is supported only on constants and shapes", site.op),
            "move the computation out of the model or express it by other operators",
        )
    })?;
    translate(importer, site).map(Binding::Value)
}

/// The refusal of an operator without a translation, with the way out that people take.
pub(super) fn unsupported(op: &str) -> Refusal {
    let hint = match op {
        "QuantizeLinear"
        | "DequantizeLinear"
        | "QLinearConv"
        | "QLinearMatMul"
        | "ConvInteger"
        | "MatMulInteger"
        | "DynamicQuantizeLinear" => "the model is already quantized: give the float model",
        "LSTM" | "GRU" | "RNN" => "recurrent layers are not quantized: use convolutions over time",
        "If" | "Loop" | "Scan" => "export the model without control flow, or simplify it",
        "Gelu" | "Elu" | "Selu" | "Celu" | "Mish" | "Softplus" | "Softsign" | "PRelu" | "Swish" => {
            "train with Relu, LeakyRelu, HardSwish or Sigmoid instead"
        }
        "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "LRN"
        | "RMSNormalization" => "train with BatchNormalization instead",
        "Random" | "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike"
        | "Bernoulli" => {
            "leave random numbers to training; of a Burn module capture `module.valid()`"
        }
        "ConvTranspose" | "Resize" | "Upsample" | "DepthToSpace" => {
            "upsampling has no integer kernel: cut the model before it"
        }
        "ArgMax" | "ArgMin" | "TopK" | "NonMaxSuppression" => {
            "cut the model before it and run the post-processing on its output"
        }
        _ => "cut the model before it, or express it by supported operators",
    };
    // Nothing resembles a long name, and the comparison is quadratic in it.
    let op = if op.len() > 64 { "" } else { op };
    let names: Vec<&str> = OPERATORS.iter().map(|(name, _)| *name).collect();
    let nearest = crate::choice::nearest(op, &names);
    let nearest = nearest.map_or(String::new(), |name| format!(" (the nearest is {name})"));
    Refusal::new(format!("the operator is not supported{nearest}"), hint)
}
