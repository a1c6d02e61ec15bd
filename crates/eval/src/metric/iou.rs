//! `iou`: intersection over union of segmentations, the mean over classes.

use super::fit::{Classes, Fit, classes, no_windows};
use super::interval::around;
use super::places::of_places;
use super::top::argmax;
use super::{Confusion, Interval, Judge, Judgement, Measure, MetricKind, Setting};
use crate::statistics::mean_and_deviation;

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
        let counts = Vec::new();
        let (correct, predicted, confusion) = (Vec::new(), Vec::new(), Confusion::of(count));
        Ok(Box::new(IouJudge {
            layout,
            limit,
            places,
            note,
            labels,
            classes: count,
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
    classes: usize,
    correct: Vec<bool>,
    predicted: Vec<u32>,
    /// Of the classes of each sample.
    counts: Vec<Counts>,
    confusion: Option<Confusion>,
}

impl Judge for IouJudge {
    fn note(&self) -> Option<String> {
        Some(self.note.clone())
    }

    fn add(&mut self, outputs: &[f32], _inputs: &[f32]) {
        let own = self.counts.len();
        self.counts.resize(own + self.classes, Counts::default());
        let counts = &mut self.counts[own..];
        for place in 0..self.places {
            let label = self.labels[self.correct.len()];
            let found = match &self.layout {
                Some(layout) => argmax(&layout.at(outputs, place).collect::<Vec<f32>>()),
                None => usize::from(f64::from(outputs[place]) > self.limit),
            };
            self.correct.push(label == found);
            self.predicted.push(found as u32);
            counts[label].one += 1;
            if label == found {
                counts[label].both += 1;
            } else {
                counts[found].one += 1;
            }
            if let Some(confusion) = &mut self.confusion {
                confusion.add(label, found);
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let (metric, interval) = mean_over_classes(&self.counts, self.classes);
        let mut judgement = of_places(self.correct, self.places);
        (judgement.metric, judgement.interval) = (metric, interval);
        judgement.confusion = self.confusion;
        judgement.predicted = Some(self.predicted);
        Ok(judgement)
    }
}

/// The mean over classes, out of those of each sample, with its interval.
///
/// A ratio of sums is nearly linear in what a sample adds to both of them (the delta method): Student's
/// interval over these parts. A single sample has none.
fn mean_over_classes(counts: &[Counts], classes: usize) -> (f64, Option<Interval>) {
    let samples = counts.chunks(classes);
    let mut sums = vec![Counts::default(); classes];
    for sample in samples.clone() {
        for (sum, own) in sums.iter_mut().zip(sample) {
            sum.both += own.both;
            sum.one += own.one;
        }
    }
    let present = sums.iter().filter(|sum| sum.one > 0).count().max(1) as f64;
    let share = |sum: &Counts| if sum.one > 0 { sum.both as f64 / sum.one as f64 } else { 0.0 };
    let mean = sums.iter().map(share).sum::<f64>() / present;
    let count = samples.len();
    let part = |sample: &[Counts]| -> f64 {
        let pairs = sums.iter().zip(sample).filter(|(sum, _)| sum.one > 0);
        let of_class = |(sum, own): (&Counts, &Counts)| {
            (own.both as f64 - share(sum) * own.one as f64) / sum.one as f64
        };
        pairs.map(of_class).sum::<f64>() * count as f64 / present
    };
    let parts: Vec<f64> = samples.map(part).collect();
    let interval = mean_and_deviation(&parts).1.map(|deviation| {
        let (low, high) = around(mean, deviation, count);
        (low.max(0.0), high.min(1.0))
    });
    (mean, interval)
}
