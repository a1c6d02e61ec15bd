//! Coordinate descent on the integers of a row.

use rayon::prelude::*;

use super::gptq::{Factors, Order};
use super::{Grids, Rounded, Rounding, RoundingProblem, row_blocks};
use crate::observe::{Quadratic, add_scaled, products};
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
        for refit in 0..=refits {
            let ends = self.sweep(quadratic, &grids, &mut values, refit < refits);
            if refit == refits {
                let errors = ends.iter().map(|end| end.error).collect();
                return End { values, grids, errors };
            }
            let fits: Vec<[f64; 2]> = ends.iter().map(|end| end.fit).collect();
            grids.refit(&fits);
        }
        unreachable!("the last refit returns")
    }

    /// Sweeps over all rows, and fits their scales if they are asked for.
    fn sweep(
        &self,
        quadratic: &Quadratic,
        grids: &Grids,
        values: &mut [i8],
        fitted: bool,
    ) -> Vec<RowEnd> {
        let len = quadratic.len;
        let ends = row_blocks(quadratic, values).map(|(first, values)| {
            let mut rows = Row::of_block(quadratic, first, values, grids);
            Row::descend(&mut rows, grids, self.sweeps);
            for (row, values) in rows.iter().zip(values.chunks_exact_mut(len)) {
                row.store(values);
            }
            let fits = if fitted { Row::fits(&rows) } else { vec![[0.0; 2]; rows.len()] };
            let ends = rows.iter().zip(fits).map(|(row, fit)| RowEnd { error: row.error(), fit });
            ends.collect::<Vec<RowEnd>>()
        });
        ends.flatten_iter().collect()
    }
}

/// Where the sweeps over a row ended.
struct RowEnd {
    error: f64,
    /// `q^T H t` and `q^T H q`, whose quotient is the best scale.
    fit: [f64; 2],
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
    /// The rows of a block of integers, of which the first is output channel `first`; they have the same
    /// matrix.
    fn of_block(quadratic: &'a Quadratic, first: usize, values: &[i8], grids: &Grids) -> Vec<Self> {
        let len = quadratic.len;
        let rows = values.chunks_exact(len).enumerate().map(|(i, values)| Self {
            hessian: quadratic.hessian(first + i),
            target: &quadratic.target.data[(first + i) * len..][..len],
            scale: grids.scale(first + i),
            values: values.iter().map(|&q| f32::from(q)).collect(),
            gradient: Vec::new(),
        });
        let mut rows: Vec<Self> = rows.collect();
        let difference = |row: &Self| {
            row.values.iter().zip(row.target).map(|(q, t)| row.scale * q - t).collect()
        };
        let differences: Vec<Vec<f32>> = rows.iter().map(difference).collect();
        let gradients = products(quadratic.hessian(first), &differences);
        rows.iter_mut().zip(gradients).for_each(|(row, gradient)| row.gradient = gradient);
        rows
    }

    /// Sweeps over rows with the same matrix side by side, so that what one has read of it is near for the
    /// others; none depends on another.
    fn descend(rows: &mut [Self], grids: &Grids, sweeps: usize) {
        let len = rows.first().map_or(0, |row| row.values.len());
        let mut rows: Vec<(&mut Self, bool)> = rows.iter_mut().map(|row| (row, false)).collect();
        for _ in 0..sweeps {
            for j in 0..len {
                for (row, changed) in &mut rows {
                    *changed |= row.improve(grids, j);
                }
            }
            rows.retain(|(_, changed)| *changed);
            rows.iter_mut().for_each(|(_, changed)| *changed = false);
        }
    }

    /// Gives the integer at `j` its best value; false if it has it.
    fn improve(&mut self, grids: &Grids, j: usize) -> bool {
        let len = self.values.len();
        let moment = self.hessian[j * len + j];
        let best = grids.nearest(self.values[j] - self.gradient[j] / (self.scale * moment));
        if best == self.values[j] {
            return false;
        }
        let step = self.scale * (best - self.values[j]);
        // A coordinate at a tie would swing for ever.
        let gain = -step * self.gradient[j] - 0.5 * step * step * moment;
        if gain <= 0.0 {
            return false;
        }
        add_scaled(&mut self.gradient, step, &self.hessian[j * len..][..len]);
        self.values[j] = best;
        true
    }

    fn store(&self, values: &mut [i8]) {
        values.iter_mut().zip(&self.values).for_each(|(q, &x)| *q = x as i8);
    }

    /// `(s q - t)^T H (s q - t)`.
    fn error(&self) -> f64 {
        let pairs = self.values.iter().zip(self.target).zip(&self.gradient);
        pairs.map(|((q, t), g)| f64::from(self.scale * q - t) * f64::from(*g)).sum()
    }

    /// `q^T H t` and `q^T H q` of rows with the same matrix.
    fn fits(rows: &[Self]) -> Vec<[f64; 2]> {
        let values: Vec<Vec<f32>> = rows.iter().map(|row| row.values.clone()).collect();
        let matrix = rows.first().map_or(&[][..], |row| row.hessian);
        let fit = |(row, product): (&Self, Vec<f32>)| {
            let (mut with_target, mut with_itself) = (0.0, 0.0);
            for ((q, g), h) in row.values.iter().zip(&row.gradient).zip(product) {
                // H t = s H q - g.
                let (q, h) = (f64::from(*q), f64::from(h));
                with_target += q * (f64::from(row.scale) * h - f64::from(*g));
                with_itself += q * h;
            }
            [with_target, with_itself]
        };
        rows.iter().zip(products(matrix, &values)).map(fit).collect()
    }
}
