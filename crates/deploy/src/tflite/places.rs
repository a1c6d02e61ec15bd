//! Where fields stand in the tables of version 3 of the schema.

/// Of `Model`.
pub(crate) mod model {
    pub(crate) const VERSION: usize = 0;
    pub(crate) const CODES: usize = 1;
    pub(crate) const GRAPHS: usize = 2;
    pub(crate) const DESCRIPTION: usize = 3;
    pub(crate) const BUFFERS: usize = 4;
    pub(crate) const METADATA: usize = 6;
    pub(crate) const SIGNATURES: usize = 7;
}

/// Of `SubGraph`.
pub(crate) mod graph {
    pub(crate) const TENSORS: usize = 0;
    pub(crate) const INPUTS: usize = 1;
    pub(crate) const OUTPUTS: usize = 2;
    pub(crate) const OPERATORS: usize = 3;
    pub(crate) const NAME: usize = 4;
}

/// Of `Tensor`.
pub(crate) mod tensor {
    pub(crate) const SHAPE: usize = 0;
    pub(crate) const ELEMENT: usize = 1;
    pub(crate) const BUFFER: usize = 2;
    pub(crate) const NAME: usize = 3;
    pub(crate) const QUANTIZATION: usize = 4;
    pub(crate) const SPARSITY: usize = 6;
    pub(crate) const HAS_RANK: usize = 8;
    pub(crate) const EXTERNAL_BUFFER: usize = 10;
}

/// Of `QuantizationParameters`.
pub(crate) mod quantization {
    pub(crate) const SCALES: usize = 2;
    pub(crate) const ZERO_POINTS: usize = 3;
    pub(crate) const AXIS: usize = 6;
}

/// Of `OperatorCode`.
pub(crate) mod code {
    pub(crate) const OLD: usize = 0;
    pub(crate) const CUSTOM: usize = 1;
    pub(crate) const VERSION: usize = 2;
    pub(crate) const BUILTIN: usize = 3;
}

/// Of `Operator`; the options are the table after their type.
pub(crate) mod operator {
    pub(crate) const CODE: usize = 0;
    pub(crate) const INPUTS: usize = 1;
    pub(crate) const OUTPUTS: usize = 2;
    pub(crate) const OPTIONS_TYPE: usize = 3;
    pub(crate) const OPTIONS: usize = 4;
}

/// Of `Buffer`; offset and size say where in the file the bytes stand, if it has none of its own.
pub(crate) mod buffer {
    pub(crate) const DATA: usize = 0;
    pub(crate) const OFFSET: usize = 1;
    pub(crate) const SIZE: usize = 2;
}

/// Of `Metadata`.
pub(crate) mod metadata {
    pub(crate) const NAME: usize = 0;
    pub(crate) const BUFFER: usize = 1;
}

/// Of `SignatureDef`.
pub(crate) mod signature {
    pub(crate) const INPUTS: usize = 0;
    pub(crate) const OUTPUTS: usize = 1;
    pub(crate) const KEY: usize = 2;
    pub(crate) const GRAPH: usize = 4;
}

/// Of `TensorMap`, an input or output of a signature.
pub(crate) mod end {
    pub(crate) const NAME: usize = 0;
    pub(crate) const TENSOR: usize = 1;
}

/// What the options of all windows begin with.
pub(crate) mod window {
    pub(crate) const PADDING: usize = 0;
    pub(crate) const STRIDE_W: usize = 1;
    pub(crate) const STRIDE_H: usize = 2;
}

/// Of `Conv2DOptions`, and as far as it has them of `TransposeConvOptions`.
pub(crate) mod conv {
    pub(crate) const ACTIVATION: usize = 3;
    pub(crate) const DILATION_W: usize = 4;
    pub(crate) const DILATION_H: usize = 5;
}

/// Of `DepthwiseConv2DOptions`.
pub(crate) mod depthwise {
    pub(crate) const MULTIPLIER: usize = 3;
    pub(crate) const ACTIVATION: usize = 4;
    pub(crate) const DILATION_W: usize = 5;
    pub(crate) const DILATION_H: usize = 6;
}

/// Of `Pool2DOptions`.
pub(crate) mod pool {
    pub(crate) const FILTER_W: usize = 3;
    pub(crate) const FILTER_H: usize = 4;
    pub(crate) const ACTIVATION: usize = 5;
}

/// Of options with few fields, each named after its operator.
pub(crate) mod options {
    /// What many options begin with.
    pub(crate) const ACTIVATION: usize = 0;
    pub(crate) const FULLY_CONNECTED_FORMAT: usize = 1;
    pub(crate) const SUM_POWER_OF_TWO: usize = 1;
    pub(crate) const SOFTMAX_BETA: usize = 0;
    pub(crate) const RESHAPE_SHAPE: usize = 0;
    pub(crate) const CONCATENATION_AXIS: usize = 0;
    pub(crate) const CONCATENATION_ACTIVATION: usize = 1;
    pub(crate) const BLOCK: usize = 0;
    pub(crate) const GATHER_AXIS: usize = 0;
    pub(crate) const GATHER_BATCH_AXES: usize = 1;
    pub(crate) const KEEP_AXES: usize = 0;
    pub(crate) const BEGIN_MASK: usize = 0;
    pub(crate) const END_MASK: usize = 1;
    pub(crate) const ELLIPSIS_MASK: usize = 2;
    pub(crate) const NEW_AXIS_MASK: usize = 3;
    pub(crate) const SHRINK_MASK: usize = 4;
    pub(crate) const END_IS_OFFSET: usize = 5;
    pub(crate) const CAST_FROM: usize = 0;
    pub(crate) const CAST_TO: usize = 1;
    pub(crate) const OUTPUT_TYPE: usize = 0;
    /// The first two fields of `ResizeBilinearOptions` are gone.
    pub(crate) const BILINEAR_CORNERS: usize = 2;
    pub(crate) const BILINEAR_HALF_PIXELS: usize = 3;
    pub(crate) const NEAREST_CORNERS: usize = 0;
    pub(crate) const NEAREST_HALF_PIXELS: usize = 1;
    pub(crate) const MIRROR_MODE: usize = 0;
    pub(crate) const ADJOINT_A: usize = 0;
    pub(crate) const ADJOINT_B: usize = 1;
    pub(crate) const PACK_AXIS: usize = 1;
    pub(crate) const LEAKY_SLOPE: usize = 0;
    pub(crate) const VARIABLE_CONTAINER: usize = 0;
    pub(crate) const VARIABLE_NAME: usize = 1;
    pub(crate) const INITIAL_GRAPH: usize = 0;
}
