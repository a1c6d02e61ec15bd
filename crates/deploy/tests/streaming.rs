//! Streamed programs give what the offline program gives, byte for byte, on random networks and recordings.

#[path = "streaming/net.rs"]
mod net;
#[allow(dead_code)]
mod programs;

use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::{Border, DType, IntOp, Program};
use burn_ptq_deploy::run::{Interpreter, Path, run_batch, run_sequence};
use burn_ptq_deploy::streaming::{Streamed, Streaming, StreamingError};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::geometry::Window;
use net::{Net, Random};
use proptest::prelude::*;

/// A recording of one input, in the memory order of the program: `[outer, frames, inner]` elements.
struct Recording {
    outer: usize,
    frames: usize,
    inner: usize,
    bytes: Vec<u8>,
}

impl Recording {
    /// A recording for the only input of `program`, in 8 bits, with time along `axis` of its tensor.
    fn random(program: &Program, axis: usize, frames: usize, random: &mut Random) -> Self {
        let shape = program.tensors[program.inputs[0].tensor.0].shape;
        let outer = shape[..axis].iter().product();
        let inner = shape[axis + 1..].iter().product();
        let bytes = (0..outer * frames * inner).map(|_| random.next() as u8).collect();
        Self { outer, frames, inner, bytes }
    }

    fn part(&self, first: usize, frames: usize) -> Vec<u8> {
        let block = |outer: usize| {
            let start = (outer * self.frames + first) * self.inner;
            &self.bytes[start..start + frames * self.inner]
        };
        (0..self.outer).flat_map(block).copied().collect()
    }
}

/// Some rows of an array of `[outer, rows, inner]` bytes.
fn rows(bytes: &[u8], [outer, rows, inner]: [usize; 3], row: usize) -> Vec<u8> {
    let block = |o: usize| &bytes[(o * rows + row) * inner..(o * rows + row + 1) * inner];
    (0..outer).flat_map(block).copied().collect()
}

