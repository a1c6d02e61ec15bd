//! `multilabel`: several labels per sample, each an output with a threshold.

use super::fit::{no_windows, truth_of_outputs};
use super::interval::{Positives, of_correct, of_f1, of_shares};
use super::{Figure, Interval, Judge, Judgement, Measure, MetricKind, Outcomes, Setting};

/// The share of samples of which every label is right.
pub(super) struct MultiLabel;

impl Measure for MultiLabel {
    fn name(&self) -> &'static str {
        "multilabel"
    }

    fn summary(&self) -> &'static str {
        "share of samples with every label right at --threshold; with accuracy and mean F1 of labels"
    }

    fn heading(&self) -> &'static str {
        "exact match, %"
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Share
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        Ok(Box::new(prepare(setting, "multilabel")?))
    }
}

/// Fits labels of 0 and 1 to outputs.
pub(super) fn prepare(setting: &Setting, metric: &str) -> Result<MultiLabelJudge, String> {
    if setting.windows {
        return Err(no_windows(metric));
    }
    let labels = truth_of_outputs(setting)?;
    let outputs = setting.output.len();
    let (limit, words) = setting.output.ending.limit(setting.options.threshold());
    let sample_of = |positive: &[bool]| positive.to_vec();
    let rows: Vec<Vec<bool>> = labels.chunks(outputs).map(sample_of).collect();
    let empty = (0..outputs).filter(|&label| rows.iter().all(|row| !row[label])).count();
    let mut note = format!("positive: {words}");
    if empty > 0 {
        note.push_str(&format!(
            "; {empty} of {outputs} labels that no sample has are left out of the mean F1"
        ));
    }
    Ok(MultiLabelJudge { labels: rows, limit, note, found: Vec::new() })
}

pub(super) struct MultiLabelJudge {
    labels: Vec<Vec<bool>>,
    limit: f64,
    note: String,
    found: Vec<Vec<bool>>,
}

impl MultiLabelJudge {
    /// The mean F1 score of the labels that some sample has, with the mean of their intervals, which
    /// holds however labels depend on each other.
    pub(super) fn mean_f1(&self) -> Result<(f64, Option<Interval>), String> {
        let outputs = self.labels.first().map_or(0, Vec::len);
        let mut scores = Vec::new();
        let mut bounds = Vec::new();
        for label in 0..outputs {
            let mut positives = Positives::default();
            for (row, found) in self.labels.iter().zip(&self.found) {
                positives.add(row[label], found[label]);
            }
            if self.labels.iter().any(|row| row[label]) {
                scores.extend(positives.f1());
                bounds.extend(of_f1(positives));
            }
        }
        if scores.is_empty() {
            return Err(
                "no sample has any of the labels: an F1 score needs positive samples".into()
            );
        }
        let count = scores.len() as f64;
        let mean = |part: &dyn Fn(&(f64, f64)) -> f64| bounds.iter().map(part).sum::<f64>() / count;
        let interval = (mean(&|b| b.0), mean(&|b| b.1));
        Ok((scores.iter().sum::<f64>() / count, Some(interval)))
    }
}

impl Judge for MultiLabelJudge {
    fn note(&self) -> Option<String> {
        Some(self.note.clone())
    }

    fn add(&mut self, outputs: &[f32], _inputs: &[f32]) {
        self.found.push(outputs.iter().map(|&x| f64::from(x) > self.limit).collect());
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let pairs = || self.labels.iter().zip(&self.found);
        let right = |(row, found): (&Vec<bool>, &Vec<bool>)| {
            row.iter().zip(found).filter(|(a, b)| a == b).count() as f64 / row.len() as f64
        };
        let shares: Vec<f64> = pairs().map(right).collect();
        let correct: Vec<bool> = pairs().map(|(row, found)| row == found).collect();
        let (share, interval) = of_correct(&correct);
        let mut judgement = Judgement::new(share, interval, Outcomes::Correct(correct));
        let outputs = self.labels.first().map_or(1, Vec::len);
        let (value, interval) = of_shares(&shares, outputs);
        judgement.figures.push(Figure { name: "label_accuracy", value, interval });
        if let Ok((value, interval)) = self.mean_f1() {
            judgement.figures.push(Figure { name: "mean_f1", value, interval });
        }
        Ok(judgement)
    }
}
