//! Moments of a normal variable behind an activation function that clamps.

use crate::graph::Clamp;

/// Mean and variance of a normal variable of `mean` and `variance` after it is clamped to `bounds`.
///
/// For a standard normal variable between `a` and `b`, whose mass outside moves to the bounds:
/// `E[z] = phi(a) - phi(b) + a * Phi(a) + b * (1 - Phi(b))`, and
/// `E[z^2] = Phi(b) - Phi(a) + a * phi(a) - b * phi(b) + a^2 * Phi(a) + b^2 * (1 - Phi(b))`.
pub(super) fn clipped_normal(mean: f64, variance: f64, bounds: Clamp) -> (f64, f64) {
    let (low, high) = (f64::from(bounds.min), f64::from(bounds.max));
    let sigma = variance.sqrt();
    if sigma <= 1e-12 {
        return (mean.max(low).min(high), 0.0);
    }
    let (a, b) = ((low - mean) / sigma, (high - mean) / sigma);
    let (below, above) = (probability_below(a), probability_below(-b));
    // An infinite bound has no weight; its products must not become NaN.
    let weighted = |bound: f64, weight: f64| if bound.is_finite() { bound * weight } else { 0.0 };
    let first = density(a) - density(b) + weighted(a, below) + weighted(b, above);
    let second = 1.0 - below - above + weighted(a, density(a)) - weighted(b, density(b))
        + weighted(a * a, below)
        + weighted(b * b, above);
    (mean + sigma * first, variance * (second - first * first).max(0.0))
}

/// The density of the standard normal distribution.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The standard normal distribution function, to about 1e-7 (Abramowitz and Stegun, 7.1.26).
fn probability_below(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let polynomial = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * polynomial * (-z * z).exp();
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means and variances by summing over many quantiles of the normal distribution.
    fn numeric(mean: f64, sigma: f64, clamp: Clamp) -> (f64, f64) {
        let (mut first, mut second, mut weight) = (0.0, 0.0, 0.0);
        for i in -8000..=8000 {
            let z = f64::from(i) / 1000.0;
            let x = (mean + sigma * z).clamp(clamp.min.into(), clamp.max.into());
            let p = (-0.5 * z * z).exp();
            first += p * x;
            second += p * x * x;
            weight += p;
        }
        (first / weight, second / weight - (first / weight).powi(2))
    }

    #[test]
    fn clipped_normals_have_the_moments_of_the_integral() {
        let relu6 = Clamp { min: 0.0, max: 6.0 };
        for clamp in [Clamp::RELU, relu6, Clamp { min: -1.0, max: 0.5 }] {
            for (mean, sigma) in [(0.0, 1.0), (1.5, 0.7), (-2.0, 1.0), (5.0, 3.0)] {
                let (found, found_variance) = clipped_normal(mean, sigma * sigma, clamp);
                let (first, variance) = numeric(mean, sigma, clamp);
                assert!((found - first).abs() < 1e-6, "{clamp:?}: {found}, {first}");
                let difference = (found_variance - variance).abs();
                assert!(difference < 1e-5, "{clamp:?}: {found_variance}, {variance}");
            }
        }
    }

    #[test]
    fn a_constant_is_clamped() {
        assert_eq!(clipped_normal(-2.0, 0.0, Clamp::RELU), (0.0, 0.0));
        assert_eq!(clipped_normal(9.0, 0.0, Clamp { min: 0.0, max: 6.0 }), (6.0, 0.0));
    }
}