/// Compares every call with every offline window; `margin` frames at both ends of a window are padded.
/// Returns how many rows were compared.
fn compare(
    program: &Program,
    axis: usize,
    streamed: &Streamed,
    recording: &Recording,
    margin: usize,
) -> usize {
    let placed = streamed.program.clone().place(Kernels::Portable, Memory::Reduced).unwrap();
    let offline = program.clone().place(Kernels::Portable, Memory::Whole).unwrap();
    let (chunk, time) = (streamed.chunk, streamed.frames);
    let calls = recording.frames / chunk;
    let chunks: Vec<u8> = (0..calls).flat_map(|k| recording.part(k * chunk, chunk)).collect();
    let outputs = run_sequence(&placed, Path::Fast, &chunks).unwrap();
    let per_call = placed.output_bytes();
    let rates = streamed.outputs.iter().map(|output| output.rate).max().unwrap();
    let step = rates.max(if streamed.outputs.iter().any(|o| o.rows.is_none()) { 1 } else { rates });
    let starts: Vec<usize> = (0..=recording.frames - time).step_by(step).collect();
    let windows: Vec<u8> = starts.iter().flat_map(|&start| recording.part(start, time)).collect();
    let expected = run_batch(&offline, Path::Fast, &windows).unwrap();
    let mut compared = 0;
    let mut place = [0, 0];
    for (index, output) in streamed.outputs.iter().enumerate() {
        let [whole, new] =
            [program, &streamed.program].map(|p| p.tensors[p.outputs[index].tensor.0].bytes());
        let [window_start, call_start] = place;
        let of_window = |i: usize| &expected[i * offline.output_bytes() + window_start..][..whole];
        let of_call = |k: usize| &outputs[k * per_call + call_start..][..new];
        place = [place[0] + whole, place[1] + new];
        for k in output.warm_up..calls {
            let newest = (k + 1) * chunk;
            let Some(rows_a_call) = output.rows else {
                let start = newest as isize - output.delay - time as isize;
                let found = starts.iter().position(|&own| own as isize == start);
                let Some(window) = found else { continue };
                assert_eq!(of_call(k), of_window(window), "{} in call {k}", output.name);
                compared += 1;
                continue;
            };
            let shape = program.tensors[program.outputs[index].tensor.0].shape;
            let own = streamed.program.tensors[streamed.program.outputs[index].tensor.0].shape;
            let axis = (0..3).find(|&i| shape[i] != own[i]).unwrap_or(axis);
            let split = |shape: [usize; 3]| {
                let outer = shape[..axis].iter().product::<usize>();
                [outer, shape[axis], shape[axis + 1..].iter().product()]
            };
            let offline_rows = shape[axis];
            for row in 0..rows_a_call {
                let absolute = (k * rows_a_call + row) as isize - output.delay;
                for (window, &start) in starts.iter().enumerate() {
                    let inside = absolute - (start / output.rate) as isize;
                    let margin = margin.div_ceil(output.rate) as isize;
                    if start % output.rate != 0
                        || inside < margin
                        || inside >= offline_rows as isize - margin
                    {
                        continue;
                    }
                    let expected = rows(of_window(window), split(shape), inside as usize);
                    let found = rows(of_call(k), split(own), row);
                    assert_eq!(found, expected, "{} row {absolute} in call {k}", output.name);
                    compared += 1;
                }
            }
        }
    }
    compared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_networks_without_padding_give_the_same_bytes(seed in any::<u64>()) {
        let mut random = Random(seed);
        let axis = random.below(2);
        let net = Net::random(&mut random, axis, false);
        let streaming = Streaming { axis: Some(axis), chunk: None };
        let least = net.0.streamed(&streaming).unwrap().chunk;
        let chunk = least * (1 + random.below(3));
        let streaming = Streaming { axis: Some(axis), chunk: Some(chunk) };
        let streamed = net.0.streamed(&streaming).unwrap();
        prop_assert!(streamed.padded.is_empty() && !streamed.differs, "{:?}", streamed.padded);
        let frames = (streamed.frames + 6 * chunk).next_multiple_of(chunk) + 2 * chunk;
        let recording = Recording::random(&net.0, axis, frames, &mut random);
        let compared = compare(&net.0, axis, &streamed, &recording, 0);
        prop_assert!(compared > 0, "nothing was compared");
    }

    #[test]
    fn random_networks_with_padding_give_the_same_bytes_away_from_it(seed in any::<u64>()) {
        let mut random = Random(seed);
        let axis = random.below(2);
        let net = Net::random(&mut random, axis, true);
        let streaming = Streaming { axis: Some(axis), chunk: None };
        let streamed = net.0.streamed(&streaming).unwrap();
        let whole = streamed.outputs.iter().any(|output| output.rows.is_none());
        if !whole {
            let reach = streamed.outputs.iter().map(|output| output.warm_up + 1).max().unwrap();
            let margin = reach * streamed.chunk;
            let frames = 3 * streamed.frames.next_multiple_of(streamed.chunk);
            let recording = Recording::random(&net.0, axis, frames, &mut random);
            compare(&net.0, axis, &streamed, &recording, margin);
        }
    }
}

/// A window over time along the height.
fn over_time(kernel: usize, stride: usize, dilation: usize, pad: usize) -> Window {
    Window { kernel: [kernel, 1], stride: [stride, 1], dilation: [dilation, 1], pad: [pad, 0] }
}

fn along_height(chunk: Option<usize>) -> Streaming {
    Streaming { axis: Some(0), chunk }
}

/// Convolutions of kernels 3 and 5 over 20 frames of 4 numbers.
fn two_convolutions() -> Net {
    let mut random = Random(1);
    let mut net = Net::new([20, 1, 4]);
    let first = net.conv(0, over_time(3, 1, 1, 0), 8, &mut random);
    let second = net.conv(first, over_time(5, 1, 1, 0), 6, &mut random);
    net.output(second);
    net
}

