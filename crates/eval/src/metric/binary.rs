//! `binary`: accuracy at a threshold, with the F1 score.

use super::fit::{classes, extents, labels, no_windows};
use super::interval::{Positives, of_f1};
use super::judgement::MOST_CORNERS;
use super::places::of_places;
use super::{
    Confusion, Curve, Ending, Figure, Judge, Judgement, Measure, MetricKind, Picture, Setting,
    fit::Fit,
};
use crate::statistics::{auc, roc_curve};

/// Accuracy at a threshold.
pub(super) struct Binary;

impl Measure for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    fn summary(&self) -> &'static str {
        "accuracy of one output, or of two classes, at --threshold; with the F1 score"
    }

    fn heading(&self) -> &'static str {
        "binary accuracy, %"
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Share
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        Ok(Box::new(prepare(setting, "binary")?))
    }
}

/// Fits labels of 0 and 1 to one output, or to two classes.
pub(super) fn prepare(setting: &Setting, metric: &str) -> Result<BinaryJudge, String> {
    if setting.windows {
        return Err(no_windows(metric));
    }
    let found = labels(setting, "Y.npy of 0 and 1, one a sample")?;
    let per_sample = extents(found.sample_shape()).is_empty();
    match extents(&setting.output.shape)[..] {
        [2] if per_sample => {
            let labels = found.as_truth("positive")?;
            return Ok(BinaryJudge::of(setting, labels));
        }
        [many] if per_sample => {
            return Err(format!(
                "needs one output, or two classes: the outputs of shape {:?} are {many}; judge \
                 classes by top1, and several labels per sample by multilabel",
                setting.output.shape
            ));
        }
        _ => {}
    }
    match classes(setting)? {
        Fit::Single(labels) => Ok(BinaryJudge::of(setting, labels)),
        Fit::Classes(layout, _) => Err(format!(
            "needs one output for each label: the outputs of shape {:?} have {} classes for labels of \
             shape {:?}; judge classes by top1, and several labels per sample by multilabel",
            setting.output.shape,
            layout.classes,
            found.shape()
        )),
    }
}

/// Judges single outputs, or the second of two classes.
pub(super) struct BinaryJudge {
    labels: Vec<bool>,
    /// Labels of a sample.
    places: usize,
    /// Whether outputs are two classes.
    pair: bool,
    ending: Ending,
    limit: f64,
    note: String,
    found: Vec<bool>,
    /// One of each sample, where a sample has one label.
    scores: Vec<f64>,
}

impl BinaryJudge {
    pub(super) fn of(setting: &Setting, labels: Vec<bool>) -> Self {
        let places = (labels.len() / setting.samples.max(1)).max(1);
        let ending = setting.output.ending;
        let (limit, words) = ending.limit(setting.options.threshold());
        let pair = places == 1 && setting.output.len() == 2;
        let what = match (pair, ending) {
            (true, Ending::Other) => {
                let threshold = setting.options.threshold();
                format!(
                    "the second class where its logit exceeds the first's by more than {limit:.4} \
                     (probability {threshold})"
                )
            }
            (true, _) => format!("the second class by {words}"),
            (false, _) => words,
        };
        let note = match places {
            1 => format!("binary accuracy; positive: {what}"),
            _ => format!("binary accuracy over {places} places of each sample; positive: {what}"),
        };
        Self { labels, places, pair, ending, limit, note, found: Vec::new(), scores: Vec::new() }
    }
}

impl Judge for BinaryJudge {
    fn note(&self) -> Option<String> {
        Some(self.note.clone())
    }

    fn add(&mut self, outputs: &[f32], _inputs: &[f32]) {
        let scores: Vec<f64> = match *outputs {
            [first, second] if self.pair && self.ending == Ending::Other => {
                vec![f64::from(second) - f64::from(first)]
            }
            [_, second] if self.pair => vec![f64::from(second)],
            _ => outputs.iter().map(|&x| f64::from(x)).collect(),
        };
        self.found.extend(scores.iter().map(|&score| score > self.limit));
        if self.places == 1 {
            self.scores.extend(scores);
        }
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let pairs = || self.labels.iter().zip(&self.found);
        let mut positives = Positives::default();
        let mut confusion = Confusion::of(2);
        for (&label, &found) in pairs() {
            positives.add(label, found);
            if let Some(confusion) = &mut confusion {
                confusion.add(usize::from(label), usize::from(found));
            }
        }
        let correct = pairs().map(|(label, found)| label == found).collect();
        let mut judgement = of_places(correct, self.places);
        judgement.confusion = confusion;
        judgement.predicted = Some(self.found.iter().map(|&found| u32::from(found)).collect());
        if let Some(area) = auc(&self.scores, &self.labels).filter(|_| self.places == 1) {
            let points = roc_curve(&self.scores, &self.labels, MOST_CORNERS);
            judgement.picture = Some(Picture::Roc(vec![Curve { group: None, area, points }]));
        }
        judgement.figures.extend(positives.f1().map(|value| Figure {
            name: "f1",
            value,
            interval: of_f1(positives),
        }));
        Ok(judgement)
    }
}
