//! Right and wrong answers, one per sample or one for each of its places.

use super::interval::{of_correct, of_shares};
use super::{Judgement, Outcomes};

/// The judgement of right and wrong answers, `places` of them a sample.
pub(super) fn of_places(correct: Vec<bool>, places: usize) -> Judgement {
    if places == 1 {
        let (share, interval) = of_correct(&correct);
        return Judgement::new(share, interval, Outcomes::Correct(correct));
    }
    let share =
        |sample: &[bool]| sample.iter().filter(|&&c| c).count() as f64 / sample.len() as f64;
    let shares: Vec<f64> = correct.chunks(places).map(share).collect();
    let (mean, interval) = of_shares(&shares, places);
    Judgement::new(mean, interval, Outcomes::Scores(shares))
}
