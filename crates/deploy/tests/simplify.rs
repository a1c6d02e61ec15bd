//! What goes from simplified programs, and what stays. That outputs are the same on every executor, the
//! conformance suite shows.

#[allow(dead_code)]
mod programs;

use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{
    Broadcast, DType, IntNode, IntOp, IntTensor, Program, State, TensorId, Weighted, Weights,
};
use burn_ptq_deploy::run::{Interpreter, Path};
use burn_ptq_deploy::simplify::{FewerChannels, Simplification};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::packing::{pack, packed_len};
use burn_ptq_kernels::params::{AddParams, Clamp};
use programs::{INT8, INT16, border, scale, tensor, tensor16, window};

/// A bias that saturates every output.
const FAR: i32 = -1_000_000;

/// A program that grows node by node; tensor 0 is its input, and the last one its output.
struct Net(Program);

impl Net {
    fn new(shape: [usize; 3]) -> Self {
        Self::of(tensor("x", shape))
    }

    fn of(input: IntTensor) -> Self {
        let mut program = programs::conv();
        program.inputs[0].border = border(input.shape);
        (program.tensors, program.nodes) = (vec![input], Vec::new());
        Self(program)
    }

    fn tensor(&self, id: usize) -> &IntTensor {
        &self.0.tensors[id]
    }

    /// A node on the grid of its first input.
    fn push(&mut self, op: IntOp, inputs: &[usize], shape: [usize; 3]) -> usize {
        let id = self.0.tensors.len();
        let like = self.tensor(inputs[0]).clone();
        self.0.tensors.push(IntTensor { name: format!("t{id}"), shape, ..like });
        let inputs = inputs.iter().map(|&id| TensorId(id)).collect();
        let name = format!("{}{id}", op.name());
        self.0.nodes.push(IntNode { name, op, inputs, output: TensorId(id) });
        id
    }

    /// A convolution with the same weights at all taps, `[output][input]`.
    fn conv(&mut self, from: usize, window: Window, weights: &[Vec<i8>], bias: &[i32]) -> usize {
        let [height, width, channels] = self.tensor(from).shape;
        let outputs = weights.len();
        let geometry = ConvGeometry {
            input: [height, width],
            output: [height, width],
            in_channels: channels,
            out_channels: outputs,
            groups: 1,
            window,
        };
        let [kernel, _] = window.kernel;
        let values: Vec<i8> = weights.iter().flat_map(|row| row.repeat(kernel * kernel)).collect();
        let weighted = weighted(vec![outputs, kernel, kernel, channels], &values, bias);
        self.push(IntOp::Conv2d { geometry, weighted }, &[from], [height, width, outputs])
    }

    fn depthwise(&mut self, from: usize, window: Window, bias: &[i32]) -> usize {
        let shape @ [height, width, channels] = self.tensor(from).shape;
        let plane = [height, width];
        let geometry =
            DepthwiseGeometry { input: plane, output: plane, channels, multiplier: 1, window };
        let [kernel, _] = window.kernel;
        let values = vec![3; kernel * kernel * channels];
        let weighted = weighted(vec![kernel, kernel, channels], &values, bias);
        self.push(IntOp::DepthwiseConv2d { geometry, weighted }, &[from], shape)
    }

    /// Of all elements together.
    fn fully_connected(&mut self, from: usize, outputs: usize) -> usize {
        let in_features = self.tensor(from).len();
        let values: Vec<i8> = (0..in_features * outputs).map(|i| (i % 7) as i8 - 2).collect();
        let weighted = weighted(vec![outputs, in_features], &values, &vec![100; outputs]);
        let op = IntOp::FullyConnected { rows: 1, in_features, out_features: outputs, weighted };
        self.push(op, &[from], [1, 1, outputs])
    }

    fn finish(mut self) -> Program {
        let output = self.0.tensors.len() - 1;
        self.0.outputs[0].tensor = TensorId(output);
        self.0.outputs[0].border = border(self.tensor(output).shape);
        self.0
    }
}

fn weighted(shape: Vec<usize>, values: &[i8], bias: &[i32]) -> Weighted {
    let mut data = vec![0; packed_len(values.len(), 8)];
    pack(values, 8, &mut data);
    Weighted {
        weights: Weights { shape, bits: 8, storage: 8, data, scales: vec![0.01; bias.len()] },
        bias: bias.to_vec(),
        multipliers: vec![scale(0.01); bias.len()],
        clamp: INT8,
    }
}

/// One pixel to one pixel.
fn pixel() -> Window {
    window(1)
}

