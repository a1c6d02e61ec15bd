//! What a program reads and writes, and what that means: raw samples, values of the source model,
//! integers of the program.

use burn_ptq_kernels::fast::{self, Instructions};
use burn_ptq_kernels::packing::PackedWeights;
use rayon::prelude::*;

use crate::op::DType;
use crate::program::{IntTensor, Program};

/// Input bytes of the program for preprocessed samples of the source model, one after the other; a
/// sample is the elements of all inputs, one input after the other.
pub fn quantize_inputs(program: &Program, samples: &[f32]) -> Vec<u8> {
    let instructions = Instructions::best();
    let places: Vec<Vec<usize>> = program.inputs.iter().map(|i| i.border.places()).collect();
    let (values, own) = (program.input_len().max(1), program.input_bytes());
    let mut bytes = vec![0; samples.len() / values * own];
    let pairs = bytes.par_chunks_mut(own.max(1)).zip(samples.par_chunks_exact(values));
    pairs.for_each_init(Vec::new, |ordered, (mut bytes, mut sample)| {
        for (tensor, places) in program.input_tensors().zip(&places) {
            let (own, rest) = sample.split_at(places.len());
            let (output, others) = bytes.split_at_mut(tensor.bytes());
            ordered.clear();
            ordered.extend(places.iter().map(|&place| own[place]));
            match tensor.dtype {
                // Callers never see packed tensors.
                DType::I8 | DType::I4 => {
                    let output = bytemuck::cast_slice_mut(output);
                    fast::quantize(instructions, tensor.grid, ordered, output);
                }
                DType::I16 => {
                    for (output, &x) in output.chunks_exact_mut(2).zip(&*ordered) {
                        let q = tensor.grid.quantize(x) as i16;
                        output.copy_from_slice(&q.to_le_bytes());
                    }
                }
            }
            (bytes, sample) = (others, rest);
        }
    });
    bytes
}

/// Outputs of the source model for output bytes of the program, one sample after the other; a sample
/// is the elements of all outputs, one output after the other.
pub fn dequantize_outputs(program: &Program, bytes: &[u8]) -> Vec<f32> {
    let places: Vec<Vec<usize>> = program.outputs.iter().map(|o| o.border.places()).collect();
    let sample_bytes = program.output_bytes().max(1);
    let mut outputs = vec![0.0; bytes.len() / sample_bytes * program.output_len()];
    let samples = outputs.chunks_exact_mut(program.output_len().max(1));
    for (mut output, mut sample) in samples.zip(bytes.chunks_exact(sample_bytes)) {
        for (tensor, places) in program.output_tensors().zip(&places) {
            let (own, rest) = sample.split_at(tensor.bytes());
            let (values, others) = output.split_at_mut(places.len());
            match tensor.dtype {
                DType::I8 => {
                    for (&place, &byte) in places.iter().zip(own) {
                        values[place] = tensor.grid.dequantize(i32::from(byte as i8));
                    }
                }
                DType::I4 | DType::I16 => {
                    for (&place, q) in places.iter().zip(tensor_integers(tensor, own)) {
                        values[place] = tensor.grid.dequantize(q);
                    }
                }
            }
            (sample, output) = (rest, others);
        }
    }
    outputs
}

/// Preprocessed samples of the source model for raw samples, one after the other, by the rules that
/// the program records; a sample is the elements of all inputs, one input after the other.
pub fn preprocess(program: &Program, raw: &[f32]) -> Vec<f32> {
    let mut preprocessed = Vec::with_capacity(raw.len());
    for mut sample in raw.chunks_exact(program.input_len().max(1)) {
        for input in &program.inputs {
            let (shape, rule) = (&input.border.source_shape, &input.preprocessing);
            let (own, rest) = sample.split_at(shape.iter().product());
            preprocessed.extend(
                (0..own.len())
                    .map(|i| rule.element(own[rule.raw_place(shape, i)], rule.channel(shape, i))),
            );
            sample = rest;
        }
    }
    preprocessed
}

/// The integers in the bytes of a tensor, or of some of its rows.
pub fn tensor_integers<'a>(
    tensor: &IntTensor,
    bytes: &'a [u8],
) -> Box<dyn Iterator<Item = i32> + 'a> {
    match tensor.dtype {
        DType::I8 => Box::new(bytes.iter().map(|&b| i32::from(b as i8))),
        DType::I4 => {
            let packed = PackedWeights { bytes, storage: 4 };
            Box::new((0..2 * bytes.len()).map(move |i| packed.get(i)))
        }
        DType::I16 => {
            let pairs = bytes.chunks_exact(2);
            Box::new(pairs.map(|b| i32::from(i16::from_le_bytes([b[0], b[1]]))))
        }
    }
}
