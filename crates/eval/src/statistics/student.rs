//! Student's distribution, as far as tests with few runs need it.

/// The probability that a value of Student's distribution is farther from zero than `t`.
pub(super) fn two_sided(t: f64, freedom: f64) -> f64 {
    let (a, b) = (0.5 * freedom, 0.5);
    let x = freedom / (freedom + t * t);
    let log = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    if x <= 0.0 {
        0.0
    } else if x >= 1.0 {
        1.0
    } else if x < (a + 1.0) / (a + b + 2.0) {
        log.exp() * continued_fraction(x, a, b) / a
    } else {
        1.0 - log.exp() * continued_fraction(1.0 - x, b, a) / b
    }
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

/// The continued fraction of the incomplete beta function (Numerical Recipes, 6.4), by Lentz.
fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() <= 1e-14 * fraction.abs() {
            break;
        }
    }
    fraction
}

/// The logarithm of the gamma function for positive numbers (Lanczos, g = 7).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // The reflection.
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let terms = TERMS.iter().enumerate().map(|(i, term)| term / (x + i as f64 + 1.0));
    let sum = 0.999_999_999_999_809_9 + terms.sum::<f64>();
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
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
