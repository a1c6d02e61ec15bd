//! What streams compute: each row that a later window reads, and no other.

use burn_ptq_deploy::cost::work::{Work, works};
use burn_ptq_deploy::place::rows::RowProgram;
use burn_ptq_deploy::program::TensorId;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::stream::{RowBuffer, Stage};
use network::uneven::uneven;
use proptest::prelude::*;

#[allow(dead_code)]
mod network;

/// A window along the height, of the tensor so many steps before the latest, and whether the latest is
/// read besides, row by row.
type Reader = (usize, usize, usize, usize, bool);

fn reader() -> impl Strategy<Value = Reader> {
    (0..3_usize, 1..6_usize, 1..5_usize, 0..4_usize, any::<bool>())
}

/// A stream over an input of `height` rows.
fn stream(height: usize, readers: &[Reader]) -> RowProgram {
    let mut heights = vec![height];
    let mut stages = Vec::new();
    for &(back, reach, stride, pad, both) in readers {
        let latest = heights.len() - 1;
        let from = latest.saturating_sub(back);
        let pad = pad.min(reach - 1);
        let Some(room) = (heights[from] + 2 * pad).checked_sub(reach) else { continue };
        let same = both && heights[latest] == heights[from];
        let stage = match same {
            // An element-wise operation of two tensors.
            true => Stage { inputs: [Some(from), Some(latest)], reach: 1, stride: 1, pad: 0 },
            false => Stage { inputs: [Some(from), None], reach, stride, pad },
        };
        stages.push(stage);
        heights.push(if same { heights[from] } else { room / stride + 1 });
    }
    let buffers = heights.into_iter().map(|height| RowBuffer { height, capacity: height });
    RowProgram { externals: vec![TensorId(0)], buffers: buffers.collect(), stages }
}

/// The rows of each buffer up to the last one that the output depends on.
fn needed(stream: &RowProgram) -> Vec<usize> {
    let mut needed = vec![0; stream.buffers.len()];
    if let (Some(needed), Some(last)) = (needed.last_mut(), stream.buffers.last()) {
        *needed = last.height;
    }
    for (index, stage) in stream.stages.iter().enumerate().rev() {
        let Some(last_row) = needed[1 + index].checked_sub(1) else { continue };
        for input in stage.inputs.into_iter().flatten() {
            let end = (last_row * stage.stride + stage.reach).saturating_sub(stage.pad);
            needed[input] = needed[input].max(end.min(stream.buffers[input].height));
        }
    }
    needed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn rows_are_computed_up_to_the_last_one_that_the_output_depends_on(
        height in 1..40_usize,
        readers in prop::collection::vec(reader(), 1..8),
    ) {
        let whole = stream(height, &readers);
        let computed = whole.computed();
        prop_assert_eq!(&computed, &needed(&whole)[1..]);
        // With no more memory than there must be they are the same.
        let mut narrow = whole.clone();
        for (buffer, rows) in narrow.buffers[1..].iter_mut().zip(whole.capacities()) {
            buffer.capacity = rows;
        }
        prop_assert_eq!(narrow.computed(), computed);
    }
}

#[test]
fn strides_leave_rows_that_nobody_computes() {
    // A 3x3 convolution before a window: of `height` rows so many are computed.
    for (height, reach, stride, computed) in [
        (21, 2, 2, 20),
        (20, 3, 3, 18),
        (20, 3, 2, 19),
        (29, 3, 3, 27),
        (28, 1, 2, 27),
        (128, 3, 3, 126),
    ] {
        let stream = stream(height, &[(0, 3, 1, 1, false), (0, reach, stride, 0, false)]);
        assert_eq!(stream.computed()[0], computed, "{height} {reach} {stride}");
    }
}

#[test]
fn costs_are_those_of_the_rows_that_are_computed() {
    let (model, _) = uneven(Kernels::Portable);
    let works = works(&model);
    for (stream, rows) in model.row_programs() {
        for (node, computed) in stream.nodes().zip(rows.computed()) {
            // The first number counts calls, of which each computes a row.
            let calls = works[node].0.first().copied().unwrap_or(0.0);
            assert_eq!(calls, computed as f64, "{}", model.nodes[node].name);
            assert_eq!(works[node] == Work::default(), computed == 0);
        }
    }
}
