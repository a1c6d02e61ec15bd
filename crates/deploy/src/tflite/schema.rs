//! What the codes of the schema mean: elements, operators, padding and fused activations.

use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::Clamp;

/// The version of the schema.
pub(crate) const VERSION: i32 = 3;

/// What stands at the fourth byte of a file.
pub(crate) const IDENTIFIER: [u8; 4] = *b"TFL3";

/// The largest code of an operator that fits the older field of one byte.
pub(crate) const LAST_OF_ONE_BYTE: i32 = 127;

/// The type of a tensor's elements (`TensorType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Element {
    /// 32-bit floats.
    Float32 = 0,
    /// 16-bit floats.
    Float16 = 1,
    /// Signed integers of 32 bits.
    Int32 = 2,
    /// Bytes without sign.
    UInt8 = 3,
    /// Signed integers of 64 bits.
    Int64 = 4,
    /// Texts of any length.
    String = 5,
    /// Truth values.
    Bool = 6,
    /// Signed integers of 16 bits.
    Int16 = 7,
    /// Complex numbers of two 32-bit floats.
    Complex64 = 8,
    /// Signed integers of 8 bits.
    Int8 = 9,
    /// 64-bit floats.
    Float64 = 10,
    /// Complex numbers of two 64-bit floats.
    Complex128 = 11,
    /// Integers of 64 bits without sign.
    UInt64 = 12,
    /// A handle, such as that of a variable.
    Resource = 13,
    /// Elements of any type.
    Variant = 14,
    /// Integers of 32 bits without sign.
    UInt32 = 15,
    /// Integers of 16 bits without sign.
    UInt16 = 16,
    /// Signed integers of 4 bits, two to a byte, the first in the low bits.
    Int4 = 17,
    /// The upper halves of 32-bit floats.
    BFloat16 = 18,
    /// Signed integers of 2 bits, four to a byte.
    Int2 = 19,
    /// Integers of 4 bits without sign.
    UInt4 = 20,
}

impl Element {
    const ALL: [Self; 21] = [
        Self::Float32,
        Self::Float16,
        Self::Int32,
        Self::UInt8,
        Self::Int64,
        Self::String,
        Self::Bool,
        Self::Int16,
        Self::Complex64,
        Self::Int8,
        Self::Float64,
        Self::Complex128,
        Self::UInt64,
        Self::Resource,
        Self::Variant,
        Self::UInt32,
        Self::UInt16,
        Self::Int4,
        Self::BFloat16,
        Self::Int2,
        Self::UInt4,
    ];

    /// The type with a code, if it is known.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether elements are floats.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float16 | Self::Float64 | Self::BFloat16)
    }

    /// What messages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int32 => "int32",
            Self::UInt8 => "uint8",
            Self::Int64 => "int64",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int16 => "int16",
            Self::Complex64 => "complex64",
            Self::Int8 => "int8",
            Self::Float64 => "float64",
            Self::Complex128 => "complex128",
            Self::UInt64 => "uint64",
            Self::Resource => "resource",
            Self::Variant => "variant",
            Self::UInt32 => "uint32",
            Self::UInt16 => "uint16",
            Self::Int4 => "int4",
            Self::BFloat16 => "bfloat16",
            Self::Int2 => "int2",
            Self::UInt4 => "uint4",
        }
    }
}

/// An operator: its code and version, and the type of its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Builtin {
    /// What TensorFlow Lite Micro's resolvers call it.
    pub name: &'static str,
    /// The code.
    pub code: i32,
    /// The version that exports have.
    pub version: i32,
    /// The place in the union of options; 0 for none.
    pub options: u8,
}

/// Constants of operators, and the list of all of them.
macro_rules! builtins {
    ($($constant:ident: $name:literal, $code:literal, $version:literal, $options:literal;)*) => {
        $(pub(crate) const $constant: Builtin =
            Builtin { name: $name, code: $code, version: $version, options: $options };)*

        impl Builtin {
            /// Every operator that exports or imports have.
            const ALL: &'static [Self] = &[$($constant),*];
        }
    };
}

