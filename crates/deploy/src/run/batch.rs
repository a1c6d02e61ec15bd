//! Many samples.

use rayon::prelude::*;

use super::interpreter::{InputSizeError, Interpreter, Path};
use crate::place::Placed;

/// Bytes that the arenas of [`run_batch`] may take together, unless a single one takes more.
const ARENAS_BYTES: usize = 256 << 20;

/// Runs samples, given back to back, on all cores, each after a reset; the outputs are back to back in the
/// same order.
///
/// Who has many batches calls [`Interpreter::run_batch`], since preparing a program takes as long as some samples.
///
/// # Errors
/// If the bytes are not a whole number of samples.
pub fn run_batch(program: &Placed, path: Path, inputs: &[u8]) -> Result<Vec<u8>, InputSizeError> {
    Interpreter::new(program, path).run_batch(inputs)
}

impl Interpreter<'_> {
    /// Runs samples, given back to back, on all cores, each after a reset and none in this interpreter's own
    /// memory; the outputs are back to back in the same order.
    ///
    /// # Errors
    /// If the bytes are not a whole number of samples.
    pub fn run_batch(&self, inputs: &[u8]) -> Result<Vec<u8>, InputSizeError> {
        let program = self.program();
        let (input, output) = (program.input_bytes(), program.output_bytes());
        if !inputs.len().is_multiple_of(input) {
            return Err(InputSizeError { expected: input, found: inputs.len() });
        }
        let samples = inputs.len() / input;
        let mut outputs = vec![0; samples * output];
        // Each share of the samples has an arena of its own.
        let shares = (ARENAS_BYTES / program.arena_bytes().max(1)).max(1);
        let pairs = inputs.par_chunks(input).zip(outputs.par_chunks_mut(output));
        pairs.with_min_len(samples.div_ceil(shares).max(1)).try_for_each_init(
            || self.clone(),
            |interpreter, (sample, output)| {
                interpreter.reset();
                output.copy_from_slice(interpreter.run(sample)?);
                Ok::<(), InputSizeError>(())
            },
        )?;
        Ok(outputs)
    }
}

/// Runs the samples of one sequence, given back to back: a reset, then each finds what the one before it
/// left. The outputs are back to back in the same order.
///
/// # Errors
/// If the bytes are not a whole number of samples.
pub fn run_sequence(
    program: &Placed,
    path: Path,
    inputs: &[u8],
) -> Result<Vec<u8>, InputSizeError> {
    sequence_of(Interpreter::new(program, path), inputs)
}

/// Runs a sequence in an interpreter that was reset.
fn sequence_of(mut interpreter: Interpreter, inputs: &[u8]) -> Result<Vec<u8>, InputSizeError> {
    let program = interpreter.program();
    let (input, output) = (program.input_bytes(), program.output_bytes());
    if !inputs.len().is_multiple_of(input) {
        return Err(InputSizeError { expected: input, found: inputs.len() });
    }
    let mut outputs = Vec::with_capacity(inputs.len() / input * output);
    for sample in inputs.chunks_exact(input) {
        outputs.extend_from_slice(interpreter.run(sample)?);
    }
    Ok(outputs)
}

/// Runs `count` sequences of equal length, given back to back, on all cores, each as [`run_sequence`] does. The
/// outputs are back to back in the same order.
///
/// # Errors
/// If the bytes of a sequence are not a whole number of samples.
pub fn run_sequences(
    program: &Placed,
    path: Path,
    inputs: &[u8],
    count: usize,
) -> Result<Vec<u8>, InputSizeError> {
    let interpreter = Interpreter::new(program, path);
    let sequences = inputs.par_chunks((inputs.len() / count.max(1)).max(1));
    let run = |sequence| sequence_of(interpreter.clone(), sequence);
    Ok(sequences.map(run).collect::<Result<Vec<_>, _>>()?.concat())
}
