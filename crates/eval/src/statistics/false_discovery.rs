//! Asking several questions at once: the false discovery rate.

/// Adjusted p-values (Benjamini and Hochberg, Journal of the Royal Statistical Society B, 1995): if
/// those below a level are claimed, at most that share of the claims is false on average.
///
/// That holds for independent comparisons, and for many that depend on each other (Benjamini and
/// Yekutieli, 2001); for those that share a reference a test simulates it. Of many p-values that are all small, each is
/// adjusted little, which matters with the few degrees of freedom of a few draws: to exclude any false
/// claim at all (Holm, 1979), the smallest of fifty would have to be below a thousandth.
pub fn false_discovery(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let mut adjusted = vec![1.0; p.len()];
    let mut smallest: f64 = 1.0;
    for (above, &at) in order.iter().enumerate() {
        let rank = (p.len() - above) as f64;
        smallest = smallest.min(p[at] * p.len() as f64 / rank);
        adjusted[at] = smallest;
    }
    adjusted
}
