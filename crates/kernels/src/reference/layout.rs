//! Movements of elements.

/// Appends, for each of the steps that `output` holds, `chunk` elements of the input that is the
/// `offset`-th run of a step of `step` elements.
///
/// Call once for each input: `offset` is the sum of the chunks before it.
pub fn concat<T: Copy>(chunk: usize, offset: usize, step: usize, input: &[T], output: &mut [T]) {
    for (input, output) in input.chunks(chunk).zip(output.chunks_mut(step)) {
        output[offset..offset + chunk].copy_from_slice(input);
    }
}

/// Surrounds a block of extents `extents` with `value`.
pub fn pad<T: Copy>(
    extents: [usize; 3],
    before: [usize; 3],
    after: [usize; 3],
    value: T,
    input: &[T],
    output: &mut [T],
) {
    let [_, rows, row_len] = [0, 1, 2].map(|i| before[i] + extents[i] + after[i]);
    output.fill(value);
    for y in 0..extents[0] {
        for x in 0..extents[1] {
            let from = (y * extents[1] + x) * extents[2];
            let to = ((y + before[0]) * rows + x + before[1]) * row_len + before[2];
            output[to..to + extents[2]].copy_from_slice(&input[from..from + extents[2]]);
        }
    }
}

/// Permutes the axes of a block of extents `extents`: output axis `i` is input axis `axes[i]`.
pub fn transpose<T: Copy>(extents: [usize; 3], axes: [usize; 3], input: &[T], output: &mut [T]) {
    let strides = [extents[1] * extents[2], extents[2], 1];
    let [a, b, c] = axes;
    let mut place = 0;
    for i in 0..extents[a] {
        for j in 0..extents[b] {
            for k in 0..extents[c] {
                output[place] = input[i * strides[a] + j * strides[b] + k * strides[c]];
                place += 1;
            }
        }
    }
}
