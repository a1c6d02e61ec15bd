//! Samples that an export proves itself on.

use crate::export::ExportError;
use crate::place::Placed;
use crate::program::Program;
use crate::run::{InputSizeError, Interpreter, Path};

/// Samples that an export carries to prove itself on its target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// The bytes of all inputs, one after the other, and those of all outputs that they must give,
    /// 16-bit elements low byte first.
    pub samples: Vec<(Vec<u8>, Vec<u8>)>,
}

impl SelfTest {
    /// Expects of each input what the reference kernels give.
    ///
    /// # Errors
    /// If an input has another size than the program's inputs together.
    pub fn new(program: &Placed, inputs: &[Vec<u8>]) -> Result<Self, InputSizeError> {
        let mut interpreter = Interpreter::new(program, Path::Reference);
        let samples = inputs
            .iter()
            .map(|input| Ok((input.clone(), interpreter.run(input)?.to_vec())))
            .collect::<Result<_, InputSizeError>>()?;
        Ok(Self { samples })
    }

    /// Checks that the samples fit the program.
    ///
    /// # Errors
    /// If one does not, or there is none.
    pub(in crate::export) fn check(&self, program: &Program) -> Result<(), ExportError> {
        if self.samples.is_empty() {
            return Err(ExportError::NoSamples);
        }
        let (input_bytes, output_bytes) = (program.input_bytes(), program.output_bytes());
        for (sample, (input, output)) in self.samples.iter().enumerate() {
            for (what, expected, found) in
                [("input", input_bytes, input.len()), ("output", output_bytes, output.len())]
            {
                if expected != found {
                    return Err(ExportError::Sample { sample, what, expected, found });
                }
            }
        }
        Ok(())
    }
}
