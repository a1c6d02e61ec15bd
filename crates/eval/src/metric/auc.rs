//! `auc`: the area under the ROC curve of a score, averaged over groups.

use std::collections::BTreeMap;

use super::fit::{extents, labels};
use super::interval::of_area;
use super::judgement::MOST_CORNERS;
use super::reconstruction::{reconstructs, squared_error};
use super::{Curve, Interval, Judge, Judgement, Measure, MetricKind, Outcomes, Picture, Setting};
use crate::statistics::{Judge as Comparer, auc, roc_curve};

/// The area under the ROC curve.
pub(super) struct Auc;

/// What makes a sample anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Score {
    /// The only output.
    Output,
    /// How much the second of two outputs exceeds the first.
    Difference,
    /// The error of an autoencoder.
    Reconstruction,
}

impl Measure for Auc {
    fn name(&self) -> &'static str {
        "auc"
    }

    fn summary(&self) -> &'static str {
        "area under the ROC curve of an output or a reconstruction error, averaged over --groups"
    }

    fn heading(&self) -> &'static str {
        "AUC, %"
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Share
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        let labels = labels(setting, "Y.npy, 0 for normal samples and 1 for anomalous ones")?;
        let shape = &setting.output.shape;
        let score = match setting.output.len() {
            _ if setting.windows && reconstructs(setting) => Score::Reconstruction,
            1 => Score::Output,
            2 => Score::Difference,
            _ if reconstructs(setting) => Score::Reconstruction,
            _ => {
                return Err(format!(
                    "needs one output, two classes, or an autoencoder: the model gives outputs of \
                     shape {shape:?} for inputs of shape {:?}",
                    setting.input
                ));
            }
        };
        if !extents(labels.sample_shape()).is_empty() {
            return Err(format!(
                "labels of shape {} are several per sample: expected one, 0 for normal and 1 for \
                 anomalous",
                labels.shape_text()
            ));
        }
        let anomalous = labels.as_truth("anomalous (or positive)")?;
        let groups = setting.groups.map_or_else(|| vec![0; anomalous.len()], <[i64]>::to_vec);
        let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (sample, &group) in groups.iter().enumerate() {
            members.entry(group).or_default().push(sample);
        }
        for (name, members) in &members {
            let anomalies = members.iter().filter(|&&i| anomalous[i]).count();
            if anomalies == 0 || anomalies == members.len() {
                let kind = if anomalies == 0 { "1 (anomalous)" } else { "0 (normal)" };
                let whose = match setting.groups {
                    Some(_) => format!("group {name}"),
                    None => format!("the labels in {}", labels.path().display()),
                };
                return Err(format!(
                    "{whose} has no sample of label {kind}: the area compares both kinds"
                ));
            }
        }
        let named = setting.groups.is_some();
        let groups =
            members.into_iter().map(|(name, members)| (named.then_some(name), members)).collect();
        let mean_of_outputs = setting.windows.then_some(setting.output.len());
        Ok(Box::new(AucJudge { score, mean_of_outputs, anomalous, groups, scores: Vec::new() }))
    }
}

struct AucJudge {
    score: Score,
    /// For recordings: the number of outputs of a window.
    mean_of_outputs: Option<usize>,
    anomalous: Vec<bool>,
    /// The name of each group and its samples.
    groups: Vec<(Option<i64>, Vec<usize>)>,
    scores: Vec<f64>,
}

impl Judge for AucJudge {
    fn note(&self) -> Option<String> {
        let score = match self.score {
            Score::Output => return None,
            Score::Difference => "how much the second output exceeds the first",
            Score::Reconstruction => "the mean squared reconstruction error",
        };
        Some(format!("the score is {score}"))
    }

    fn add(&mut self, outputs: &[f32], inputs: &[f32]) {
        let len = self.mean_of_outputs.unwrap_or(outputs.len());
        let score = |outputs: &[f32]| match *outputs {
            [normal, anomalous] => f64::from(anomalous - normal),
            _ => outputs.first().map_or(0.0, |&score| f64::from(score)),
        };
        self.scores.push(match self.score {
            Score::Reconstruction => squared_error(outputs, inputs),
            Score::Output | Score::Difference => {
                let scores = outputs.chunks(len).map(score);
                scores.sum::<f64>() / (outputs.len() / len) as f64
            }
        });
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let (mut areas, mut curves) = (Vec::new(), Vec::new());
        let (mut below, mut above) = (0.0, 0.0);
        for (group, members) in &self.groups {
            let scores: Vec<f64> = members.iter().map(|&i| self.scores[i]).collect();
            let anomalous: Vec<bool> = members.iter().map(|&i| self.anomalous[i]).collect();
            let area = auc(&scores, &anomalous)
                .ok_or("a group lacks normal or anomalous samples".to_string())?;
            let points = roc_curve(&scores, &anomalous, MOST_CORNERS);
            curves.push(Curve { group: *group, area, points });
            let (low, high) = interval(area, scores, anomalous);
            below += (area - low).powi(2);
            above += (high - area).powi(2);
            areas.push(area);
        }
        let count = areas.len() as f64;
        let mean = areas.iter().sum::<f64>() / areas.len().max(1) as f64;
        // Groups are independent: their distances to the bounds add up in squares.
        let low = (mean - below.sqrt() / count).max(0.0);
        let high = (mean + above.sqrt() / count).min(1.0);
        let mut judgement = Judgement::new(mean, Some((low, high)), Outcomes::Scores(self.scores));
        judgement.picture = Some(Picture::Roc(curves));
        Ok(judgement)
    }
}

/// DeLong's interval of one group, about the logit of the area, which keeps its promise near 1; or
/// Newcombe's where samples show no variance.
fn interval(area: f64, scores: Vec<f64>, anomalous: Vec<bool>) -> Interval {
    let anomalies = anomalous.iter().filter(|&&a| a).count();
    let normals = anomalous.len() - anomalies;
    let groups = vec![0; anomalous.len()];
    let comparer = Comparer::Auc { anomalous, groups };
    let placements = comparer.values(&Outcomes::Scores(scores));
    let margin = comparer.margin(&placements, 0.05);
    let slope = area * (1.0 - area);
    if margin == 0.0 || slope <= 0.0 || anomalies.min(normals) == 1 {
        return of_area(area, anomalies, normals);
    }
    let logit = (area / (1.0 - area)).ln();
    let at = |distance: f64| 1.0 / (1.0 + (-(logit + distance / slope)).exp());
    (at(-margin), at(margin))
}