/// Weights that differ from place to place.
fn mixed(outputs: usize, inputs: usize) -> Vec<Vec<i8>> {
    (0..outputs).map(|o| (0..inputs).map(|i| ((o * 5 + i * 3) % 11) as i8 + 1).collect()).collect()
}

/// The biases of channels of which all but the first `varying` are saturated.
fn saturated(channels: usize, varying: usize) -> Vec<i32> {
    (0..channels).map(|channel| if channel < varying { 50 } else { FAR }).collect()
}

/// The program simplified, which gives the same bytes, as a sequence if it has states.
fn simplified(program: &Program) -> (Program, Simplification) {
    let (simple, saved) = program.simplified().expect("a valid program");
    let [before, after] = [program, &simple].map(|program| -> Placed {
        program.clone().place(Kernels::Portable, Memory::Whole).expect("a valid program")
    });
    let [mut before, mut after] = [&before, &after].map(|p| Interpreter::new(p, Path::Reference));
    let mut state = 1_u32;
    for kind in 0..24 {
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match kind {
                0 => 0x80,
                1 => 0x7F,
                2 => [0x80, 0x7F][(state >> 31) as usize],
                _ => (state >> 24) as u8,
            }
        };
        let input: Vec<u8> = (0..program.input_bytes()).map(|_| byte()).collect();
        let expected = before.run(&input).expect("an input that fits");
        assert_eq!(after.run(&input).expect("the same input"), expected);
    }
    (simple, saved)
}

/// Lets the program keep what the tensor `next` becomes, and sum that up with it: a recurrence through the last
/// output.
fn keeping(mut net: Net, next: usize, initial: i32) -> Program {
    let held = net.0.tensors.len();
    let like = IntTensor { name: "held".into(), ..net.tensor(next).clone() };
    net.0.tensors.push(like);
    let shape = net.tensor(next).shape;
    let params = AddParams::new(0.05, 0.05, 0.05, false).expect("representable");
    let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: INT8 };
    net.push(op, &[held, next], shape);
    let (input, output) = (TensorId(held), TensorId(next));
    net.0.states.push(State { name: "kept".into(), input, output, initial });
    net.finish()
}

#[test]
fn what_is_kept_for_the_next_call_stays_whole() {
    // Half of its channels are constant, but not what the first call finds.
    let mut net = Net::new([2, 2, 3]);
    let conv = net.conv(0, pixel(), &mixed(8, 3), &saturated(8, 4));
    let (simple, saved) = simplified(&keeping(net, conv, 5));
    assert_eq!(channels(&simple), [8, 8]);
    assert_eq!((saved.kept_weights, simple.states.len()), (saved.weights, 1));
    let State { input, output, initial, .. } = &simple.states[0];
    assert_eq!((&*simple.tensors[input.0].name, initial), ("held", &5));
    assert_eq!(*output, simple.nodes[0].output);
}

#[test]
fn what_is_kept_moves_with_its_activations_where_others_go() {
    // A maximum over one element writes what it reads, and goes; one that is kept is a state's own.
    let mut net = Net::new([2, 2, 4]);
    let window = pixel();
    let geometry = PoolGeometry { input: [2; 2], output: [2; 2], channels: 4, window };
    let pool = IntOp::MaxPool { geometry, clamp: INT8 };
    let gone = net.push(pool.clone(), &[0], [2, 2, 4]);
    let conv = net.conv(gone, pixel(), &mixed(4, 4), &[0; 4]);
    let kept = net.push(pool, &[conv], [2, 2, 4]);
    let (simple, saved) = simplified(&keeping(net, kept, -7));
    assert_eq!(saved.dropped.len(), 1, "{saved:?}");
    assert_eq!(simple.states[0].output, simple.nodes[1].output);
    assert_eq!(simple.nodes[1].op.name(), "MaxPool");
}

fn channels(program: &Program) -> Vec<usize> {
    program.nodes.iter().map(|node| program.tensors[node.output.0].shape[2]).collect()
}

fn layer(program: &Program, node: usize) -> &Weighted {
    program.nodes[node].op.weighted().expect("a layer with weights")
}

#[test]
fn constant_channels_go_and_their_shares_move_into_biases() {
    let mut net = Net::new([2, 2, 3]);
    let conv = net.conv(0, pixel(), &mixed(8, 3), &saturated(8, 4));
    net.fully_connected(conv, 2);
    let (simple, saved) = simplified(&net.finish());
    assert_eq!(channels(&simple), [4, 2]);
    assert_eq!(layer(&simple, 1).weights.shape, [2, 16]);
    assert_ne!(layer(&simple, 1).bias, [100, 100]);
    assert_eq!((saved.weights, saved.kept_weights), (24 + 64, 12 + 32));
    assert_eq!((saved.macs, saved.kept_macs), (96 + 64, 48 + 32));
    assert_eq!(saved.to_string(), "88 weights, 44 kept");
    assert_eq!(saved.nodes, [FewerChannels { node: "Conv2d1".into(), channels: 8, kept: 4 }]);
    assert_eq!(simple.nodes[0].name, "Conv2d1");
}

