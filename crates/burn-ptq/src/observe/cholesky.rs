//! Cholesky factors of large matrices, their inverses, and what is solved with them.
//!
//! All work of cubic order is one kernel: blocks of [`BLOCK`] columns times as many rows, each element summed in
//! the order of the terms. Nothing is fused, and no element's sum depends on the number of threads or on the
//! processor.

use pulp::{NullaryFnOnce, Scalar256b, Simd};
use rayon::prelude::*;

/// Rows and columns that are eliminated at once.
const BLOCK: usize = 128;

/// Rows that one task changes; a multiple of [`WIDE`].
const CHUNK: usize = 32;

/// Rows and columns whose sums fit the registers.
const TALL: usize = 4;
const WIDE: usize = 8;

/// The lower Cholesky factor `L` of a matrix `L L^T`.
pub(crate) struct Factor {
    len: usize,
    /// Row-major; what is above the diagonal has no meaning.
    lower: Vec<f64>,
    /// The inverses of the blocks on the diagonal, row-major, with zeros above their diagonals.
    inverses: Vec<Vec<f64>>,
}

impl Factor {
    /// The factor of a row-major matrix of `len` rows, of which what is above the diagonal is not
    /// looked at; `None` if it is not positive definite.
    pub(crate) fn new(mut matrix: Vec<f64>, len: usize) -> Option<Self> {
        let mut inverses = Vec::with_capacity(len.div_ceil(BLOCK));
        for first in (0..len).step_by(BLOCK) {
            let end = len.min(first + BLOCK);
            let depth = end - first;
            let (done, rest) = matrix.split_at_mut(end * len);
            let inverse = factor_block(&mut done[first * len..], len, first)?;
            let right = Right::new(depth, depth, |k, j| inverse[j * depth + k]);
            rest.par_chunks_mut(CHUNK * len).for_each(|rows| {
                let left = Left::new(rows.len() / len, depth, |r, k| rows[r * len + first + k]);
                rows.chunks_exact_mut(len).for_each(|row| row[first..end].fill(0.0));
                right.add_product(&left, depth, rows, len, first);
            });
            let right = Right::new(depth, len - end, |k, j| rest[j * len + first + k]);
            rest.par_chunks_mut(CHUNK * len).enumerate().for_each(|(chunk, rows)| {
                let left = Left::new(rows.len() / len, depth, |r, k| -rows[r * len + first + k]);
                right.add_product(&left, (chunk + 1) * CHUNK, rows, len, end);
            });
            inverses.push(inverse);
        }
        Some(Self { len, lower: matrix, inverses })
    }

    /// `L^-1`, row-major; what is above the diagonal has no meaning.
    pub(crate) fn inverse(self) -> Vec<f64> {
        let Self { len, mut lower, inverses } = self;
        for (block, inverse) in inverses.iter().enumerate() {
            let first = block * BLOCK;
            let end = len.min(first + BLOCK);
            let depth = end - first;
            let (done, rest) = lower.split_at_mut(end * len);
            let own = &mut done[first * len..];
            let right = Right::new(depth, first, |k, j| own[k * len + j]);
            own.par_chunks_mut(CHUNK * len).enumerate().for_each(|(chunk, rows)| {
                let inverse = &inverse[chunk * CHUNK * depth..];
                let left = Left::new(rows.len() / len, depth, |r, k| inverse[r * depth + k]);
                for (row, inverse) in rows.chunks_exact_mut(len).zip(inverse.chunks_exact(depth)) {
                    row[..first].fill(0.0);
                    row[first..end].copy_from_slice(inverse);
                }
                right.add_product(&left, first, rows, len, 0);
            });
            let right = Right::new(depth, end, |k, j| own[k * len + j]);
            rest.par_chunks_mut(CHUNK * len).for_each(|rows| {
                // Where the factor was, the inverse begins.
                let left = Left::new(rows.len() / len, depth, |r, k| -rows[r * len + first + k]);
                rows.chunks_exact_mut(len).for_each(|row| row[first..end].fill(0.0));
                right.add_product(&left, end, rows, len, 0);
            });
        }
        lower
    }

