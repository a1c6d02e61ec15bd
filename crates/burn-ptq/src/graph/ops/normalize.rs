//! Normalization of groups of elements: layer, instance, group, root mean square and L2.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, TensorData};

use super::{Array, Operator, OutputGrid};

/// What a group is divided by, and whether its mean is subtracted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalizeBy {
    /// By its standard deviation, after its mean is subtracted.
    Deviation,
    /// By its root mean square.
    RootMeanSquare,
    /// By the root of the sum of its squares.
    Norm,
}

/// Normalization of groups of elements, with a scale and a shift.
#[derive(Clone, Debug)]
pub struct Normalize {
    /// What groups are divided by.
    pub by: NormalizeBy,
    /// The axes of a sample that are normalized together, counted without the batch, ascending.
    pub axes: Vec<usize>,
    /// Parts of axis 0 that are normalized apart, if that is among the axes; 1 if it is not split.
    pub parts: usize,
    /// What is added to the mean of the squares (for [`NormalizeBy::Norm`], to their sum) before the
    /// root.
    pub epsilon: f32,
    /// The elements of a group.
    pub elements: usize,
    /// Scales: of as many axes as a sample, each of its extent or 1.
    pub scale: Option<Array>,
    /// Shifts, of the shape of the scales.
    pub shift: Option<Array>,
}

impl Normalize {
    /// How many times the root of its squares an element may be, at most.
    pub(crate) fn reach(&self) -> f64 {
        match self.by {
            NormalizeBy::Norm => 1.0,
            NormalizeBy::Deviation | NormalizeBy::RootMeanSquare => (self.elements as f64).sqrt(),
        }
    }

    /// The largest magnitude of an output.
    pub(crate) fn largest(&self) -> f64 {
        let largest = |array: &Option<Array>, default: f32| {
            let data = array.as_ref().map_or(&[][..], |array| &array.data);
            let magnitudes = data.iter().map(|x| x.abs());
            f64::from(magnitudes.reduce(f32::max).unwrap_or(default))
        };
        self.reach() * largest(&self.scale, 1.0) + largest(&self.shift, 0.0)
    }

    fn parameter(array: &Array, x: &Tensor<4>) -> Tensor<4> {
        let mut dims = [1; 4];
        dims[1..=array.shape.len()].copy_from_slice(&array.shape);
        Tensor::from_data(TensorData::new(array.data.clone(), dims), &x.device())
    }
}

impl Operator for Normalize {
    fn name(&self) -> &'static str {
        match self.by {
            NormalizeBy::Deviation if self.parts > 1 => "GroupNormalization",
            NormalizeBy::Deviation if self.axes.first() == Some(&0) => "LayerNormalization",
            NormalizeBy::Deviation if self.axes.first() == Some(&1) => "InstanceNormalization",
            NormalizeBy::Deviation => "LayerNormalization",
            NormalizeBy::RootMeanSquare => "RMSNormalization",
            NormalizeBy::Norm => "LpNormalization",
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let shape = inputs[0];
        let mut elements = 1_usize;
        for &axis in &self.axes {
            let extent = shape
                .get(axis)
                .ok_or_else(|| format!("a sample of {shape:?} has no axis {axis} to normalize"))?;
            elements *= extent;
        }
        let splits = self.parts >= 1 && elements.is_multiple_of(self.parts);
        let split = self.parts == 1
            || (self.axes.first() == Some(&0) && shape[0].is_multiple_of(self.parts));
        if self.axes.is_empty() || !splits || !split || elements / self.parts != self.elements {
            return Err(format!(
                "axes {:?} of samples of {shape:?} in {} parts hold {elements} elements, expected \
                 groups of {}",
                self.axes, self.parts, self.elements
            ));
        }
        for array in [&self.scale, &self.shift].into_iter().flatten() {
            let meets = array.shape.len() == shape.len()
                && array.shape.iter().zip(shape).all(|(&own, &extent)| own == 1 || own == extent);
            if !meets {
                return Err(format!(
                    "scales and shifts of {:?} do not meet samples of {shape:?}",
                    array.shape
                ));
            }
        }
        Ok(shape.to_vec())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let dims @ [samples, a, b, c] = inputs[0].dims();
        let parts = self.parts;
        let x = inputs[0].clone().reshape::<5, _>([samples, parts, a / parts, b, c]);
        let mean = |x: Tensor<5>| self.axes.iter().fold(x, |x, axis| x.mean_dim(axis + 2));
        let x = match self.by {
            NormalizeBy::Deviation => x.clone() - mean(x),
            NormalizeBy::RootMeanSquare | NormalizeBy::Norm => x,
        };
        let squares = mean(x.clone() * x.clone());
        let squares = match self.by {
            NormalizeBy::Norm => squares * self.elements as f32,
            NormalizeBy::Deviation | NormalizeBy::RootMeanSquare => squares,
        };
        // A group of zeros stays one.
        let root = (squares + self.epsilon).sqrt().clamp_min(f32::MIN_POSITIVE);
        let mut y = (x / root).reshape::<4, _>(dims);
        if let Some(scale) = &self.scale {
            y = y.clone() * Self::parameter(scale, &y);
        }
        if let Some(shift) = &self.shift {
            y = y.clone() + Self::parameter(shift, &y);
        }
        y
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Observed
    }

    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    fn arity(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn moves_elements(&self) -> bool {
        false
    }

    fn averages(&self) -> bool {
        false
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        true
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
