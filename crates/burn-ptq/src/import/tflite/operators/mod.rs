//! The translation of operators, one file a family.
//!
//! To add one: a function in the file of its family and a line in [`OPERATORS`]; then `cargo xtask docs`.
//! Families read options by `fields`, and append the activation functions that are fused into operators by
//! `activation`.

mod activation;
mod elements;
mod fields;
mod matrices;
mod movement;
mod recurrent;
mod reduce;
mod slices;
mod windows;

use burn_ptq_deploy::tflite::file::Operator;

use super::translator::{Refusal, Translator};

/// Adds the nodes for one operator, and says which values its outputs are.
type Translate = fn(&mut Translator, &Operator) -> Result<(), Refusal>;

/// The operators of TensorFlow Lite that can be imported, by their names in the schema.
const OPERATORS: &[(&str, Translate)] = &[
    ("ABS", elements::abs),
    ("ADD", elements::add),
    ("ARG_MAX", reduce::arg_max),
    ("ARG_MIN", reduce::arg_min),
    ("AVERAGE_POOL_2D", windows::average_pool),
    ("BATCH_MATMUL", matrices::batch_matmul),
    ("BROADCAST_TO", movement::broadcast_to),
    ("CAST", movement::cast),
    ("CEIL", elements::ceil),
    ("CONCATENATION", movement::concatenation),
    ("CONV_2D", windows::conv),
    ("COS", elements::cos),
    ("DEPTHWISE_CONV_2D", windows::depthwise),
    ("DEPTH_TO_SPACE", movement::depth_to_space),
    ("DEQUANTIZE", movement::identity),
    ("DIV", elements::div),
    ("ELU", elements::elu),
    ("EXP", elements::exp),
    ("EXPAND_DIMS", movement::reshape),
    ("FLOOR", elements::floor),
    ("FULLY_CONNECTED", matrices::fully_connected),
    ("GATHER", movement::gather),
    ("GELU", elements::gelu),
    ("HARD_SWISH", elements::hard_swish),
    ("L2_NORMALIZATION", reduce::l2_normalization),
    ("LEAKY_RELU", elements::leaky_relu),
    ("LOG", elements::log),
    ("LOGISTIC", elements::logistic),
    ("LOG_SOFTMAX", reduce::log_softmax),
    ("MAXIMUM", elements::maximum),
    ("MAX_POOL_2D", windows::max_pool),
    ("MEAN", reduce::mean),
    ("MINIMUM", elements::minimum),
    ("MIRROR_PAD", movement::mirror_pad),
    ("MUL", elements::mul),
    ("NEG", elements::neg),
    ("PACK", slices::pack),
    ("PAD", movement::pad),
    ("PADV2", movement::pad),
    ("POW", elements::pow),
    ("PRELU", elements::prelu),
    ("QUANTIZE", movement::identity),
    ("REDUCE_MAX", reduce::max),
    ("REDUCE_MIN", reduce::min),
    ("RELU", elements::relu),
    ("RELU6", elements::relu6),
    ("RELU_0_TO_1", elements::relu_0_to_1),
    ("RELU_N1_TO_1", elements::relu_n1_to_1),
    ("RESHAPE", movement::reshape),
    ("RESIZE_BILINEAR", windows::resize_bilinear),
    ("RESIZE_NEAREST_NEIGHBOR", windows::resize_nearest),
    ("ROUND", elements::round),
    ("RSQRT", elements::rsqrt),
    ("SIGN", elements::sign),
    ("SIN", elements::sin),
    ("SLICE", slices::slice),
    ("SOFTMAX", reduce::softmax),
    ("SPACE_TO_DEPTH", movement::space_to_depth),
    ("SPLIT", slices::split),
    ("SPLIT_V", slices::split_v),
    ("SQRT", elements::sqrt),
    ("SQUARE", elements::square),
    ("SQUARED_DIFFERENCE", elements::squared_difference),
    ("SQUEEZE", movement::reshape),
    ("STRIDED_SLICE", slices::strided_slice),
    ("SUB", elements::sub),
    ("SUM", reduce::sum),
    ("TANH", elements::tanh),
    ("TILE", movement::tile),
    ("TRANSPOSE", movement::transpose),
    ("TRANSPOSE_CONV", windows::transpose_conv),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", recurrent::lstm),
    ("UNIDIRECTIONAL_SEQUENCE_RNN", recurrent::rnn),
    ("UNPACK", slices::unpack),
];

/// The operators of TensorFlow Lite that can be imported, by their names in its schema.
pub fn supported_tflite_operators() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|(name, _)| *name)
}

/// Adds the nodes for one operator.
///
/// # Errors
/// If it is not supported, or not as it is here.
pub(super) fn translate(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let name = operator.name();
    match OPERATORS.binary_search_by_key(&name.as_str(), |(name, _)| name) {
        Ok(at) => OPERATORS[at].1(t, operator),
        Err(_) => Err(Refusal::new(
            "this operator is not supported",
            "convert a model of the operators that the guide lists",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_stand_in_the_order_in_which_they_are_searched() {
        assert!(OPERATORS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
