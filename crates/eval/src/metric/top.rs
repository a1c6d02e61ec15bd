//! `top1`, `top5` and the like: whether the label is among the largest outputs.

use super::binary::BinaryJudge;
use super::fit::{Classes, Fit, classes, no_windows};
use super::places::of_places;
use super::{Confusion, Judge, Judgement, Measure, MetricKind, Setting};

/// Whether the label is among the `k` largest outputs.
pub(super) struct Top {
    pub k: usize,
}

impl Measure for Top {
    fn name(&self) -> &'static str {
        NAMES[self.k.clamp(1, NAMES.len()) - 1]
    }

    fn summary(&self) -> &'static str {
        match self.k {
            1 => "share of samples whose largest output is the label's",
            _ => {
                "share of samples whose label is among the largest outputs; any number from 2 to 100"
            }
        }
    }

    fn heading(&self) -> &'static str {
        match self.k {
            1 => "top‑1, %",
            _ => "top‑k, %",
        }
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Share
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        if setting.windows {
            return Err(no_windows(self.name()));
        }
        match classes(setting)? {
            Fit::Classes(layout, _) if layout.classes <= self.k && self.k > 1 => Err(format!(
                "needs more than {} classes: the outputs of shape {:?} have {}",
                self.k, setting.output.shape, layout.classes
            )),
            Fit::Classes(layout, labels) => Ok(Box::new(TopJudge {
                k: self.k,
                layout,
                labels,
                shape: setting.output.shape.clone(),
                ranks: Vec::new(),
                confusion: Confusion::of(layout.classes),
                predicted: Vec::new(),
            })),
            Fit::Single(labels) if self.k == 1 => Ok(Box::new(BinaryJudge::of(setting, labels))),
            Fit::Single(_) => Err(format!(
                "needs several classes: the model has one output of shape {:?}; judge it by binary",
                setting.output.shape
            )),
        }
    }
}

struct TopJudge {
    k: usize,
    layout: Classes,
    labels: Vec<usize>,
    shape: Vec<usize>,
    /// For each place of each sample, whether the label is among the largest outputs.
    ranks: Vec<bool>,
    confusion: Option<Confusion>,
    predicted: Vec<u32>,
}

impl Judge for TopJudge {
    fn note(&self) -> Option<String> {
        (self.layout.places > 1).then(|| {
            format!(
                "the share of {} places of each sample, with {} classes in outputs of shape {:?}",
                self.layout.places, self.layout.classes, self.shape
            )
        })
    }

    fn add(&mut self, outputs: &[f32], _inputs: &[f32]) {
        for place in 0..self.layout.places {
            let label = self.labels[self.ranks.len()];
            let at: Vec<f32> = self.layout.at(outputs, place).collect();
            self.ranks.push(rank(&at, label) < self.k);
            let found = argmax(&at);
            self.predicted.push(found as u32);
            if let Some(confusion) = &mut self.confusion {
                confusion.add(label, found);
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let mut judgement = of_places(self.ranks, self.layout.places);
        judgement.confusion = self.confusion;
        judgement.predicted = Some(self.predicted);
        Ok(judgement)
    }
}

/// How many outputs come before that of `class`: larger ones, and equal ones before it.
fn rank(outputs: &[f32], class: usize) -> usize {
    let own = outputs[class];
    let before = |&(i, &x): &(usize, &f32)| x > own || (x == own && i < class);
    outputs.iter().enumerate().filter(before).count()
}

/// The index of the largest output, the first of equals.
pub fn argmax(outputs: &[f32]) -> usize {
    let mut best = 0;
    for (i, &x) in outputs.iter().enumerate() {
        if x > outputs[best] {
            best = i;
        }
    }
    best
}

/// `top1` and on.
macro_rules! names {
    ($($k:literal)*) => { [$(concat!("top", $k)),*] };
}

static NAMES: [&str; super::MAX_K] = names! {
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34
    35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65
    66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96
    97 98 99 100
};
