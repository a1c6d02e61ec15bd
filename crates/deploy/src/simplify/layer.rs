//! Operations with weights, seen alike: outputs are weighted sums of inputs over the taps of a window.

use std::collections::BTreeSet;

use burn_ptq_kernels::geometry::{MeetingTaps, TransposeConvGeometry, Window};
use burn_ptq_kernels::params::Requantize;
use burn_ptq_kernels::reference::{Storage, finish_as};

use super::interval::{Interval, hull, of_type};
use crate::op::{DType, IntOp, Weighted, weightless};
use crate::program::{IntNode, Program};

/// Of more elements than this, sets of taps are not listed one by one.
const MAX_LISTED: usize = 1 << 14;

/// An operation with weights, and what it reads and writes.
pub(super) struct Layer<'p> {
    pub weighted: &'p Weighted,
    /// The weights, one byte each.
    pub weights: Vec<i8>,
    /// Output channels.
    pub outputs: usize,
    /// Inputs that an output channel reads at a tap.
    pub depth: usize,
    /// Taps of the window.
    pub taps: usize,
    /// Output channels that read the same inputs.
    filters: usize,
    /// Whether output channels lie along the last axis of the weights.
    depthwise: bool,
    /// Channels of the tensors that it reads and writes.
    channels: [usize; 2],
    /// Inputs at a tap, of all output channels together.
    inputs: usize,
    /// The taps that meet an element of the input, in one window or another; `None` if there are too
    /// many such sets.
    sets: Option<Vec<Vec<usize>>>,
    requantize: Requantize<'p>,
    /// The element types of input and output.
    types: [DType; 2],
}

impl<'p> Layer<'p> {
    /// The layer of a node of a valid program, if it is one.
    pub(super) fn of(program: &'p Program, node: &'p IntNode) -> Option<Self> {
        let (weighted, sets, taps, inputs, depth, filters) = match &node.op {
            IntOp::Conv2d { geometry: g, weighted } => {
                let sets = sets_of(&g.window, g.input, g.output);
                let (depth, filters) = (g.inputs_per_group(), g.filters_per_group());
                (weighted, sets, g.window.kernel, g.in_channels, depth, filters)
            }
            IntOp::DepthwiseConv2d { geometry: g, weighted } => {
                let sets = sets_of(&g.window, g.input, g.output);
                (weighted, sets, g.window.kernel, g.channels, 1, g.multiplier)
            }
            IntOp::TransposeConv2d { geometry: g, weighted } => {
                let (depth, filters) = (g.inputs_per_group(), g.filters_per_group());
                (weighted, transposed_sets(g), g.window.kernel, g.in_channels, depth, filters)
            }
            IntOp::FullyConnected { in_features, out_features, weighted, .. } => {
                let sets = Some(vec![vec![0]]);
                (weighted, sets, [1, 1], *in_features, *in_features, *out_features)
            }
            weightless!() => return None,
        };
        let (input, output) = (&program.tensors[node.inputs[0].0], &program.tensors[node.output.0]);
        Some(Self {
            weighted,
            weights: weighted.weights.unpack(),
            outputs: weighted.bias.len(),
            depth,
            taps: taps[0] * taps[1],
            filters,
            depthwise: matches!(node.op, IntOp::DepthwiseConv2d { .. }),
            channels: [input.shape[2], output.shape[2]],
            inputs,
            sets,
            requantize: Requantize {
                input_zero_point: input.grid.zero_point,
                output_zero_point: output.grid.zero_point,
                bias: &weighted.bias,
                multipliers: &weighted.multipliers,
                clamp: weighted.clamp,
            },
            types: [input.dtype, output.dtype],
        })
    }

    /// The place of a weight.
    pub(super) fn place(&self, output: usize, tap: usize, input: usize) -> usize {
        match self.depthwise {
            true => tap * self.outputs + output,
            false => (output * self.taps + tap) * self.depth + input,
        }
    }

    fn weight(&self, output: usize, tap: usize, input: usize) -> i64 {
        i64::from(self.weights[self.place(output, tap, input)])
    }

