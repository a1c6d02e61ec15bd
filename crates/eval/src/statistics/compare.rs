//! The comparison of two cells by what each sample and each draw adds to their difference.

use std::collections::BTreeMap;

use super::Outcomes;
use super::student::{quantile, two_sided};

/// Smaller p-values are not told apart.
const SMALLEST: f64 = 1e-12;

/// How a metric follows from what was found on each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Judge {
    /// The mean.
    Mean,
    /// The area under the ROC curve, averaged over groups.
    Auc {
        /// Whether each sample is an anomaly.
        anomalous: Vec<bool>,
        /// The group of each sample.
        groups: Vec<i64>,
    },
}

/// What a run drew at random. Runs of the same draw are not independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Draw {
    /// A set of calibration samples.
    Samples(usize),
    /// Inputs made from a seed.
    Seed(u64),
}

/// A run as it is compared: what each sample adds to the metric.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it drew.
    pub draw: Draw,
    /// One value a sample.
    pub values: Vec<f64>,
}

/// What a cell is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Against<'a> {
    /// A network that nothing random is in: what each sample adds to its metric.
    Network(&'a [f64]),
    /// The runs of another cell.
    Cell(&'a [Judged]),
}

/// The difference between two cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The difference of the means, over the draws that both have where there are several.
    pub difference: f64,
    /// Whether there are at least two draws on either side; without, nothing may be claimed.
    pub enough: bool,
    /// The difference as it is tested: drawn towards zero a little, for right and wrong answers.
    centre: f64,
    parts: Vec<Part>,
}

/// An independent part of the difference's variance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    variance: f64,
    /// The degrees of freedom from which it is known.
    freedom: f64,
}

impl Judge {
    /// What each sample adds to the metric.
    pub fn values(&self, outcomes: &Outcomes) -> Vec<f64> {
        let scores: Vec<f64> = match outcomes {
            Outcomes::Scores(scores) => scores.clone(),
            Outcomes::Correct(correct) => correct.iter().map(|&c| f64::from(u8::from(c))).collect(),
        };
        match self {
            Self::Mean => scores,
            Self::Auc { anomalous, .. } => {
                let mut placements = vec![0.0; scores.len()];
                for members in self.groups(scores.len()) {
                    place(&members, &scores, anomalous, &mut placements);
                }
                placements
            }
        }
    }

    /// The samples of each group.
    fn groups(&self, samples: usize) -> Vec<Vec<usize>> {
        let Self::Auc { groups, .. } = self else { return vec![(0..samples).collect()] };
        let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (sample, &group) in groups.iter().enumerate() {
            members.entry(group).or_default().push(sample);
        }
        members.into_values().collect()
    }

    /// Samples that are drawn among each other, with the weight of their mean in the metric.
    fn strata(&self, samples: usize) -> Vec<(Vec<usize>, f64)> {
        let groups = self.groups(samples);
        let weight = 1.0 / groups.len().max(1) as f64;
        let Self::Auc { anomalous, .. } = self else {
            return groups.into_iter().map(|members| (members, weight)).collect();
        };
        let halves = groups.into_iter().flat_map(|members| {
            let (a, n): (Vec<usize>, Vec<usize>) = members.into_iter().partition(|&i| anomalous[i]);
            [(a, weight), (n, weight)]
        });
        halves.filter(|(members, _)| !members.is_empty()).collect()
    }

    /// The metric of values, which is linear in them.
    fn metric(&self, values: &[f64]) -> f64 {
        let strata = self.strata(values.len());
        let means = strata.iter().map(|(members, weight)| weight * mean(members, values));
        // The placements of either kind have the area for their mean.
        let kinds = if *self == Self::Mean { 1.0 } else { 2.0 };
        means.sum::<f64>() / kinds
    }

    /// How far from its metric on these samples a network's metric may lie on all others, at this
    /// level.
    pub fn margin(&self, values: &[f64], level: f64) -> f64 {
        let strata = self.strata(values.len());
        let parts = strata.iter().map(|stratum| over_samples(stratum, values, false)).collect();
        Comparison { difference: 0.0, enough: true, centre: 0.0, parts }.margin(level)
    }