#[test]
fn channels_stay_in_fours() {
    for (varying, kept) in [(0, 4), (1, 4), (4, 4), (5, 8), (9, 10), (10, 10)] {
        let mut net = Net::new([2, 2, 3]);
        let conv = net.conv(0, pixel(), &mixed(10, 3), &saturated(10, varying));
        net.conv(conv, pixel(), &mixed(3, 10), &[0; 3]);
        assert_eq!(channels(&simplified(&net.finish()).0), [kept, 3], "{varying} varying");
    }
}

#[test]
fn a_constant_stays_where_padding_takes_its_place_at_the_border() {
    let net = |window: Window, reads: i8, bias: i32, weight: i8| {
        let mut weights = mixed(4, 3);
        weights.extend(vec![vec![weight; 3]; 4]);
        let mut biases = saturated(8, 4);
        biases[4..].fill(bias);
        let mut readers = mixed(3, 8);
        readers.iter_mut().for_each(|row| row[4..].fill(reads));
        let mut net = Net::new([4, 4, 3]);
        let conv = net.conv(0, pixel(), &weights, &biases);
        net.conv(conv, window, &readers, &[0; 3]);
        channels(&simplified(&net.finish()).0)[0]
    };
    assert_eq!(net(window(3), 5, FAR, 1), 8, "a constant that is not the zero point");
    assert_eq!(net(window(3), 0, FAR, 1), 4, "one that is read with weights of 0");
    assert_eq!(net(window(3), 5, 0, 0), 4, "the zero point");
    assert_eq!(net(window(1), 5, FAR, 1), 4, "no padding");
}

#[test]
fn what_the_caller_reads_stays_with_small_biases() {
    let mut net = Net::new([2, 2, 3]);
    net.conv(0, pixel(), &mixed(8, 3), &saturated(8, 4));
    let mut program = net.finish();
    // As scales of a channel whose weights have all been pruned.
    let IntOp::Conv2d { weighted, .. } = &mut program.nodes[0].op else { panic!("a convolution") };
    weighted.multipliers[7] = scale(1e-9);
    weighted.weights.scales[7] = 1e-9;
    weighted.bias[7] = i32::MIN / 2;
    let (simple, saved) = simplified(&program);
    assert_eq!(channels(&simple), [8]);
    assert_eq!(saved.nodes, []);
    let layer = layer(&simple, 0);
    assert!(layer.bias[4..].iter().all(|bias| bias.abs() < 20_000), "{:?}", layer.bias);
    assert_eq!(layer.bias[..4], [50; 4]);
    assert!(layer.weights.unpack()[12..].iter().all(|&weight| weight == 0));
    assert_eq!(layer.multipliers[7], scale(0.01));
}

#[test]
fn channels_that_nothing_reads_go() {
    let mut readers = mixed(3, 8);
    readers.iter_mut().for_each(|row| row[2..6].fill(0));
    let mut net = Net::new([3, 3, 3]);
    let conv = net.conv(0, pixel(), &mixed(8, 3), &[10; 8]);
    let depthwise = net.depthwise(conv, window(3), &[0; 8]);
    let pooled = net.push(
        IntOp::MaxPool {
            geometry: PoolGeometry {
                input: [3, 3],
                output: [3, 3],
                channels: 8,
                window: window(3),
            },
            clamp: INT8,
        },
        &[depthwise],
        [3, 3, 8],
    );
    net.conv(pooled, window(3), &readers, &[0; 3]);
    assert_eq!(channels(&simplified(&net.finish()).0), [4, 4, 4, 3]);
}

#[test]
fn what_feeds_only_constants_goes_with_them() {
    let mut net = Net::new([3, 3, 3]);
    let first = net.conv(0, pixel(), &mixed(8, 3), &[10; 8]);
    let depthwise = net.depthwise(first, window(3), &saturated(8, 4));
    net.fully_connected(depthwise, 2);
    assert_eq!(channels(&simplified(&net.finish()).0), [4, 4, 2]);
}

