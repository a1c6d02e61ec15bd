//! Running programs on the host: the interpreter, and samples in and out of it.

mod interpreter;
mod io;

pub use interpreter::{InputSizeError, Interpreter, Path, run_batch};
pub use io::{dequantize_outputs, preprocess, quantize_inputs, tensor_integers};
