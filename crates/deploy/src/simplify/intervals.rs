//! What each channel of each activation can be, whatever bytes the caller passes.
//!
//! Operations on numbers are evaluated by the kernels at the ends of their inputs' intervals, between
//! which they are monotone.

use burn_ptq_kernels::geometry::Window;
use burn_ptq_kernels::params::Reduction;
use burn_ptq_kernels::reference::{self, Storage};

use super::interval::{Interval, hull, of_type};
use super::layer::Layer;
use super::links::{Link, links};
use super::two_values::TwoValues;
use crate::op::{DType, IntOp};
use crate::program::{IntNode, IntTensor, Program};
use crate::run::tensor_integers;

/// The intervals of all channels of all tensors of a valid program.
pub(super) fn intervals(program: &Program) -> Vec<Vec<Interval>> {
    let mut found: Vec<Vec<Interval>> = vec![Vec::new(); program.tensors.len()];
    for given in program.given() {
        let tensor = &program.tensors[given.0];
        found[given.0] = vec![Interval::stored(tensor); tensor.shape[2]];
    }
    let mut held = vec![false; program.tensors.len()];
    for carried in program.carried() {
        held[carried.held.0] = true;
    }
    for node in &program.nodes {
        let id = node.output;
        found[id.0] = if held[id.0] {
            // What later steps find there is written by nodes that come after its readers.
            let tensor = &program.tensors[id.0];
            vec![Interval::stored(tensor); tensor.shape[2]]
        } else {
            node_intervals(program, node, &found)
        };
    }
    found
}

/// The intervals of the channels of a node's output.
pub(super) fn node_intervals(
    program: &Program,
    node: &IntNode,
    found: &[Vec<Interval>],
) -> Vec<Interval> {
    let output = &program.tensors[node.output.0];
    let channels = output.shape[2];
    let all = |interval: Interval| vec![interval; channels];
    let links = links(program, node);
    let met = |i: usize| met(links.inputs[i], &found[node.inputs[i].0], channels);
    let whole = |i: usize| -> Vec<Interval> {
        met(i).into_iter().map(|x| x.unwrap_or(Interval::stored(output))).collect()
    };
    match &node.op {
        IntOp::Conv2d { weighted, .. }
        | IntOp::DepthwiseConv2d { weighted, .. }
        | IntOp::TransposeConv2d { weighted, .. }
        | IntOp::FullyConnected { weighted, .. } => match Layer::of(program, node) {
            Some(layer) => layer_intervals(&layer, &found[node.inputs[0].0], channels),
            None => all(Interval::of(weighted.clamp)),
        },
        IntOp::Add { params, clamp, .. } => {
            TwoValues::of(program, node, [whole(0), whole(1)]).sum(params, *clamp)
        }
        IntOp::Mul { multiplier, clamp, .. } => {
            TwoValues::of(program, node, [whole(0), whole(1)]).product(*multiplier, *clamp)
        }
        IntOp::Binary { function, clamp, .. } => {
            TwoValues::of(program, node, [whole(0), whole(1)]).function(function, *clamp)
        }
        // A mean lies between the least and the largest, and rounding keeps integers.
        IntOp::AveragePool { clamp, .. } | IntOp::MaxPool { clamp, .. } => {
            whole(0).into_iter().map(|interval| interval.clamped(*clamp)).collect()
        }
        IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Requantize { .. } => match Function::of(program, node) {
            Some(function) => whole(0).into_iter().map(|x| function.over(x)).collect(),
            None => all(Interval::stored(output)),
        },
        IntOp::Concat { .. } => {
            let joined = (1..node.inputs.len()).fold(met(0), |joined, i| {
                let pairs = joined.into_iter().zip(met(i));
                pairs
                    .map(|(a, b)| hull(&[a, b].into_iter().flatten().collect::<Vec<_>>()))
                    .collect()
            });
            joined.into_iter().map(|x| x.unwrap_or(Interval::stored(output))).collect()
        }
        IntOp::Pad { before, after, value, .. } => {
            let value = Interval::point(*value);
            let around =
                [before[0], before[1], after[0], after[1]].iter().any(|&extent| extent > 0);
            let padded = |x: Option<Interval>| match x {
                Some(x) if around || links.inputs[0] == Link::Whole => x.hull(value),
                Some(x) => x,
                None => value,
            };
            met(0).into_iter().map(padded).collect()
        }
        // The weights of the pixels around an output are not negative, and their sum is 1.
        IntOp::Transpose { .. } | IntOp::Rearrange { .. } | IntOp::ResizeLinear { .. } => whole(0),
        IntOp::Step { .. } => whole(0),
        IntOp::Reduce { reduction, reduced, multiplier, clamp, .. } => match reduction {
            Reduction::Max | Reduction::Min | Reduction::Sum => {
                let input = &program.tensors[node.inputs[0].0];
                let zero_points = [input.grid.zero_point, output.grid.zero_point];
                let end = |x: i32| {
                    of_type!(input.dtype, S => {
                        let elements = vec![S::from_integer(x); *reduced];
                        let (mut y, extents) = ([S::from_integer(0)], [*reduced, 1]);
                        let (reduction, multiplier, clamp) = (*reduction, *multiplier, *clamp);
                        reference::reduce(
                            reduction, extents, multiplier, zero_points, clamp, &elements, &mut y,
                        );
                        y[0].integer()
                    })
                };
                each_once(whole(0), |x| Interval { min: end(x.min), max: end(x.max) })
            }
            Reduction::SumOfMagnitudes | Reduction::SumOfSquares | Reduction::RootOfSquares => {
                all(Interval::of(*clamp))
            }
        },
        IntOp::BatchMatMul { clamp, .. } | IntOp::Normalize { clamp, .. } => {
            all(Interval::of(*clamp))
        }
        IntOp::Lookup8 { width, table } => {
            columns(output, *width, table.iter().map(|&x| i32::from(x)))
        }
        IntOp::Lookup16 { width, table } => {
            columns(output, *width, table.iter().map(|&x| i32::from(x)))
        }
        IntOp::Constant { data } => columns(output, channels, tensor_integers(output, data)),
        IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::TopK { .. }
        | IntOp::Pack
        | IntOp::Unpack => all(Interval::stored(output)),
    }
}

