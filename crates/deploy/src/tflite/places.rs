//! Where fields stand in the tables of version 3 of the schema.

#![allow(missing_docs, reason = "fields are called as in the schema")]

/// Of `Model`.
pub mod model {
    pub const VERSION: usize = 0;
    pub const CODES: usize = 1;
    pub const GRAPHS: usize = 2;
    pub const DESCRIPTION: usize = 3;
    pub const BUFFERS: usize = 4;
    pub const METADATA: usize = 6;
    pub const SIGNATURES: usize = 7;
}

/// Of `SubGraph`.
pub mod graph {
    pub const TENSORS: usize = 0;
    pub const INPUTS: usize = 1;
    pub const OUTPUTS: usize = 2;
    pub const OPERATORS: usize = 3;
    pub const NAME: usize = 4;
}

/// Of `Tensor`.
pub mod tensor {
    pub const SHAPE: usize = 0;
    pub const ELEMENT: usize = 1;
    pub const BUFFER: usize = 2;
    pub const NAME: usize = 3;
    pub const QUANTIZATION: usize = 4;
    pub const SPARSITY: usize = 6;
    pub const HAS_RANK: usize = 8;
    pub const EXTERNAL_BUFFER: usize = 10;
}

/// Of `QuantizationParameters`.
pub mod quantization {
    pub const SCALES: usize = 2;
    pub const ZERO_POINTS: usize = 3;
    pub const DETAILS: usize = 5;
    pub const AXIS: usize = 6;
}

/// Of `OperatorCode`.
pub mod code {
    pub const OLD: usize = 0;
    pub const CUSTOM: usize = 1;
    pub const VERSION: usize = 2;
    pub const BUILTIN: usize = 3;
}

/// Of `Operator`; the options are the table after their type.
pub mod operator {
    pub const CODE: usize = 0;
    pub const INPUTS: usize = 1;
    pub const OUTPUTS: usize = 2;
    pub const OPTIONS_TYPE: usize = 3;
    pub const OPTIONS: usize = 4;
}

/// Of `Buffer`; offset and size say where in the file the bytes stand, if it has none of its own.
pub mod buffer {
    pub const DATA: usize = 0;
    pub const OFFSET: usize = 1;
    pub const SIZE: usize = 2;
}

/// Of `Metadata`.
pub mod metadata {
    pub const NAME: usize = 0;
    pub const BUFFER: usize = 1;
}

/// Of `SignatureDef`.
pub mod signature {
    pub const INPUTS: usize = 0;
    pub const OUTPUTS: usize = 1;
    pub const KEY: usize = 2;
    pub const GRAPH: usize = 4;
}

/// Of `TensorMap`, an input or output of a signature.
pub mod end {
    pub const NAME: usize = 0;
    pub const TENSOR: usize = 1;
}

/// What the options of all windows begin with.
pub mod window {
    pub const PADDING: usize = 0;
    pub const STRIDE_W: usize = 1;
    pub const STRIDE_H: usize = 2;
}

/// Of `Conv2DOptions`, and as far as it has them of `TransposeConvOptions`.
pub mod conv {
    pub const ACTIVATION: usize = 3;
    pub const DILATION_W: usize = 4;
    pub const DILATION_H: usize = 5;
}

/// Of `DepthwiseConv2DOptions`.
pub mod depthwise {
    pub const MULTIPLIER: usize = 3;
    pub const ACTIVATION: usize = 4;
    pub const DILATION_W: usize = 5;
    pub const DILATION_H: usize = 6;
}

/// Of `Pool2DOptions`.
pub mod pool {
    pub const FILTER_W: usize = 3;
    pub const FILTER_H: usize = 4;
    pub const ACTIVATION: usize = 5;
}

/// Of options with few fields, each named after its operator.
pub mod options {
    /// What many options begin with.
    pub const ACTIVATION: usize = 0;
    pub const FULLY_CONNECTED_FORMAT: usize = 1;
    pub const SUM_POWER_OF_TWO: usize = 1;
    pub const SOFTMAX_BETA: usize = 0;
    pub const RESHAPE_SHAPE: usize = 0;
    pub const CONCATENATION_AXIS: usize = 0;
    pub const CONCATENATION_ACTIVATION: usize = 1;
    pub const BLOCK: usize = 0;
    pub const GATHER_AXIS: usize = 0;
    pub const GATHER_BATCH_AXES: usize = 1;
    pub const KEEP_AXES: usize = 0;
    pub const BEGIN_MASK: usize = 0;
    pub const END_MASK: usize = 1;
    pub const ELLIPSIS_MASK: usize = 2;
    pub const NEW_AXIS_MASK: usize = 3;
    pub const SHRINK_MASK: usize = 4;
    pub const END_IS_OFFSET: usize = 5;
    pub const CAST_FROM: usize = 0;
    pub const CAST_TO: usize = 1;
    pub const OUTPUT_TYPE: usize = 0;
    /// The first two fields of `ResizeBilinearOptions` are gone.
    pub const BILINEAR_CORNERS: usize = 2;
    pub const BILINEAR_HALF_PIXELS: usize = 3;
    pub const NEAREST_CORNERS: usize = 0;
    pub const NEAREST_HALF_PIXELS: usize = 1;
    pub const MIRROR_MODE: usize = 0;
    pub const ADJOINT_A: usize = 0;
    pub const ADJOINT_B: usize = 1;
    pub const PACK_AXIS: usize = 1;
    pub const LEAKY_SLOPE: usize = 0;
    pub const VARIABLE_CONTAINER: usize = 0;
    pub const VARIABLE_NAME: usize = 1;
    pub const INITIAL_GRAPH: usize = 0;
    pub const GELU_APPROXIMATE: usize = 0;
    pub const FULLY_CONNECTED_KEEP: usize = 2;
}

/// Of `UnidirectionalSequenceLSTMOptions`.
pub mod lstm {
    pub const ACTIVATION: usize = 0;
    pub const CELL_CLIP: usize = 1;
    pub const PROJECTION_CLIP: usize = 2;
    pub const TIME_FIRST: usize = 3;
}

/// Of `SequenceRNNOptions`.
pub mod rnn {
    pub const TIME_FIRST: usize = 0;
    pub const ACTIVATION: usize = 1;
}
