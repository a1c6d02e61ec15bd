//! Products of a matrix with vectors, most of the time of roundings that look at inputs.
//!
//! Each element is the sum of eight partial sums, of every eighth term each, and of what is left over: added up
//! in the same order on every processor, whatever is multiplied beside it. No products and sums are fused.

/// Vectors that a matrix is worth reading for: more of them at once are hardly faster.
pub(crate) const TOGETHER: usize = 16;

/// Partial sums.
const LANES: usize = 8;

/// The products of a square matrix, row-major, with vectors of its length.
pub(crate) fn products(matrix: &[f32], vectors: &[Vec<f32>]) -> Vec<Vec<f32>> {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        // Equal parts: a part of few vectors would wait for the matrix.
        let parts = vectors.len().div_ceil(avx2::MOST).max(1);
        let together = vectors.len().div_ceil(parts).next_multiple_of(avx2::VECTORS).max(1);
        return vectors
            .chunks(together)
            .flat_map(|part| avx2::multiply(simd, matrix, part))
            .collect();
    }
    vectors.iter().map(|vector| plain(matrix, vector)).collect()
}

/// Adds `factor` times each value; product and sum are not fused.
pub(crate) fn add_scaled(sums: &mut [f32], factor: f32, values: &[f32]) {
    // For few values it takes longer to ask for the processor.
    #[cfg(target_arch = "x86_64")]
    if values.len() >= 8 * LANES
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        simd.vectorize(avx2::AddScaled { sums, factor, values });
        return;
    }
    sums.iter_mut().zip(values).for_each(|(sum, &x)| *sum += factor * x);
}

/// The product with one vector, for any processor.
fn plain(matrix: &[f32], vector: &[f32]) -> Vec<f32> {
    let dot = |row: &[f32]| {
        let mut sums = [0.0_f32; LANES];
        let (blocks, rest) = row.as_chunks::<LANES>();
        for (a, b) in blocks.iter().zip(vector.as_chunks::<LANES>().0) {
            for i in 0..LANES {
                sums[i] += a[i] * b[i];
            }
        }
        total(sums, rest, &vector[row.len() - rest.len()..])
    };
    matrix.chunks_exact(vector.len().max(1)).map(dot).collect()
}

