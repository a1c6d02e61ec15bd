//! Student's distribution, as far as tests with few runs need it.

use statrs::function::beta::checked_beta_reg;

/// The probability that a value of Student's distribution is farther from zero than `t`.
pub(super) fn two_sided(t: f64, freedom: f64) -> f64 {
    // The checked function: statrs's distribution panics where an argument is not a number.
    checked_beta_reg(0.5 * freedom, 0.5, freedom / (freedom + t * t)).unwrap_or(f64::NAN)
}

/// The value that is exceeded, on either side, with this probability.
pub(crate) fn quantile(probability: f64, freedom: f64) -> f64 {
    // One degree of freedom has the longest tail, whose quantiles are about 1 / probability.
    let (mut low, mut high) = (-20.0_f64, 2.0 - probability.ln());
    while high - low > 1e-9 {
        let middle = 0.5 * (low + high);
        match two_sided(middle.exp(), freedom) > probability {
            true => low = middle,
            false => high = middle,
        }
    }
    (0.5 * (low + high)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        // With one and two degrees of freedom in closed form, the others as tables have them.
        for probability in [0.5, 0.05, 0.004, 1e-4, 1e-9] {
            let cauchy = 1.0 / (std::f64::consts::FRAC_PI_2 * probability).tan();
            let inside = 1.0 - probability;
            let two = inside * (2.0 / (probability * (2.0 - probability))).sqrt();
            for (freedom, expected) in [(1.0, cauchy), (2.0, two)] {
                let found = quantile(probability, freedom);
                assert!((found / expected - 1.0).abs() < 1e-6, "{probability} {freedom}: {found}");
            }
        }
        for (probability, freedom, expected) in [
            (0.05, 4.0, 2.776_445),
            (0.01, 10.0, 3.169_273),
            (0.001, 30.0, 3.645_959),
            (0.05, 1e6, 1.959_966),
        ] {
            let found = quantile(probability, freedom);
            assert!((found - expected).abs() < 2e-6, "{probability} {freedom}: {found}");
        }
    }

    #[test]
    fn tails_and_quantiles_are_each_others_inverse() {
        for freedom in [1.0, 2.0, 7.0, 119.0, 508.0] {
            assert!((two_sided(0.0, freedom) - 1.0).abs() < 1e-12);
            for probability in [0.9, 0.2, 0.01, 1e-6, 1e-12] {
                let back = two_sided(quantile(probability, freedom), freedom);
                assert!((back / probability - 1.0).abs() < 1e-5, "{freedom} {probability}: {back}");
            }
        }
    }
}
