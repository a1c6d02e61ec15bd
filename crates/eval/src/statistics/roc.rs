//! The ROC curve.

/// The area under the ROC curve: the share of (anomalous, normal) pairs in which the anomalous one
/// has the higher score, ties counting half. `None` unless both kinds occur.
pub fn auc(scores: &[f64], anomalous: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = anomalous.iter().filter(|&&a| a).count();
    let negatives = scores.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // Mann-Whitney: the sum of the ranks of the positives, ties sharing their mean rank.
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            end += 1;
        }
        let rank = (start + 1 + end) as f64 / 2.0;
        rank_sum += rank * order[start..end].iter().filter(|&&i| anomalous[i]).count() as f64;
        start = end;
    }
    let smallest = (positives * (positives + 1)) as f64 / 2.0;
    Some((rank_sum - smallest) / (positives * negatives) as f64)
}
