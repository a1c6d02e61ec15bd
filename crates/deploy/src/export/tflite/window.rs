//! Padding: by the operators' own rules where these lead to the same windows, else by an operator.

use burn_ptq_kernels::geometry::Window;

use super::graph::Graph;
use super::options;
use crate::export::shared::window::{end, reach};
use crate::op::DType;
use crate::program::IntTensor;
use crate::tflite::schema::{PAD, PADV2, Padding, STRIDED_SLICE};

/// The padding that gives the window's start and the output's extents, if one does.
pub(super) fn padding(window: &Window, input: [usize; 2], output: [usize; 2]) -> Option<Padding> {
    let fits = |padding: Padding| {
        (0..2).all(|axis| {
            let (extent, total) =
                padding.windows(input[axis], window.stride[axis], reach(window, axis));
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

/// What stands around a plane.
#[derive(Clone, Copy)]
pub(super) enum Around {
    /// Zeros, which is what the operators' own padding has.
    Zeros,
    /// Elements below all others, so that no maximum is one of them.
    Lowest,
}

/// The tensor for a window to read and its padding: `x` itself, of four axes, or what operators make of
/// it if the padding of windows cannot do it.
pub(super) fn pad_explicitly(
    graph: &mut Graph,
    x: usize,
    window: &Window,
    output: [usize; 2],
    tensor: &IntTensor,
    around: Around,
) -> (usize, Padding) {
    let [_, height, width, channels] = graph.shape(x)[..] else { return (x, Padding::Valid) };
    let input = [height, width];
    if let Some(padding) = padding(window, input, output) {
        return (x, padding);
    }
    let end = end(window, output);
    let padded = [0, 1].map(|axis| (window.pad[axis] + input[axis]).max(end[axis]));
    let after = [0, 1].map(|axis| padded[axis] - window.pad[axis] - input[axis]);
    let mut y = x;
    if padded != input {
        y = graph.temporary(tensor, &[1, padded[0], padded[1], channels]);
        let pads = paddings(graph, [window.pad[0], window.pad[1], 0], [after[0], after[1], 0]);
        match around {
            Around::Zeros => graph.operator(PAD, options::none(), &[x, pads], y),
            Around::Lowest => {
                let lowest = graph.element(tensor, lowest(tensor));
                graph.operator(PADV2, options::none(), &[x, pads, lowest], y);
            }
        }
    }
    let unpadded = Window { pad: [0, 0], ..*window };
    if padding(&unpadded, padded, output) != Some(Padding::Valid) {
        // There would be more windows.
        y = crop(graph, y, tensor, [0, 0], end);
    }
    (y, Padding::Valid)
}

/// The rows and columns of a plane from `start` on, as many as `extents`.
pub(super) fn crop(
    graph: &mut Graph,
    x: usize,
    tensor: &IntTensor,
    start: [usize; 2],
    extents: [usize; 2],
) -> usize {
    let channels = graph.shape(x).last().copied().unwrap_or(1);
    let y = graph.temporary(tensor, &[1, extents[0], extents[1], channels]);
    crop_to(graph, x, y, start, extents);
    y
}

/// Writes these rows and columns to a tensor.
pub(super) fn crop_to(
    graph: &mut Graph,
    x: usize,
    y: usize,
    start: [usize; 2],
    extents: [usize; 2],
) {
    let channels = graph.shape(x).last().copied().unwrap_or(1);
    let end = [1, start[0] + extents[0], start[1] + extents[1], channels];
    let parts = [[0, start[0], start[1], 0], end, [1; 4]];
    let [start, end, step] =
        parts.map(|list| graph.integers(&[4], &list.map(|number| number as i32)));
    graph.operator(STRIDED_SLICE, options::strided_slice(0), &[x, start, end, step], y);
}

/// The smallest element of a tensor's type.
pub(super) const fn lowest(tensor: &IntTensor) -> i32 {
    match tensor.dtype {
        DType::I8 | DType::I4 => i8::MIN as i32,
        DType::I16 => i16::MIN as i32,
    }
}

/// The constant of elements before and after each axis of four.
pub(super) fn paddings(graph: &mut Graph, before: [usize; 3], after: [usize; 3]) -> usize {
    let pairs = before.iter().zip(after).flat_map(|(&before, after)| [before, after]);
    let pairs: Vec<i32> = [0; 2].into_iter().chain(pairs.map(|count| count as i32)).collect();
    graph.integers(&[4, 2], &pairs)
}
