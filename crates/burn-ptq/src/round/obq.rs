//! OBQ: greedy rounding, the cheapest weight first.

use nalgebra::{Cholesky, DMatrix};
use rayon::prelude::*;

use super::{Grids, Rounded, Rounding, RoundingProblem};

/// Rounds, of all weights of a row, the one whose rounding costs least, and lets the rest make up.
///
/// `q = argmin (quant(w_q) - w_q)^2 / [H^-1]_qq`, then
/// `w -= (w_q - quant(w_q)) / [H^-1]_qq H^-1[:, q]` and `q` is eliminated from `H^-1` (Frantar and
/// Alistarh, Optimal Brain Compression, 2022).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Obq {}

impl Rounding for Obq {
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
        let len = quadratic.len;
        let per_group = quadratic.target.shape[0] / quadratic.groups;
        let inverses: Vec<Vec<f32>> =
            quadratic.hessians.par_chunks(len * len).map(|hessian| inverse(hessian, len)).collect();
        let mut values = vec![0; quadratic.target.len()];
        values.par_chunks_mut(len).enumerate().for_each(|(o, values)| {
            let scale = grids.scale(o);
            let target = &quadratic.target.data[o * len..][..len];
            let mut rest: Vec<f32> = target.iter().map(|t| t / scale).collect();
            let mut inverse = inverses[o / per_group].clone();
            let mut open: Vec<usize> = (0..len).collect();
            while let Some(at) = cheapest(&open, &rest, &inverse, &grids) {
                let q = open.swap_remove(at);
                let rounded = grids.nearest(rest[q]);
                values[q] = rounded as i8;
                let pivot = inverse[q * len + q];
                let error = (rest[q] - rounded) / pivot;
                let row = inverse[q * len..][..len].to_vec();
                for &i in &open {
                    rest[i] -= error * row[i];
                    let factor = row[i] / pivot;
                    for &j in &open {
                        inverse[i * len + j] -= factor * row[j];
                    }
                }
            }
        });
        Rounded { values, scales: grids.scales }
    }
}

/// The place in `open` of the weight that is cheapest to round.
///
/// Weights beyond the grid come first, as they cannot but move (the paper's outlier rule).
fn cheapest(open: &[usize], rest: &[f32], inverse: &[f32], grids: &Grids) -> Option<usize> {
    let len = rest.len();
    let cost = |q: usize| {
        let error = grids.nearest(rest[q]) - rest[q];
        if error.abs() > 0.5 { -error.abs() } else { error * error / inverse[q * len + q] }
    };
    (0..open.len()).min_by(|&a, &b| cost(open[a]).total_cmp(&cost(open[b])))
}

fn inverse(hessian: &[f32], len: usize) -> Vec<f32> {
    let matrix = DMatrix::from_row_slice(len, len, hessian).map(f64::from);
    let inverse = Cholesky::new(matrix).map(|factor| factor.inverse());
    inverse.unwrap_or_else(|| DMatrix::identity(len, len)).iter().map(|&x| x as f32).collect()
}
