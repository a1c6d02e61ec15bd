//! Sequences: samples of networks with states.

use std::path::PathBuf;

use burn_ptq::graph::extents;

use super::npy::printable;
use super::{DataError, SamplePaths, stored_sample_shape};
use crate::input::ModelInput;

/// How many steps the sequences in `paths` have, for a network whose step takes `inputs`.
///
/// # Errors
/// If the data are not an array of steps.
pub fn steps_of(paths: &SamplePaths, inputs: &[ModelInput]) -> Result<usize, DataError> {
    let input = &inputs[0];
    let (shown, path) = first_path(paths, input);
    let expected = || {
        format!(
            "the model keeps states from one step to the next: expected sequences of shape [samples, steps, {}] for \
             the input '{}', in a .npy or .npz file",
            input.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
            printable(&input.name)
        )
    };
    let Some(stored) = stored_sample_shape(&path)? else {
        return Err(DataError::format(&shown, expected()));
    };
    match stored.split_first() {
        Some((&steps, step))
            if steps > 0 && (step == input.shape || extents(step) == extents(&input.shape)) =>
        {
            Ok(steps)
        }
        _ => Err(DataError::format(
            &shown,
            format!("{}; found samples of shape {stored:?}", expected()),
        )),
    }
}

/// The data of the first input: as messages call them, and where they are.
fn first_path(paths: &SamplePaths, input: &ModelInput) -> (PathBuf, PathBuf) {
    let named = paths.0.iter().find_map(|path| {
        let text = path.to_str()?.strip_prefix(input.name.as_str())?;
        text.strip_prefix('=').map(PathBuf::from)
    });
    let path = named.or_else(|| paths.0.first().cloned()).unwrap_or_default();
    let of_input = PathBuf::from(format!("{}:{}", path.display(), input.name));
    let is_archive = path.extension().is_some_and(|extension| extension == "npz");
    match is_archive && matches!(stored_sample_shape(&of_input), Ok(Some(_))) {
        true => (path, of_input),
        false => (path.clone(), path),
    }
}

/// Of sequences with the steps of one input after those of the other, each step with all inputs; `lens` are
/// the elements of a step of each input.
pub(crate) fn by_steps(sequence: &[f32], lens: &[usize], steps: usize) -> Vec<f32> {
    if lens.len() == 1 {
        return sequence.to_vec();
    }
    let mut starts = Vec::with_capacity(lens.len());
    let mut start = 0;
    for len in lens {
        starts.push(start);
        start += len * steps;
    }
    let parts = |step: usize| {
        let part = move |(&start, &len): (&usize, &usize)| {
            &sequence[start + step * len..start + (step + 1) * len]
        };
        starts.iter().zip(lens).flat_map(part).copied().collect::<Vec<f32>>()
    };
    (0..steps).flat_map(parts).collect()
}

/// Whether labels have an element, or more, for each step.
pub(crate) fn are_of_steps(labels: &[usize], steps: usize) -> bool {
    labels.get(1) == Some(&steps)
}