builtins! {
    ADD: "Add", 0, 2, 11;
    AVERAGE_POOL_2D: "AveragePool2D", 1, 2, 5;
    CONCATENATION: "Concatenation", 2, 2, 10;
    CONV_2D: "Conv2D", 3, 3, 1;
    DEPTHWISE_CONV_2D: "DepthwiseConv2D", 4, 3, 2;
    DEPTH_TO_SPACE: "DepthToSpace", 5, 1, 94;
    DEQUANTIZE: "Dequantize", 6, 2, 38;
    FULLY_CONNECTED: "FullyConnected", 9, 4, 8;
    L2_NORMALIZATION: "L2Normalization", 11, 2, 12;
    LOGISTIC: "Logistic", 14, 2, 0;
    MAX_POOL_2D: "MaxPool2D", 17, 2, 5;
    MUL: "Mul", 18, 2, 21;
    RELU: "Relu", 19, 2, 0;
    RELU_N1_TO_1: "ReluN1To1", 20, 2, 0;
    RELU6: "Relu6", 21, 2, 0;
    RESHAPE: "Reshape", 22, 1, 17;
    RESIZE_BILINEAR: "ResizeBilinear", 23, 3, 15;
    SOFTMAX: "Softmax", 25, 2, 9;
    SPACE_TO_DEPTH: "SpaceToDepth", 26, 1, 19;
    TANH: "Tanh", 28, 2, 0;
    PAD: "Pad", 34, 2, 22;
    GATHER: "Gather", 36, 1, 23;
    TRANSPOSE: "Transpose", 39, 2, 26;
    MEAN: "Mean", 40, 2, 27;
    SUB: "Sub", 41, 2, 28;
    DIV: "Div", 42, 2, 29;
    SQUEEZE: "Squeeze", 43, 1, 30;
    STRIDED_SLICE: "StridedSlice", 45, 2, 32;
    SPLIT: "Split", 49, 2, 35;
    CAST: "Cast", 53, 1, 37;
    PRELU: "Prelu", 54, 1, 0;
    MAXIMUM: "Maximum", 55, 2, 39;
    ARG_MAX: "ArgMax", 56, 2, 40;
    MINIMUM: "Minimum", 57, 2, 39;
    PADV2: "PadV2", 60, 2, 43;
    SLICE: "Slice", 65, 2, 48;
    TRANSPOSE_CONV: "TransposeConv", 67, 4, 49;
    EXPAND_DIMS: "ExpandDims", 70, 1, 52;
    SUM: "Sum", 74, 2, 27;
    SHAPE: "Shape", 77, 1, 55;
    ARG_MIN: "ArgMin", 79, 2, 57;
    REDUCE_MAX: "ReduceMax", 82, 2, 27;
    PACK: "Pack", 83, 2, 59;
    UNPACK: "Unpack", 88, 2, 64;
    REDUCE_MIN: "ReduceMin", 89, 2, 27;
    RESIZE_NEAREST_NEIGHBOR: "ResizeNearestNeighbor", 97, 2, 74;
    LEAKY_RELU: "LeakyRelu", 98, 2, 75;
    MIRROR_PAD: "MirrorPad", 100, 1, 77;
    ABS: "Abs", 101, 2, 78;
    SPLIT_V: "SplitV", 102, 2, 79;
    REVERSE_V2: "ReverseV2", 105, 2, 81;
    ELU: "Elu", 111, 1, 0;
    QUANTIZE: "Quantize", 114, 1, 89;
    HARD_SWISH: "HardSwish", 117, 1, 91;
    BATCH_MATMUL: "BatchMatMul", 126, 4, 101;
    CALL_ONCE: "CallOnce", 129, 1, 103;
    BROADCAST_TO: "BroadcastTo", 130, 2, 104;
    VAR_HANDLE: "VarHandle", 142, 1, 111;
    READ_VARIABLE: "ReadVariable", 143, 1, 112;
    ASSIGN_VARIABLE: "AssignVariable", 144, 1, 113;
}

impl Builtin {
    /// The operator with a code, if exports or imports have it.
    pub(crate) fn of_code(code: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|builtin| builtin.code == code)
    }
}

/// `Padding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many windows as strides go into the input.
    Same,
    /// Windows inside of the input alone.
    Valid,
}

impl Padding {
    /// The padding with a code.
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Same),
            1 => Some(Self::Valid),
            _ => None,
        }
    }

    /// How many windows that span `reach` elements, `stride` apart, there are over `input` elements, and the
    /// elements of padding before and after them together.
    pub const fn windows(self, input: usize, stride: usize, reach: usize) -> (usize, usize) {
        match self {
            Self::Same => {
                let extent = input.div_ceil(stride);
                let covered = extent.saturating_sub(1).saturating_mul(stride).saturating_add(reach);
                (extent, covered.saturating_sub(input))
            }
            Self::Valid => ((input + stride).saturating_sub(reach) / stride, 0),
        }
    }
}

/// `ActivationFunctionType`, by its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    None,
    Relu,
    ReluN1To1,
    Relu6,
}

impl Activation {
    /// All that are bounds.
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Relu, Self::ReluN1To1, Self::Relu6];

    /// The activation with a code.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The bounds of an output on a grid whose bounds are those of its type.
    pub(crate) fn bounds(self, grid: Grid) -> Clamp {
        let Grid { min, max, .. } = grid;
        match self {
            Self::None => Clamp { min, max },
            Self::Relu => Clamp { min: grid.quantize(0.0), max },
            Self::ReluN1To1 => Clamp { min: grid.quantize(-1.0), max: grid.quantize(1.0) },
            Self::Relu6 => Clamp { min: grid.quantize(0.0), max: grid.quantize(6.0) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back() {
        for code in 0..=20 {
            assert_eq!(Element::of_code(code).map(|element| element as u8), Some(code));
        }
        assert_eq!(Element::of_code(21), None);
        for builtin in Builtin::ALL {
            assert_eq!(Builtin::of_code(builtin.code), Some(*builtin), "{}", builtin.name);
        }
        for activation in Activation::ALL {
            assert_eq!(Activation::of_code(activation as u8), Some(activation));
        }
        for padding in [Padding::Same, Padding::Valid] {
            assert_eq!(Padding::of_code(padding as u8), Some(padding));
        }
    }
}
