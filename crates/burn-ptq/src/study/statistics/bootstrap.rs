//! The paired bootstrap over evaluation samples and runs.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use crate::study::record::Contents;

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

/// How often each evaluation sample is drawn in each resample.
#[derive(Clone, Debug)]
pub struct Resamples {
    judge: Judge,
    /// One row a resample.
    counts: Vec<Vec<u16>>,
    seed: u64,
}

/// The metric of one run in every resample.
#[derive(Clone, Debug)]
pub struct Resampled(Vec<f32>);

/// The difference between two cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The difference of the means.
    pub difference: f64,
    /// The lower end of its 95 % confidence interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The p-value of no difference, before any correction.
    pub p: f64,
}

/// A run's metric when its samples are drawn so often.
type MetricOfCounts<'a> = Box<dyn Fn(&Vec<u16>) -> f32 + Sync + Send + 'a>;

impl Resamples {
    /// `count` resamples of `samples` evaluation samples.
    pub fn new(judge: Judge, samples: usize, count: usize, seed: u64) -> Self {
        let strata = judge.strata(samples);
        let draw = |resample: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(resample as u64));
            let mut counts = vec![0; samples];
            for stratum in &strata {
                for _ in 0..stratum.len() {
                    let at = below(&mut random, stratum.len());
                    counts[stratum[at]] += 1;
                }
            }
            counts
        };
        Self { judge, counts: (0..count).into_par_iter().map(draw).collect(), seed }
    }

    /// The metric of a run in every resample. `outcomes` has one entry a sample.
    pub fn run(&self, outcomes: &Contents) -> Resampled {
        let metric: MetricOfCounts = match (&self.judge, outcomes) {
            (Judge::Mean, Contents::Correct(correct)) => {
                let correct: Vec<u16> = correct.iter().map(|&c| c.into()).collect();
                Box::new(move |counts| {
                    let right = counts.iter().zip(&correct).map(|(&n, &c)| u32::from(n * c));
                    right.sum::<u32>() as f32 / correct.len().max(1) as f32
                })
            }
            (Judge::Mean, Contents::Scores(scores)) => Box::new(move |counts| {
                let sum: f64 = counts.iter().zip(scores).map(|(&n, s)| f64::from(n) * s).sum();
                (sum / scores.len().max(1) as f64) as f32
            }),
            (Judge::Auc { anomalous, groups }, outcomes) => {
                let scores = match outcomes {
                    Contents::Scores(scores) => scores.clone(),
                    Contents::Correct(correct) => {
                        correct.iter().map(|&c| f64::from(u8::from(c))).collect()
                    }
                };
                let ranked = Ranked::new(&scores, anomalous, groups);
                Box::new(move |counts| ranked.auc(counts) as f32)
            }
        };
        Resampled(self.counts.par_iter().map(metric).collect())
    }

    /// Compares two cells, each given by the metrics and the resampled metrics of its runs; `paired`
    /// if run `i` of the one has the draw and the seed of run `i` of the other.
    pub fn compare(
        &self,
        cell: &[(f64, &Resampled)],
        reference: &[(f64, &Resampled)],
        paired: bool,
    ) -> Comparison {
        let mean = |cell: &[(f64, &Resampled)]| {
            cell.iter().map(|(metric, _)| metric).sum::<f64>() / cell.len().max(1) as f64
        };
        let mut random = ChaCha8Rng::seed_from_u64(!self.seed);
        let draw = |runs: usize, random: &mut ChaCha8Rng| -> Vec<usize> {
            (0..runs).map(|_| below(random, runs)).collect()
        };
        let mut differences: Vec<f64> = (0..self.counts.len())
            .map(|resample| {
                let of = |cell: &[(f64, &Resampled)], drawn: &[usize]| {
                    let metric = |&run: &usize| f64::from(cell[run].1.0[resample]);
                    drawn.iter().map(metric).sum::<f64>() / drawn.len().max(1) as f64
                };
                let drawn = draw(cell.len(), &mut random);
                if paired {
                    return of(cell, &drawn) - of(reference, &drawn);
                }
                of(cell, &drawn) - of(reference, &draw(reference.len(), &mut random))
            })
            .collect();
        differences.sort_by(f64::total_cmp);
        // Metrics are rounded to 32 bits; equal runs differ by less than this.
        let zero = 1e-9;
        let at_most = differences.partition_point(|&d| d <= zero);
        let at_least = differences.len() - differences.partition_point(|&d| d < -zero);
        let count = differences.len();
        let tail = (at_most.min(at_least) + 1) as f64 / (count + 1) as f64;
        let quantile = |share: f64| differences[((count - 1) as f64 * share) as usize];
        Comparison {
            difference: mean(cell) - mean(reference),
            low: quantile(0.025),
            high: quantile(0.975),
            p: (2.0 * tail).min(1.0),
        }
    }
}

