//! Products of matrices of two computed values.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::{Operator, OutputGrid};

/// The product of the matrices in the last two axes of two values, times a factor.
///
/// Axes in front of the matrices are equal, or all of extent 1 in one of the values, whose matrix is
/// multiplied with all of the other's.
#[derive(Clone, Debug)]
pub struct MatMul {
    /// The axes of a sample of either value: at least two.
    pub axes: usize,
    /// Columns of the first matrix and rows of the second.
    pub inner: usize,
    /// What the product is multiplied with, such as the scaling of attention; positive.
    pub factor: f32,
}

/// The extents of a product: pairs of matrices, rows, and columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extents {
    /// Matrices of the first and of the second value.
    pub(crate) batches: [usize; 2],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl MatMul {
    /// The extents of the product of samples of the shapes `a` and `b`.
    pub(crate) fn extents(&self, a: &[usize], b: &[usize]) -> Result<Extents, String> {
        let unfit = |what: &str| {
            let inner = self.inner;
            Err(format!("samples of {a:?} and {b:?} have no product over {inner} elements: {what}"))
        };
        let ([a_lead @ .., rows, a_inner], [b_lead @ .., b_inner, columns]) = (a, b) else {
            return unfit("expected matrices");
        };
        if a.len() != self.axes || b.len() != self.axes {
            return unfit("expected as many axes of both");
        }
        if *a_inner != self.inner || *b_inner != self.inner {
            return unfit("the first has as many columns as the second has rows");
        }
        let batches = [a_lead, b_lead].map(|lead| lead.iter().product());
        if a_lead != b_lead && !batches.contains(&1) {
            return unfit("the axes in front of the matrices must be equal, or 1");
        }
        Ok(Extents { batches, rows: *rows, columns: *columns })
    }
}

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [a, b] = [inputs[0], inputs[1]];
        let Extents { batches, rows, columns } = self.extents(a, b)?;
        let lead = if batches[0] >= batches[1] { a } else { b };
        Ok([&lead[..self.axes - 2], &[rows, columns]].concat())
    }

    fn forward(&self, inputs: &[Tensor<4>], _parameters: &[Tensor<1>]) -> Tensor<4> {
        // A single matrix a sample is followed by an axis of 1; it goes to the front.
        let matrices = |x: &Tensor<4>| {
            let [samples, a, b, c] = x.dims();
            let dims = if self.axes == 2 { [samples, 1, a, b] } else { [samples, a, b, c] };
            x.clone().reshape::<4, _>(dims)
        };
        let pairs = inputs.iter().map(|x| matrices(x).dims()[1]).max().unwrap_or(1);
        let [a, b] = [0, 1].map(|i| {
            let x = matrices(&inputs[i]);
            let [samples, _, rows, columns] = x.dims();
            x.expand([samples, pairs, rows, columns])
        });
        let product = a.matmul(b);
        let product = if self.factor == 1.0 { product } else { product * self.factor };
        let [samples, pairs, rows, columns] = product.dims();
        match self.axes {
            2 => product.reshape::<4, _>([samples, rows, columns, 1]),
            _ => product.reshape::<4, _>([samples, pairs, rows, columns]),
        }
    }

    fn output_grid(&self) -> OutputGrid {
        OutputGrid::Observed
    }

    fn macs(&self, _inputs: &[&[usize]], output: &[usize]) -> usize {
        output.iter().product::<usize>() * self.inner
    }

    fn arity(&self) -> RangeInclusive<usize> {
        2..=2
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
