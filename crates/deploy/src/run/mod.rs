//! Running programs on the host: the interpreter, and samples in and out of it.

mod batch;
mod interpreter;
mod io;

pub use batch::{run_batch, run_sequence, run_sequences};
pub use interpreter::{InputSizeError, Instructions, Interpreter, Path};
pub use io::{dequantize_outputs, preprocess, quantize_inputs, tensor_integers};
