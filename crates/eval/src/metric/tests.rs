//! Tests of the metrics by values that were computed by hand, or with scikit-learn.

use std::path::Path;

use super::*;

/// An output, labels, and what is asked of them.
struct Case {
    output: ModelOutput,
    labels: Option<Labels>,
    groups: Option<Vec<i64>>,
    input: Vec<usize>,
    options: MetricOptions,
}

impl Case {
    fn new(output: &[usize], labels: &[usize], values: &[f64]) -> Self {
        let output = ModelOutput::new("y", output, Ending::Other);
        let labels = Labels::new(Path::new("y.npy"), labels.to_vec(), values.to_vec());
        let (groups, input) = (None, vec![3]);
        Self { output, labels: Some(labels), groups, input, options: MetricOptions::default() }
    }

    fn ending(mut self, ending: Ending) -> Self {
        self.output.ending = ending;
        self
    }

    fn threshold(mut self, threshold: f64) -> Self {
        self.options.threshold = Some(threshold);
        self
    }

    fn class_axis(mut self, axis: ClassAxis) -> Self {
        self.options.class_axis = Some(axis);
        self
    }

    fn setting(&self) -> Setting<'_> {
        Setting {
            samples: self.labels.as_ref().map_or(1, Labels::count),
            input: &self.input,
            output: &self.output,
            labels: self.labels.as_ref(),
            groups: self.groups.as_deref(),
            windows: false,
            options: self.options,
        }
    }

    fn judge(&self, metric: Metric, outputs: &[f32]) -> Judgement {
        let mut judge = metric.judge(&self.setting()).unwrap();
        for sample in outputs.chunks(self.output.len()) {
            judge.add(sample, &[0.0; 3]);
        }
        judge.finish().unwrap()
    }

    fn note(&self, metric: Metric) -> String {
        metric.judge(&self.setting()).unwrap().note().unwrap_or_default()
    }

    fn refusal(&self, metric: Metric) -> String {
        match metric.judge(&self.setting()) {
            Ok(_) => panic!("{metric} fits"),
            Err(problem) => problem,
        }
    }
}

fn close(found: Option<Interval>, (low, high): Interval) {
    let (a, b) = found.unwrap();
    assert!((a - low).abs() < 5e-5 && (b - high).abs() < 5e-5, "[{a}, {b}]");
}

const THREE: [f32; 9] = [3.0, 1.0, 2.0, 0.0, 5.0, 4.0, 7.0, 8.0, 9.0];

#[test]
fn auc_counts_ordered_pairs() {
    let anomalous = [false, true, false, true];
    assert_eq!(auc(&[0.1, 0.9, 0.2, 0.8], &anomalous), Some(1.0));
    assert_eq!(auc(&[0.9, 0.1, 0.8, 0.2], &anomalous), Some(0.0));
    assert_eq!(auc(&[0.5, 0.5, 0.5, 0.5], &anomalous), Some(0.5));
    assert_eq!(auc(&[0.1, 0.3, 0.4, 0.8], &anomalous), Some(0.75));
    assert_eq!(auc(&[0.1, 0.2], &[true, true]), None);
}

#[test]
fn argmax_takes_the_first_of_equals() {
    assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
}

#[test]
fn top1_and_topk_look_for_the_label_among_the_largest() {
    let case = Case::new(&[3], &[3], &[0.0, 2.0, 1.0]);
    let found = case.judge(Metric::Top1, &THREE);
    assert_eq!(found.outcomes, Outcomes::Correct(vec![true, false, false]));
    assert_eq!(found.confusion.unwrap().counts, [[1, 0, 0], [0, 0, 1], [0, 1, 0]]);
    close(found.interval, (0.0615, 0.7923));
    assert_eq!(case.judge(Metric::TopK(2), &THREE).metric, 1.0);
    // Of equal outputs, the first is taken, as the largest is.
    let ties = Case::new(&[3], &[2], &[1.0, 0.0]);
    let found = ties.judge(Metric::TopK(2), &[1.0; 6]);
    assert_eq!(found.outcomes, Outcomes::Correct(vec![true, true]));
    assert_eq!(ties.judge(Metric::Top1, &[1.0; 6]).metric, 0.5);
}