    /// Compares a network with another one, by what each sample adds to the metric of both. Nothing about
    /// them is random: other evaluation samples alone could change the sign. `binary` if outcomes are right
    /// or wrong.
    pub fn compare_networks(&self, network: &[f64], against: &[f64], binary: bool) -> Comparison {
        let judged = Judged { draw: Draw::Samples(0), values: network.to_vec() };
        let found = self.compare(&[judged], Against::Network(against), binary);
        // No draw is missing: the claim is about these networks, and not about their recipes.
        Comparison { enough: true, ..found }
    }

    /// Compares a cell with a network or another cell; `binary` if outcomes are right or wrong.
    pub fn compare(&self, cell: &[Judged], against: Against, binary: bool) -> Comparison {
        let mut cell = by_draw(cell);
        let (difference, draws, enough) = match against {
            Against::Network(values) => {
                let several = cell.len() > 1;
                let metrics: Vec<f64> = cell.iter().map(|(_, v)| self.metric(v)).collect();
                (minus(&average(&cell), values), vec![metrics], several)
            }
            Against::Cell(other) => {
                let mut other = by_draw(other);
                let shared: Vec<Draw> =
                    cell.iter().map(|c| c.0).filter(|d| other.iter().any(|o| o.0 == *d)).collect();
                let paired = shared.len() > 1;
                if paired {
                    cell.retain(|(draw, _)| shared.contains(draw));
                    other.retain(|(draw, _)| shared.contains(draw));
                }
                let metrics = |cell: &[(Draw, Vec<f64>)]| -> Vec<f64> {
                    cell.iter().map(|(_, v)| self.metric(v)).collect()
                };
                let (own, others) = (metrics(&cell), metrics(&other));
                let draws = match paired {
                    true => vec![own.iter().zip(&others).map(|(a, b)| a - b).collect()],
                    false => vec![own, others],
                };
                let several = cell.len() > 1 && other.len() > 1;
                (minus(&average(&cell), &average(&other)), draws, several)
            }
        };
        let binary = binary && *self == Self::Mean;
        let mut parts: Vec<Part> = (self.strata(difference.len()).iter())
            .map(|s| over_samples(s, &difference, binary))
            .collect();
        parts.extend(
            draws.iter().filter_map(|metrics| over_draws(metrics, difference.len(), binary)),
        );
        let found = self.metric(&difference);
        // Rounding errors do not count as a difference.
        let found = if found.abs() < 1e-12 { 0.0 } else { found };
        let count = difference.len() as f64;
        let centre = if binary { found * count / (count + 2.0) } else { found };
        Comparison { difference: found, enough, centre, parts }
    }
}

impl Comparison {
    /// How far from zero a difference must lie to be significant at this level.
    pub fn margin(&self, level: f64) -> f64 {
        let parts = self.parts.iter().filter(|part| part.variance > 0.0);
        let square = |part: &Part| quantile(level, part.freedom).powi(2) * part.variance;
        parts.map(square).sum::<f64>().sqrt()
    }

    /// Whether the difference is significant at this level, without correction for other comparisons.
    pub fn significant(&self, level: f64) -> bool {
        self.centre.abs() > self.margin(level)
    }

    /// The confidence interval that is wrong with this probability at most.
    pub fn interval(&self, level: f64) -> (f64, f64) {
        let margin = self.margin(level);
        (self.centre - margin, self.centre + margin)
    }

    /// The smallest level at which the difference is significant.
    pub fn p(&self) -> f64 {
        let parts: Vec<&Part> = self.parts.iter().filter(|part| part.variance > 0.0).collect();
        // Nor is a metric that is not a number a difference.
        if self.centre == 0.0 || self.centre.is_nan() {
            return 1.0;
        }
        if let [part] = parts[..] {
            return two_sided(self.centre.abs() / part.variance.sqrt(), part.freedom).max(SMALLEST);
        }
        let (mut low, mut high) = (SMALLEST.ln(), 0.0);
        if self.significant(SMALLEST) {
            return SMALLEST;
        }
        while high - low > 1e-6 {
            let middle = 0.5 * (low + high);
            match self.significant(f64::exp(middle)) {
                true => high = middle,
                false => low = middle,
            }
        }
        high.exp()
    }

