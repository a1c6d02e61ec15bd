//! How labels lie against outputs.

use serde::Deserialize;

use super::{Labels, ModelOutput, Setting};

/// The axis of an output that classes lie along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClassAxis {
    /// The first: `[classes, ..]`.
    First,
    /// The last: `[.., classes]`.
    Last,
}

/// Outputs with several classes, at one place (the whole sample) or at several: steps in time,
/// pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes {
    pub classes: usize,
    pub places: usize,
    axis: ClassAxis,
}

/// What labels are to outputs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fit {
    /// A class for each place: labels, place after place.
    Classes(Classes, Vec<usize>),
    /// Single outputs, each with a label of its own.
    Single(Vec<bool>),
}

impl Classes {
    /// The outputs of the classes at a place.
    pub(super) fn at<'a>(
        &self,
        outputs: &'a [f32],
        place: usize,
    ) -> impl Iterator<Item = f32> + 'a {
        let Self { classes, places, axis } = *self;
        let (start, step) = match axis {
            ClassAxis::First => (place, places),
            ClassAxis::Last => (place * classes, 1),
        };
        outputs[start..].iter().step_by(step).take(classes).copied()
    }
}

/// The labels, or what to give.
pub(super) fn labels<'a>(setting: &Setting<'a>, example: &str) -> Result<&'a Labels, String> {
    setting.labels.ok_or_else(|| format!("needs labels: give --labels {example}"))
}

/// Fits class labels to outputs.
pub(super) fn classes(setting: &Setting) -> Result<Fit, String> {
    let labels = labels(setting, "Y.npy, one integer a sample")?;
    let output = setting.output;
    let (outer, inner) = (extents(&output.shape), extents(labels.sample_shape()));
    // Where both have the same axes, single outputs stand against labels, or classes against one-hot.
    if outer == inner {
        let more_axes = output.shape.len() > labels.sample_shape().len();
        let unit = [output.shape.first(), output.shape.last()].contains(&Some(&1));
        if outer.is_empty() || more_axes || (unit && outer.len() > 1) {
            return Ok(Fit::Single(labels.as_truth("positive")?));
        }
        return one_hot(labels, &outer, setting.options.class_axis);
    }
    if outer.len() != inner.len() + 1 {
        return Err(misfit(output, labels));
    }
    let first = outer[1..] == inner[..];
    let last = outer[..inner.len()] == inner[..];
    let axis = match (first, last, setting.options.class_axis) {
        (false, false, _) => return Err(misfit(output, labels)),
        (true, true, _) if inner.is_empty() => ClassAxis::First,
        (true, true, None) => return Err(ambiguous(output, labels)),
        (true, _, Some(ClassAxis::First) | None) => ClassAxis::First,
        (_, true, Some(ClassAxis::Last) | None) => ClassAxis::Last,
        (_, _, Some(axis)) => {
            return Err(format!(
                "labels of shape {} do not fit outputs of shape {:?} with the classes along the {}",
                labels.shape_text(),
                output.shape,
                if axis == ClassAxis::First { "first axis" } else { "last axis" },
            ));
        }
    };
    let classes = match axis {
        ClassAxis::First => outer[0],
        ClassAxis::Last => outer[inner.len()],
    };
    let places = inner.iter().product();
    let labels = labels.as_classes(classes)?;
    Ok(Fit::Classes(Classes { classes, places, axis }, labels))
}