    /// Solves `L L^T x = b` for the columns of a row-major matrix, in place.
    pub(crate) fn solve(&self, values: &mut [f64], columns: usize) {
        let len = self.len;
        let blocks = || self.inverses.iter().enumerate();
        for (block, inverse) in blocks() {
            let first = block * BLOCK;
            let end = len.min(first + BLOCK);
            let (done, rest) = values.split_at_mut(end * columns);
            let own = &mut done[first * columns..];
            let depth = end - first;
            multiply_block(own, columns, depth, |i, k| inverse[i * depth + k]);
            let right = Right::new(depth, columns, |k, j| own[k * columns + j]);
            rest.par_chunks_mut(CHUNK * columns).enumerate().for_each(|(chunk, rows)| {
                let at = (end + chunk * CHUNK) * len + first;
                let factor = &self.lower[at..];
                let left = Left::new(rows.len() / columns, depth, |r, k| -factor[r * len + k]);
                right.add_product(&left, columns, rows, columns, 0);
            });
        }
        for (block, inverse) in blocks().rev() {
            let first = block * BLOCK;
            let end = len.min(first + BLOCK);
            let (before, rest) = values.split_at_mut(first * columns);
            let depth = end - first;
            let own = &mut rest[..depth * columns];
            multiply_block(own, columns, depth, |i, k| inverse[k * depth + i]);
            let right = Right::new(depth, columns, |k, j| own[k * columns + j]);
            before.par_chunks_mut(CHUNK * columns).enumerate().for_each(|(chunk, rows)| {
                let factor = &self.lower[first * len + chunk * CHUNK..];
                let left = Left::new(rows.len() / columns, depth, |r, k| -factor[k * len + r]);
                right.add_product(&left, columns, rows, columns, 0);
            });
        }
    }
}

/// `a b` added to a row-major matrix: `a` has `depth` columns, `b` is row-major and has `columns`.
pub(crate) fn add_product(
    a: impl Fn(usize, usize) -> f64 + Sync,
    depth: usize,
    b: &[f64],
    columns: usize,
    sums: &mut [f64],
) {
    for first in (0..depth).step_by(BLOCK) {
        let part = BLOCK.min(depth - first);
        let right = Right::new(part, columns, |k, j| b[(first + k) * columns + j]);
        sums.par_chunks_mut(CHUNK * columns).enumerate().for_each(|(chunk, rows)| {
            let a = |r, k| a(chunk * CHUNK + r, first + k);
            right.add_product(&Left::new(rows.len() / columns, part, a), columns, rows, columns, 0);
        });
    }
}

/// Multiplies the `depth` rows of `values` with a square matrix from the left.
fn multiply_block(
    values: &mut [f64],
    columns: usize,
    depth: usize,
    matrix: impl Fn(usize, usize) -> f64 + Sync,
) {
    let right = Right::new(depth, columns, |k, j| values[k * columns + j]);
    values.fill(0.0);
    values.par_chunks_mut(CHUNK * columns).enumerate().for_each(|(chunk, rows)| {
        let left = Left::new(rows.len() / columns, depth, |r, k| matrix(chunk * CHUNK + r, k));
        right.add_product(&left, columns, rows, columns, 0);
    });
}

/// Factors the block on the diagonal that begins at column `first` of some rows; returns the inverse of its
/// factor.
fn factor_block(rows: &mut [f64], len: usize, first: usize) -> Option<Vec<f64>> {
    let depth = rows.len() / len;
    let mut lower = vec![0.0; depth * depth];
    for i in 0..depth {
        let row = &mut rows[i * len + first..][..=i];
        let (done, own) = lower.split_at_mut(i * depth);
        for j in 0..i {
            let other = &done[j * depth..][..=j];
            let sum: f64 = own[..j].iter().zip(other).map(|(a, b)| a * b).sum();
            own[j] = (row[j] - sum) / other[j];
        }
        let sum: f64 = own[..i].iter().map(|a| a * a).sum();
        let pivot = row[i] - sum;
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        own[i] = pivot.sqrt();
        row.copy_from_slice(&own[..=i]);
    }
    // The rows of the inverse, each from those before.
    let mut inverse = vec![0.0; depth * depth];
    for (i, factor) in lower.chunks_exact(depth).enumerate() {
        let (done, own) = inverse.split_at_mut(i * depth);
        for (done, factor) in done.chunks_exact(depth).zip(factor) {
            own.iter_mut().zip(&done[..i]).for_each(|(sum, x)| *sum -= factor * x);
        }
        own[..i].iter_mut().for_each(|x| *x /= factor[i]);
        own[i] = 1.0 / factor[i];
    }
    Some(inverse)
}

