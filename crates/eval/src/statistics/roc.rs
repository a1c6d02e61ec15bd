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

/// The corners of the ROC curve: pairs of the shares of normal and of anomalous samples whose score is at
/// least some threshold, from `(0, 0)` to `(1, 1)`; at most `most` of them, which is 2 or more, evenly
/// spread. Empty unless both kinds occur.
pub fn roc_curve(scores: &[f64], anomalous: &[bool], most: usize) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..scores.len().min(anomalous.len())).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let positives = order.iter().filter(|&&i| anomalous[i]).count();
    let negatives = order.len() - positives;
    if positives == 0 || negatives == 0 {
        return Vec::new();
    }
    let (mut hits, mut alarms) = (0_usize, 0_usize);
    let mut corners = vec![(0, 0)];
    for (at, &sample) in order.iter().enumerate() {
        match anomalous[sample] {
            true => hits += 1,
            false => alarms += 1,
        }
        // Equal scores are on the same side of every threshold.
        if order.get(at + 1).is_some_and(|&next| scores[next] == scores[sample]) {
            continue;
        }
        if let [.., (x0, y0), (x1, y1)] = corners[..]
            && (x1 - x0) * (hits - y1) == (alarms - x1) * (y1 - y0)
        {
            corners.pop();
        }
        corners.push((alarms, hits));
    }
    let kept = corners.len().min(most.max(2));
    let chosen = (0..kept).map(|i| corners[i * (corners.len() - 1) / (kept - 1)]);
    chosen.map(|(x, y)| (x as f64 / negatives as f64, y as f64 / positives as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_a_corner_for_every_turn() {
        let anomalous = [true, true, false, true, false, false];
        let curve = roc_curve(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], &anomalous, 200);
        let third = 1.0 / 3.0;
        assert_eq!(
            curve,
            [(0.0, 0.0), (0.0, 2.0 * third), (third, 2.0 * third), (third, 1.0), (1.0, 1.0)]
        );
        // Ties are one slanted step, and a score without information is the diagonal.
        assert_eq!(roc_curve(&[1.0; 6], &anomalous, 200), [(0.0, 0.0), (1.0, 1.0)]);
        assert!(roc_curve(&[1.0; 2], &[true; 2], 200).is_empty());
    }

    #[test]
    fn the_area_under_the_corners_is_the_area_under_the_curve() {
        let scores: Vec<f64> = (0..500).map(|i| f64::from(i * 37 % 101)).collect();
        let anomalous: Vec<bool> = (0..500).map(|i| (i * 53 + i / 7) % 3 == 0).collect();
        let curve = roc_curve(&scores, &anomalous, 1000);
        let trapezoid =
            |pair: &[(f64, f64)]| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0;
        let area: f64 = curve.windows(2).map(trapezoid).sum();
        assert!((area - auc(&scores, &anomalous).unwrap()).abs() < 1e-12);
        let few = roc_curve(&scores, &anomalous, 10);
        assert_eq!((few.len(), few[0], few[9]), (10, (0.0, 0.0), (1.0, 1.0)));
    }
}
