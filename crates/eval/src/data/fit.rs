//! Whether samples of one shape can stand for those that a model expects, and how.

use std::path::Path;

use burn_ptq_deploy::preprocess::DataLayout;

use super::DataError;
use crate::input::ModelInput;

/// How an array of samples is read.
#[derive(Debug, PartialEq)]
pub(super) struct Fit {
    /// Samples, or recordings where inputs are windows of frames.
    pub items: usize,
    /// For recordings: the frames of each, and the elements of a frame.
    pub frames: Option<(usize, usize)>,
    /// A note about it.
    pub note: Option<String>,
}

/// How an array of `shape` holds samples for `input`.
///
/// Accepted besides the exact shape, with a note, is whatever differs from it by axes of extent 1 or
/// has all its elements in one axis: the order of the elements is the same.
pub(super) fn fit(path: &Path, shape: &[usize], input: &ModelInput) -> Result<Fit, DataError> {
    let expected = input.preprocessing.raw_shape(&input.shape);
    let len: usize = expected.iter().product();
    let (items, sample) = (shape[0], &shape[1..]);
    let samples = |note| Ok(Fit { items, frames: None, note });
    match input.preprocessing.window_frames {
        _ if sample == expected => return samples(None),
        // Windows that were cut already.
        Some(_) if sample == [len] => return samples(None),
        Some(window) => return fit_windows(path, shape, input, window),
        None => {}
    }
    let same_but_for_ones = without_ones(sample) == without_ones(&expected);
    let flat = without_ones(sample) == [len];
    if (same_but_for_ones || flat) && sample.iter().product::<usize>() == len {
        let path = path.display();
        return samples(Some(format!("{path}: samples of {sample:?} are read as {expected:?}")));
    }
    if shape == expected {
        let path = path.display();
        let note = Some(format!("{path}: its shape {shape:?} is that of one sample: read as such"));
        return Ok(Fit { items: 1, frames: None, note });
    }
    Err(DataError::SampleShape {
        path: path.into(),
        input: input.name.clone(),
        expected: input.shape.clone(),
        found: sample.to_vec(),
        hint: hint(sample, &expected, input),
    })
}

/// What to do about samples of another shape.
fn hint(sample: &[usize], expected: &[usize], input: &ModelInput) -> String {
    let rank = sample.len();
    let mut rotated = sample.to_vec();
    if rank > 1 {
        rotated.rotate_right(1);
        if rotated == input.shape {
            return "; if the samples hold their channels last, give --layout nhwc".into();
        }
        rotated.rotate_left(2);
        if rotated == input.shape {
            return "; if the samples hold their channels first, give --layout nchw".into();
        }
    }
    let text = if sample == input.shape {
        format!("; the layout given or recorded asks for {expected:?}, check --layout")
    } else if rank == 2 && input.shape.iter().product::<usize>() % sample[1].max(1) == 0 {
        "; the first axis counts the samples. For recordings [frames, features] give --window-frames"
            .into()
    } else if rank != expected.len() {
        "; the first axis of the file counts the samples".into()
    } else {
        String::new()
    };
    if input.preprocessing.layout == DataLayout::Model || !text.is_empty() {
        return text;
    }
    format!(" (as {expected:?} in the layout of the data)")
}

/// Recordings `[recordings, frames, features]`, or a single one without the first axis, whose windows
/// have as many elements as the input.
fn fit_windows(
    path: &Path,
    shape: &[usize],
    input: &ModelInput,
    window: usize,
) -> Result<Fit, DataError> {
    let len: usize = input.shape.iter().product();
    let features = len / window.max(1);
    let expected = input.preprocessing.raw_shape(&input.shape);
    let expected = without_ones(&expected);
    if features * window == len
        && expected != [len]
        && without_ones(&[window, features]) != expected
    {
        return Err(DataError::format(
            path,
            format!(
                "a window of {window} frames is [{window}, {features}], but the model's input '{}' \
                 has shape {:?}; if the input has time along its last axis, give --layout nhwc, since \
                 frames hold their features last",
                input.name, input.shape
            ),
        ));
    }
    let found = match *shape {
        [items, frames, f] => Some((items, frames, f)),
        [frames, f] if f == features => Some((1, frames, f)),
        // A signal of one feature a frame.
        [items, frames] if features == 1 => Some((items, frames, 1)),
        [frames] if features == 1 => Some((1, frames, 1)),
        _ => None,
    };
    match found {
        Some((items, frames, f)) if f * window == len && frames >= window => {
            Ok(Fit { items, frames: Some((frames, f)), note: None })
        }
        Some((_, frames, f)) if f * window == len => Err(DataError::format(
            path,
            format!("has {frames} frames, fewer than the {window} of one window"),
        )),
        _ => Err(DataError::SampleShape {
            path: path.into(),
            input: input.name.clone(),
            expected: input.shape.clone(),
            found: shape.get(1..).unwrap_or_default().to_vec(),
            hint: format!(
                "; windows of {window} frames need recordings [frames, features] with {window} * \
                 features = {len}"
            ),
        }),
    }
}

fn without_ones(shape: &[usize]) -> Vec<usize> {
    let mut kept: Vec<usize> = shape.iter().copied().filter(|&extent| extent != 1).collect();
    if kept.is_empty() {
        kept.push(1);
    }
    kept
}
