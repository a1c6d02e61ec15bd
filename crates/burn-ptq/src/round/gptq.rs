//! GPTQ: rounding in a fixed order, each error passed on to the weights not yet rounded.

use rayon::prelude::*;

use super::{Grids, Rounded, Rounding, RoundingProblem, row_blocks};
use crate::observe::{CholeskyFactor, Quadratic, add_scaled};

/// Rounds the weights of a row one after the other and lets the rest make up for each error.
///
/// With `U` the upper Cholesky factor of the inverse of the inputs' second moments `H`:
/// `e = (w_j - q_j) / U_jj`, `w_k -= e U_jk` for all later `k` (Frantar et al., GPTQ, 2022).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Gptq {
    /// The order in which a row is rounded.
    pub order: Order,
}

/// The order in which the weights of a row are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Largest second moment first, so that the most important weights are rounded while all others
    /// can compensate.
    #[default]
    Moment,
    /// As stored.
    Stored,
}

impl Rounding for Gptq {
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
        let quadratic = problem.quadratic();
        let grids = Grids::new(problem);
        let factors = Factors::new(quadratic, self.order);
        Rounded { values: factors.round(quadratic, &grids), scales: grids.scales }
    }
}

/// The factored matrices of a layer, which serve every grid.
pub(super) struct Factors {
    groups: Vec<Factor>,
}

struct Factor {
    order: Vec<usize>,
    /// The upper Cholesky factor of the inverse, rows and columns in `order`.
    upper: Vec<f32>,
}

impl Factors {
    pub(super) fn new(quadratic: &Quadratic, order: Order) -> Self {
        let len = quadratic.len;
        let groups = quadratic.hessians.par_chunks(len * len).map(|hessian| {
            let mut places: Vec<usize> = (0..len).collect();
            if order == Order::Moment {
                let moment = |i: usize| hessian[i * len + i];
                places.sort_by(|&a, &b| moment(b).total_cmp(&moment(a)));
            }
            Factor { upper: inverse_factor(hessian, &places), order: places }
        });
        Self { groups: groups.collect() }
    }

    /// Rounds all rows.
    pub(super) fn round(&self, quadratic: &Quadratic, grids: &Grids) -> Vec<i8> {
        let len = quadratic.len;
        let per_group = quadratic.target.shape[0] / quadratic.groups;
        let mut values = vec![0; quadratic.target.len()];
        row_blocks(quadratic, &mut values).for_each(|(first, values)| {
            let Factor { order, upper } = &self.groups[first / per_group];
            let rest = |o: usize| -> Vec<f32> {
                let (scale, target) = (grids.scale(o), &quadratic.target.data[o * len..][..len]);
                order.iter().map(|&j| target[j] / scale).collect()
            };
            let mut rests: Vec<Vec<f32>> = (first..).take(values.len() / len).map(rest).collect();
            for (at, &j) in order.iter().enumerate() {
                let factor = &upper[at * len..][..len];
                for (rest, values) in rests.iter_mut().zip(values.chunks_exact_mut(len)) {
                    let rounded = grids.nearest(rest[at]);
                    let error = (rest[at] - rounded) / factor[at];
                    add_scaled(&mut rest[at + 1..], -error, &factor[at + 1..]);
                    values[j] = rounded as i8;
                }
            }
        });
        values
    }
}

/// The upper Cholesky factor of the inverse, its rows and columns in `order`.
///
/// Of the inverse `L^-1` of the factor of the matrix in reversed order, the rows and columns read from their ends.
fn inverse_factor(hessian: &[f32], order: &[usize]) -> Vec<f32> {
    let len = order.len();
    let mut reversed = vec![0.0; len * len];
    reversed.par_chunks_mut(len.max(1)).enumerate().for_each(|(i, row)| {
        let from = &hessian[order[len - 1 - i] * len..][..len];
        let ends = order.iter().rev().map(|&j| f64::from(from[j]));
        row[..=i].iter_mut().zip(ends).for_each(|(x, value)| *x = value);
    });
    let inverse = CholeskyFactor::new(reversed, len).map(CholeskyFactor::inverse);
    let mut upper = vec![0.0; len * len];
    upper.par_chunks_mut(len.max(1)).enumerate().for_each(|(i, row)| match &inverse {
        Some(inverse) => {
            let ends = inverse[(len - 1 - i) * len..][..len - i].iter().rev();
            row[i..].iter_mut().zip(ends).for_each(|(x, &value)| *x = value as f32);
        }
        // Not positive definite in floating point: no error is passed on.
        None => row[i] = 1.0,
    });
    upper
}
