//! What a program reads and writes, and what that means: raw samples, values of the source model,
//! integers of the program.

use super::interpreter::tensor_integers;
use crate::op::DType;
use crate::program::Program;

/// Input bytes of the program for preprocessed samples of the source model, one after the other.
pub fn quantize_inputs(program: &Program, samples: &[f32]) -> Vec<u8> {
    let tensor = &program.tensors[program.input.0];
    let places = program.input_border.places();
    let mut bytes = Vec::with_capacity(samples.len() * tensor.dtype.bytes());
    for sample in samples.chunks(places.len()) {
        for &place in &places {
            let q = tensor.grid.quantize(sample[place]);
            match tensor.dtype {
                // Callers never see packed tensors.
                DType::I8 | DType::I4 => bytes.push(q as i8 as u8),
                DType::I16 => bytes.extend((q as i16).to_le_bytes()),
            }
        }
    }
    bytes
}

/// Outputs of the source model for output bytes of the program, one sample after the other.
pub fn dequantize_outputs(program: &Program, bytes: &[u8]) -> Vec<f32> {
    let tensor = &program.tensors[program.output.0];
    let places = program.output_border.places();
    let integers: Vec<i32> = tensor_integers(tensor, bytes).collect();
    let mut outputs = vec![0.0; integers.len()];
    for (output, sample) in outputs.chunks_mut(places.len()).zip(integers.chunks(places.len())) {
        for (&place, &q) in places.iter().zip(sample) {
            output[place] = tensor.grid.dequantize(q);
        }
    }
    outputs
}

/// Preprocessed samples of the source model for raw samples, one after the other, by the rule that
/// the program records.
pub fn preprocess(program: &Program, raw: &[f32]) -> Vec<f32> {
    let shape = &program.input_border.source_shape;
    let elements = shape.iter().product::<usize>().max(1);
    let rule = &program.preprocessing;
    let one = |sample: &[f32]| -> Vec<f32> {
        (0..elements)
            .map(|i| rule.element(sample[rule.raw_place(shape, i)], rule.channel(shape, i)))
            .collect()
    };
    raw.chunks_exact(elements).flat_map(one).collect()
}
