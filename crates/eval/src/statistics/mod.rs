//! Whether a difference between two cells is statistically significant.
//!
//! A cell is a recipe on a task, run with several sets of calibration samples (draws), each judged on
//! the same evaluation samples. The question is whether other evaluation samples and other draws
//! would give the same sign. Both are drawn at random, so the difference of two cells has a part of its
//! variance from each:
//!
//! - from the **evaluation samples**: the variance over samples of what a sample adds to the
//!   difference, averaged over draws. All cells see the same samples, so this is paired. For the area
//!   under the ROC curve, what a sample adds is its placement among those of the other kind (DeLong,
//!   DeLong and Clarke-Pearson, Biometrics 1988), and each group's normal and anomalous samples are a
//!   part of their own. For right and wrong answers, two samples are added on which the cells differ,
//!   one each way (Bonett and Price, 2012), since the differences of few samples may be all alike by
//!   chance;
//! - from the **draws**: the variance over draws of the difference, which is paired too where both cells
//!   have the same draws. Several seeds of a draw are averaged first: they are not independent.
//!
//! The sum of both is never too small on average, since what samples and draws do together is counted
//! twice (Owen, The pigeonhole bootstrap, 2007). But the variance over three draws is known from two
//! degrees of freedom only. So each part `V` has its own quantile of Student's distribution, and a
//! difference is significant at a level if its square exceeds the sum of `t² V` (Banerjee, Sankhya 1960). For
//! normal parts this makes false claims with at most that probability, whatever the parts' sizes: the
//! chance that `Z²` stays below a sum with weights is at least the weighted mean of what each part would
//! give alone, as the distribution of `Z²` is concave. A joint number of degrees of freedom (Welch and
//! Satterthwaite) claims several times as often far out, where comparisons that are made together are
//! judged.
//!
//! The p-value is the level at which a difference would just be significant. Nothing is drawn at random.

mod claims;
mod compare;
mod false_discovery;
mod outcomes;
mod roc;
mod student;

pub use claims::{Claim, LEVEL, Verdict, correct};
pub use compare::{Against, Comparison, Draw, Judge, Judged};
pub use false_discovery::false_discovery;
pub use outcomes::Outcomes;
pub use roc::{auc, roc_curve};
pub(crate) use student::quantile as student_quantile;

/// The mean, and the standard deviation with `n - 1`; none of one value.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests;