#[test]
fn every_form_of_class_labels_is_the_same() {
    let expected = Case::new(&[3], &[3], &[0.0, 2.0, 1.0]).judge(Metric::Top1, &THREE);
    let one_hot = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    for case in [
        Case::new(&[3], &[3, 1], &[0.0, 2.0, 1.0]),
        Case::new(&[3, 1, 1], &[3], &[0.0, 2.0, 1.0]),
        Case::new(&[1, 3], &[3, 1], &[0.0, 2.0, 1.0]),
        Case::new(&[3], &[3, 3], &one_hot),
    ] {
        assert_eq!(case.judge(Metric::Top1, &THREE), expected);
    }
}

#[test]
fn labels_that_are_no_classes_are_summarized() {
    let refuse = |values: &[f64]| Case::new(&[3], &[values.len()], values).refusal(Metric::Top1);
    let text = refuse(&[1.0, 2.0, 3.0, 1.0]);
    assert!(
        text.contains("run from 1 to 3 and none is 0") && text.contains("subtract 1"),
        "{text}"
    );
    let text = refuse(&[0.0, -1.0, 7.0, 7.0, 1.0]);
    assert!(text.contains("3 of 5 labels in y.npy are not classes"), "{text}");
    assert!(text.contains("the classes 0 to 2"), "{text}");
    assert!(
        text.contains("found 7 (2 times), -1 (1 time); the first is that of sample 1"),
        "{text}"
    );
    let text = refuse(&[0.0, 1.5]);
    assert!(text.contains("hold 1.5: expected whole numbers") && text.contains("mse"), "{text}");
    let text = refuse(&[0.0, f64::NAN]);
    assert!(text.contains("1 value that is NaN or infinite, the first in sample 1"), "{text}");
    let two = Case::new(&[3], &[2, 3], &[1.0, 1.0, 0.0, 0.0, 0.0, 1.0]).refusal(Metric::Top1);
    assert!(two.contains("not one-hot") && two.contains("--metric multilabel"), "{two}");
    let soft = Case::new(&[3], &[1, 3], &[0.2, 0.7, 0.1]).refusal(Metric::Top1);
    assert!(soft.contains("argmax(-1)"), "{soft}");
    let wide = Case::new(&[3], &[2, 5], &[0.0; 10]).refusal(Metric::Top1);
    assert!(wide.contains("[2, 5]") && wide.contains("[3]"), "{wide}");
    let few = Case::new(&[4], &[2], &[0.0, 1.0]).refusal(Metric::TopK(4));
    assert!(few.contains("more than 4 classes"), "{few}");
}

#[test]
fn one_output_is_judged_at_a_threshold() {
    let case = || Case::new(&[1], &[4], &[0.0, 1.0, 1.0, 0.0]);
    let outputs = [0.2, 0.9, 0.4, 0.1];
    let sigmoid = case().ending(Ending::Sigmoid);
    let found = sigmoid.judge(Metric::Top1, &outputs);
    assert_eq!((found.metric, found.figures[0].value), (0.75, 2.0 / 3.0));
    assert_eq!(found.confusion.as_ref().unwrap().counts, [[2, 0], [1, 1]]);
    assert_eq!(sigmoid.judge(Metric::Binary, &outputs), found);
    assert!(
        sigmoid.note(Metric::Top1).contains("binary accuracy; positive: outputs of the sigmoid")
    );
    assert_eq!(
        case().ending(Ending::Sigmoid).threshold(0.3).judge(Metric::Binary, &outputs).metric,
        1.0
    );
    // Without a sigmoid, 0.5 is a logit of 0, and 0.3 one of -0.847.
    assert_eq!(case().judge(Metric::Binary, &outputs).metric, 0.5);
    let logits = [-0.9, 0.1, -0.8, -1.0];
    assert_eq!(case().judge(Metric::Binary, &logits).metric, 0.75);
    assert_eq!(case().threshold(0.3).judge(Metric::Binary, &logits).metric, 1.0);
    assert!(case().note(Metric::Binary).contains("taken as logits"));
    assert!(case().threshold(1.0).refusal(Metric::Binary).contains("between 0 and 1"));
    let text = Case::new(&[1], &[2], &[1.0, 2.0]).refusal(Metric::Top1);
    assert!(text.contains("subtract 1"), "{text}");
    let text = Case::new(&[1], &[2], &[-1.0, 1.0]).refusal(Metric::Top1);
    assert!(text.contains("(y == 1)"), "{text}");
    assert!(Case::new(&[10], &[1], &[1.0]).refusal(Metric::Binary).contains("top1"));
}

