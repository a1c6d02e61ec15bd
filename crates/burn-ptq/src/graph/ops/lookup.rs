//! Rows of a table by their numbers: embeddings.

use std::ops::RangeInclusive;

use burn::tensor::{Tensor, TensorData};

use super::{Array, Operator, OutputGrid};
use crate::graph::to_vec;

/// The most rows of a table: ids of 16 bits tell them apart.
pub const MAX_ROWS: usize = 1 << 15;

/// The row of a constant table for each element of the input, which is its number.
///
/// Negative numbers count from the last row; those beyond either end mean the nearest row.
///
/// # Shapes
/// - input: one or two axes of ids
/// - output: the same with the elements of a row behind them
#[derive(Clone, Debug)]
pub struct Lookup {
    /// `[rows, elements]`.
    pub table: Array,
}

impl Lookup {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.table.shape[0]
    }

    /// The number of elements of a row.
    pub fn width(&self) -> usize {
        self.table.shape[1]
    }
}

impl Operator for Lookup {
    fn name(&self) -> &'static str {
        "Lookup"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if self.table.shape.len() != 2 || self.table.is_empty() || self.rows() > MAX_ROWS {
            let shape = &self.table.shape;
            return Err(format!("expected a table of 1 to {MAX_ROWS} rows, found {shape:?}"));
        }
        if inputs[0].len() > 2 {
            return Err(format!("expected ids along one or two axes, found {:?}", inputs[0]));
        }
        Ok([inputs[0], &[self.width()]].concat())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        let (dims, device) = (inputs[0].dims(), inputs[0].device());
        let (rows, width) = (self.rows() as i64, self.width());
        let mut values = Vec::new();
        for id in to_vec(inputs[0].clone()) {
            let id = id.round() as i64;
            let id = if id < 0 { id + rows } else { id };
            let row = id.clamp(0, rows - 1) as usize;
            values.extend_from_slice(&self.table.data[row * width..(row + 1) * width]);
        }
        // An axis of ids, or two, and those that only pad.
        let shape = match dims {
            [batch, first, 1, 1] => [batch, first, width, 1],
            [batch, first, second, _] => [batch, first, second, width],
        };
        Tensor::from_data(TensorData::new(values, shape), &device)
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
        false
    }

    fn keeps_channels_apart(&self, _axis: usize, _channels: usize) -> bool {
        false
    }
}
