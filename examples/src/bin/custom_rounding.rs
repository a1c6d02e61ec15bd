//! A custom rounding scheme, in a crate of its own.
//!
//! ```text
//! cargo run --release -p burn-ptq-examples --bin custom_rounding
//! ```
//!
//! Rounding to nearest looks at each weight by itself. What counts is the error of the layer's output,
//! a quadratic form of the errors of a row's weights, which the pipeline gives to roundings that ask
//! for it.

use std::error::Error;

use burn::tensor::Device;
use burn_ptq::import::onnx;
use burn_ptq::round::{Rounded, Rounding, RoundingProblem};
use burn_ptq::{Quantizer, Recipe};
use burn_ptq_examples::data::Split;
use burn_ptq_examples::training::{accuracy, demo};

/// Starts from the nearest integers and moves one at a time by one, always the one that lowers the
/// layer's output error most, until none does.
struct SteepestSteps;

impl Rounding for SteepestSteps {
    fn needs_inputs(&self) -> bool {
        true
    }

    fn is_random(&self) -> bool {
        false
    }

    fn steps(&self) -> usize {
        0
    }

    fn round(&self, problem: &RoundingProblem) -> Rounded {
        let quadratic = problem.quadratic.expect("present because `needs_inputs` returns true");
        let len = quadratic.len;
        let rows_a_group = problem.weight.shape[0] / quadratic.groups;
        let mut values = Vec::with_capacity(problem.weight.len());
        for (channel, row) in problem.weight.rows().enumerate() {
            let grid = problem.qparams.grid(channel);
            let hessian = &quadratic.hessians[channel / rows_a_group * len * len..][..len * len];
            let target = &quadratic.target.data[channel * len..][..len];
            let mut levels: Vec<i32> = row.iter().map(|&weight| grid.quantize(weight)).collect();
            // Half the gradient of the output error by each weight.
            let error = |i: usize, level: i32| grid.dequantize(level) - target[i];
            let product = |row: &[f32]| -> f32 {
                row.iter().enumerate().map(|(i, h)| h * error(i, levels[i])).sum()
            };
            let mut gradient: Vec<f32> = hessian.chunks(len).map(product).collect();
            // Every step lowers the error; the limit is for rounding errors of this sum.
            for _ in 0..100 * len {
                let change = |(i, step): (usize, i32)| {
                    let by = step as f32 * grid.scale;
                    by * (2.0 * gradient[i] + by * hessian[i * len + i])
                };
                let inside =
                    |&(i, step): &(usize, i32)| (grid.min..=grid.max).contains(&(levels[i] + step));
                let steps = (0..len).flat_map(|i| [(i, -1), (i, 1)]).filter(inside);
                let best = steps.min_by(|&a, &b| change(a).total_cmp(&change(b)));
                let Some((i, step)) = best.filter(|&best| change(best) < 0.0) else { break };
                levels[i] += step;
                let by = step as f32 * grid.scale;
                for (g, h) in gradient.iter_mut().zip(&hessian[i * len..][..len]) {
                    *g += h * by;
                }
            }
            let narrow = |&level: &i32| i8::try_from(level).expect("weights have at most 8 bits");
            values.extend(levels.iter().map(narrow));
        }
        Rounded { values, scales: problem.qparams.scales.clone() }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (train, evaluation) = (Split::read(&demo(), "train")?, Split::read(&demo(), "eval")?);
    let mut recipe = Recipe::preset("nearest")?;
    recipe.weights.bits = 2;
    let nearest = Quantizer::new(recipe.clone());
    let steps = Quantizer::new(recipe).with_rounding("steepest steps", SteepestSteps);
    let measure = |quantizer: &Quantizer| -> Result<f64, Box<dyn Error>> {
        let graph = onnx::read(&demo().join("model.onnx"))?;
        let batches = train.first_images(256, &Device::flex()).split(32, 0);
        let quantized = quantizer.quantize(graph, batches)?;
        accuracy(&evaluation, |x| quantized.forward(x))
    };
    let (before, after) = (measure(&nearest)?, measure(&steps)?);
    println!("W2A8, nearest:        {:.2} %", 100.0 * before);
    println!("W2A8, steepest steps: {:.2} %", 100.0 * after);
    assert!(after > before + 0.02, "the rounding has no effect");
    Ok(())
}
