//! Intervals of operations on two values.

use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, Strides};
use burn_ptq_kernels::reference::{self, Storage};

use super::interval::{Interval, hull, of_type};
use crate::op::{BinaryFunction, DType};
use crate::program::{IntNode, Program, TensorId};

/// What meets in each channel of the output.
pub(super) struct TwoValues {
    dtype: DType,
    /// Zero points of both inputs and the output.
    zero_points: [i32; 3],
    values: [Vec<Interval>; 2],
}

impl TwoValues {
    pub(super) fn of(program: &Program, node: &IntNode, values: [Vec<Interval>; 2]) -> Self {
        let ids = [node.inputs[0], node.inputs[1], node.output];
        let zero_points = ids.map(|id: TensorId| program.tensors[id.0].grid.zero_point);
        Self { dtype: program.tensors[node.output.0].dtype, zero_points, values }
    }

    pub(super) fn sum(&self, params: &AddParams, clamp: Clamp) -> Vec<Interval> {
        of_type!(self.dtype, S => self.at(rising, |_, a, b, y: &mut [S]| {
            reference::add(params, self.zero_points, clamp, a, b, y);
        }))
    }

    pub(super) fn product(&self, multiplier: Multiplier, clamp: Clamp) -> Vec<Interval> {
        of_type!(self.dtype, S => self.at(corners, |_, a, b, y: &mut [S]| {
            reference::mul(multiplier, self.zero_points, clamp, a, b, y);
        }))
    }

    pub(super) fn function(&self, function: &BinaryFunction, clamp: Clamp) -> Vec<Interval> {
        let points = self.zero_points;
        of_type!(self.dtype, S => match function {
            BinaryFunction::Sub(params) => self.at(corners, |strides, a, b, y: &mut [S]| {
                reference::sub(params, points, clamp, strides, a, b, y);
            }),
            BinaryFunction::Minimum => self.at(rising, |strides, a, b, y: &mut [S]| {
                reference::minimum(strides, a, b, y);
            }),
            BinaryFunction::Maximum => self.at(rising, |strides, a, b, y: &mut [S]| {
                reference::maximum(strides, a, b, y);
            }),
            // A product on both sides of the kink.
            BinaryFunction::Prelu(params) => {
                let kink = [points[0] - 1, points[0]];
                let sides = |a: Interval, b: Interval| {
                    let at_kink = Interval { min: a.nearest(kink[0]), max: a.nearest(kink[1]) };
                    [corners(a, b), corners(at_kink, b)].concat()
                };
                self.at(sides, |strides, a, b, y: &mut [S]| {
                    reference::prelu(params, points, clamp, strides, a, b, y);
                })
            }
            // It has a pole.
            BinaryFunction::Div(_) => vec![Interval::of(clamp); self.values[0].len()],
        })
    }

    /// In each channel, the interval of what `kernel` makes of pairs of values.
    fn at<S: Storage>(
        &self,
        pairs: impl Fn(Interval, Interval) -> Vec<[i32; 2]>,
        kernel: impl Fn(&Strides, &[S], &[S], &mut [S]),
    ) -> Vec<Interval> {
        let [a, b] = &self.values;
        let interval = |(&a, &b): (&Interval, &Interval)| {
            let pairs = pairs(a, b);
            let [a, b]: [Vec<S>; 2] =
                [0, 1].map(|side| pairs.iter().map(|pair| S::from_integer(pair[side])).collect());
            let mut outputs = vec![S::from_integer(0); pairs.len()];
            let shape = [1, 1, pairs.len()];
            kernel(&Strides::of_shapes(shape, shape), &a, &b, &mut outputs);
            let outputs: Vec<Interval> =
                outputs.into_iter().map(|y| Interval::point(y.integer())).collect();
            hull(&outputs).unwrap_or(Interval::point(0))
        };
        a.iter().zip(b).map(interval).collect()
    }
}

/// Where what rises with both values has its ends.
fn rising(a: Interval, b: Interval) -> Vec<[i32; 2]> {
    vec![[a.min, b.min], [a.max, b.max]]
}

/// Where what rises or falls with each value, whatever the other is, has its ends.
fn corners(a: Interval, b: Interval) -> Vec<[i32; 2]> {
    vec![[a.min, b.min], [a.min, b.max], [a.max, b.min], [a.max, b.max]]
}