/// Partial sums, and the terms that are left over.
#[inline(always)]
fn total(sums: [f32; LANES], a: &[f32], b: &[f32]) -> f32 {
    let rest: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The same with eight lanes at a time.
///
/// A few rows are multiplied with all vectors before the next are read from memory, piece after piece: a piece
/// of the rows and of some vectors fits the first cache. The partial sums wait between the pieces.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, Simd};

    use super::total;

    /// Vectors at once at most: they should fit the second or third cache.
    pub(super) const MOST: usize = 32;

    /// Rows that stay in the first cache.
    const ROWS: usize = 8;

    /// Rows and vectors whose partial sums fit the registers.
    const TILE: usize = 2;
    pub(super) const VECTORS: usize = 4;

    /// Registers of a row in a piece.
    const PIECE: usize = 64;

    type Lanes = <V3 as Simd>::f32s;

    /// Partial sums of some rows, by vector.
    type Sums = [[Lanes; ROWS]];

    pub(super) fn multiply(simd: V3, matrix: &[f32], vectors: &[Vec<f32>]) -> Vec<Vec<f32>> {
        simd.vectorize(Multiply { simd, matrix, vectors })
    }

    /// What is compiled for this processor. A closure would be called by a function that is not.
    struct Multiply<'a> {
        simd: V3,
        matrix: &'a [f32],
        vectors: &'a [Vec<f32>],
    }

    impl NullaryFnOnce for Multiply<'_> {
        type Output = Vec<Vec<f32>>;

        #[inline(always)]
        fn call(self) -> Vec<Vec<f32>> {
            let Self { simd, matrix, vectors } = self;
            let len = vectors.first().map_or(0, |vector| vector.len()).max(1);
            let mut products: Vec<Vec<f32>> =
                vectors.iter().map(|_| Vec::with_capacity(len)).collect();
            let vectors: Vec<(&[Lanes], &[f32])> =
                vectors.iter().map(|vector| V3::as_simd_f32s(vector)).collect();
            let zero = [simd.splat_f32s(0.0); ROWS];
            let mut sums = vec![zero; vectors.len()];
            for rows in matrix.chunks(len * ROWS) {
                let mut parts: [(&[Lanes], &[f32]); ROWS] = [(&[], &[]); ROWS];
                for (part, row) in parts.iter_mut().zip(rows.chunks_exact(len)) {
                    *part = V3::as_simd_f32s(row);
                }
                let rows = &parts[..rows.len() / len];
                sums.fill(zero);
                add_rows(simd, rows, &vectors, &mut sums);
                for ((sums, vector), product) in sums.iter().zip(&vectors).zip(&mut products) {
                    for (&sum, row) in sums.iter().zip(rows) {
                        product.push(total(pulp::cast(sum), row.1, vector.1));
                    }
                }
            }
            products
        }
    }

    /// [`super::add_scaled`].
    pub(super) struct AddScaled<'a> {
        pub(super) sums: &'a mut [f32],
        pub(super) factor: f32,
        pub(super) values: &'a [f32],
    }

    impl NullaryFnOnce for AddScaled<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            for (sum, &x) in self.sums.iter_mut().zip(self.values) {
                *sum += self.factor * x;
            }
        }
    }

    /// Adds the products of rows and vectors to their partial sums.
    #[inline(always)]
    fn add_rows(
        simd: V3,
        rows: &[(&[Lanes], &[f32])],
        vectors: &[(&[Lanes], &[f32])],
        sums: &mut Sums,
    ) {
        let registers = rows.first().map_or(0, |row| row.0.len());
        for start in (0..registers).step_by(PIECE) {
            let piece = start..registers.min(start + PIECE);
            for (vectors, sums) in vectors.chunks(VECTORS).zip(sums.chunks_mut(VECTORS)) {
                for (at, rows) in rows.chunks(TILE).enumerate() {
                    let at = at * TILE;
                    match (rows.len(), vectors.len()) {
                        (2, 4) => tile::<2, 4>(simd, rows, vectors, &piece, sums, at),
                        (2, 3) => tile::<2, 3>(simd, rows, vectors, &piece, sums, at),
                        (2, 2) => tile::<2, 2>(simd, rows, vectors, &piece, sums, at),
                        (2, _) => tile::<2, 1>(simd, rows, vectors, &piece, sums, at),
                        (_, 4) => tile::<1, 4>(simd, rows, vectors, &piece, sums, at),
                        (_, 3) => tile::<1, 3>(simd, rows, vectors, &piece, sums, at),
                        (_, 2) => tile::<1, 2>(simd, rows, vectors, &piece, sums, at),
                        _ => tile::<1, 1>(simd, rows, vectors, &piece, sums, at),
                    }
                }
            }
        }
    }

    /// Adds the products of a piece of `R` rows and of `N` vectors; the first row has place `at` in `sums`.
    #[inline(always)]
    fn tile<const R: usize, const N: usize>(
        simd: V3,
        rows: &[(&[Lanes], &[f32])],
        vectors: &[(&[Lanes], &[f32])],
        piece: &std::ops::Range<usize>,
        sums: &mut Sums,
        at: usize,
    ) {
        // Closures that make vectors would not be compiled for this processor.
        let zero = simd.splat_f32s(0.0);
        let (mut a, mut b): ([&[Lanes]; R], [&[Lanes]; N]) = ([&[]; R], [&[]; N]);
        for r in 0..R {
            a[r] = &rows[r].0[piece.clone()];
        }
        let mut own = [[zero; N]; R];
        for k in 0..N {
            b[k] = &vectors[k].0[piece.clone()];
            for r in 0..R {
                own[r][k] = sums[k][at + r];
            }
        }
        for i in 0..piece.len() {
            for r in 0..R {
                for k in 0..N {
                    own[r][k] = simd.add_f32s(own[r][k], simd.mul_f32s(a[r][i], b[k][i]));
                }
            }
        }
        for r in 0..R {
            for k in 0..N {
                sums[k][at + r] = own[r][k];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_and_any_company_gives_the_same_bits() {
        for (len, count) in [(1, 7), (3, 1), (8, 3), (27, 33), (64, 16), (145, 18), (1043, 6)] {
            let number = |i: usize| ((i * 7919 % 10_007) as f32 - 5000.0) * 1.3e-3;
            let matrix: Vec<f32> = (0..len * len).map(number).collect();
            let vectors: Vec<Vec<f32>> =
                (0..count).map(|k| (0..len).map(|i| number(i * 31 + k)).collect()).collect();
            let found = products(&matrix, &vectors);
            assert_eq!(found.len(), count);
            for (vector, found) in vectors.iter().zip(found) {
                let expected: Vec<u32> =
                    plain(&matrix, vector).iter().map(|x| x.to_bits()).collect();
                let found: Vec<u32> = found.iter().map(|x| x.to_bits()).collect();
                assert_eq!(found, expected, "length {len}");
            }
        }
        assert!(products(&[], &[]).is_empty());
    }
}
