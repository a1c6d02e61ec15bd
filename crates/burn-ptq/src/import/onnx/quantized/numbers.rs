//! Scales and zero points.

use burn_ptq_kernels::grid::{Grid, signed_range};

use super::super::attributes::Attributes;
use super::super::constants::{Constant, Elements, normalize_axis};
use super::super::error::Refusal;
use super::super::tensor::data_type;
use crate::graph::GivenGrid;

/// The grid of a value of integers in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Quantization {
    pub scale: f32,
    pub zero_point: i64,
    /// The smallest and the largest integer.
    pub bounds: [i64; 2],
}

/// Scales and zero points of a tensor, and which element has which.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    spread: Spread,
}

/// Which scale an element has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    /// All the same one.
    Tensor,
    /// One for each place along an axis of `extent`, with `inner` elements behind it.
    Axis { extent: usize, inner: usize },
    /// One for each `block` places along such an axis.
    Blocks { extent: usize, inner: usize, block: usize },
}

impl Scales {
    /// Those of a node on a tensor of `shape`; `None` as shape if that is computed at run time.
    pub(super) fn of(
        attributes: Attributes,
        shape: Option<&[usize]>,
        scale: &Constant,
        zero_point: Option<&Constant>,
    ) -> Result<Self, Refusal> {
        let scales = scale.to_floats()?;
        if let Some(wrong) = scales.iter().find(|s| !s.is_normal() || **s < 0.0) {
            return Err(Refusal::invalid(format!(
                "expected scales that are positive numbers, found {wrong}"
            )));
        }
        let zero_points = match zero_point {
            None => vec![0; scales.len()],
            Some(constant) if constant.len() == scales.len() => match &constant.elements {
                Elements::Integer(elements) => {
                    elements.iter().map(|e| e.known()).collect::<Result<_, _>>()?
                }
                Elements::Float(_) => {
                    return Err(Refusal::new(
                        "its zero points are floats: integers of 8-bit floats have no integer kernel",
                        "quantize the model to INT8",
                    ));
                }
            },
            Some(constant) => {
                return Err(Refusal::invalid(format!(
                    "expected as many zero points as scales, found {} and {}",
                    constant.len(),
                    scales.len()
                )));
            }
        };
        let spread = match (scales.len(), shape) {
            (1, _) => Spread::Tensor,
            (_, None) => {
                return Err(Refusal::new(
                    "it gives activations a scale for each channel, and integer kernels take one",
                    "quantize activations per tensor",
                ));
            }
            (count, Some(shape)) => {
                let axis = normalize_axis(attributes.int("axis", 1)?, shape.len())?;
                let (extent, inner) = (shape[axis], shape[axis + 1..].iter().product());
                let block = attributes.int("block_size", 0)?;
                let spread = match usize::try_from(block) {
                    Ok(0) => Spread::Axis { extent, inner },
                    Ok(block) => Spread::Blocks { extent, inner, block },
                    Err(_) => return Err(Refusal::invalid("its block_size is negative")),
                };
                let outer: usize = shape[..axis].iter().product();
                let expected = match spread {
                    Spread::Blocks { block, .. } => outer * extent.div_ceil(block) * inner,
                    Spread::Tensor | Spread::Axis { .. } => extent,
                };
                if count != expected {
                    return Err(Refusal::invalid(format!(
                        "expected {expected} scales along axis {axis} of {shape:?}, found {count}"
                    )));
                }
                spread
            }
        };
        Ok(Self { scales, zero_points, spread })
    }

    /// The place of the scale that element `index` has.
    pub(super) fn place(&self, index: usize) -> usize {
        match self.spread {
            Spread::Tensor => 0,
            Spread::Axis { extent, inner } => index / inner % extent,
            Spread::Blocks { extent, inner, block } => {
                let (outer, along) = (index / (inner * extent), index / inner % extent);
                (outer * extent.div_ceil(block) + along / block) * inner + index % inner
            }
        }
    }

    /// The grid of all elements, of integers of a type.
    pub(super) fn single(&self, kind: i32) -> Result<Quantization, Refusal> {
        let bounds = integer_bounds(kind)?;
        let (&[scale], &[zero_point]) = (&self.scales[..], &self.zero_points[..]) else {
            return Err(Refusal::invalid("expected one scale and one zero point"));
        };
        if !(bounds[0]..=bounds[1]).contains(&zero_point) {
            let [low, high] = bounds;
            return Err(Refusal::invalid(format!(
                "expected a zero point from {low} to {high}, found {zero_point}"
            )));
        }
        Ok(Quantization { scale, zero_point, bounds })
    }
}