/// Some rows of a left factor, [`TALL`] side by side; missing ones are zero.
struct Left {
    depth: usize,
    groups: Vec<[f64; TALL]>,
}

impl Left {
    fn new(rows: usize, depth: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let mut groups = vec![[0.0; TALL]; rows.div_ceil(TALL) * depth];
        for r in 0..rows {
            for (k, group) in groups[r / TALL * depth..][..depth].iter_mut().enumerate() {
                group[r % TALL] = at(r, k);
            }
        }
        Self { depth, groups }
    }
}

/// A right factor with as many rows as a left one has columns, in panels of [`WIDE`] columns; missing ones are
/// zero.
struct Right {
    depth: usize,
    columns: usize,
    panels: Vec<[f64; WIDE]>,
}

impl Right {
    fn new(depth: usize, columns: usize, at: impl Fn(usize, usize) -> f64 + Sync) -> Self {
        let mut panels = vec![[0.0; WIDE]; columns.div_ceil(WIDE) * depth];
        panels.par_chunks_mut(depth).enumerate().for_each(|(panel, rows)| {
            let first = panel * WIDE;
            for j in 0..WIDE.min(columns - first) {
                for (k, row) in rows.iter_mut().enumerate() {
                    row[j] = at(k, first + j);
                }
            }
        });
        Self { depth, columns, panels }
    }

    /// Adds the product with `left` to rows of `stride` from their column `at` on; `columns` of it, rounded up to
    /// whole panels.
    fn add_product(&self, left: &Left, columns: usize, rows: &mut [f64], stride: usize, at: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            simd.vectorize(AddProduct { simd, right: self, left, columns, rows, stride, at });
            return;
        }
        self.add_product_with(Scalar256b, left, columns, rows, stride, at);
    }

    /// The same with four lanes at a time.
    #[inline(always)]
    fn add_product_with<S: Simd>(
        &self,
        simd: S,
        left: &Left,
        columns: usize,
        rows: &mut [f64],
        stride: usize,
        at: usize,
    ) {
        let panels = self.panels.chunks_exact(self.depth.max(1));
        for (panel, right) in panels.take(columns.div_ceil(WIDE)).enumerate() {
            let first = panel * WIDE;
            let width = WIDE.min(self.columns - first);
            let groups = left.groups.chunks_exact(left.depth.max(1));
            for (rows, left) in rows.chunks_mut(TALL * stride).zip(groups) {
                let sums = tile(simd, left, right);
                for (row, sums) in rows.chunks_exact_mut(stride).zip(&sums) {
                    let row = &mut row[at + first..][..width];
                    match <&mut [f64; WIDE]>::try_from(&mut *row) {
                        Ok(row) => (0..WIDE).for_each(|i| row[i] += sums[i]),
                        Err(_) => row.iter_mut().zip(sums).for_each(|(x, sum)| *x += sum),
                    }
                }
            }
        }
    }
}

/// [`Right::add_product_with`] for one processor. A closure would be called by a function that is compiled for
/// any.
struct AddProduct<'a, S> {
    simd: S,
    right: &'a Right,
    left: &'a Left,
    columns: usize,
    rows: &'a mut [f64],
    stride: usize,
    at: usize,
}

impl<S: Simd> NullaryFnOnce for AddProduct<'_, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, right, left, columns, rows, stride, at } = self;
        right.add_product_with(simd, left, columns, rows, stride, at);
    }
}

