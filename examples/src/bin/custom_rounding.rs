//! A rounding scheme of one's own, in one's own crate.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin custom_rounding
//! ```

use std::error::Error;

use burn::tensor::Device;
use burn_ptq::import::onnx;
use burn_ptq::pipeline::Quantizer;
use burn_ptq::recipe::Recipe;
use burn_ptq::round::{Rounded, Rounding, RoundingProblem};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::training::{accuracy, demo};

/// Error diffusion: what rounding a weight lost is added to the next one, so that the weights of a
/// channel keep their sum, and the layer its response to constant inputs.
struct ErrorDiffusion;

impl Rounding for ErrorDiffusion {
    fn round(&self, problem: &RoundingProblem) -> Rounded {
        let mut values = Vec::with_capacity(problem.weight.len());
        for (channel, row) in problem.weight.rows().enumerate() {
            let grid = problem.qparams.grid(channel);
            let mut carried = 0.0;
            for weight in row {
                let level = grid.quantize(weight + carried);
                carried += weight - grid.dequantize(level);
                // A weight beyond the grid must not burden all that follow.
                carried = carried.clamp(-grid.scale, grid.scale);
                values.push(i8::try_from(level).expect("weights have at most 8 bits"));
            }
        }
        Rounded { values, scales: problem.qparams.scales.clone() }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);
    let mut recipe = Recipe::preset("w8a8")?;
    recipe.weights.bits = 3;
    let nearest = Quantizer::new(recipe.clone());
    let diffused = Quantizer::new(recipe).with_rounding("error diffusion", ErrorDiffusion);
    for (name, quantizer) in [("nearest", nearest), ("error diffusion", diffused)] {
        let graph = onnx::read(&demo().join("model.onnx"))?;
        let batches = train.first_images(256, &Device::flex()).split(32, 0);
        let quantized = quantizer.quantize(graph, batches)?;
        let accuracy = accuracy(&evaluation, |x| quantized.forward(x))?;
        println!("W3A8, {name}: {:.2} %", 100.0 * accuracy);
        assert!(accuracy > 0.9, "{name} lost too much");
    }
    Ok(())
}