/// What meets each channel of an output, from an input whose channels lie in `intervals`; `None` where
/// nothing does.
fn met(link: Link, intervals: &[Interval], channels: usize) -> Vec<Option<Interval>> {
    match link {
        Link::Whole | Link::Weighted => vec![hull(intervals); channels],
        Link::Paired(pairs) => {
            let mut met = vec![None; channels];
            for (input, output) in pairs.iter() {
                met[output] = Some(intervals[input]);
            }
            met
        }
    }
}

fn layer_intervals(layer: &Layer, inputs: &[Interval], channels: usize) -> Vec<Interval> {
    let mut found: Vec<Option<Interval>> = vec![None; channels];
    let mut whole: Option<Interval> = None;
    for output in 0..layer.outputs {
        let interval = layer.output_interval(output, inputs);
        let place = match layer.output_channel(output) {
            Some(channel) => &mut found[channel],
            None => &mut whole,
        };
        *place = Some(place.map_or(interval, |other| other.hull(interval)));
    }
    let rest = whole.unwrap_or(Interval::of(layer.weighted.clamp));
    found.into_iter().map(|interval| interval.unwrap_or(rest)).collect()
}

/// `f` of each interval, computed once of neighbours that are equal.
fn each_once(intervals: Vec<Interval>, f: impl Fn(Interval) -> Interval) -> Vec<Interval> {
    let mut last = None;
    let once = |interval| match last {
        Some((of, result)) if of == interval => result,
        _ => {
            let result = f(interval);
            last = Some((interval, result));
            result
        }
    };
    intervals.into_iter().map(once).collect()
}

/// The intervals of channels into which rows of `width` elements are written.
fn columns(output: &IntTensor, width: usize, values: impl Iterator<Item = i32>) -> Vec<Interval> {
    let channels = output.shape[2];
    if width != channels {
        let all: Vec<Interval> = values.map(Interval::point).collect();
        return vec![hull(&all).unwrap_or(Interval::stored(output)); channels];
    }
    let mut found: Vec<Option<Interval>> = vec![None; channels];
    for (place, value) in values.enumerate() {
        let (found, value) = (&mut found[place % channels], Interval::point(value));
        *found = Some(found.map_or(value, |other| other.hull(value)));
    }
    found.into_iter().map(|found| found.unwrap_or(Interval::stored(output))).collect()
}