/// Labels of the outputs' shape, of which one is 1 and the others are 0 along the classes.
fn one_hot(labels: &Labels, outer: &[usize], axis: Option<ClassAxis>) -> Result<Fit, String> {
    let total: usize = outer.iter().product();
    let of = |axis: ClassAxis| -> Option<(Classes, Vec<usize>)> {
        let classes = if axis == ClassAxis::First { outer[0] } else { outer[outer.len() - 1] };
        let layout = Classes { classes, places: total / classes, axis };
        let mut found = Vec::with_capacity(labels.values().len() / classes);
        for sample in labels.values().chunks(total) {
            let sample: Vec<f32> = sample.iter().map(|&x| x as f32).collect();
            for place in 0..layout.places {
                let ones = || layout.at(&sample, place).enumerate().filter(|(_, x)| *x == 1.0);
                let zeros = layout.at(&sample, place).filter(|x| *x == 0.0).count();
                if ones().count() != 1 || zeros + 1 != classes {
                    return None;
                }
                found.extend(ones().map(|(class, _)| class));
            }
        }
        Some((layout, found))
    };
    let path = labels.path().display();
    let found = match axis {
        Some(axis) => [of(axis), None],
        None if outer.len() == 1 => [of(ClassAxis::First), None],
        None => [of(ClassAxis::First), of(ClassAxis::Last)],
    };
    match found {
        [Some(_), Some(_)] => Err(format!(
            "the labels in {path} are one-hot along the first and the last axis: say by --class-axis \
             first or last which of {outer:?} are the classes"
        )),
        [Some((layout, found)), None] | [None, Some((layout, found))] => {
            Ok(Fit::Classes(layout, found))
        }
        [None, None] => {
            labels.expect_finite()?;
            let binary = labels.values().iter().all(|x| [0.0, 1.0].contains(x));
            Err(format!(
                "the labels in {path} have the shape {} of the outputs but are not one-hot: {}",
                labels.shape_text(),
                if binary {
                    "some sample has no 1, or several; several labels per sample are judged by --metric \
                     multilabel"
                } else {
                    "they hold other values than 0 and 1; give class indices, with numpy: \
                     y.argmax(-1); float targets of a regression are judged by --metric mse"
                }
            ))
        }
    }
}

/// Labels of 0 and 1, one for each output of a sample.
pub(super) fn truth_of_outputs(setting: &Setting) -> Result<Vec<bool>, String> {
    let labels = labels(setting, "Y.npy, [samples, outputs] of 0 and 1")?;
    if extents(&setting.output.shape) != extents(labels.sample_shape()) {
        return Err(format!(
            "labels of shape {} do not fit outputs of shape {:?}: expected {}, 1 for each label that \
             a sample has",
            labels.shape_text(),
            setting.output.shape,
            with_samples(&setting.output.shape)
        ));
    }
    labels.as_truth("a label that the sample has")
}

/// Targets, one for each output of a sample.
pub(super) fn targets<'a>(setting: &Setting<'a>, metric: &str) -> Result<&'a [f64], String> {
    let output = setting.output;
    let Some(labels) = setting.labels else {
        return Err(format!(
            "needs targets: give --labels TARGETS.npy of shape {}; the reconstruction error of an \
             autoencoder, to its own inputs, is --metric reconstruction",
            with_samples(&output.shape)
        ));
    };
    if setting.windows {
        return Err(no_windows(metric));
    }
    if extents(&output.shape) != extents(labels.sample_shape()) {
        let same = labels.sample_shape().iter().product::<usize>() == output.len();
        return Err(format!(
            "targets of shape {} do not fit outputs of shape {:?}: expected {}{}",
            labels.shape_text(),
            output.shape,
            with_samples(&output.shape),
            if same { "; reshape or transpose them with numpy" } else { "" }
        ));
    }
    labels.expect_finite()?;
    Ok(labels.values())
}

/// The refusal of metrics that are none of a recording.
pub(super) fn no_windows(metric: &str) -> String {
    format!(
        "recordings with window_frames are judged by auc or reconstruction, not by {metric}: leave \
         window_frames out, and give one input a sample"
    )
}

/// Extents other than 1.
pub(super) fn extents(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&extent| extent != 1).collect()
}

fn with_samples(shape: &[usize]) -> String {
    let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("[samples, {}]", extents.join(", "))
}

fn misfit(output: &ModelOutput, labels: &Labels) -> String {
    let outer = extents(&output.shape);
    let hint = match outer[..] {
        [] => "one label of 0 or 1 a sample".to_string(),
        [classes] => format!("one class per sample, or one-hot labels of {classes}"),
        _ => {
            let places = |extents: &[usize]| with_samples(extents);
            format!(
                "a class for each place: {} if the classes are the first axis of the output, {} if \
                 they are the last",
                places(&outer[1..]),
                places(&outer[..outer.len() - 1])
            )
        }
    };
    format!(
        "labels of shape {} do not fit outputs of shape {:?}: expected {hint}",
        labels.shape_text(),
        output.shape
    )
}

fn ambiguous(output: &ModelOutput, labels: &Labels) -> String {
    format!(
        "outputs of shape {:?} fit labels of shape {} in two ways: say by --class-axis first or last \
         along which axis the classes are",
        output.shape,
        labels.shape_text()
    )
}
