//! Input scalings that are commonly forgotten, or applied twice.

use burn_ptq_deploy::preprocess::Preprocessing;

use crate::graph::Batch;

/// `x * factor + term`, on inputs as the network gets them now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// The factor.
    pub factor: f32,
    /// The term.
    pub term: f32,
    /// What kind of inputs it makes.
    pub what: &'static str,
    /// Whether it comes after the scaling that inputs have now; else it replaces it.
    pub on_top: bool,
}

/// A scaling on top of what inputs have now.
pub(super) const fn scaling(factor: f32, term: f32, what: &'static str) -> Scaling {
    Scaling { factor, term, what, on_top: true }
}

/// The usual ones: pixels as bytes, audio of 16 bits, and what undoes them.
const USUAL: &[Scaling] = &[
    scaling(1.0 / 255.0, 0.0, "pixels of 0 to 1"),
    scaling(1.0 / 127.5, -1.0, "pixels of -1 to 1"),
    scaling(0.017_35, -1.987, "pixels less ImageNet's mean"),
    scaling(255.0, 0.0, "pixels of 0 to 255"),
    scaling(127.5, 127.5, "pixels of 0 to 255"),
    scaling(2.0, -1.0, "pixels of -1 to 1"),
    scaling(0.5, 0.5, "pixels of 0 to 1"),
    scaling(1.0 / 32_768.0, 0.0, "samples of -1 to 1"),
    scaling(32_768.0, 0.0, "samples of 16 bits"),
];

/// The scalings to try on `inputs`: those that the inputs' own range and deviation suggest, the usual
/// ones, and what makes up for a `stretch` of the first layer's outputs. Those that do the same to such
/// inputs are listed once.
pub fn candidates(inputs: &[f32], stretch: Option<f64>) -> Vec<Scaling> {
    let count = inputs.len().max(1) as f64;
    let mean = inputs.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let squares: f64 = inputs.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
    let (mean, deviation) = (mean as f32, (squares / count).sqrt() as f32);
    let min = inputs.iter().copied().fold(f32::INFINITY, f32::min);
    let max = inputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (largest, width) = (max.abs().max(min.abs()), max - min);
    let to_unit = scaling(1.0 / width, -min / width, "inputs of 0 to 1");
    let to_magnitude = scaling(1.0 / largest, 0.0, "inputs of -1 to 1");
    let derived = [
        if min >= 0.0 { Scaling { what: to_unit.what, ..to_magnitude } } else { to_magnitude },
        to_unit,
        scaling(2.0 / width, -(max + min) / width, "inputs of -1 to 1"),
        scaling(1.0 / deviation, -mean / deviation, "inputs of mean 0 and deviation 1"),
        scaling(1.0 / deviation, 0.0, "inputs of deviation 1"),
        scaling(255.0 / largest, 0.0, "inputs of up to 255"),
    ];
    let mut candidates: Vec<Scaling> = Vec::new();
    // Outputs of the first layer grow as its inputs do.
    let by_stretch = stretch.map(|s| scaling((1.0 / s) as f32, 0.0, "inputs as in training"));
    for scaling in derived.iter().chain(USUAL).chain(&by_stretch) {
        let is_finite = scaling.factor.is_finite() && scaling.term.is_finite();
        // Within a hundredth of the scaled inputs' largest magnitude.
        let same = |other: &Scaling| {
            let difference = |x: f32| (scaling.at(x) - other.at(x)).abs();
            let magnitude = scaling.at(min).abs().max(scaling.at(max).abs());
            difference(min).max(difference(max)) <= 0.01 * magnitude
        };
        if is_finite && scaling.factor > 0.0 && !candidates.iter().any(same) {
            candidates.push(*scaling);
        }
    }
    candidates
}

impl Scaling {
    /// `x` in this scaling.
    fn at(self, x: f32) -> f32 {
        x * self.factor + self.term
    }

    /// Whether this and `other` give inputs that a network cannot tell apart: within a quarter of
    /// their deviation.
    pub(super) fn is_like(self, other: Self, inputs: &[f32]) -> bool {
        let scaled = |by: Self| inputs.iter().map(|&x| by.at(x)).collect::<Vec<f32>>();
        let (a, b) = (scaled(self), scaled(other));
        let count = inputs.len().max(1) as f64;
        let mean = a.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance: f64 = a.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
        let difference: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
        difference <= 0.0625 * variance
    }