#[test]
fn two_classes_are_judged_at_a_threshold_of_the_second() {
    let case = |ending| Case::new(&[2], &[2], &[1.0, 0.0]).ending(ending).threshold(0.7);
    assert_eq!(case(Ending::Softmax).judge(Metric::Binary, &[0.35, 0.65, 0.2, 0.8]).metric, 0.0);
    // exp(-0.2) = 0.82; ln(0.7 / 0.3) = 0.847.
    assert_eq!(
        case(Ending::LogSoftmax).judge(Metric::Binary, &[-1.7, -0.2, -0.2, -1.7]).metric,
        1.0
    );
    assert_eq!(case(Ending::Other).judge(Metric::Binary, &[1.0, 1.9, 1.0, 1.8]).metric, 1.0);
}

#[test]
fn f1_is_that_of_the_positive_class_or_the_mean_over_labels() {
    let case = Case::new(&[1], &[5], &[1.0, 1.0, 1.0, 0.0, 0.0]).ending(Ending::Sigmoid);
    let found = case.judge(Metric::F1, &[0.9, 0.9, 0.1, 0.9, 0.1]);
    assert_eq!(found.metric, 2.0 / 3.0);
    // Wilson's interval of 2 in 4 is 0.15004 to 0.84996; 2 x / (1 + x) of it.
    close(found.interval, (0.26093, 0.91890));
    let none = Case::new(&[1], &[1], &[0.0]).ending(Ending::Sigmoid);
    let mut judge = Metric::F1.judge(&none.setting()).unwrap();
    judge.add(&[0.1], &[]);
    assert!(judge.finish().unwrap_err().contains("positive samples"));
    let labels = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
    let case = Case::new(&[3], &[2, 3], &labels).ending(Ending::Sigmoid);
    // Label 0: one of two found; label 1: found. No sample has label 2.
    let found = case.judge(Metric::F1, &[0.9, 0.1, 0.1, 0.1, 0.9, 0.1]);
    assert!((found.metric - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12);
    assert!(case.note(Metric::F1).contains("1 of 3 labels that no sample has"));
}

#[test]
fn several_labels_a_sample_must_all_be_right() {
    let labels = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0];
    let case = Case::new(&[3], &[2, 3], &labels).ending(Ending::Sigmoid);
    let found = case.judge(Metric::MultiLabel, &[0.9, 0.1, 0.8, 0.1, 0.9, 0.1]);
    assert_eq!(found.outcomes, Outcomes::Correct(vec![true, false]));
    let figures: Vec<(&str, f64)> = found.figures.iter().map(|f| (f.name, f.value)).collect();
    assert_eq!(figures[0], ("label_accuracy", (1.0 + 2.0 / 3.0) / 2.0));
    assert_eq!(figures[1].0, "mean_f1");
    assert!((figures[1].1 - (1.0 + 1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
    let text = Case::new(&[3], &[2], &[0.0, 1.0]).refusal(Metric::MultiLabel);
    assert!(text.contains("[2]") && text.contains("[samples, 3]"), "{text}");
}

#[test]
fn places_have_their_class_axis_from_the_shapes() {
    let labels = [0.0, 1.0, 1.0];
    // Classes first: [2, 3]; classes last: [3, 2].
    let first = Case::new(&[2, 3], &[1, 3], &labels);
    assert_eq!(first.judge(Metric::Top1, &[5.0, 1.0, 4.0, 0.0, 2.0, 3.0]).metric, 2.0 / 3.0);
    let last = Case::new(&[3, 2], &[1, 3], &labels);
    assert_eq!(last.judge(Metric::Top1, &[5.0, 1.0, 4.0, 0.0, 2.0, 3.0]).metric, 2.0 / 3.0);
    assert!(last.note(Metric::Top1).contains("3 places of each sample"));
    let square = || Case::new(&[2, 2], &[1, 2], &[0.0, 1.0]);
    let text = square().refusal(Metric::Top1);
    assert!(
        text.contains("[2, 2]") && text.contains("[1, 2]") && text.contains("--class-axis"),
        "{text}"
    );
    let outputs = [1.0, 3.0, 2.0, 4.0];
    assert_eq!(square().class_axis(ClassAxis::First).judge(Metric::Top1, &outputs).metric, 0.5);
    assert_eq!(square().class_axis(ClassAxis::Last).judge(Metric::Top1, &outputs).metric, 0.5);
    let text =
        Case::new(&[2, 3], &[1, 3], &labels).class_axis(ClassAxis::Last).refusal(Metric::Top1);
    assert!(text.contains("last axis"), "{text}");
    let text = Case::new(&[5, 4, 4], &[2], &[0.0, 1.0]).refusal(Metric::Top1);
    assert!(text.contains("[samples, 4, 4]") && text.contains("[samples, 5, 4]"), "{text}");
}

#[test]
fn maps_of_single_outputs_and_one_hot_maps_are_judged_by_pixel() {
    let labels = [0.0, 1.0, 1.0, 1.0];
    let map = Case::new(&[1, 2, 2], &[1, 2, 2], &labels).ending(Ending::Sigmoid);
    let found = map.judge(Metric::Top1, &[0.1, 0.9, 0.8, 0.3]);
    assert_eq!(found.outcomes, Outcomes::Scores(vec![0.75]));
    assert!(map.note(Metric::Binary).contains("4 places"));
    // [2 classes, 3 steps], one-hot along the classes.
    let one_hot = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    let case = Case::new(&[2, 3], &[1, 2, 3], &one_hot);
    assert_eq!(case.judge(Metric::Top1, &[5.0, 1.0, 4.0, 0.0, 2.0, 3.0]).metric, 2.0 / 3.0);
    let both = Case::new(&[2, 2], &[1, 2, 2], &[1.0, 0.0, 0.0, 1.0]).refusal(Metric::Top1);
    assert!(both.contains("--class-axis"), "{both}");
}

#[test]
fn regressions_are_compared_with_their_targets() {
    let targets = [1.0, 2.0, 3.0, 6.0];
    let outputs = [1.5, 2.0, 2.0, 6.0];
    let case = Case::new(&[1], &[4], &targets);
    let found = case.judge(Metric::Mse, &outputs);
    assert_eq!(found.metric, 1.25 / 4.0);
    // The errors .25, 0, 1, 0 deviate by .47324; t(3) = 3.18245. No error is negative.
    close(found.interval, (0.0, 1.06554));
    assert_eq!(case.judge(Metric::Mae, &outputs).metric, 1.5 / 4.0);
    let found = case.judge(Metric::R2, &outputs);
    assert!((found.metric - (1.0 - 1.25 / 14.0)).abs() < 1e-12);
    let Outcomes::Scores(parts) = found.outcomes else { panic!("a mean has scores") };
    assert!((parts.iter().sum::<f64>() / 4.0 - found.metric).abs() < 1e-12);
    // Two outputs of two samples.
    let two = Case::new(&[2], &[2, 2], &[0.0, 0.0, 2.0, 4.0]);
    assert_eq!(two.judge(Metric::Mse, &[1.0, 0.0, 2.0, 2.0]).metric, 1.25);
    assert_eq!(two.judge(Metric::R2, &[1.0, 0.0, 2.0, 2.0]).metric, 0.5);
}

#[test]
fn targets_that_do_not_fit_are_refused() {
    let mut none = Case::new(&[2], &[2, 2], &[0.0; 4]);
    none.labels = None;
    let text = none.refusal(Metric::Mse);
    for part in ["--labels", "[samples, 2]", "--metric reconstruction"] {
        assert!(text.contains(part), "{text}");
    }
    let text = Case::new(&[2, 3], &[2, 3, 2], &[0.0; 12]).refusal(Metric::Mae);
    assert!(text.contains("[2, 3, 2]") && text.contains("[samples, 2, 3]"), "{text}");
    let text = Case::new(&[1], &[2], &[3.0, 3.0]).refusal(Metric::R2);
    assert!(text.contains("output 0 are all 3"), "{text}");
    let text = Case::new(&[1], &[2], &[0.0, f64::INFINITY]).refusal(Metric::Mse);
    assert!(text.contains("sample 1"), "{text}");
}

#[test]
fn reconstructions_need_outputs_like_inputs() {
    let mut case = Case::new(&[3], &[1], &[0.0]);
    assert_eq!(case.judge(Metric::Reconstruction, &[3.0, 0.0, 0.0]).metric, 3.0);
    assert_eq!(case.judge(Metric::Reconstruction, &[3.0, 0.0, 0.0]).interval, None);
    case.input = vec![4];
    let text = case.refusal(Metric::Reconstruction);
    assert!(text.contains("[3]") && text.contains("[4]"), "{text}");
    (case.output.shape, case.input) = (vec![2, 4, 4], vec![4, 4, 2]);
    assert!(case.refusal(Metric::Reconstruction).contains("in the same order"));
    case.input = vec![32];
    assert!(Metric::Reconstruction.judge(&case.setting()).is_ok());
}

#[test]
fn areas_have_delongs_interval_averaged_over_groups() {
    let labels = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let scores = [0.1, 0.4, 0.35, 0.8, 0.3, 0.9];
    let mut case = Case::new(&[1], &[6], &labels);
    let found = case.judge(Metric::Auc, &scores);
    assert!((found.metric - 7.0 / 9.0).abs() < 1e-12);
    // Placements 1, 1/3, 1 and 1, 2/3, 2/3: variances 4/27 and 1/27, over 3; t(2) = 4.30265.
    // The margin 1.06899 over 7/9 (1 - 7/9) is 6.18488, about the logit 1.25276.
    close(found.interval, (0.00716, 0.99941));
    // Disjoint kinds are not a proof: 1 of 10 and 10 by Newcombe's method 5.
    let labels: Vec<f64> = (0..20).map(|i| f64::from(u8::from(i >= 10))).collect();
    let scores: Vec<f32> = (0..20).map(|i| i as f32).collect();
    let found = Case::new(&[1], &[20], &labels).judge(Metric::Auc, &scores);
    let (low, high) = found.interval.unwrap();
    assert!(found.metric == 1.0 && high == 1.0 && (0.80..0.90).contains(&low), "{low}");
    case.groups = Some(vec![0, 0, 0, 1, 1, 1]);
    let text = case.refusal(Metric::Auc);
    assert!(text.contains("group 0 has no sample of label 1"), "{text}");
    let text = Case::new(&[1], &[2], &[0.0, 0.0]).refusal(Metric::Auc);
    assert!(text.contains("y.npy has no sample of label 1"), "{text}");
    let text = Case::new(&[10], &[2], &[0.0, 1.0]).refusal(Metric::Auc);
    assert!(text.contains("[10]") && text.contains("[3]"), "{text}");
}

#[test]
fn intervals_of_shares_are_those_of_tables() {
    // 81 of 263 (Newcombe, 1998), 0 of 20, and 29 of 29.
    close(interval::wilson(81.0 / 263.0, 263.0), (0.25525, 0.36621));
    close(interval::wilson(0.0, 20.0), (0.0, 0.16113));
    close(interval::wilson(1.0, 29.0), (0.88302, 1.0));
    // Places of a sample that are all alike count once, independent ones each.
    let (_, alike) = interval::of_shares(&[1.0, 0.0, 1.0, 1.0], 100);
    let (low, high) = interval::wilson(0.75, 4.0).unwrap();
    close(alike, (low, high));
    let (_, all) = interval::of_shares(&[1.0; 20], 100);
    close(all, (0.83887, 1.0));
    let (_, even) = interval::of_shares(&[0.5, 0.49, 0.51], 10);
    close(even, interval::wilson(0.5, 30.0).unwrap());
}

#[test]
fn names_are_read_as_they_are_written() {
    for &metric in Metric::ALL {
        assert_eq!(metric.name().parse(), Ok(metric));
        assert!(!metric.summary().is_empty() && !metric.heading().is_empty());
    }
    assert_eq!("top37".parse(), Ok(Metric::TopK(37)));
    assert_eq!(Metric::TopK(37).name(), "top37");
    let wrong = |name: &str| name.parse::<Metric>().unwrap_err();
    assert!(wrong("topk").contains("top5"));
    assert!(wrong("top0").contains("top1 to top100") && wrong("top101").contains("top100"));
    assert!(wrong("reconstructions").contains("did you mean 'reconstruction'?"));
}

#[test]
fn values_are_written_with_their_intervals() {
    let text = |metric: Metric, value| metric.text(value, Some((value, 2.0 * value)));
    assert_eq!(text(Metric::Top1, 0.5), "0.5000 [0.500, 1.000]");
    assert_eq!(text(Metric::Mse, 0.01), "0.0100 [0.0100, 0.0200]");
    assert_eq!(text(Metric::Mse, 2e-6), "2.000e-6 [2.000e-6, 4.000e-6]");
    assert_eq!(Metric::R2.text(-1.25, None), "-1.2500");
}

#[test]
fn intersection_over_union_is_of_all_samples_and_of_the_classes_that_occur() {
    // Two samples of four places and three classes, of which the third never occurs.
    let labels = [0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0];
    let case = Case::new(&[3, 2, 2], &[2, 2, 2], &labels);
    // The first class wins at the places 0 to 2, then at place 0 alone.
    let sample = |wins: usize| -> Vec<f32> {
        let first = (0..4).map(|place| f32::from(u8::from(place < wins)));
        first.chain([0.5; 4]).chain([-1.0; 4]).collect()
    };
    let found = case.judge(Metric::Iou, &[sample(3), sample(1)].concat());
    // The first class: 3 of both, 4 of either; the second: 4 and 5.
    assert!((found.metric - (3.0 / 4.0 + 4.0 / 5.0) / 2.0).abs() < 1e-12, "{found:?}");
    let mask = Case::new(&[1, 2, 2], &[1, 2, 2], &[0.0, 1.0, 1.0, 0.0]).ending(Ending::Sigmoid);
    let found = mask.judge(Metric::Iou, &[0.1, 0.9, 0.2, 0.3]);
    assert!((found.metric - (2.0 / 3.0 + 1.0 / 2.0) / 2.0).abs() < 1e-12, "{found:?}");
}

#[test]
fn scores_are_drawn_as_the_curves_of_their_groups() {
    let mut case = Case::new(&[1], &[6], &[0.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
    case.groups = Some(vec![7, 7, 7, 3, 3, 3]);
    let judgement = case.judge(Metric::Auc, &[0.1, 0.2, 0.3, 0.5, 0.4, 0.1]);
    let Some(Picture::Roc(curves)) = judgement.picture else { panic!("no curves") };
    let found: Vec<(Option<i64>, f64)> = curves.iter().map(|c| (c.group, c.area)).collect();
    assert_eq!(found, [(Some(3), 0.5), (Some(7), 1.0)]);
    assert_eq!(curves[1].points, [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
    assert_eq!(judgement.metric, 0.75);
    let case = Case::new(&[1], &[3], &[0.0, 1.0, 1.0]).ending(Ending::Sigmoid);
    let judgement = case.judge(Metric::F1, &[0.1, 0.2, 0.9]);
    let Some(Picture::Roc(curves)) = judgement.picture else { panic!("no curve") };
    assert_eq!((curves.len(), curves[0].group, curves[0].area), (1, None, 1.0));
}

#[test]
fn few_pairs_of_targets_and_outputs_are_drawn_of_all_outputs() {
    let targets: Vec<f64> = (0..4000).map(f64::from).collect();
    let outputs: Vec<f32> = (0..4000_u16).map(|i| f32::from(i) + 0.5).collect();
    for metric in [Metric::Mse, Metric::Mae, Metric::R2] {
        let judgement = Case::new(&[4], &[1000, 4], &targets).judge(metric, &outputs);
        let Some(Picture::Scatter(pairs)) = judgement.picture else { panic!("no pairs") };
        assert!((250..=500).contains(&pairs.len()), "{}", pairs.len());
        assert!(pairs.iter().all(|(target, output)| output - target == 0.5));
        for output in 0..4_u16 {
            let own = pairs.iter().filter(|(target, _)| target % 4.0 == f64::from(output));
            assert!(own.count() > 50, "{metric}: output {output}");
        }
    }
    let judgement = Case::new(&[1], &[3], &[1.0, 2.0, 4.0]).judge(Metric::Mae, &[1.0, 2.0, 3.0]);
    let pairs = vec![(1.0, 1.0), (2.0, 2.0), (4.0, 3.0)];
    assert_eq!(judgement.picture, Some(Picture::Scatter(pairs)));
}