    /// The channel of the input's tensor that an output channel reads as its `input`-th; `None` if
    /// several share that place.
    pub(super) fn input_channel(&self, output: usize, input: usize) -> Option<usize> {
        let channels = self.channels[0];
        let first = output.checked_div(self.filters)? * self.depth;
        self.inputs.is_multiple_of(channels).then_some((first + input) % channels)
    }

    /// The channel of the output's tensor that an output channel is; `None` if it is several.
    pub(super) fn output_channel(&self, output: usize) -> Option<usize> {
        let channels = self.channels[1];
        self.outputs.is_multiple_of(channels).then_some(output % channels)
    }

    /// What an output channel can be, for inputs whose channels lie in `inputs`.
    pub(super) fn output_interval(&self, output: usize, inputs: &[Interval]) -> Interval {
        // Rescaling is monotone.
        let [min, max] = self.accumulators(output, inputs);
        let [min, max] = [min, max].map(|sum| self.finished(output, sum));
        Interval { min, max }
    }

    /// The least and the largest accumulator of an output channel.
    fn accumulators(&self, output: usize, inputs: &[Interval]) -> [i64; 2] {
        let whole = hull(inputs).unwrap_or(Interval::point(0));
        let mut least = vec![0_i64; self.taps];
        let mut most = least.clone();
        for input in 0..self.depth {
            let interval = self.input_channel(output, input).map_or(whole, |c| inputs[c]);
            let [low, high] = [interval.min, interval.max]
                .map(|x| i64::from(x) - i64::from(self.requantize.input_zero_point));
            for tap in 0..self.taps {
                let weight = self.weight(output, tap, input);
                least[tap] += (weight * low).min(weight * high);
                most[tap] += (weight * low).max(weight * high);
            }
        }
        let bias = i64::from(self.weighted.bias[output]);
        let (min, max) = match &self.sets {
            Some(sets) => {
                let sum = |of: &[i64], set: &Vec<usize>| set.iter().map(|&t| of[t]).sum::<i64>();
                let min = sets.iter().map(|set| sum(&least, set)).min();
                let max = sets.iter().map(|set| sum(&most, set)).max();
                (min.unwrap_or(0), max.unwrap_or(0))
            }
            // Any taps may be missing.
            None => (
                least.iter().map(|&sum| sum.min(0)).sum(),
                most.iter().map(|&sum| sum.max(0)).sum(),
            ),
        };
        [bias + min, bias + max]
    }

    /// The output for an accumulator.
    fn finished(&self, output: usize, sum: i64) -> i32 {
        let [from, to] = self.types;
        // Sums of a valid program fit.
        let narrow = sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        of_type!(to, T => match from {
            DType::I16 => finish_as::<i16, T>(&self.requantize, output, sum).integer(),
            DType::I8 | DType::I4 => finish_as::<i8, T>(&self.requantize, output, narrow).integer(),
        })
    }

    /// What an input adds to an output channel's accumulators, if that is the same in every window:
    /// nothing where all its weights are 0, a constant's share where no padding takes its place.
    pub(super) fn share(&self, output: usize, input: usize, interval: Interval) -> Option<i64> {
        let zero_point = self.requantize.input_zero_point;
        let weights = || (0..self.taps).map(|tap| self.weight(output, tap, input));
        if interval.constant() == Some(zero_point) || weights().all(|weight| weight == 0) {
            return Some(0);
        }
        let value = i64::from(interval.constant()?) - i64::from(zero_point);
        let weights: Vec<i64> = weights().collect();
        let sum = |set: &Vec<usize>| set.iter().map(|&tap| weights[tap]).sum::<i64>();
        let mut sums = self.sets.as_ref()?.iter().map(sum);
        let first = sums.next()?;
        sums.all(|other| other == first).then_some(first * value)
    }

    /// Whether an output channel's bias takes the shares of all inputs that have one.
    pub(super) fn bias_holds(&self, output: usize, shares: impl Iterator<Item = i64>) -> bool {
        let bias = i64::from(self.weighted.bias[output]);
        // Any of them may stay.
        let largest = bias.abs() + shares.map(i64::abs).sum::<i64>();
        largest <= i64::from(i32::MAX)
    }

