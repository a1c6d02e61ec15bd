//! Recipes. What is accepted is written and read again; now and then a small network is quantized by it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use burn_ptq::Quantizer;
use burn_ptq::graph::{Batch, Graph};
use burn_ptq::import::onnx;
use burn_ptq::recipe::catalogue::{Component, Stage, stages};
use burn_ptq::recipe::{PRESETS, Recipe};

use super::onnx::build;
use crate::mutate::Random;
use crate::text::damage;
use crate::{Target, damaged};

/// See the module.
pub const TARGET: Target = Target { name: "recipe", seeds, mutate, run };

/// One accepted recipe in this many is carried out.
const CARRIED_OUT: u64 = 64;

/// The time after which a quantization is cancelled.
const PATIENCE: Duration = Duration::from_millis(200);

fn seeds() -> Vec<Vec<u8>> {
    let written = |text: &str| Recipe::parse(text, "preset").expect("a preset parses").to_toml();
    let presets = PRESETS.iter().map(|(_, text)| text.as_bytes().to_vec());
    // With every key, and with every component.
    let whole = PRESETS.iter().map(|(_, text)| written(text).into_bytes());
    let table = |parameters: &[(String, String)]| {
        let keys = parameters.iter().map(|(name, value)| format!("{name} = {value}"));
        format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
    };
    let components =
        stages().into_iter().flat_map(|Stage { key, parameters, components, .. }| {
            let of =
                |c: &Component| format!("{key} = {{ {} = {} }}\n", c.name, table(&c.parameters));
            let section =
                (!parameters.is_empty()).then(|| format!("{key} = {}\n", table(&parameters)));
            components.iter().map(of).chain(section).map(String::into_bytes).collect::<Vec<_>>()
        });
    let valid = |text: &Vec<u8>| Recipe::parse(&String::from_utf8_lossy(text), "seed").is_ok();
    presets.chain(whole).chain(components).filter(valid).collect()
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    damaged(random, seeds, damage)
}

fn run(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(recipe) = Recipe::parse(text, "fuzz") else { return false };
    let again = Recipe::parse(&recipe.to_toml(), "again").expect("what is written can be read");
    // Not a number equals nothing.
    assert_eq!(again.to_toml(), recipe.to_toml());
    let mixed = input.iter().fold(0_u64, |mixed, &byte| mixed.wrapping_mul(31) + u64::from(byte));
    if mixed.is_multiple_of(CARRIED_OUT) {
        carry_out(recipe);
    }
    true
}

/// Quantizes a small network; whatever the recipe asks for, the job stops soon when it is cancelled.
fn carry_out(recipe: Recipe) {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    let graph = GRAPH.get_or_init(|| {
        onnx::parse(&build::bytes(&build::image_model()), "small").expect("a good model")
    });
    let len = graph.sample_len();
    let sample =
        |seed: usize| (0..len).map(move |i| ((i * 31 + seed * 17) % 97) as f32 / 48.0 - 1.0);
    let batches = (0..2).map(|batch| {
        let values = (0..8).flat_map(|i| sample(8 * batch + i)).collect();
        Ok::<_, std::convert::Infallible>(Batch { values, count: 8 })
    });
    let clock = Instant::now();
    let progress = |_: burn_ptq::Event| clock.elapsed() < PATIENCE;
    // Errors about the recipe and the graph are as good as results.
    let _ = Quantizer::new(recipe).quantize_samples(graph.clone(), batches, Some(16), &progress);
}
