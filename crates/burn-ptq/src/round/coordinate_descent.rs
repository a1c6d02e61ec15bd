//! Coordinate descent on the integers of a row.

use rayon::prelude::*;

use super::gptq::{Factors, Order};
use super::{Grids, Rounded, Rounding, RoundingProblem};
use crate::observe::Quadratic;
use crate::quant::Granularity;

/// Changes one integer of a row at a time to the best value that it can have, given all others.
///
/// Each change is the exact minimizer of the layer's squared output error along its coordinate,
/// `q_j <- round(q_j - g_j / (s H_jj))` with `g` the gradient (Behdin et al., QuantEase, 2023).
/// Starts from GPTQ on several scales; between sweeps a row's scale is refitted by least squares,
/// `s = (q^T H t) / (q^T H q)`, and the best end is kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CoordinateDescent {
    /// The maximum number of sweeps over a row, for each scale.
    pub sweeps: usize,
    /// How often the scales are refitted; 0 keeps those of the range method.
    pub refits: usize,
    /// The number of starting scales, evenly spaced from `narrowest` times the range method's scale
    /// to that scale.
    pub starts: usize,
    /// The factor of the smallest starting scale.
    pub narrowest: f32,
}

impl Default for CoordinateDescent {
    fn default() -> Self {
        Self { sweeps: 8, refits: 4, starts: 4, narrowest: 0.7 }
    }
}

impl Rounding for CoordinateDescent {
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
        let factors = Factors::new(quadratic, Order::Moment);
        let grids = Grids::new(problem);
        let refits = if problem.qparams.scheme.power_of_two { 0 } else { self.refits };
        let starts = if refits == 0 { 1 } else { self.starts.max(1) };
        let descend = |start: usize| {
            let share = start as f32 / (starts - 1).max(1) as f32;
            let mut grids = grids.clone();
            let factor = 1.0 - share * (1.0 - self.narrowest);
            grids.scales.iter_mut().for_each(|scale| *scale *= factor);
            let values = factors.round(quadratic, &grids);
            self.descend(quadratic, grids, values, refits)
        };
        let mut ends: Vec<End> = Vec::new();
        while ends.len() < starts && (ends.is_empty() || problem.go_on.ask()) {
            let next = starts.min(ends.len() + STARTS_AT_ONCE);
            ends.par_extend((ends.len()..next).into_par_iter().map(descend));
        }
        best(ends, quadratic, problem.qparams.scheme.granularity)
    }
}

/// Descents between which the rounding may be stopped.
const STARTS_AT_ONCE: usize = 8;

/// Where a descent ended: the integers, their scales, and the error of each row.
struct End {
    values: Vec<i8>,
    grids: Grids,
    errors: Vec<f64>,
}

impl CoordinateDescent {
    fn descend(
        &self,
        quadratic: &Quadratic,
        mut grids: Grids,
        mut values: Vec<i8>,
        refits: usize,
    ) -> End {
        let len = quadratic.len;
        for refit in 0..=refits {
            let rows: Vec<Row> = values
                .par_chunks_mut(len)
                .enumerate()
                .map(|(o, values)| {
                    let mut row = Row::new(quadratic, o, values, grids.scale(o));
                    row.descend(&grids, self.sweeps);
                    row.store(values);
                    row
                })
                .collect();
            let errors = rows.iter().map(Row::error).collect();
            if refit == refits {
                return End { values, grids, errors };
            }
            let fits: Vec<[f64; 2]> = rows.iter().map(Row::fit).collect();
            grids.refit(&fits);
        }
        unreachable!("the last refit returns")
    }
}

/// The best end of each row, or of all rows together if they share a scale.
fn best(ends: Vec<End>, quadratic: &Quadratic, granularity: Granularity) -> Rounded {
    let len = quadratic.len;
    let least = |error: &dyn Fn(&End) -> f64| {
        let mut best = 0;
        for (i, end) in ends.iter().enumerate() {
            if error(end) < error(&ends[best]) {
                best = i;
            }
        }
        &ends[best]
    };
    match granularity {
        Granularity::PerTensor => {
            let end = least(&|end| end.errors.iter().sum());
            Rounded { values: end.values.clone(), scales: end.grids.scales.clone() }
        }
        Granularity::PerChannel => {
            let mut rounded = Rounded { values: Vec::new(), scales: Vec::new() };
            for o in 0..quadratic.target.shape[0] {
                let end = least(&|end| end.errors[o]);
                rounded.values.extend(&end.values[o * len..][..len]);
                rounded.scales.push(end.grids.scale(o));
            }
            rounded
        }
    }
}

/// One row with its gradient.
struct Row<'a> {
    hessian: &'a [f32],
    target: &'a [f32],
    scale: f32,
    values: Vec<f32>,
    /// `H (s q - t)`.
    gradient: Vec<f32>,
}

impl<'a> Row<'a> {
    fn new(quadratic: &'a Quadratic, channel: usize, values: &[i8], scale: f32) -> Self {
        let target = &quadratic.target.data[channel * quadratic.len..][..quadratic.len];
        let values: Vec<f32> = values.iter().map(|&q| f32::from(q)).collect();
        let mut row = Self {
            hessian: quadratic.hessian(channel),
            target,
            scale,
            values,
            gradient: Vec::new(),
        };
        let difference: Vec<f32> =
            row.values.iter().zip(target).map(|(q, t)| scale * q - t).collect();
        row.gradient = row.product(&difference);
        row
    }

    fn product(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.hessian.chunks_exact(self.target.len());
        rows.map(|row| crate::observe::dot(row, x)).collect()
    }

    fn descend(&mut self, grids: &Grids, sweeps: usize) {
        let len = self.values.len();
        for _ in 0..sweeps {
            let mut changed = false;
            for j in 0..len {
                let column = &self.hessian[j * len..][..len];
                let best =
                    grids.nearest(self.values[j] - self.gradient[j] / (self.scale * column[j]));
                if best != self.values[j] {
                    let step = self.scale * (best - self.values[j]);
                    // A coordinate at a tie would swing for ever.
                    let gain = -step * self.gradient[j] - 0.5 * step * step * column[j];
                    if gain <= 0.0 {
                        continue;
                    }
                    self.gradient.iter_mut().zip(column).for_each(|(g, &h)| *g += step * h);
                    self.values[j] = best;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn store(&self, values: &mut [i8]) {
        values.iter_mut().zip(&self.values).for_each(|(q, &x)| *q = x as i8);
    }

    /// `(s q - t)^T H (s q - t)`.
    fn error(&self) -> f64 {
        let pairs = self.values.iter().zip(self.target).zip(&self.gradient);
        pairs.map(|((q, t), g)| f64::from(self.scale * q - t) * f64::from(*g)).sum()
    }

    /// `q^T H t` and `q^T H q`, whose quotient is the best scale.
    fn fit(&self) -> [f64; 2] {
        let (mut with_target, mut with_itself) = (0.0, 0.0);
        for ((q, g), h) in self.values.iter().zip(&self.gradient).zip(self.product(&self.values)) {
            // H t = s H q - g.
            with_target += f64::from(*q) * (f64::from(self.scale) * f64::from(h) - f64::from(*g));
            with_itself += f64::from(*q) * f64::from(h);
        }
        [with_target, with_itself]
    }
}
