//! Suggestions for operators that are not supported, by family.

use super::super::error::{QUANTIZED, Refusal};

/// Operators of the standard, of other domains and of Burn, each under its own name, and what to do
/// instead.
const FAMILIES: &[(&str, &str)] = &[
    (
        "Lstm BiLstm Gru BiGru Rnn BiRnn CausalConvWithState",
        "train it with its usual activation functions, without clip and without input_forget: such layers run as \
         loops; or use convolutions over time",
    ),
    ("Loop Scan", "export the model without control flow, or simplify it"),
    ("SwiGLU SwiGlu Hardmax", "train with Relu, LeakyRelu, HardSwish, Sigmoid or Tanh instead"),
    (
        "LRN LayerNorm GroupNorm InstanceNorm RmsNorm LocalResponseNorm",
        "train with batch normalization, which folds into the layer before it, or with layer or group \
         normalization",
    ),
    (
        "SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap \
         ConcatFromSequence Optional OptionalGetElement OptionalHasElement",
        "export the model with tensors instead of sequences and optional values",
    ),
    (
        "Random RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial",
        "leave random numbers to training; of a Burn module capture `module.valid()`",
    ),
    (
        "Interpolate Interpolate1d Interpolate2d PixelShuffle",
        "upsample to the nearest element or linearly (Resize), by ConvTranspose, or by DepthToSpace",
    ),
    (
        "GridSample GridSample2d AffineGrid",
        "elements at computed places have no integer kernel: cut the model before it; Resize by constant \
         scales, ConvTranspose and DepthToSpace are supported",
    ),
    (
        "NonMaxSuppression Unique NonZero Compress TopKWithIndices ArgTopK Sort \
         SortWithIndices ArgSort",
        "cut the model before it and run the post-processing on its output",
    ),
    (
        "MultiHeadAttention LinearAttention RotaryEmbedding RotaryEncoding \
         TransformerEncoder TransformerDecoder CrossAttention",
        "export the model with MatMul, Softmax, Mul and Add in place of it: those are supported between \
         computed values",
    ),
    (
        "SplitToSequence SliceAssign Select Unfold Flip ReverseSequence",
        "choose elements by Slice, Split, Gather or GatherND with constant bounds and indices",
    ),
    (
        "Embedding OneHot",
        "look the vectors up by Gather from a constant table, with ids as an input of integers",
    ),
    (
        "ReduceProd ReduceLogSum ReduceLogSumExp SumDim SumDims MaxDim MinDim MaxDimWithIndices",
        "use ReduceSum, ReduceMean, ReduceMax or ReduceMin over the same axes",
    ),
    (
        "Log1p Tan PowfScalar PowiScalar Powf Powi Recip",
        "compute it outside of the model, on its input or output, or train with another function",
    ),
    ("MaskFill MaskWhere", "multiply by 0 and 1 instead, or compute it outside of the model"),
    ("RepeatDim", "let Add or Mul broadcast one element a channel, which needs no copies"),
    ("MaxUnpool MaxRoiPool RoiAlign", "use an average or a maximum pool"),
    (
        "Conv3d ConvTranspose3d DeformConv DeformableConv2d DeformConv2d Col2Im Unfold4d",
        "use convolutions over one or two axes",
    ),
    (
        "Normalizer Imputer FeatureVectorizer",
        "prepare the data before the model: --input-mean and --input-std subtract and divide",
    ),
    (
        "ArrayFeatureExtractor LabelEncoder ZipMap",
        "give the model with the output of probabilities alone, for example by \
         onnx.utils.extract_model: the names of classes do not belong to a network",
    ),
    (
        "LinearRegressor LinearClassifier TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor \
         SVMClassifier SVMRegressor",
        "only neural networks of the standard operators are supported",
    ),
];

/// What the operators of models that are quantized while they run are called, in any domain.
const DYNAMIC_OPERATORS: &str = "DynamicQuantizeLinear ConvInteger MatMulInteger MatMulIntegerToFloat \
    DynamicQuantizeMatMul DynamicQuantizeLSTM";

/// What replaces an operator.
pub(super) fn advice(domain: &str, op: &str) -> &'static str {
    let lists = |names: &str| names.split(' ').any(|name| name == op);
    let family = FAMILIES.iter().find(|(operators, _)| lists(operators));
    match (family, domain) {
        (Some((_, advice)), _) => advice,
        (None, "ai.onnx.ml") => "only neural networks of the standard operators are supported",
        (None, domain) if domain.starts_with("com.m") => {
            "give the model before ONNX Runtime optimized it"
        }
        (None, _) => {
            "cut the model before it, or express it by supported operators (`burn-ptq operators`)"
        }
    }
}

/// The refusal of an operator that is not one of the standard, or has no translation.
pub(in super::super) fn unsupported(domain: &str, op: &str) -> Refusal {
    if DYNAMIC_OPERATORS.split(' ').any(|name| name == op) {
        return Refusal::new(
            QUANTIZED,
            "give the float model that it was made from, or quantize that statically, with calibration data",
        );
    }
    Refusal::new("the operator is not supported", advice(domain, op))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::find;
    use super::*;

    #[test]
    fn no_operator_is_in_two_families_or_is_supported() {
        let mut seen = HashSet::new();
        let lists = FAMILIES.iter().map(|(operators, _)| *operators).chain([DYNAMIC_OPERATORS]);
        for op in lists.flat_map(|operators| operators.split(' ')) {
            assert!(!op.is_empty() && seen.insert(op), "'{op}' is listed twice");
            let supported = find(op).is_some_and(|operator| operator.translate.is_some());
            assert!(!supported, "{op} is supported");
        }
    }
}