#[test]
fn a_call_computes_new_rows_alone_and_keeps_what_windows_need() {
    let program = two_convolutions().0;
    let streamed = program.streamed(&Streaming::default()).unwrap();
    assert_eq!((streamed.axis, streamed.chunk, streamed.frames), (0, 1, 20));
    assert_eq!(streamed.program.macs(), 3 * 4 * 8 + 5 * 8 * 6);
    let [output] = &streamed.outputs[..] else { panic!("one output") };
    assert_eq!((output.rows, output.rate, output.delay, output.warm_up), (Some(1), 1, 6, 6));
    let states: Vec<usize> = streamed
        .program
        .states
        .iter()
        .map(|state| streamed.program.tensors[state.input.0].bytes())
        .collect();
    assert_eq!(states, [2 * 4, 4 * 8]);
    // The only window of a call is a fully connected layer.
    let names: Vec<&str> = streamed.program.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(names.iter().filter(|name| **name == "FullyConnected").count(), 2, "{names:?}");
    // No state is copied: each is written where the next call finds it.
    let placed = streamed.program.place(Kernels::Portable, Memory::Whole).unwrap();
    assert_eq!(placed.copied_states().count(), 0);
    assert!(placed.arena_bytes() < 150, "{} bytes", placed.arena_bytes());
}

#[test]
fn causal_padding_gives_the_same_from_the_first_frame() {
    let mut random = Random(2);
    let mut net = Net::new([24, 1, 3]);
    let mut id = 0;
    for dilation in [1, 2, 4] {
        let padded = net.pad(id, [2 * dilation, 0, 0], [0, 0, 0]);
        let conv = net.conv(padded, over_time(3, 1, dilation, 0), 3, &mut random);
        id = net.add(conv, id);
    }
    net.output(id);
    let mut streamed = net.0.streamed(&along_height(None)).unwrap();
    assert_eq!(streamed.outputs[0].delay, 0);
    assert!(streamed.padded.is_empty(), "explicit padding is what the stream begins with");
    // Also the calls before the first complete window.
    streamed.outputs[0].warm_up = 0;
    let recording = Recording::random(&net.0, 0, 24, &mut random);
    assert_eq!(compare(&net.0, 0, &streamed, &recording, 0), 24);
}

#[test]
fn a_second_recording_after_a_reset_is_as_the_first() {
    let net = two_convolutions();
    let streamed = net.0.streamed(&along_height(Some(2))).unwrap();
    let placed = streamed.program.place(Kernels::Portable, Memory::Reduced).unwrap();
    let recording = Recording::random(&net.0, 0, 40, &mut Random(3));
    let once = run_sequence(&placed, Path::Fast, &recording.bytes).unwrap();
    let twice = run_sequence(&placed, Path::Fast, &recording.bytes.repeat(2)).unwrap();
    let (first, second) = twice.split_at(once.len());
    assert_eq!(first, once);
    assert_ne!(second, once, "what the first recording has left is seen without a reset");
    let mut interpreter = Interpreter::new(&placed, Path::Reference);
    for _ in 0..2 {
        interpreter.reset();
        let frames = recording.bytes.chunks(placed.input_bytes());
        let outputs: Vec<u8> =
            frames.flat_map(|chunk| interpreter.run(chunk).unwrap().to_vec()).collect();
        assert_eq!(outputs, once);
    }
}

#[test]
fn windows_that_look_ahead_are_late_and_pad_time() {
    let mut random = Random(4);
    let mut net = Net::new([30, 1, 2]);
    let first = net.conv(0, over_time(5, 1, 1, 2), 4, &mut random);
    let second = net.pool(first, over_time(3, 2, 1, 1), false);
    net.output(second);
    let streamed = net.0.streamed(&along_height(None)).unwrap();
    // Two frames, then a row of two more frames of which one is later than the row.
    assert_eq!((streamed.chunk, streamed.outputs[0].rate, streamed.outputs[0].delay), (2, 2, 1));
    assert_eq!(streamed.padded, ["Conv2d1", "MaxPool2"]);
    assert_eq!(streamed.outputs[0].delay_frames(), 2);
}