#[test]
fn both_sides_of_a_sum_lose_the_same_channels() {
    for (second, kept) in [(4, 4), (6, 8)] {
        let mut net = Net::new([2, 2, 3]);
        let a = net.conv(0, pixel(), &mixed(8, 3), &saturated(8, 4));
        let b = net.conv(0, pixel(), &mixed(8, 3), &saturated(8, second));
        let params = AddParams::new(0.05, 0.05, 0.05, false).expect("equal scales");
        let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: INT8 };
        let sum = net.push(op, &[a, b], [2, 2, 8]);
        net.conv(sum, pixel(), &mixed(3, 8), &[0; 3]);
        assert_eq!(channels(&simplified(&net.finish()).0), [kept, kept, kept, 3]);
    }
}

#[test]
fn a_channel_stays_if_one_of_its_readers_needs_it() {
    let mut net = Net::new([4, 4, 3]);
    let conv = net.conv(0, pixel(), &mixed(8, 3), &saturated(8, 4));
    let a = net.conv(conv, pixel(), &mixed(4, 8), &[0; 4]);
    let b = net.conv(conv, window(3), &mixed(4, 8), &[0; 4]);
    let params = AddParams::new(0.05, 0.05, 0.05, false).expect("equal scales");
    let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: INT8 };
    net.push(op, &[a, b], [4, 4, 4]);
    assert_eq!(channels(&simplified(&net.finish()).0)[0], 8);
}

#[test]
fn groups_keep_their_channels() {
    let (simple, saved) = simplified(&programs::conv());
    assert_eq!((channels(&simple), saved.nodes), (vec![6], Vec::new()));
}

#[test]
fn tables_that_give_back_what_they_meet_are_passed_over() {
    let table = |bounds: Clamp| (-128..128).map(|x| bounds.apply(x) as i8).collect::<Vec<i8>>();
    let net = |bounds: Clamp, ends: bool| {
        let mut net = Net::new([2, 2, 3]);
        let conv = net.conv(0, pixel(), &mixed(4, 3), &[50; 4]);
        let IntOp::Conv2d { weighted, .. } = &mut net.0.nodes[0].op else { panic!("the node") };
        weighted.clamp = Clamp { min: 3, max: 100 };
        let shape = net.tensor(conv).shape;
        let copy = net.push(IntOp::Table8 { table: table(bounds) }, &[conv], shape);
        if !ends {
            net.conv(copy, pixel(), &mixed(3, 4), &[0; 3]);
        }
        let (simple, saved) = simplified(&net.finish());
        let left = if ends { 2 } else { 3 } - saved.dropped.len();
        assert_eq!(simple.nodes.len(), left);
        saved.dropped
    };
    assert_eq!(net(INT8, false), ["Table82"]);
    assert_eq!(
        net(Clamp { min: 3, max: 127 }, false),
        ["Table82"],
        "no value lies beyond its bounds"
    );
    assert_eq!(net(Clamp { min: 4, max: 127 }, false), [""; 0], "it acts");
    assert_eq!(net(INT8, true), [""; 0], "the caller reads what it writes");
}

#[test]
fn bounds_that_cannot_act_become_those_of_the_grid() {
    for (bias, acts) in [(6_000, false), (0, true)] {
        let mut net = Net::new([2, 2, 3]);
        let conv = net.conv(0, pixel(), &mixed(4, 3), &[bias; 4]);
        net.conv(conv, pixel(), &mixed(3, 4), &[0; 3]);
        let IntOp::Conv2d { weighted, .. } = &mut net.0.nodes[0].op else { panic!("the node") };
        weighted.clamp = Clamp { min: 3, max: 127 };
        let (simple, saved) = simplified(&net.finish());
        assert_eq!(layer(&simple, 0).clamp == INT8, !acts);
        assert_eq!(saved.unbounded.len(), usize::from(!acts));
    }
}

#[test]
fn shares_that_no_bias_holds_stay() {
    for (weight, kept) in [(1, 4), (127, 8)] {
        let mut net = Net::of(tensor16("x", [1, 1, 4]));
        let mut biases = vec![0; 8];
        biases[4..].fill(i32::MAX);
        let conv = net.conv(0, pixel(), &mixed(8, 4), &biases);
        let mut readers = mixed(3, 8);
        readers.iter_mut().for_each(|row| row[4..].fill(weight));
        let last = net.conv(conv, pixel(), &readers, &[i32::MAX - 200_000; 3]);
        for node in &mut net.0.nodes {
            let IntOp::Conv2d { weighted, .. } = &mut node.op else { panic!("convolutions") };
            weighted.clamp = INT16;
            weighted.multipliers.fill(scale(1e-4));
        }
        assert_eq!(net.tensor(last).dtype, DType::I16);
        assert_eq!(channels(&simplified(&net.finish()).0), [kept, 3], "weights of {weight}");
    }
}
