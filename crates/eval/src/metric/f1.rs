//! `f1`: the F1 score of one output or two classes, or its mean over several labels.

use super::binary::{self, BinaryJudge};
use super::fit::extents;
use super::multi_label::{self, MultiLabelJudge};
use super::{Judge, Judgement, Measure, MetricKind, Setting};

/// The harmonic mean of precision and recall.
pub(super) struct F1;

impl Measure for F1 {
    fn name(&self) -> &'static str {
        "f1"
    }

    fn summary(&self) -> &'static str {
        "harmonic mean of precision and recall at --threshold; of several labels, their mean"
    }

    fn heading(&self) -> &'static str {
        "F1, %"
    }

    fn kind(&self) -> MetricKind {
        MetricKind::Share
    }

    fn judge<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Judge + 'a>, String> {
        let several = setting.labels.is_some_and(|labels| {
            let (outputs, labels) =
                (extents(&setting.output.shape), extents(labels.sample_shape()));
            outputs.len() == 1 && outputs == labels
        });
        if several
            && setting.labels.is_some_and(|l| l.sample_shape().len() >= setting.output.shape.len())
        {
            return Ok(Box::new(MeanJudge(multi_label::prepare(setting, "f1")?)));
        }
        Ok(Box::new(F1Judge(binary::prepare(setting, "f1")?)))
    }
}

struct F1Judge(BinaryJudge);

impl Judge for F1Judge {
    fn note(&self) -> Option<String> {
        self.0.note().map(|note| note.replace("binary accuracy", "F1 score"))
    }

    fn add(&mut self, outputs: &[f32], inputs: &[f32]) {
        self.0.add(outputs, inputs);
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let mut judgement = Box::new(self.0).finish()?;
        let Some(f1) = judgement.figures.pop() else {
            return Err(
                "no label and no output is positive: an F1 score needs positive samples".into()
            );
        };
        (judgement.metric, judgement.interval) = (f1.value, f1.interval);
        Ok(judgement)
    }
}

struct MeanJudge(MultiLabelJudge);

impl Judge for MeanJudge {
    fn note(&self) -> Option<String> {
        self.0.note().map(|note| format!("mean over labels; {note}"))
    }

    fn add(&mut self, outputs: &[f32], inputs: &[f32]) {
        self.0.add(outputs, inputs);
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let (value, interval) = self.0.mean_f1()?;
        let mut judgement = Box::new(self.0).finish()?;
        judgement.figures.clear();
        (judgement.metric, judgement.interval) = (value, interval);
        Ok(judgement)
    }
}