    /// The test that takes all variances as known; simulations in the tests show that it claims too much.
    #[cfg(test)]
    pub(super) fn significant_if_variances_were_known(&self, level: f64) -> bool {
        let variance: f64 = self.parts.iter().map(|part| part.variance).sum();
        self.centre.abs() > quantile(level, 1e6) * variance.sqrt()
    }
}

/// The part of samples that are drawn among each other.
fn over_samples((members, weight): &(Vec<usize>, f64), values: &[f64], binary: bool) -> Part {
    let sum: f64 = members.iter().map(|&i| values[i]).sum();
    let squares: f64 = members.iter().map(|&i| values[i].powi(2)).sum();
    let count = members.len() as f64;
    let freedom = (count - 1.0).max(1.0);
    let variance = match (binary, members.len()) {
        // Two samples more, one that is better and one that is worse.
        (true, _) => {
            ((squares + 2.0) / (count + 2.0) - (sum / (count + 2.0)).powi(2)) / (count + 2.0)
        }
        (false, 1) => squares,
        (false, _) => {
            let mean = sum / count;
            let squares: f64 = members.iter().map(|&i| (values[i] - mean).powi(2)).sum();
            squares / freedom / count
        }
    };
    Part { variance: weight * weight * variance, freedom }
}

/// The part of draws, of `samples` samples each. Differences of two counts are whole numbers, so that
/// those of few draws may be equal by chance: a sixth is the variance of what is rounded off.
fn over_draws(metrics: &[f64], samples: usize, binary: bool) -> Option<Part> {
    let (_, deviation) = super::mean_and_deviation(metrics);
    let rounded = if binary { 1.0 / (6.0 * (samples as f64).powi(2)) } else { 0.0 };
    let variance = (deviation?.powi(2) + rounded) / metrics.len() as f64;
    Some(Part { variance, freedom: metrics.len() as f64 - 1.0 })
}

/// The mean of the runs of each draw.
fn by_draw(runs: &[Judged]) -> Vec<(Draw, Vec<f64>)> {
    let mut draws: BTreeMap<Draw, (usize, Vec<f64>)> = BTreeMap::new();
    for run in runs {
        let (count, sums) =
            draws.entry(run.draw).or_insert_with(|| (0, vec![0.0; run.values.len()]));
        *count += 1;
        sums.iter_mut().zip(&run.values).for_each(|(sum, value)| *sum += value);
    }
    let mean = |(draw, (count, mut sums)): (Draw, (usize, Vec<f64>))| {
        sums.iter_mut().for_each(|sum| *sum /= count as f64);
        (draw, sums)
    };
    draws.into_iter().map(mean).collect()
}

/// The mean over draws.
fn average(draws: &[(Draw, Vec<f64>)]) -> Vec<f64> {
    let mut sums = vec![0.0; draws.first().map_or(0, |d| d.1.len())];
    for (_, values) in draws {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    sums.iter_mut().for_each(|sum| *sum /= draws.len() as f64);
    sums
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn mean(members: &[usize], values: &[f64]) -> f64 {
    members.iter().map(|&i| values[i]).sum::<f64>() / members.len().max(1) as f64
}

/// Writes the placements of a group's samples: the share of those of the other kind that lie on the
/// right side, ties counting half.
fn place(members: &[usize], scores: &[f64], anomalous: &[bool], placements: &mut [f64]) {
    let mut order = members.to_vec();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let anomalies = members.iter().filter(|&&i| anomalous[i]).count();
    let (all, normals) = (anomalies as f64, (members.len() - anomalies) as f64);
    let (mut normals_below, mut anomalies_below) = (0.0, 0.0);
    for tie in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let here = tie.iter().filter(|&&i| anomalous[i]).count();
        let (here, normals_here) = (here as f64, (tie.len() - here) as f64);
        for &i in tie {
            placements[i] = match anomalous[i] {
                true => (normals_below + 0.5 * normals_here) / normals.max(1.0),
                false => (all - anomalies_below - 0.5 * here) / all.max(1.0),
            };
        }
        normals_below += normals_here;
        anomalies_below += here;
    }
}