#[test]
fn what_needs_all_rows_is_computed_as_a_whole() {
    let mut random = Random(5);
    let mut net = Net::new([20, 1, 4]);
    let conv = net.conv(0, over_time(3, 1, 1, 0), 8, &mut random);
    let end = net.dense(conv, 3, true, &mut random);
    net.output(end);
    let streamed = net.0.streamed(&along_height(None)).unwrap();
    assert_eq!(streamed.whole, ["FullyConnected2"]);
    let [output] = &streamed.outputs[..] else { panic!("one output") };
    assert_eq!((output.rows, output.delay, output.warm_up), (None, 0, 19));
    let recording = Recording::random(&net.0, 0, 40, &mut random);
    assert_eq!(compare(&net.0, 0, &streamed, &recording, 0), 21);
}

#[test]
fn padding_that_windows_of_frames_see_is_told() {
    let mut random = Random(10);
    let mut told = |pad: usize, last: bool| {
        let mut net = Net::new([20, 1, 4]);
        let padded = net.pad(0, [pad, 0, 0], [0; 3]);
        let conv = net.conv(padded, over_time(3, 1, 1, 0), 8, &mut random);
        let rows = net.shape(conv)[0];
        let end = if last { net.slice(conv, 0, rows - 1, 1) } else { conv };
        let end = net.dense(end, 3, true, &mut random);
        net.output(end);
        net.0.streamed(&along_height(None)).unwrap()
    };
    // The first rows are flattened too, and those of each window begin with padding.
    let flattened = told(2, false);
    assert_eq!((flattened.differs, &flattened.padded[..]), (true, &["Pad1".to_owned()][..]));
    // The last row sees no padding.
    for streamed in [told(2, true), told(0, false)] {
        assert!(!streamed.differs && streamed.padded.is_empty(), "{:?}", streamed.padded);
    }
}

#[test]
fn the_last_step_needs_no_other_rows() {
    let mut random = Random(9);
    let mut net = Net::new([20, 1, 4]);
    let conv = net.conv(0, over_time(3, 1, 1, 0), 8, &mut random);
    let last = net.slice(conv, 0, 17, 1);
    let end = net.dense(last, 3, true, &mut random);
    net.output(end);
    let streamed = net.0.streamed(&along_height(None)).unwrap();
    // The two earlier frames of the window alone.
    assert_eq!(streamed.program.state_bytes(), 2 * 4);
    assert_eq!(streamed.outputs[0].warm_up, 2);
    let recording = Recording::random(&net.0, 0, 40, &mut random);
    // Also before a whole offline window has passed.
    assert_eq!(compare(&net.0, 0, &streamed, &recording, 0), 21);
}

#[test]
fn strides_divide_the_frames_of_a_call() {
    let mut random = Random(6);
    let mut net = Net::new([32, 1, 2]);
    let first = net.conv(0, over_time(4, 2, 1, 0), 4, &mut random);
    let second = net.conv(first, over_time(3, 3, 1, 0), 4, &mut random);
    net.output(second);
    assert_eq!(net.0.streamed(&along_height(None)).unwrap().chunk, 6);
    let error = net.0.streamed(&along_height(Some(8))).unwrap_err();
    assert!(matches!(error, StreamingError::Chunk { chunk: 8, multiple: 6 }), "{error}");
    assert_eq!(
        error.to_string(),
        "8 frames a call: expected a multiple of 6, by which strides divide the frames of the network"
    );
}

