//! Linear interpolation to other extents.

use std::ops::RangeInclusive;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_kernels::reference::POSITION_BITS;

use super::{Operator, OutputGrid};
use crate::graph::dims3;

/// Where the outputs of an axis lie between its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Positions {
    /// The number of inputs.
    pub input: usize,
    /// The coordinate of each output, 0 to one less than the inputs.
    pub real: Vec<f32>,
    /// The same in the fixed point of the integer program.
    pub fixed: Vec<u32>,
}

impl Positions {
    /// Every input stays where it is.
    pub fn unchanged(extent: usize) -> Self {
        let real = (0..extent).map(|i| i as f32).collect();
        Self {
            input: extent,
            real,
            fixed: (0..extent as u32).map(|i| i << POSITION_BITS).collect(),
        }
    }

    /// The matrix `[outputs, inputs]` that interpolates.
    fn matrix(&self, device: &Device) -> Tensor<4> {
        let mut weights = vec![0.0; self.real.len() * self.input];
        for (&position, row) in self.real.iter().zip(weights.chunks_exact_mut(self.input)) {
            let before = (position as usize).min(self.input - 1);
            let fraction = position - before as f32;
            row[before] += 1.0 - fraction;
            row[(before + 1).min(self.input - 1)] += fraction;
        }
        let shape = [1, 1, self.real.len(), self.input];
        Tensor::from_data(TensorData::new(weights, shape), device)
    }

    /// The fixed-point positions as real ones.
    fn rounded(&self) -> Self {
        let unit = (1_u32 << POSITION_BITS) as f32;
        Self { real: self.fixed.iter().map(|&p| p as f32 / unit).collect(), ..self.clone() }
    }
}

/// Linear interpolation along height and width.
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeLinear {
    /// The positions of the rows and of the columns.
    pub axes: [Positions; 2],
}

impl ResizeLinear {
    /// The same at the positions of the integer program.
    pub fn rounded(&self) -> Self {
        Self { axes: self.axes.each_ref().map(Positions::rounded) }
    }
}

impl Operator for ResizeLinear {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [channels, height, width] = dims3(inputs[0]);
        let expected = self.axes.each_ref().map(|axis| axis.input);
        if !(2..=3).contains(&inputs[0].len()) || expected != [height, width] {
            return Err(format!(
                "expected a sample of shape [channels, {}, {}], found {:?}",
                expected[0], expected[1], inputs[0]
            ));
        }
        for axis in &self.axes {
            let last = (axis.input as u32 - 1) << POSITION_BITS;
            let inside = axis.real.iter().all(|&p| (0.0..=(axis.input - 1) as f32).contains(&p));
            let fits = axis.fixed.len() == axis.real.len();
            if !(inside && fits && axis.fixed.iter().all(|&p| p <= last)) {
                return Err(format!("a position lies outside of {} elements", axis.input));
            }
        }
        let mut shape = vec![channels, self.axes[0].real.len(), self.axes[1].real.len()];
        shape.truncate(inputs[0].len());
        Ok(shape)
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let device = inputs[0].device();
        let [rows, columns] = self.axes.each_ref().map(|axis| axis.matrix(&device));
        let [_, channels, _, _] = inputs[0].dims();
        let batch = inputs[0].dims()[0];
        let all = |matrix: Tensor<4>| {
            let [_, _, height, width] = matrix.dims();
            matrix.expand([batch, channels, height, width])
        };
        all(rows).matmul(inputs[0].clone()).matmul(all(columns.swap_dims(2, 3)))
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Shared
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
        true
    }

    fn class_axis(&self) -> Option<usize> {
        None
    }

    fn can_clamp(&self) -> bool {
        false
    }

    fn keeps_channels_apart(&self, axis: usize, _channels: usize) -> bool {
        axis == 0
    }
}