/// The product of [`TALL`] rows and [`WIDE`] columns.
#[inline(always)]
fn tile<S: Simd>(simd: S, left: &[[f64; TALL]], right: &[[f64; WIDE]]) -> [[f64; WIDE]; TALL] {
    let mut sums = [[simd.splat_f64s(0.0); 2]; TALL];
    for (left, right) in left.iter().zip(right) {
        let right = S::as_simd_f64s(right).0;
        for (sums, &left) in sums.iter_mut().zip(left) {
            let left = simd.splat_f64s(left);
            for (sum, &right) in sums.iter_mut().zip(right) {
                *sum = simd.add_f64s(*sum, simd.mul_f64s(left, right));
            }
        }
    }
    let mut products = [[0.0; WIDE]; TALL];
    for (products, sums) in products.iter_mut().zip(&sums) {
        let products = S::as_mut_simd_f64s(products).0;
        products.iter_mut().zip(sums).for_each(|(product, &sum)| *product = sum);
    }
    products
}

#[cfg(test)]
mod tests {
    use nalgebra::{Cholesky, DMatrix};

    use super::*;

    const SIZES: [usize; 7] = [1, 2, 9, 127, 128, 161, 300];

    fn number(i: usize) -> f64 {
        ((i * 7919 + 13) % 10_007) as f64 / 5003.0 - 1.0
    }

    /// A random positive definite matrix.
    fn definite(len: usize) -> DMatrix<f64> {
        let root = DMatrix::from_fn(len, len, |i, j| number(i * len * 3 + j * 5));
        &root * root.transpose() + DMatrix::identity(len, len) * (0.1 * len as f64)
    }

    fn close(found: impl Fn(usize, usize) -> f64, expected: &DMatrix<f64>, lower: bool) {
        let largest = expected.amax();
        for j in 0..expected.ncols() {
            for i in if lower { j } else { 0 }..expected.nrows() {
                let (found, expected) = (found(i, j), expected[(i, j)]);
                assert!((found - expected).abs() < 1e-12 * largest, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn factors_inverses_and_solutions_are_those_of_nalgebra() {
        for len in SIZES {
            let matrix = definite(len);
            let expected = Cholesky::new(matrix.clone()).unwrap();
            let factor = Factor::new(matrix.as_slice().to_vec(), len).unwrap();
            close(|i, j| factor.lower[i * len + j], &expected.l(), true);
            for columns in [1, 11] {
                let right = DMatrix::from_fn(len, columns, |i, j| number(i * 31 + j));
                let mut values = right.transpose().as_slice().to_vec();
                factor.solve(&mut values, columns);
                close(|i, j| values[i * columns + j], &expected.solve(&right), false);
                let mut sums = vec![0.0; len * columns];
                add_product(|i, k| matrix[(i, k)], len, &values, columns, &mut sums);
                let scale = right.amax();
                for i in 0..len * columns {
                    assert!((sums[i] - right[(i / columns, i % columns)]).abs() < 1e-11 * scale);
                }
            }
            let inverse = factor.inverse();
            let expected = expected.l().try_inverse().unwrap();
            close(|i, j| inverse[i * len + j], &expected, true);
        }
    }

    #[test]
    fn matrices_that_are_not_positive_definite_have_no_factor() {
        for (len, at) in [(1, 0), (9, 4), (300, 299), (300, 140)] {
            for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                let mut matrix = DMatrix::<f64>::identity(len, len).as_slice().to_vec();
                matrix[at * len + at] = value;
                assert!(Factor::new(matrix, len).is_none());
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let len = 300;
        let inverse = || {
            let factor = Factor::new(definite(len).as_slice().to_vec(), len).unwrap();
            factor.inverse().into_iter().map(f64::to_bits).collect::<Vec<_>>()
        };
        let [one, two] = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(inverse)
        });
        assert_eq!(one, two);
    }

    #[test]
    fn every_processor_gives_the_same_bits() {
        for (rows, depth, columns) in [(1, 1, 1), (5, 7, 11), (32, 128, 40)] {
            let left = Left::new(rows, depth, |r, k| number(r * 131 + k));
            let right = Right::new(depth, columns, |k, j| number(k * 77 + j));
            let values: Vec<f64> = (0..rows * columns).map(|i| number(i * 3)).collect();
            let (mut found, mut expected) = (values.clone(), values);
            right.add_product(&left, columns, &mut found, columns, 0);
            right.add_product_with(Scalar256b, &left, columns, &mut expected, columns, 0);
            let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(found), bits(expected));
        }
    }
}