#[cfg(test)]
impl Resamples {
    /// How often each sample is drawn in a resample.
    pub(super) fn counts_of(&self, resample: usize) -> &[u16] {
        &self.counts[resample]
    }
}

#[cfg(test)]
impl Resampled {
    /// The metric in every resample.
    pub(super) fn values(&self) -> &[f32] {
        &self.0
    }
}

impl Judge {
    /// The samples that are drawn among each other.
    fn strata(&self, samples: usize) -> Vec<Vec<usize>> {
        let Judge::Auc { anomalous, groups } = self else { return vec![(0..samples).collect()] };
        let mut strata: Vec<((i64, bool), Vec<usize>)> = Vec::new();
        for sample in 0..samples {
            let key = (groups[sample], anomalous[sample]);
            match strata.iter_mut().find(|(k, _)| *k == key) {
                Some((_, members)) => members.push(sample),
                None => strata.push((key, vec![sample])),
            }
        }
        strata.into_iter().map(|(_, members)| members).collect()
    }
}

/// The samples of each group in the order of their scores, for areas under many ROC curves.
struct Ranked {
    /// For each group: runs of samples with equal scores, the smallest first.
    groups: Vec<Vec<Vec<usize>>>,
    anomalous: Vec<bool>,
}

impl Ranked {
    fn new(scores: &[f64], anomalous: &[bool], groups: &[i64]) -> Self {
        let mut names = groups.to_vec();
        names.sort_unstable();
        names.dedup();
        let group = |name: &i64| {
            let mut members: Vec<usize> =
                (0..scores.len()).filter(|&i| groups[i] == *name).collect();
            members.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            let ties = members.chunk_by(|&a, &b| scores[a] == scores[b]);
            ties.map(<[usize]>::to_vec).collect()
        };
        Self { groups: names.iter().map(group).collect(), anomalous: anomalous.to_vec() }
    }

    fn auc(&self, counts: &[u16]) -> f64 {
        let area = |ties: &Vec<Vec<usize>>| {
            let (mut normal_below, mut anomalies, mut ordered) = (0.0, 0.0, 0.0);
            for tie in ties {
                let sum = |anomalous: bool| -> f64 {
                    let members = tie.iter().filter(|&&i| self.anomalous[i] == anomalous);
                    members.map(|&i| f64::from(counts[i])).sum()
                };
                let (normal, anomalous) = (sum(false), sum(true));
                ordered += anomalous * (normal_below + 0.5 * normal);
                normal_below += normal;
                anomalies += anomalous;
            }
            ordered / (anomalies * normal_below)
        };
        self.groups.iter().map(area).sum::<f64>() / self.groups.len().max(1) as f64
    }
}

/// A number below `bound`, each as likely but for less than one in 2^32.
fn below(random: &mut ChaCha8Rng, bound: usize) -> usize {
    ((u64::from(random.next_u32()) * bound as u64) >> 32) as usize
}
