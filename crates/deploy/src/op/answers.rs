//! What each operation answers to the questions of the rest of the crate.

use burn_ptq_kernels::params::Clamp;

use super::{BinaryFunction, Broadcast, DType, ElementTypes, IntOp, Weighted, weightless};

impl IntOp {
    /// The operation's name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            IntOp::Conv2d { .. } => "Conv2d",
            IntOp::DepthwiseConv2d { .. } => "DepthwiseConv2d",
            IntOp::FullyConnected { .. } => "FullyConnected",
            IntOp::Add { .. } => "Add",
            IntOp::Mul { .. } => "Mul",
            IntOp::AveragePool { .. } => "AveragePool",
            IntOp::MaxPool { .. } => "MaxPool",
            IntOp::Table8 { .. } => "Table8",
            IntOp::Table16 { .. } => "Table16",
            IntOp::Softmax { .. } => "Softmax",
            IntOp::LogSoftmax { .. } => "LogSoftmax",
            IntOp::Requantize { .. } => "Requantize",
            IntOp::Concat { .. } => "Concat",
            IntOp::Pad { .. } => "Pad",
            IntOp::Transpose { .. } => "Transpose",
            IntOp::Pack => "Pack",
            IntOp::Unpack => "Unpack",
            IntOp::BatchMatMul { .. } => "BatchMatMul",
            IntOp::Reduce { .. } => "Reduce",
            IntOp::Normalize { .. } => "Normalize",
            IntOp::TopK { .. } => "TopK",
            IntOp::Rearrange { .. } => "Rearrange",
            IntOp::TransposeConv2d { .. } => "TransposeConv2d",
            IntOp::ResizeLinear { .. } => "ResizeLinear",
            IntOp::Lookup8 { .. } => "Lookup8",
            IntOp::Lookup16 { .. } => "Lookup16",
            IntOp::Constant { .. } => "Constant",
            IntOp::Step { .. } => "Step",
            IntOp::Gate { .. } => "Gate",
            IntOp::Binary { function, .. } => match function {
                BinaryFunction::Sub(_) => "Sub",
                BinaryFunction::Div(_) => "Div",
                BinaryFunction::Minimum => "Minimum",
                BinaryFunction::Maximum => "Maximum",
                BinaryFunction::Prelu(_) => "Prelu",
            },
        }
    }

    /// The bounds of the output, of operations that have any.
    pub const fn clamp_mut(&mut self) -> Option<&mut Clamp> {
        match self {
            IntOp::Conv2d { weighted, .. }
            | IntOp::DepthwiseConv2d { weighted, .. }
            | IntOp::TransposeConv2d { weighted, .. }
            | IntOp::FullyConnected { weighted, .. } => Some(&mut weighted.clamp),
            IntOp::Add { clamp, .. }
            | IntOp::Mul { clamp, .. }
            | IntOp::Binary { clamp, .. }
            | IntOp::AveragePool { clamp, .. }
            | IntOp::MaxPool { clamp, .. }
            | IntOp::Requantize { clamp, .. }
            | IntOp::BatchMatMul { clamp, .. }
            | IntOp::Reduce { clamp, .. }
            | IntOp::Normalize { clamp, .. } => Some(clamp),
            IntOp::Table8 { .. }
            | IntOp::Table16 { .. }
            | IntOp::Gate { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Lookup8 { .. }
            | IntOp::Lookup16 { .. }
            | IntOp::Constant { .. }
            | IntOp::Step { .. } => None,
        }
    }

    /// Whether it copies the part of a step.
    pub const fn is_step(&self) -> bool {
        matches!(self, IntOp::Step { .. })
    }

    /// Weights and rescaling, for the operations that have them.
    pub const fn weighted(&self) -> Option<&Weighted> {
        match self {
            IntOp::Conv2d { weighted, .. }
            | IntOp::DepthwiseConv2d { weighted, .. }
            | IntOp::TransposeConv2d { weighted, .. }
            | IntOp::FullyConnected { weighted, .. } => Some(weighted),
            weightless!() => None,
        }
    }

    /// The number of inputs.
    pub fn arity(&self) -> usize {
        match self {
            IntOp::Constant { .. } => 0,
            IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::Binary { .. }
            | IntOp::BatchMatMul { .. } => 2,
            // At least one: without inputs there is nothing to join.
            IntOp::Concat { chunks, .. } => chunks.len().max(1),
            IntOp::Conv2d { .. }
            | IntOp::DepthwiseConv2d { .. }
            | IntOp::TransposeConv2d { .. }
            | IntOp::FullyConnected { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Table8 { .. }
            | IntOp::Table16 { .. }
            | IntOp::Gate { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Requantize { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Lookup8 { .. }
            | IntOp::Lookup16 { .. }
            | IntOp::Step { .. } => 1,
        }
    }

    /// The element types that it reads and writes.
    pub const fn element_types(&self) -> ElementTypes {
        match self {
            IntOp::Table8 { .. } | IntOp::Softmax { .. } | IntOp::LogSoftmax { .. } => {
                ElementTypes::Only(DType::I8)
            }
            IntOp::Table16 { .. } | IntOp::Gate { .. } => ElementTypes::Only(DType::I16),
            IntOp::FullyConnected { .. } => ElementTypes::SameOrWider,
            IntOp::Mul { .. } => ElementTypes::SameOrNarrower,
            IntOp::Requantize { .. } => ElementTypes::Any,
            IntOp::Pack => ElementTypes::Nibbles(DType::I8, DType::I4),
            IntOp::Unpack => ElementTypes::Nibbles(DType::I4, DType::I8),
            IntOp::Conv2d { .. }
            | IntOp::DepthwiseConv2d { .. }
            | IntOp::TransposeConv2d { .. }
            | IntOp::Add { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Constant { .. }
            | IntOp::Step { .. }
            | IntOp::Binary { .. } => ElementTypes::Same,
            IntOp::Lookup8 { .. } => ElementTypes::To(DType::I8),
            IntOp::Lookup16 { .. } => ElementTypes::To(DType::I16),
            IntOp::TopK { selection, .. } => {
                if selection.indices {
                    ElementTypes::To(DType::I16)
                } else {
                    ElementTypes::Same
                }
            }
        }
    }

    /// Multiply-accumulates of one run.
    pub const fn macs(&self) -> usize {
        match self {
            IntOp::Conv2d { geometry, .. } => geometry.macs(),
            IntOp::DepthwiseConv2d { geometry, .. } => geometry.macs(),
            IntOp::TransposeConv2d { geometry, .. } => geometry.macs(),
            IntOp::FullyConnected { rows, in_features, out_features, .. } => {
                *rows * *in_features * *out_features
            }
            IntOp::BatchMatMul { geometry, .. } => geometry.macs(),
            IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Table8 { .. }
            | IntOp::Table16 { .. }
            | IntOp::Gate { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Requantize { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Lookup8 { .. }
            | IntOp::Lookup16 { .. }
            | IntOp::Constant { .. }
            | IntOp::Step { .. }
            | IntOp::Binary { .. } => 0,
        }
    }

    /// Whether the output may take the place of the first input in memory: element `i` of the
    /// output depends on no element of it but `i`.
    pub const fn is_elementwise(&self) -> bool {
        match self {
            IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::Table8 { .. }
            | IntOp::Table16 { .. }
            | IntOp::Gate { .. }
            | IntOp::Requantize { .. }
            | IntOp::Binary { .. } => true,
            IntOp::Conv2d { .. }
            | IntOp::DepthwiseConv2d { .. }
            | IntOp::TransposeConv2d { .. }
            | IntOp::FullyConnected { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Lookup8 { .. }
            | IntOp::Lookup16 { .. }
            | IntOp::Constant { .. }
            | IntOp::Step { .. } => false,
        }
    }

    /// Whether every output lies within bounds of the operation, whatever bytes its inputs hold.
    pub const fn bounds_its_output(&self) -> bool {
        match self {
            IntOp::Conv2d { .. }
            | IntOp::DepthwiseConv2d { .. }
            | IntOp::TransposeConv2d { .. }
            | IntOp::FullyConnected { .. }
            | IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Table8 { .. }
            | IntOp::Requantize { .. }
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::Constant { .. }
            | IntOp::Gate { .. } => true,
            IntOp::Binary { function, .. } => {
                !matches!(function, BinaryFunction::Minimum | BinaryFunction::Maximum)
            }
            // Table16 interpolates; the others write grids of their own, or what they read.
            IntOp::Table16 { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Lookup8 { .. }
            | IntOp::Lookup16 { .. }
            | IntOp::Step { .. } => false,
        }
    }

    /// The number of inputs that it reads row by row where it runs so; it reads others as a whole.
    pub fn inputs_by_rows(&self) -> usize {
        match self {
            IntOp::Add { broadcast, .. }
            | IntOp::Mul { broadcast, .. }
            | IntOp::Binary { broadcast, .. } => match broadcast {
                Broadcast::None => 2,
                Broadcast::Channels | Broadcast::Scalar => 1,
                // It does not run so.
                Broadcast::Shapes { .. } => 0,
            },
            IntOp::Concat { chunks, .. } => chunks.len(),
            // Neither do parts of sequences.
            IntOp::Constant { .. } | IntOp::Step { .. } => 0,
            IntOp::Conv2d { .. }
            | IntOp::DepthwiseConv2d { .. }
            | IntOp::TransposeConv2d { .. }
            | IntOp::FullyConnected { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Table8 { .. }
            | IntOp::Table16 { .. }
            | IntOp::Gate { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Requantize { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Lookup8 { .. }
            | IntOp::Lookup16 { .. } => 1,
        }
    }

    /// Bytes of constants (weights as stored, biases, multipliers, tables) that the operation keeps
    /// in flash.
    pub fn constant_bytes(&self) -> usize {
        match self {
            IntOp::Conv2d { weighted: w, .. }
            | IntOp::DepthwiseConv2d { weighted: w, .. }
            | IntOp::TransposeConv2d { weighted: w, .. }
            | IntOp::FullyConnected { weighted: w, .. } => {
                w.weights.data.len() + w.bias.len() * 4 + w.multipliers.len() * 8
            }
            IntOp::Table8 { table } | IntOp::Lookup8 { table, .. } => table.len(),
            IntOp::Table16 { table } | IntOp::Lookup16 { table, .. } => table.len() * 2,
            IntOp::Constant { data } => data.len(),
            IntOp::LogSoftmax { exponentials, .. } => exponentials.len() * 4,
            IntOp::Normalize { affine: Some(affine), .. } => {
                affine.scales.len() * 2 + affine.shifts.len() * 4
            }
            IntOp::Rearrange { axes, .. } => axes.iter().map(|a| a.listed().len() * 4).sum(),
            IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::Binary { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Softmax { .. }
            | IntOp::Requantize { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { affine: None, .. }
            | IntOp::TopK { .. }
            | IntOp::Gate { .. }
            | IntOp::Step { .. } => 0,
            IntOp::ResizeLinear { rows, columns, .. } => (rows.len() + columns.len()) * 4,
        }
    }

    /// The operation without weights, biases and tables, for what depends on its shapes alone.
    pub fn skeleton(&self) -> Self {
        let mut skeleton = self.clone();
        match &mut skeleton {
            IntOp::Conv2d { weighted, .. }
            | IntOp::DepthwiseConv2d { weighted, .. }
            | IntOp::TransposeConv2d { weighted, .. }
            | IntOp::FullyConnected { weighted, .. } => {
                weighted.weights.data = Vec::new();
                weighted.bias = Vec::new();
                weighted.multipliers = Vec::new();
            }
            IntOp::Table8 { table } | IntOp::Lookup8 { table, .. } => *table = Vec::new(),
            IntOp::Table16 { table } | IntOp::Lookup16 { table, .. } => *table = Vec::new(),
            IntOp::Constant { data } => *data = Vec::new(),
            IntOp::LogSoftmax { exponentials, .. } => *exponentials = Vec::new(),
            IntOp::Normalize { affine: Some(affine), .. } => {
                affine.scales = Vec::new();
                affine.shifts = Vec::new();
            }
            IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::Binary { .. }
            | IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Softmax { .. }
            | IntOp::Requantize { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { affine: None, .. }
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::Gate { .. }
            | IntOp::Step { .. } => {}
            // Its tables are its output's extents.
            IntOp::ResizeLinear { .. } => {}
        }
        skeleton
    }
}