/// The window of a pool that leaves all elements where they are.
const SINGLE_PIXEL: Window =
    Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };

/// An operation on single values that has an output for each.
pub(super) struct Function {
    /// The outputs for all that the input's bytes may hold, in order.
    outputs: Vec<i32>,
    least: i32,
}

impl Function {
    /// The function that a node of a valid program applies to each element, if it does so.
    pub(super) fn of(program: &Program, node: &IntNode) -> Option<Self> {
        let (&id, target) = (node.inputs.first()?, &program.tensors[node.output.0]);
        let input = &program.tensors[id.0];
        let Interval { min, max } = Interval::stored(input);
        let outputs = match &node.op {
            IntOp::Table8 { table } => {
                mapped::<i8, i8>(min..=max, |x, y| reference::table_lookup8(table, x, y))
            }
            IntOp::Table16 { table } => {
                mapped::<i16, i16>(min..=max, |x, y| reference::table_lookup16(table, x, y))
            }
            IntOp::Gate { params } => {
                mapped::<i16, i16>(min..=max, |x, y| reference::gate16(*params, x, y))
            }
            IntOp::Requantize { multiplier, clamp } => {
                let zero_points = [input.grid.zero_point, target.grid.zero_point];
                of_type!(input.dtype, S => of_type!(target.dtype, T => {
                    mapped::<S, T>(min..=max, |x, y| {
                        reference::requantize(*multiplier, zero_points, *clamp, x, y);
                    })
                }))
            }
            IntOp::AveragePool { geometry: g, clamp } | IntOp::MaxPool { geometry: g, clamp }
                if g.input == g.output && g.window == SINGLE_PIXEL =>
            {
                (min..=max).map(|x| clamp.apply(x)).collect()
            }
            IntOp::AveragePool { .. }
            | IntOp::MaxPool { .. }
            | IntOp::Conv2d { .. }
            | IntOp::DepthwiseConv2d { .. }
            | IntOp::TransposeConv2d { .. }
            | IntOp::FullyConnected { .. }
            | IntOp::Add { .. }
            | IntOp::Mul { .. }
            | IntOp::Softmax { .. }
            | IntOp::LogSoftmax { .. }
            | IntOp::Concat { .. }
            | IntOp::Pad { .. }
            | IntOp::Transpose { .. }
            | IntOp::Pack
            | IntOp::Unpack
            | IntOp::BatchMatMul { .. }
            | IntOp::Reduce { .. }
            | IntOp::Normalize { .. }
            | IntOp::TopK { .. }
            | IntOp::Rearrange { .. }
            | IntOp::ResizeLinear { .. }
            | IntOp::Lookup8 { .. }
            | IntOp::Lookup16 { .. }
            | IntOp::Constant { .. }
            | IntOp::Step { .. }
            | IntOp::Binary { .. } => return None,
        };
        Some(Self { outputs, least: min })
    }

    /// The outputs for the values of an interval.
    fn at(&self, interval: Interval) -> &[i32] {
        let place = |value: i32| (value - self.least) as usize;
        &self.outputs[place(interval.min)..=place(interval.max)]
    }

    /// The interval of the outputs for an interval.
    pub(super) fn over(&self, interval: Interval) -> Interval {
        let outputs = self.at(interval);
        let least = outputs.iter().copied().min();
        let most = outputs.iter().copied().max();
        Interval { min: least.unwrap_or(interval.min), max: most.unwrap_or(interval.max) }
    }

    /// Whether it gives back every value of an interval.
    pub(super) fn keeps(&self, interval: Interval) -> bool {
        (interval.min..=interval.max).zip(self.at(interval)).all(|(x, &y)| x == y)
    }
}

/// What `kernel` makes of each of `values`.
fn mapped<S: Storage, T: Storage>(
    values: std::ops::RangeInclusive<i32>,
    kernel: impl Fn(&[S], &mut [T]),
) -> Vec<i32> {
    let inputs: Vec<S> = values.map(S::from_integer).collect();
    let mut outputs = vec![T::from_integer(0); inputs.len()];
    kernel(&inputs, &mut outputs);
    outputs.into_iter().map(T::integer).collect()
}
