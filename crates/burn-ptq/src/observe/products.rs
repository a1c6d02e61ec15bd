//! Products of a matrix with vectors, most of the time of roundings that look at inputs.
//!
//! Each element is the sum of eight partial sums, of every eighth term each, and of what is left over: added up
//! in the same order on every processor, whatever is multiplied beside it. No products and sums are fused.

/// Vectors that a matrix is multiplied with at once: it is read once for all of them.
pub(crate) const TOGETHER: usize = 4;

/// Partial sums.
const LANES: usize = 8;

/// The products of a square matrix, row-major, with vectors of its length.
pub(crate) fn products(matrix: &[f32], vectors: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut products: Vec<Vec<f32>> = Vec::with_capacity(vectors.len());
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        let mut blocks = vectors.chunks_exact(TOGETHER);
        for block in &mut blocks {
            let vectors: [&[f32]; TOGETHER] = std::array::from_fn(|k| block[k].as_slice());
            products.extend(avx2::multiply(simd, matrix, vectors));
        }
        for vector in blocks.remainder() {
            products.extend(avx2::multiply(simd, matrix, [vector]));
        }
        return products;
    }
    products.extend(vectors.iter().map(|vector| plain(matrix, vector)));
    products
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
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use pulp::Simd;
    use pulp::x86::V3;

    use super::total;

    pub(super) fn multiply<const N: usize>(
        simd: V3,
        matrix: &[f32],
        vectors: [&[f32]; N],
    ) -> [Vec<f32>; N] {
        let len = vectors.first().map_or(0, |vector| vector.len());
        let mut products = vectors.map(|_| Vec::with_capacity(len));
        simd.vectorize(
            #[inline(always)]
            || {
                let parts = vectors.map(V3::as_simd_f32s);
                for row in matrix.chunks_exact(len.max(1)) {
                    let (blocks, rest) = V3::as_simd_f32s(row);
                    let mut sums = [simd.splat_f32s(0.0); N];
                    for (at, &a) in blocks.iter().enumerate() {
                        for k in 0..N {
                            let b = parts[k].0[at];
                            sums[k] = simd.add_f32s(sums[k], simd.mul_f32s(a, b));
                        }
                    }
                    for k in 0..N {
                        products[k].push(total(pulp::cast(sums[k]), rest, parts[k].1));
                    }
                }
            },
        );
        products
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_and_any_company_gives_the_same_bits() {
        for len in [1, 3, 8, 27, 64, 145] {
            let number = |i: usize| ((i * 7919 % 10_007) as f32 - 5000.0) * 1.3e-3;
            let matrix: Vec<f32> = (0..len * len).map(number).collect();
            let vectors: Vec<Vec<f32>> =
                (0..7).map(|k| (0..len).map(|i| number(i * 31 + k)).collect()).collect();
            let found = products(&matrix, &vectors);
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