#[test]
fn the_axis_of_time_is_found_where_there_is_one() {
    let mut random = Random(7);
    let mut image = Net::new([12, 12, 3]);
    let window = Window { kernel: [3; 2], ..over_time(1, 1, 1, 0) };
    let conv = image.conv(0, window, 4, &mut random);
    image.output(conv);
    let error = image.0.streamed(&Streaming::default()).unwrap_err();
    assert!(error.to_string().starts_with("time can be axis 0 or 1 of an input (x: [12, 12, 3])"));
    let axis = Streaming { axis: Some(1), chunk: None };
    assert_eq!(image.0.streamed(&axis).unwrap().axis, 1);
    let axis = Streaming { axis: Some(5), chunk: None };
    let error = image.0.streamed(&axis).unwrap_err();
    assert!(matches!(error, StreamingError::Axis { axis: 5, .. }), "{error}");

    let mut dense = Net::new([1, 1, 20]);
    let all = dense.dense(0, 3, true, &mut random);
    dense.output(all);
    let error = dense.0.streamed(&Streaming::default()).unwrap_err();
    assert!(error.to_string().starts_with("no operation slides along an axis of the inputs"));
}

#[test]
fn streams_are_not_streamed_again() {
    let streamed = two_convolutions().0.streamed(&Streaming::default()).unwrap();
    let error = streamed.program.streamed(&Streaming::default()).unwrap_err();
    assert!(
        matches!(&error, StreamingError::Stateful { state } if state == "x/earlier"),
        "{error}"
    );
}

#[test]
fn samples_have_fewer_rows_where_the_source_model_has_them() {
    let mut net = two_convolutions();
    // As an exporter of channels first would say it: [channels, time].
    net.0.inputs[0].border =
        Border { source_shape: vec![4, 20], extents: vec![4, 20, 1], axes: vec![1, 2, 0] };
    // Flattened at the end: time is part of the only axis.
    net.0.outputs[0].border =
        Border { source_shape: vec![84], extents: vec![6, 14], axes: vec![1, 0] };
    let streamed = net.0.streamed(&Streaming { axis: None, chunk: Some(2) }).unwrap();
    assert_eq!(streamed.axis, 1);
    assert_eq!(streamed.program.inputs[0].border.source_shape, [4, 2]);
    let border = &streamed.program.outputs[0].border;
    assert_eq!((&border.source_shape[..], &border.extents[..]), (&[12][..], &[6, 2][..]));
    // Two axes that may hold it: which, nobody knows.
    net.0.outputs[0].border =
        Border { source_shape: vec![14, 6], extents: vec![6, 14], axes: vec![1, 0] };
    assert!(net.0.streamed(&Streaming { axis: None, chunk: Some(2) }).is_ok());
    net.0.tensors[2].shape = [14, 1, 6];
    net.0.outputs[0].border =
        Border { source_shape: vec![7, 12], extents: vec![6, 14], axes: vec![1, 0] };
    let error = net.0.streamed(&Streaming { axis: None, chunk: Some(2) }).unwrap_err();
    assert!(matches!(error, StreamingError::Shape { rows: 14, .. }), "{error}");
}

#[test]
fn packed_activations_stream_as_if_they_were_not() {
    let mut random = Random(8);
    let mut net = Net::new([40, 6, 4]);
    let conv = net.conv(0, over_time(3, 1, 1, 0), 8, &mut random);
    let packed = net.push(IntOp::Pack, &[conv], net.shape(conv));
    let unpacked = net.push(IntOp::Unpack, &[packed], net.shape(conv));
    let next = net.conv(unpacked, over_time(3, 1, 1, 0), 8, &mut random);
    net.output(next);
    for id in [conv, packed, unpacked] {
        let tensor = &mut net.0.tensors[id];
        (tensor.bits, tensor.grid.min, tensor.grid.max) = (4, -8, 7);
    }
    net.0.tensors[packed].dtype = DType::I4;
    if let IntOp::Conv2d { weighted, .. } = &mut net.0.nodes[0].op {
        (weighted.clamp.min, weighted.clamp.max) = (-8, 7);
    }
    let streamed = net.0.streamed(&along_height(None)).unwrap();
    let names: Vec<&str> = streamed.program.nodes.iter().map(|node| node.op.name()).collect();
    assert!(!names.contains(&"Pack") && !names.contains(&"Unpack"), "{names:?}");
    let recording = Recording::random(&net.0, 0, 60, &mut random);
    assert!(compare(&net.0, 0, &streamed, &recording, 0) > 0);
}