/// The bounds of the integers of a type that activations have.
fn integer_bounds(kind: i32) -> Result<[i64; 2], Refusal> {
    use data_type::*;
    let known = [INT8, UINT8, INT16, UINT16, INT4, UINT4, INT2, UINT2];
    match data_type::all_integers(kind).filter(|_| known.contains(&kind)) {
        Some(integers) => Ok([integers.min, integers.max]),
        None => Err(Refusal::new(
            format!("it quantizes activations to {}", data_type::name(kind)),
            "quantize the model to INT8, UINT8 or INT16",
        )),
    }
}

impl Quantization {
    /// Whether the same integers stand for the same numbers.
    pub(super) fn has_steps_of(self, other: Self) -> bool {
        (self.scale, self.zero_point) == (other.scale, other.zero_point)
    }

    /// The real number that an integer stands for.
    pub(super) fn real(self, integer: i64) -> f32 {
        (integer - self.zero_point) as f32 * self.scale
    }

    /// The grid of the program: signed integers of as few bits as there are numbers. The second is whether it had
    /// to be another one, because 16 bits have a zero point of 0.
    pub(super) fn given(self) -> (GivenGrid, bool) {
        let [low, high] = self.bounds;
        let count = (high - low + 1) as u64;
        let bits = count.next_power_of_two().trailing_zeros().max(2) as u8;
        let bits = if bits > 8 { 16 } else { bits };
        let (min, max) = signed_range(bits, false);
        let zero_point = self.zero_point - low + i64::from(min);
        if bits == 16 && zero_point != 0 {
            let reach = (self.zero_point - low).max(high - self.zero_point);
            let scale = self.scale * reach as f32 / max as f32;
            return (GivenGrid { bits, grid: Grid { scale, zero_point: 0, min, max } }, true);
        }
        let grid = Grid { scale: self.scale, zero_point: zero_point as i32, min, max };
        (GivenGrid { bits, grid }, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(zero_point: i64, bounds: [i64; 2]) -> (u8, i32, f32, bool) {
        let (given, changed) = Quantization { scale: 0.5, zero_point, bounds }.given();
        (given.bits, given.grid.zero_point, given.grid.scale, changed)
    }

    #[test]
    fn grids_become_signed_ones_of_the_same_numbers() {
        assert_eq!(given(130, [0, 255]), (8, 2, 0.5, false));
        assert_eq!(given(-3, [-128, 127]), (8, -3, 0.5, false));
        assert_eq!(given(3, [0, 15]), (4, -5, 0.5, false));
        assert_eq!(given(0, [-32768, 32767]), (16, 0, 0.5, false));
        assert_eq!(given(32768, [0, 65535]), (16, 0, 0.5, false));
        // An unsigned 16-bit grid from zero takes twice the step.
        let (bits, zero_point, scale, changed) = given(0, [0, 65535]);
        assert_eq!((bits, zero_point, changed), (16, 0, true));
        assert!((scale - 0.5 * 65535.0 / 32767.0).abs() < 1e-6);
    }

    #[test]
    fn elements_have_the_scale_of_their_channel_or_block() {
        let floats = |shape: &[usize], data: Vec<f32>| Constant {
            shape: shape.to_vec(),
            elements: Elements::Float(data),
        };
        let scales = |shape: &[usize]| {
            Scales::of(Attributes(&[]), Some(shape), &floats(&[2], vec![1.0, 2.0]), None)
        };
        // Along axis 1, unless said otherwise.
        let places =
            |scales: &Scales, count: usize| (0..count).map(|i| scales.place(i)).collect::<Vec<_>>();
        assert_eq!(places(&scales(&[2, 2]).unwrap(), 4), [0, 1, 0, 1]);
        assert_eq!(places(&scales(&[1, 2, 2]).unwrap(), 4), [0, 0, 1, 1]);
        assert!(scales(&[2, 3]).is_err());
        let attribute = crate::import::proto::int("block_size", 2);
        let scale = floats(&[1, 2, 1], vec![1.0, 2.0]);
        let blocks = Scales::of(Attributes(&[attribute]), Some(&[1, 3, 2]), &scale, None);
        assert!(blocks.is_err(), "two blocks of each of two elements are four scales");
        let attribute = crate::import::proto::int("block_size", 2);
        let scale = floats(&[1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let blocks = Scales::of(Attributes(&[attribute]), Some(&[1, 3, 2]), &scale, None).unwrap();
        assert_eq!(places(&blocks, 6), [0, 1, 0, 1, 2, 3]);
    }
}
