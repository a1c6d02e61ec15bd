//! Stochastic rounding.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use super::{Rounded, Rounding, RoundingProblem};

/// Rounds up with the probability of the fraction, down otherwise, so that the expected weight is
/// the float weight wherever the grid does not saturate.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stochastic {}

impl Rounding for Stochastic {
    fn needs_inputs(&self) -> bool {
        false
    }

    fn is_random(&self) -> bool {
        true
    }

    fn steps(&self) -> usize {
        0
    }

    fn round(&self, problem: &RoundingProblem) -> Rounded {
        let seed = Sha256::new()
            .chain_update(problem.seed.to_le_bytes())
            .chain_update(problem.layer.as_bytes())
            .finalize();
        let mut random = ChaCha8Rng::from_seed(seed.into());
        let mut integers = Vec::with_capacity(problem.weight.len());
        for (channel, row) in problem.weight.rows().enumerate() {
            let grid = problem.qparams.grid(channel);
            integers.extend(row.iter().map(|&w| {
                let uniform = random.next_u32() as f32 / (u32::MAX as f32 + 1.0);
                let down = (w / grid.scale).floor();
                let up = w / grid.scale - down > uniform;
                (down as i32 + i32::from(up)).clamp(grid.min, grid.max) as i8
            }));
        }
        Rounded { values: integers, scales: problem.qparams.scales.clone() }
    }
}
