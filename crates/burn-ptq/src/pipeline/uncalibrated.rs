//! Networks of which nothing was observed yet: for what they take, not for what they give.

use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::Quantizer;
use crate::calibrate::CalibrateError;
use crate::error::Error;
use crate::graph::{Batch, Graph, ValueId};
use crate::network::Quantized;
use crate::recipe::Recipe;

/// Samples of noise; grids follow from them, what a program takes does not.
pub(super) const SAMPLES: usize = 4;

/// A network with these bits for all weights and activations, rounded to nearest on noise: it takes the
/// flash, RAM and time of one that was calibrated, but gives nothing of use.
///
/// It keeps all channels: which of them are constant, calibration decides.
///
/// # Errors
/// If there are no such bits, or a layer has no integer form.
pub fn quantize_uncalibrated(
    graph: Graph,
    weights: u8,
    activations: u8,
    device: &Device,
) -> Result<Quantized, Error> {
    let recipe = Recipe::preset("nearest")?.at_widths(Some(weights), Some(activations));
    let batch: Result<Batch, CalibrateError> = Ok(noise(&graph));
    let quantizer = Quantizer::new(recipe).with_device(device.clone()).keeping_all_channels();
    quantizer.quantize_samples(graph, std::iter::once(batch), Some(SAMPLES), &|_| true)
}

/// Samples that every input accepts: whole numbers where it holds such, and numbers from 0 to 1, of which
/// there are roots and logarithms.
pub(super) fn noise(graph: &Graph) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut element = |input: ValueId| match graph.whole_numbers(input) {
        Some((low, count)) => (low + i64::from(random.next_u32()) % count) as f32,
        None => random.next_u32() as f32 / u32::MAX as f32,
    };
    let mut values = Vec::new();
    for _ in 0..SAMPLES {
        for &input in &graph.inputs {
            let len: usize = graph.value(input).shape.iter().product();
            values.extend((0..len).map(|_| element(input)));
        }
    }
    Batch { values, count: SAMPLES }
}

#[cfg(test)]
mod tests {
    use burn_ptq_deploy::place::Memory;
    use burn_ptq_deploy::target::Kernels;

    use super::*;
    use crate::import::onnx;

    fn graph(name: &str) -> Graph {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli");
        onnx::read(&folder.join(name)).unwrap()
    }

    #[test]
    fn what_it_takes_is_what_a_calibrated_network_takes() {
        let device = Device::flex();
        let graph = graph("demo/model.onnx");
        let quantized = quantize_uncalibrated(graph.clone(), 4, 8, &device).unwrap();
        let len = graph.sample_len();
        let values = (0..16 * len).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let samples: Result<Batch, CalibrateError> = Ok(Batch::new(values, len));
        let quantizer = Quantizer::new(Recipe::preset("w4a8").unwrap()).keeping_all_channels();
        let samples = std::iter::once(samples);
        let calibrated = quantizer.quantize_samples(graph, samples, None, &|_| true).unwrap();
        let arena = |of: &Quantized| {
            of.program.place_again(Kernels::Portable, Memory::Reduced).unwrap().arena_bytes()
        };
        assert_eq!(arena(&quantized), arena(&calibrated));
        let weights = |of: &Quantized| -> Vec<(usize, u8)> {
            let nodes = of.program.nodes.iter().filter_map(|node| node.op.weighted());
            nodes.map(|weighted| (weighted.bias.len(), weighted.weights.bits)).collect()
        };
        assert_eq!(weights(&quantized), weights(&calibrated));
    }

    #[test]
    fn ids_are_among_the_rows() {
        let graph = graph("tests/models/tokens.onnx");
        let input = graph.inputs[0];
        let (low, count) = graph.whole_numbers(input).expect("ids");
        for value in noise(&graph).values {
            assert!(
                value.fract() == 0.0 && (low..low + count).contains(&(value as i64)),
                "{value}"
            );
        }
        assert!(quantize_uncalibrated(graph, 8, 8, &Device::flex()).is_ok());
    }
}
