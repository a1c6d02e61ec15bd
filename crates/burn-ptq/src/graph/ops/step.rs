//! Where the steps of a sequence begin and end.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid};

/// A border of a loop: the nodes from the first [`Step`] of a sequence to the last one run once for each of
/// its steps, see [`Graph::loops`](crate::graph::Graph::loops).
#[derive(Clone, Debug)]
pub struct Step {
    /// Which loop, by a number of its own.
    pub sequence: usize,
    /// How many steps it has.
    pub steps: usize,
    /// What crosses the border.
    pub role: StepRole,
}

/// What crosses the border of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepRole {
    /// The input of each step, taken along the first axis of a sequence `[steps, ..]`, as `[1, ..]`.
    Take {
        /// Whether the last one comes first.
        reverse: bool,
    },
    /// What the step before left; in the first step, the input.
    Hold,
    /// The output of each step `[1, ..]`, put beside the others into a sequence `[steps, ..]`.
    Put {
        /// Whether the first one comes last.
        reverse: bool,
    },
    /// Of two inputs, what a step holds and what it leaves for the next: what the last step left.
    Last,
}

impl Step {
    /// Where the step that runs at `step` lies in a sequence.
    fn place(&self, step: usize, reverse: bool) -> usize {
        if reverse { self.steps - 1 - step } else { step }
    }

    /// The input of the step that runs at `step`, of a sequence that [`StepRole::Take`] reads.
    pub(crate) fn take(&self, sequence: &Tensor<4>, step: usize) -> Tensor<4> {
        let reverse = self.role == StepRole::Take { reverse: true };
        sequence.clone().narrow(1, self.place(step, reverse), 1)
    }

    /// The sequence of the outputs of all steps, in the order in which they ran, that [`StepRole::Put`] writes.
    pub(crate) fn put(&self, mut steps: Vec<Tensor<4>>) -> Tensor<4> {
        if self.role == (StepRole::Put { reverse: true }) {
            steps.reverse();
        }
        Tensor::cat(steps, 1)
    }
}

impl Operator for Step {
    fn name(&self) -> &'static str {
        match self.role {
            StepRole::Take { .. } => "TakeStep",
            StepRole::Hold => "Hold",
            StepRole::Put { .. } => "PutStep",
            StepRole::Last => "LastStep",
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = inputs[0].to_vec();
        let expected = if self.role == StepRole::Last { 2 } else { 1 };
        if inputs.len() != expected {
            return Err(format!("it takes {expected} inputs, not {}", inputs.len()));
        }
        match self.role {
            StepRole::Take { .. } if shape[0] != self.steps => {
                return Err(format!(
                    "expected a sequence of {} steps, found {shape:?}",
                    self.steps
                ));
            }
            StepRole::Put { .. } if shape[0] != 1 => {
                return Err(format!("expected one step of a sequence, found {shape:?}"));
            }
            StepRole::Last if inputs[0] != inputs[1] => {
                let (held, next) = (inputs[0], inputs[1]);
                return Err(format!("a step that finds {held:?} cannot leave {next:?}"));
            }
            StepRole::Take { .. } => shape[0] = 1,
            StepRole::Put { .. } => shape[0] = self.steps,
            StepRole::Hold | StepRole::Last => {}
        }
        Ok(shape)
    }

    /// What the last step gives, as if all had the same inputs: executors run steps one by one, and this not
    /// at all.
    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        match self.role {
            StepRole::Take { .. } => self.take(&inputs[0], self.steps - 1),
            StepRole::Put { .. } => self.put(vec![inputs[0].clone(); self.steps]),
            StepRole::Hold | StepRole::Last => inputs[inputs.len() - 1].clone(),
        }
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Shared
    }

    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    fn arity(&self) -> RangeInclusive<usize> {
        1..=2
    }

    fn moves_elements(&self) -> bool {
        true
    }

    fn averages(&self) -> bool {
        false
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        false
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
