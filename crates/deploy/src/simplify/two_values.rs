//! Intervals of operations on two values.

use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, Strides};
use burn_ptq_kernels::reference::{self, Storage};

use super::interval::{Interval, hull, of_type};
use crate::op::{BinaryFunction, DType};
use crate::program::{IntNode, Program, TensorId};

/// What meets in each channel of the output.
pub(super) struct TwoValues {
    /// The element types of the inputs and the output.
    types: [DType; 2],
    /// Zero points of both inputs and the output.
    zero_points: [i32; 3],
    values: [Vec<Interval>; 2],
}

impl TwoValues {
    pub(super) fn of(program: &Program, node: &IntNode, values: [Vec<Interval>; 2]) -> Self {
        let ids = [node.inputs[0], node.inputs[1], node.output];
        let zero_points = ids.map(|id: TensorId| program.tensors[id.0].grid.zero_point);
        let types = [node.inputs[0], node.output].map(|id| program.tensors[id.0].dtype);
        Self { types, zero_points, values }
    }

    pub(super) fn sum(&self, params: &AddParams, clamp: Clamp) -> Vec<Interval> {
        of_type!(self.types[0], S => self.at(rising, |_, a: &[S], b, y: &mut [S]| {
            reference::add(params, self.zero_points, clamp, a, b, y);
        }))
    }

    pub(super) fn product(&self, multiplier: Multiplier, clamp: Clamp) -> Vec<Interval> {
        of_type!(self.types[0], S => of_type!(self.types[1], T => {
            self.at(corners, |_, a: &[S], b, y: &mut [T]| {
                reference::mul(multiplier, self.zero_points, clamp, a, b, y);
            })
        }))
    }

    pub(super) fn function(&self, function: &BinaryFunction, clamp: Clamp) -> Vec<Interval> {
        let points = self.zero_points;
        of_type!(self.types[0], S => match function {
            BinaryFunction::Sub(params) => self.at(corners, |strides, a: &[S], b, y: &mut [S]| {
                reference::sub(params, points, clamp, strides, a, b, y);
            }),
            BinaryFunction::Minimum => self.at(rising, |strides, a: &[S], b, y: &mut [S]| {
                reference::minimum(strides, a, b, y);
            }),
            BinaryFunction::Maximum => self.at(rising, |strides, a: &[S], b, y: &mut [S]| {
                reference::maximum(strides, a, b, y);
            }),
            // A product on both sides of the kink.
            BinaryFunction::Prelu(params) => {
                let kink = [points[0] - 1, points[0]];
                let sides = |a: Interval, b: Interval| {
                    let at_kink = Interval { min: a.nearest(kink[0]), max: a.nearest(kink[1]) };
                    [corners(a, b), corners(at_kink, b)].concat()
                };
                self.at(sides, |strides, a: &[S], b, y: &mut [S]| {
                    reference::prelu(params, points, clamp, strides, a, b, y);
                })
            }
            // It has a pole.
            BinaryFunction::Div(_) => vec![Interval::of(clamp); self.values[0].len()],
        })
    }

    /// In each channel, the interval of what `kernel` makes of pairs of values.
    fn at<S: Storage, T: Storage>(
        &self,
        pairs: impl Fn(Interval, Interval) -> Vec<[i32; 2]>,
        kernel: impl Fn(&Strides, &[S], &[S], &mut [T]),
    ) -> Vec<Interval> {
        let [a, b] = &self.values;
        let interval = |(&a, &b): (&Interval, &Interval)| {
            let pairs = pairs(a, b);
            let [a, b]: [Vec<S>; 2] =
                [0, 1].map(|side| pairs.iter().map(|pair| S::from_integer(pair[side])).collect());
            let mut outputs = vec![T::from_integer(0); pairs.len()];
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

#[cfg(test)]
mod tests {
    use burn_ptq_kernels::params::PreluParams;
    use proptest::prelude::*;

    use super::*;

    fn clamp() -> impl Strategy<Value = Clamp> {
        (-128..128, -128..128).prop_map(|(a, b): (i32, i32)| Clamp { min: a.min(b), max: a.max(b) })
    }

    fn interval() -> impl Strategy<Value = Interval> {
        (-128..128, 0..12)
            .prop_map(|(min, steps): (i32, i32)| Interval { min, max: (min + steps).min(127) })
    }

    fn scale() -> impl Strategy<Value = f32> {
        0.003_f32..0.3
    }

    /// The functions of all kinds.
    fn function() -> impl Strategy<Value = BinaryFunction> {
        (scale(), scale(), scale(), 0..5).prop_filter_map("a ratio", |(a, b, output, kind)| {
            Some(match kind {
                0 => BinaryFunction::Sub(AddParams::new(a, b, output, false)?),
                1 => BinaryFunction::Minimum,
                2 => BinaryFunction::Maximum,
                3 => BinaryFunction::Prelu(PreluParams::new(a, b, output)?),
                _ => BinaryFunction::Div(Multiplier::from_real(f64::from(a))?),
            })
        })
    }

    /// Checks that `found` of two values holds what it gives of each pair of single ones.
    fn check(two: &TwoValues, found: impl Fn(&TwoValues) -> Vec<Interval>) {
        let [a, b] = [two.values[0][0], two.values[1][0]];
        let interval = found(two)[0];
        for x in a.min..=a.max {
            for y in b.min..=b.max {
                let values = [x, y].map(|value| vec![Interval::point(value)]);
                let single = found(&TwoValues { values, ..*two });
                assert!(single[0].lies_in(interval), "{x} and {y}: {single:?}, not {interval:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn intervals_hold_the_outputs_of_every_pair(
            (a, b, clamp) in (interval(), interval(), clamp()),
            zero_points in [-128..128, -128..128, -128..128],
            (scale_a, scale_b, function) in (scale(), scale(), function()),
        ) {
            let values = [vec![a], vec![b]];
            let two = TwoValues { types: [DType::I8; 2], zero_points, values };
            let params = AddParams::new(scale_a, scale_b, 0.1, false).expect("usual scales");
            check(&two, |two| two.sum(&params, clamp));
            let multiplier = Multiplier::from_real(f64::from(scale_a)).expect("a usual factor");
            check(&two, |two| two.product(multiplier, clamp));
            // In 8 bits, of elements of 16.
            let [a, b] = [a, b].map(|x| Interval { min: 200 * x.min, max: 200 * x.min + 9 });
            let values = [vec![a], vec![b]];
            let zero_points = [0, 0, two.zero_points[2]];
            let narrow = TwoValues { types: [DType::I16, DType::I8], zero_points, values };
            let exponent = multiplier.exponent - 16;
            check(&narrow, |two| two.product(Multiplier { exponent, ..multiplier }, clamp));
            check(&two, |two| two.function(&function, clamp));
        }
    }
}
