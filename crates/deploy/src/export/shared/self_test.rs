//! Samples that an export proves itself on.

use crate::export::ExportError;
use crate::place::{Memory, Placed};
use crate::program::Program;
use crate::run::{InputSizeError, Interpreter, Path};
use crate::target::Kernels;

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

    /// For each sample, the checksum of what each node of `program` gives, as exported code has its nodes;
    /// a 0 if it has none. Of a node that runs row by row that is the rows that exported code computes.
    ///
    /// # Errors
    /// If a sample has another size than the program's inputs together.
    pub(in crate::export) fn checksums(
        &self,
        program: &Placed,
    ) -> Result<Vec<Vec<u32>>, ExportError> {
        // Whole outputs, of nodes that run row by row too, so that these are compared with other code.
        let whole = program.program().clone().place(Kernels::Portable, Memory::Whole)?;
        let computed = computed_bytes(program);
        let mut interpreter = Interpreter::new(&whole, Path::Fast);
        let of_sample = |(sample, (input, _)): (usize, &(Vec<u8>, Vec<u8>))| {
            let mut checksums = vec![EMPTY; whole.nodes.len()];
            // The steps of a loop follow each other.
            let run = interpreter.run_observed(input, |node, bytes| {
                let computed = computed[node].unwrap_or(bytes.len());
                checksums[node] = checksum(checksums[node], &bytes[..computed]);
            });
            if checksums.is_empty() {
                checksums.push(0);
            }
            let InputSizeError { expected, found } = match run {
                Ok(_) => return Ok(checksums),
                Err(error) => error,
            };
            Err(ExportError::Sample { sample, what: "input", expected, found })
        };
        self.samples.iter().enumerate().map(of_sample).collect()
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

/// For each node that runs row by row, the bytes of its output that are computed.
fn computed_bytes(program: &Placed) -> Vec<Option<usize>> {
    let mut computed = vec![None; program.nodes.len()];
    for (stream, rows) in program.row_programs() {
        for (node, rows) in stream.nodes().zip(rows.computed()) {
            let output = program.nodes[node].output;
            computed[node] = Some(rows * program.tensors[output.0].row_bytes());
        }
    }
    computed
}

/// The checksum of no bytes.
const EMPTY: u32 = 2_166_136_261;

/// FNV-1a of 32 bits, which takes a row or a step after the other.
fn checksum(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(16_777_619))
}

#[cfg(test)]
mod tests {
    use super::{EMPTY, checksum};

    #[test]
    fn checksums_are_those_that_are_published() {
        assert_eq!(checksum(EMPTY, b""), 0x811c_9dc5);
        assert_eq!(checksum(EMPTY, b"a"), 0xe40c_292c);
        assert_eq!(checksum(EMPTY, b"foobar"), 0xbf9c_f968);
    }
}
