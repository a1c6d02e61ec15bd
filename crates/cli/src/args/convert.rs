//! Arguments of `burn-ptq convert`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The integer model: .bptq, or .tflite or .onnx that is quantized.
    #[arg(value_name = "IN")]
    pub model: PathBuf,
    /// The file to write; its extension says the format: .bptq, .tflite or .onnx.
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// In .onnx, write layers as QLinearConv and QLinearMatMul, without QuantizeLinear and DequantizeLinear
    /// around operators on floats.
    #[arg(long)]
    pub qoperator: bool,
    /// AIMET's .encodings beside a float .onnx model.
    #[arg(long, value_name = "FILE")]
    pub encodings: Option<PathBuf>,
    /// The name of the model, which exported functions and files are named after; defaults to that of a .bptq
    /// model, or to the name of a .tflite file.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}
