//! Scalings of inputs that people forget, or apply twice.

use burn_ptq_deploy::preprocess::Preprocessing;

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
pub const SCALINGS: &[Scaling] = &[
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

impl Scaling {
    /// The inputs in this scaling.
    pub fn apply(self, inputs: &[f32]) -> Vec<f32> {
        inputs.iter().map(|x| x * self.factor + self.term).collect()
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
mod tests {
    use super::*;

    #[test]
    fn advice_says_what_to_type() {
        let instead = |at: usize| SCALINGS[at].instead_of(&Preprocessing::default()).advice();
        assert_eq!(instead(0), "try --input-scale 0.00392157");
        assert_eq!(instead(1), "try --input-scale 0.00784314 --input-mean 1");
        assert_eq!(instead(3), "try --input-scale 255");
        assert_eq!(SCALINGS[6].advice(), "multiply the inputs by 0.5 and subtract -0.5");
    }

    #[test]
    fn a_scaling_instead_of_another_does_what_both_did() {
        let now =
            Preprocessing { scale: 0.5, mean: vec![3.0], std: vec![4.0], ..Default::default() };
        for scaling in SCALINGS {
            let both = scaling.apply(&[(7.0 * 0.5 - 3.0) / 4.0])[0];
            let one = scaling.instead_of(&now);
            assert!(
                !one.on_top && (one.apply(&[7.0])[0] - both).abs() <= 1e-6 * both.abs().max(1.0)
            );
        }
        let now = Preprocessing { mean: vec![1.0, 2.0], ..Default::default() };
        assert_eq!(SCALINGS[0].instead_of(&now), SCALINGS[0]);
    }
}
