//! Damaged and hostile inputs for everything that burn-ptq reads from files.
//!
//! A target knows valid inputs, how to damage them so that the damage reaches behind headers and
//! checksums, and what must hold of an input whatever it is: it is accepted or refused, without panic,
//! in little memory and soon. The targets of cargo-fuzz (`fuzz_targets/`) and the driver of this crate
//! (`src/main.rs`), which needs no special compiler, run the same code.

pub mod driver;
#[path = "../../crates/deploy/tests/mutate/mod.rs"]
#[allow(missing_docs)]
pub mod mutate;
mod targets;
mod text;

use mutate::Random;

/// Something that burn-ptq reads.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Makes a damaged input out of valid ones.
    pub(crate) mutate: fn(&mut Random, &[Vec<u8>]) -> Vec<u8>,
    /// Reads an input and uses it, if it is valid; returns whether it is.
    ///
    /// # Panics
    /// If a valid input is not what it must be.
    pub run: fn(&[u8]) -> bool,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    targets::onnx::TARGET,
    targets::quantized::TARGET,
    targets::tflite::TARGET,
    targets::bptq::TARGET,
    targets::data::TARGET,
    targets::recipe::TARGET,
    targets::report::TARGET,
    targets::study::TARGET,
    targets::results::TARGET,
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// One of the seeds, damaged by `damage` in one place or up to four, each time with another seed at hand.
fn damaged(
    random: &mut Random,
    seeds: &[Vec<u8>],
    damage: fn(&mut Random, &mut Vec<u8>, &[u8]),
) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    let places = [1, 1, 1, 2, 3, 4][random.below(6)];
    for _ in 0..places {
        let other = &seeds[random.below(seeds.len())];
        damage(random, &mut input, other);
        if input.is_empty() {
            input.push(0);
        }
    }
    input
}
