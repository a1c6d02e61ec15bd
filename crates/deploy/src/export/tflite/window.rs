//! Padding: by the operators' own rules where these lead to the same windows, else by an operator.

use burn_ptq_kernels::geometry::Window;

use super::graph::Graph;
use super::refusal::Refusal;
use super::schema::{PAD, Padding, options};
use crate::program::IntTensor;

/// Elements that a window spans along an axis.
fn reach(window: &Window, axis: usize) -> usize {
    (window.kernel[axis] - 1) * window.dilation[axis] + 1
}

/// The padding that gives the window's start and the output's extents, if one does.
pub(super) fn padding(window: &Window, input: [usize; 2], output: [usize; 2]) -> Option<Padding> {
    let fits = |padding: Padding| {
        (0..2).all(|axis| {
            let (stride, reach) = (window.stride[axis], reach(window, axis));
            let (extent, total) = match padding {
                Padding::Same => {
                    let extent = input[axis].div_ceil(stride);
                    (extent, ((extent - 1) * stride + reach).saturating_sub(input[axis]))
                }
                Padding::Valid => ((input[axis] + stride).saturating_sub(reach) / stride, 0),
            };
            (output[axis], window.pad[axis]) == (extent, total / 2)
        })
    };
    [Padding::Valid, Padding::Same].into_iter().find(|&padding| fits(padding))
}

/// The padding of the convolution over the output that gives the start of its windows, if one does.
pub(super) fn transposed_padding(window: &Window, output: [usize; 2]) -> Option<Padding> {
    if window.pad == [0, 0] {
        return Some(Padding::Valid);
    }
    let same = (0..2).all(|axis| {
        let windows = output[axis].div_ceil(window.stride[axis]);
        let covered = (windows - 1) * window.stride[axis] + window.kernel[axis];
        window.pad[axis] == covered.saturating_sub(output[axis]) / 2
    });
    same.then_some(Padding::Same)
}

/// The tensor for a convolution to read and its padding: `x` itself, of four axes, or the result of a
/// `PAD` with the zero point if the convolution's own padding cannot do it.
pub(super) fn pad_explicitly(
    graph: &mut Graph,
    x: usize,
    window: &Window,
    output: [usize; 2],
    tensor: &IntTensor,
) -> Result<(usize, Padding), Refusal> {
    let [_, height, width, channels] = graph.shape(x)[..] else { return Ok((x, Padding::Valid)) };
    let input = [height, width];
    if let Some(padding) = padding(window, input, output) {
        return Ok((x, padding));
    }
    let mut padded = input;
    let mut after = [0; 3];
    for axis in 0..2 {
        let end = (output[axis] - 1) * window.stride[axis] + reach(window, axis);
        padded[axis] = (window.pad[axis] + input[axis]).max(end);
        after[axis] = padded[axis] - window.pad[axis] - input[axis];
    }
    let unpadded = Window { pad: [0, 0], ..*window };
    if padding(&unpadded, padded, output) != Some(Padding::Valid) {
        return Err(Refusal::new("its output ends before the padded input does"));
    }
    let y = graph.temporary(tensor, &[1, padded[0], padded[1], channels]);
    let pads = paddings(graph, [window.pad[0], window.pad[1], 0], after);
    graph.operator(PAD, options::none(), &[x, pads], y);
    Ok((y, Padding::Valid))
}

/// The constant of elements before and after each axis of four.
pub(super) fn paddings(graph: &mut Graph, before: [usize; 3], after: [usize; 3]) -> usize {
    let pairs = before.iter().zip(after).flat_map(|(&before, after)| [before, after]);
    let pairs: Vec<i32> = [0; 2].into_iter().chain(pairs.map(|count| count as i32)).collect();
    graph.integers(&[4, 2], &pairs)
}