    /// The inputs in this scaling.
    pub fn apply(self, inputs: &Batch) -> Batch {
        let values = inputs.values.iter().map(|&x| self.at(x)).collect();
        Batch { values, count: inputs.count }
    }

    /// The scaling that replaces `now` and does the same as this one after it; unchanged where `now`
    /// differs by channel.
    pub fn instead_of(self, now: &Preprocessing) -> Self {
        let single = |numbers: &[f32], default: f32| match numbers {
            [] => Some(default),
            [one] => Some(*one),
            _ => None,
        };
        let (Some(mean), Some(std)) = (single(&now.mean, 0.0), single(&now.std, 1.0)) else {
            return self;
        };
        let factor = self.factor / std;
        let term = self.term - mean * factor;
        Self { factor: factor * now.scale, term, on_top: false, ..self }
    }

    /// How to get it.
    pub fn advice(self) -> String {
        let (factor, term) = (six_digits(self.factor), six_digits(-self.term));
        if self.on_top {
            let less =
                if self.term == 0.0 { String::new() } else { format!(" and subtract {term}") };
            return format!("multiply the inputs by {factor}{less}");
        }
        let mean = if self.term == 0.0 { String::new() } else { format!(" --input-mean {term}") };
        format!("try --input-scale {factor}{mean}")
    }
}

/// A number with six significant digits, without an exponent.
fn six_digits(x: f32) -> String {
    let before = if x == 0.0 { 0.0 } else { x.abs().log10().floor() };
    let text = format!("{x:.*}", (5.0 - before).max(0.0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

#[cfg(test)]
pub(super) const BYTES_TO_UNIT: Scaling = USUAL[0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_follow_from_the_inputs_own_range() {
        // Levels of 0 to 16: none of the usual factors makes them pixels of 0 to 1.
        let levels: Vec<f32> = (0..=16).map(|x| x as f32).collect();
        let found = candidates(&levels, None);
        assert_eq!((found[0].factor, found[0].term), (0.0625, 0.0));
        assert!(found.iter().any(|s| s.factor == 255.0 / 16.0), "{found:?}");
        // What the range suggests is not listed again where it is one of the usual.
        let pixels: Vec<f32> = (0..=255).map(|x| x as f32).collect();
        let to_unit = |s: &&Scaling| (s.factor * 255.0 - 1.0).abs() < 0.01 && s.term == 0.0;
        assert_eq!(candidates(&pixels, None).iter().filter(to_unit).count(), 1);
        // Constant inputs have no range, and empty ones nothing.
        for inputs in [&[0.0; 8][..], &[3.0; 8], &[]] {
            assert!(
                candidates(inputs, None).iter().all(|s| s.factor.is_finite() && s.term.is_finite())
            );
        }
    }

    #[test]
    fn advice_says_what_to_type() {
        let instead = |at: usize| USUAL[at].instead_of(&Preprocessing::default()).advice();
        assert_eq!(instead(0), "try --input-scale 0.00392157");
        assert_eq!(instead(1), "try --input-scale 0.00784314 --input-mean 1");
        assert_eq!(instead(3), "try --input-scale 255");
        assert_eq!(USUAL[6].advice(), "multiply the inputs by 0.5 and subtract -0.5");
    }

    #[test]
    fn a_scaling_instead_of_another_does_what_both_did() {
        let now =
            Preprocessing { scale: 0.5, mean: vec![3.0], std: vec![4.0], ..Default::default() };
        for scaling in USUAL {
            let both = scaling.at((7.0 * 0.5 - 3.0) / 4.0);
            let one = scaling.instead_of(&now);
            assert!(!one.on_top && (one.at(7.0) - both).abs() <= 1e-6 * both.abs().max(1.0));
        }
        let now = Preprocessing { mean: vec![1.0, 2.0], ..Default::default() };
        assert_eq!(USUAL[0].instead_of(&now), USUAL[0]);
    }
}