    /// The output of a channel that has one for all `inputs`, as a bias without weights; `None` if the
    /// channel varies or no bias gives its output.
    ///
    /// `typical` is a channel that varies, if there is one whose multiplier others may have.
    pub(super) fn constant(
        &self,
        output: usize,
        inputs: &[Interval],
        typical: Option<usize>,
    ) -> Option<Unweighted> {
        let [least, most] = self.accumulators(output, inputs);
        let value = self.finished(output, least);
        if value != self.finished(output, most) {
            return None;
        }
        let far = |like: usize| i32::MAX >> (self.requantize.multiplier(like).exponent.max(0) + 1);
        typical
            .and_then(|like| {
                Some(Unweighted { bias: self.bias_for(value, like, far(like))?, like })
            })
            .or_else(|| {
                // The accumulators themselves give it.
                let closest = 0.clamp(least, most);
                let magnitude = i32::try_from(closest.abs()).ok()?;
                Some(Unweighted { bias: self.bias_for(value, output, magnitude)?, like: output })
            })
    }

    /// The bias closest to 0, at most `most` from it, that alone makes an output channel `value`, with
    /// the multiplier of channel `like`.
    fn bias_for(&self, value: i32, like: usize, most: i32) -> Option<i32> {
        let at = |sum: i32| self.finished(like, i64::from(sum));
        let start = at(0);
        if start == value {
            return Some(0);
        }
        let sign = if start < value { 1 } else { -1 };
        let reaches = |magnitude: i32| {
            let found = at(sign * magnitude);
            if sign > 0 { found >= value } else { found <= value }
        };
        if !reaches(most) {
            return None;
        }
        let (mut short, mut enough) = (0, most);
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if reaches(middle) {
                enough = middle;
            } else {
                short = middle;
            }
        }
        (at(sign * enough) == value).then_some(sign * enough)
    }
}

/// An output channel without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unweighted {
    pub bias: i32,
    /// The channel whose scale and multiplier it has: they follow from each other.
    pub like: usize,
}

/// The distinct sets of taps of the windows over a plane.
fn sets_of(window: &Window, input: [usize; 2], output: [usize; 2]) -> Option<Vec<Vec<usize>>> {
    let of_axis = |axis: usize| {
        distinct((0..output[axis]).map(|out| window.taps(axis, out, input[axis]).collect()))
    };
    combined(window.kernel, [of_axis(0)?, of_axis(1)?])
}

fn transposed_sets(geometry: &TransposeConvGeometry) -> Option<Vec<Vec<usize>>> {
    let of_axis = |axis: usize| {
        let meetings = (0..geometry.output[axis]).map(|out| geometry.taps(axis, out));
        distinct(meetings.map(|MeetingTaps { tap, tap_step, count, .. }| {
            (0..count).map(|i| tap + i * tap_step).collect()
        }))
    };
    combined(geometry.window.kernel, [of_axis(0)?, of_axis(1)?])
}

/// The distinct ones of sets of taps along an axis, if they are few.
fn distinct(sets: impl Iterator<Item = Vec<usize>>) -> Option<BTreeSet<Vec<usize>>> {
    let (mut found, mut elements) = (BTreeSet::new(), 0);
    for set in sets {
        let len = set.len();
        if found.insert(set) {
            elements += len + 1;
        }
        if elements > MAX_LISTED {
            return None;
        }
    }
    Some(found)
}

/// Sets of taps of the plane, of those along both axes.
fn combined(kernel: [usize; 2], axes: [BTreeSet<Vec<usize>>; 2]) -> Option<Vec<Vec<usize>>> {
    let [rows, columns] = axes;
    let taps = kernel[0].saturating_mul(kernel[1]);
    if rows.len().saturating_mul(columns.len()).saturating_mul(taps) > MAX_LISTED {
        return None;
    }
    let place = |row: usize, column: usize| row * kernel[1] + column;
    let joined = |rows: &Vec<usize>, columns: &Vec<usize>| {
        rows.iter().flat_map(|&row| columns.iter().map(move |&column| place(row, column))).collect()
    };
    let sets =
        rows.iter().flat_map(|rows| columns.iter().map(move |columns| joined(rows, columns)));
    Some(sets.collect())
}
