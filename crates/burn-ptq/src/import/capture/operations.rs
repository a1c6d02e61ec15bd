//! What of Burn is captured: its operations, each with the ONNX operator that says what it computes.

macro_rules! operations {
    ($($variant:ident, $burn:literal, $onnx:literal, $condition:literal;)*) => {
        /// A captured operation.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(super) enum Operation { $($variant,)* }

        impl Operation {
            /// All operations, in the order of the reference.
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The ONNX operator.
            pub(crate) fn onnx(self) -> &'static str {
                match self { $(Self::$variant => $onnx,)* }
            }

            /// What it is called in Burn's interface.
            fn burn(self) -> &'static str {
                match self { $(Self::$variant => $burn,)* }
            }

            /// What must hold; `any` if there is nothing to say.
            fn condition(self) -> &'static str {
                match self { $(Self::$variant => $condition,)* }
            }
        }
    };
}

operations! {
    Conv1d, "nn::conv::Conv1d", "Conv", "any";
    Conv2d, "nn::conv::Conv2d", "Conv", "any";
    ConvTranspose1d, "nn::conv::ConvTranspose1d", "ConvTranspose", "any";
    ConvTranspose2d, "nn::conv::ConvTranspose2d", "ConvTranspose", "any";
    Linear, "nn::Linear", "Gemm", "any";
    LinearProduct, "nn::Linear on three and four axes, or without a bias", "MatMul", "any";
    LinearSum, "the bias of nn::Linear on three and four axes", "Add", "any";
    BatchNorm, "nn::BatchNorm", "BatchNormalization", "of a module for inference (`valid`)";
    AvgPool1d, "nn::pool::AvgPool1d", "AveragePool", "any";
    AvgPool2d, "nn::pool::AvgPool2d", "AveragePool", "any";
    MaxPool1d, "nn::pool::MaxPool1d", "MaxPool", "any";
    MaxPool2d, "nn::pool::MaxPool2d", "MaxPool", "any";
    AdaptivePool, "nn::pool::AdaptiveAvgPool1d and 2d", "AveragePool",
        "the output's extents divide the input's";
    GlobalPool, "nn::pool::AdaptiveAvgPool1d and 2d to extents of 1", "GlobalAveragePool", "any";
    Relu, "nn::Relu, activation::relu", "Relu", "any";
    LeakyRelu, "nn::LeakyRelu, activation::leaky_relu", "LeakyRelu", "any";
    Sigmoid, "nn::Sigmoid, activation::sigmoid", "Sigmoid", "any";
    HardSigmoid, "nn::HardSigmoid, activation::hard_sigmoid", "HardSigmoid", "any";
    HardSwish, "nn::HardSwish, activation::hard_swish", "HardSwish", "any";
    Tanh, "nn::Tanh, Tensor::tanh", "Tanh", "any";
    Softmax, "activation::softmax", "Softmax", "not over the batch";
    LogSoftmax, "activation::log_softmax", "LogSoftmax", "not over the batch";
    Add, "Tensor + Tensor, Tensor + number", "Add", "as ONNX's Add";
    Sub, "Tensor - Tensor, Tensor - number", "Sub", "as ONNX's Add";
    Mul, "Tensor * Tensor, Tensor * number", "Mul", "as ONNX's Add";
    Div, "Tensor / Tensor, Tensor / number", "Div", "as ONNX's Add";
    Larger, "Tensor::max_pair", "Max", "as ONNX's Add";
    Smaller, "Tensor::min_pair", "Min", "as ONNX's Add";
    Prelu, "nn::PRelu, activation::prelu", "PRelu", "any";
    Neg, "-Tensor", "Neg", "any";
    Clamp, "Tensor::clamp, clamp_min, clamp_max", "Clip", "any";
    Matmul, "Tensor::matmul", "MatMul", "as ONNX's MatMul";
    Mean, "Tensor::mean_dim, mean_dims", "ReduceMean", "not over the batch";
    Sum, "Tensor::sum_dim, sum_dims", "ReduceSum", "not over the batch";
    Max, "Tensor::max_dim", "ReduceMax", "not over the batch";
    Min, "Tensor::min_dim", "ReduceMin", "not over the batch";
    LayerNorm, "nn::LayerNorm; nn::GroupNorm, InstanceNorm and RmsNorm in pieces",
        "LayerNormalization", "any";
    Reshape, "Tensor::reshape, flatten, squeeze, unsqueeze", "Reshape",
        "the batch in front";
    Permute, "Tensor::permute, swap_dims, transpose", "Transpose", "the batch stays in front";
    Cat, "Tensor::cat", "Concat", "not along the batch, and not with constants";
    Pad, "Tensor::pad", "Pad", "any";
    Slice, "Tensor::slice, narrow, chunk, split, flip", "Slice", "not of the batch";
    Embedding, "nn::Embedding", "Gather", "of an input of integers";
    Select, "Tensor::select", "Gather", "by constant indices, not along the batch";
    Repeat, "Tensor::repeat_dim, repeat", "Tile", "not along the batch";
    Interpolate, "module::interpolate, nn::interpolate", "Resize",
        "to the nearest element or bilinear";
    Exp, "Tensor::exp", "Exp", "any";
    Log, "Tensor::log", "Log", "any";
    Abs, "Tensor::abs", "Abs", "any";
    Erf, "Tensor::erf", "Erf", "any";
    Sin, "Tensor::sin", "Sin", "any";
    Cos, "Tensor::cos", "Cos", "any";
    Sign, "Tensor::sign", "Sign", "any";
    Floor, "Tensor::floor", "Floor", "any";
    Ceil, "Tensor::ceil", "Ceil", "any";
    Round, "Tensor::round", "Round", "any";
    Power, "Tensor::powf_scalar", "Pow", "any";
    Gelu, "nn::Gelu, activation::gelu", "Gelu", "any";
    Sqrt, "Tensor::sqrt", "Sqrt", "any";
    Recip, "Tensor::recip", "Reciprocal", "any";
    Expand, "Tensor::expand", "Expand", "not along the batch";
}

/// A Burn operation that can be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedOperation {
    /// What it is called in Burn's interface.
    pub burn: &'static str,
    /// The ONNX operator that it is imported as, whose condition holds too.
    pub onnx: &'static str,
    /// What must hold; `any` if there is nothing to say.
    pub condition: &'static str,
}

/// The operations of Burn that can be captured.
pub fn supported_operations() -> impl Iterator<Item = SupportedOperation> {
    Operation::ALL.iter().map(|operation| SupportedOperation {
        burn: operation.burn(),
        onnx: operation.onnx(),
        condition: operation.condition(),
    })
}
