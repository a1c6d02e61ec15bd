//! `iou`: intersection over union of segmentations, the mean over classes.

use super::fit::{Classes, Fit, classes, no_windows};
use super::places::of_places;
use super::top::argmax;
use super::{Confusion, Judge, Judgement, Measure, MetricKind, Setting};

/// For each class the places that both label and network call so, as a share of those that one of them
/// does; of all samples together. The mean over the classes that some label or output has.
///
/// A map of single outputs has two classes, on both sides of the threshold.
pub(super) struct Iou;

impl Measure for Iou {
    fn name(&self) -> &'static str {
        "iou"
    }

    fn summary(&self) -> &'static str {
        "intersection over union of the labels' and the outputs' classes, the mean over classes"
    }

    fn heading(&self) -> &'static str {
        "IoU, %"
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Share
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        if setting.windows {
            return Err(no_windows(self.name()));
        }
        let (limit, words) = setting.output.ending.limit(setting.options.threshold());
        let (layout, labels) = match classes(setting)? {
            Fit::Classes(layout, labels) => (Some(layout), labels),
            Fit::Single(labels) => (None, labels.into_iter().map(usize::from).collect()),
        };
        let count = layout.map_or(2, |layout| layout.classes);
        let places = layout.map_or(setting.output.len(), |layout| layout.places);
        let note = match layout {
            Some(_) => format!("the mean over {count} classes, of {places} places a sample"),
            None => format!("the mean of both classes, of {places} places a sample; {words}"),
        };
        let counts = vec![Counts::default(); count];
        let (correct, predicted, confusion) = (Vec::new(), Vec::new(), Confusion::of(count));
        Ok(Box::new(IouJudge {
            layout,
            limit,
            places,
            note,
            labels,
            correct,
            predicted,
            counts,
            confusion,
        }))
    }
}

/// The places of a class.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    both: u64,
    one: u64,
}

struct IouJudge {
    /// `None` for single outputs.
    layout: Option<Classes>,
    /// What a single output of the second class is above.
    limit: f64,
    places: usize,
    note: String,
    labels: Vec<usize>,
    correct: Vec<bool>,
    predicted: Vec<u32>,
    counts: Vec<Counts>,
    confusion: Option<Confusion>,
}

impl Judge for IouJudge {
    fn note(&self) -> Option<String> {
        Some(self.note.clone())
    }

    fn add(&mut self, outputs: &[f32], _inputs: &[f32]) {
        for place in 0..self.places {
            let label = self.labels[self.correct.len()];
            let found = match &self.layout {
                Some(layout) => argmax(&layout.at(outputs, place).collect::<Vec<f32>>()),
                None => usize::from(f64::from(outputs[place]) > self.limit),
            };
            self.correct.push(label == found);
            self.predicted.push(found as u32);
            self.counts[label].one += 1;
            if label == found {
                self.counts[label].both += 1;
            } else {
                self.counts[found].one += 1;
            }
            if let Some(confusion) = &mut self.confusion {
                confusion.add(label, found);
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let present = self.counts.iter().filter(|counts| counts.one > 0);
        let shares: Vec<f64> = present.map(|c| c.both as f64 / c.one as f64).collect();
        let mut judgement = of_places(self.correct, self.places);
        // Samples do not add up to it: the interval would be another number's.
        judgement.interval = None;
        judgement.metric = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
        judgement.confusion = self.confusion;
        judgement.predicted = Some(self.predicted);
        Ok(judgement)
    }
}
