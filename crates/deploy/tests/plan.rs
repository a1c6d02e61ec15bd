//! Plans of random programs are valid, tight and deterministic.

use std::collections::BTreeSet;

use burn_ptq_deploy::place::plan::ALIGNMENT;
use burn_ptq_deploy::place::{Memory, Placed, Placement, Region};
use burn_ptq_deploy::program::{
    Border, Broadcast, DType, Input, IntNode, IntOp, IntTensor, Output, Program, Provenance, State,
    TensorId, Weighted, Weights,
};
use burn_ptq_deploy::run::{Path, run_sequence};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp};
use proptest::prelude::*;

const INT8: Clamp = Clamp { min: -128, max: 127 };
const GRID: Grid = Grid { scale: 0.05, zero_point: 0, min: -128, max: 127 };

fn tensor(index: usize, elements: usize) -> IntTensor {
    let shape = [1, 1, elements];
    IntTensor { name: format!("t{index}"), shape, dtype: DType::I8, bits: 8, grid: GRID }
}

/// What a random node does to earlier tensors, each given as steps back from the latest.
#[derive(Clone, Debug)]
enum Step {
    /// In place if its input dies.
    Table(usize),
    /// In place if the first input dies; joins inputs of one length, or broadcasts.
    Add(usize, usize),
    /// Changes the length; packed weights of 4 bits need scratch.
    FullyConnected(usize, usize, bool),
    /// Never in place.
    Concat(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..4_usize;
    prop_oneof![
        id().prop_map(Step::Table),
        (id(), id()).prop_map(|(a, b)| Step::Add(a, b)),
        (id(), 1..40_usize, any::<bool>())
            .prop_map(|(x, n, packed)| Step::FullyConnected(x, n, packed)),
        (id(), id()).prop_map(|(a, b)| Step::Concat(a, b)),
    ]
}

fn back(steps: usize, tensors: &[IntTensor]) -> TensorId {
    TensorId((tensors.len() - 1).saturating_sub(steps))
}

fn fully_connected(in_features: usize, out_features: usize, packed: bool) -> IntOp {
    let (bits, storage) = if packed { (4, 4) } else { (8, 8) };
    let len = in_features * out_features;
    let weights = Weights {
        shape: vec![out_features, in_features],
        bits,
        storage,
        data: vec![0x11; (len * usize::from(storage)).div_ceil(8)],
        scales: vec![0.01],
    };
    let multipliers = vec![Multiplier { quantized: 1 << 30, exponent: -3 }];
    let weighted = Weighted { weights, bias: vec![0; out_features], multipliers, clamp: INT8 };
    IntOp::FullyConnected { rows: 1, in_features, out_features, weighted }
}

fn program(input_elements: usize, steps: &[Step]) -> Program {
    stateful(input_elements, steps, &[])
}

/// A program that keeps, for each of `kept`, as many elements; the next ones are the latest activation of that
/// length, which may be the input, or come of a layer after the last step.
fn stateful(input_elements: usize, steps: &[Step], kept: &[usize]) -> Program {
    let mut tensors = vec![tensor(0, input_elements)];
    for &elements in kept {
        tensors.push(tensor(tensors.len(), elements));
    }
    let mut nodes = Vec::new();
    for step in steps {
        let len = |id: TensorId| tensors[id.0].len();
        let (op, inputs, elements) = match step {
            Step::Table(x) => {
                let table = (0..256).map(|i| (i * 37) as u8 as i8).collect();
                let x = back(*x, &tensors);
                (IntOp::Table8 { table }, vec![x], len(x))
            }
            Step::Add(a, b) => {
                let (a, b) = (back(*a, &tensors), back(*b, &tensors));
                let b = if len(b) == len(a) || len(b) == 1 { b } else { a };
                let broadcast = match len(b) {
                    1 => Broadcast::Scalar,
                    _ => Broadcast::None,
                };
                let params = AddParams::new(0.05, 0.05, 0.05, false).expect("equal scales");
                (IntOp::Add { params, broadcast, clamp: INT8 }, vec![a, b], len(a))
            }
            Step::FullyConnected(x, n, packed) => {
                let x = back(*x, &tensors);
                (fully_connected(len(x), *n, *packed), vec![x], *n)
            }
            Step::Concat(a, b) => {
                let (a, b) = (back(*a, &tensors), back(*b, &tensors));
                // Longer rows would double with each step.
                let b = if len(a) + len(b) <= 300 { b } else { TensorId(0) };
                let chunks = vec![len(a), len(b)];
                let sum = chunks.iter().sum();
                (IntOp::Concat { outer: 1, chunks }, vec![a, b], sum)
            }
        };
        let output = TensorId(tensors.len());
        tensors.push(tensor(output.0, elements));
        let name = format!("n{}", nodes.len());
        nodes.push(IntNode { name, op, inputs, output });
    }
    let mut states = Vec::new();
    for (index, &elements) in kept.iter().enumerate() {
        let is_free = |id: &usize| {
            let taken = states.iter().any(|state: &State| state.output.0 == *id);
            !taken && !(1..=kept.len()).contains(id) && tensors[*id].len() == elements
        };
        let output = (0..tensors.len()).rev().find(is_free).unwrap_or_else(|| {
            let (from, output) = (back(0, &tensors), tensors.len());
            let op = fully_connected(tensors[from.0].len(), elements, false);
            tensors.push(tensor(output, elements));
            let name = format!("n{}", nodes.len());
            nodes.push(IntNode { name, op, inputs: vec![from], output: TensorId(output) });
            output
        });
        let (name, input, output) = (format!("s{index}"), TensorId(index + 1), TensorId(output));
        states.push(State { name, input, output, initial: index as i32 - 3 });
    }
    let output = nodes.last().map_or(TensorId(0), |node: &IntNode| node.output);
    let border = |t: &IntTensor| Border::plain(&t.shape);
    Program {
        name: "random".into(),
        inputs: vec![Input::new("x", TensorId(0), border(&tensors[0]))],
        outputs: vec![Output::new("y", output, border(&tensors[output.0]))],
        tensors,
        nodes,
        states,
        loops: Vec::new(),
        provenance: Provenance::default(),
    }
}

fn placed(input_elements: usize, steps: &[Step]) -> Placed {
    let program = program(input_elements, steps);
    program.place(Kernels::Portable, Memory::Whole).expect("a valid program")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn plans_verify_and_lie_between_the_live_peak_and_the_sum(
        input in 1..60_usize,
        steps in prop::collection::vec(step(), 1..14),
    ) {
        let model = placed(input, &steps);
        let report = size_report(&model);
        let peak = report.peak_node.map(|node| report.nodes[node].live_bytes).unwrap_or(0);
        prop_assert!(model.arena_bytes() >= peak, "{} < {}", model.arena_bytes(), peak);
        let aligned = |bytes: usize| bytes.next_multiple_of(ALIGNMENT);
        let sum: usize = model.tensors.iter().map(|t| aligned(t.bytes())).sum::<usize>()
            + (0..model.nodes.len()).map(|n| aligned(model.scratch(n).bytes)).sum::<usize>();
        prop_assert!(model.arena_bytes() <= sum, "{} > {}", model.arena_bytes(), sum);
        prop_assert_eq!(&model.place_again(Kernels::Portable, Memory::Whole).expect("valid"), &model);
        prop_assert_eq!(placed(input, &steps), model);
    }
}

/// The program with every activation in a place of its own.
fn side_by_side(program: Program) -> Placed {
    let (_, mut placement) = program
        .clone()
        .place(Kernels::Portable, Memory::Whole)
        .expect("a valid program")
        .into_parts();
    let mut end = 0;
    let mut next = |bytes: usize| {
        let start = end;
        end = (end + bytes).next_multiple_of(ALIGNMENT);
        start
    };
    placement.offsets = program.tensors.iter().map(|tensor| next(tensor.bytes())).collect();
    let scratch = placement.scratch.iter();
    let scratch = scratch.map(|&Region { bytes, .. }| Region { offset: next(bytes), bytes });
    placement = Placement { scratch: scratch.collect(), arena_bytes: end, ..placement };
    Placed::new(program, placement, Kernels::Portable).expect("places of their own")
}

/// Whether the next activation of a state takes its place.
fn takes(model: &Placed, taken: TensorId, other: usize) -> bool {
    let state = model.states.iter().find(|state| state.input == taken);
    let next = state.map(|state| state.output) == Some(TensorId(other));
    next && model.offset(taken) == model.offset(TensorId(other))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn states_share_their_memory_with_what_takes_their_place_alone_and_outputs_stay(
        input in 1..30_usize,
        steps in prop::collection::vec(step(), 0..10),
        kept in prop::collection::vec(1..30_usize, 1..4),
        seed in any::<u8>(),
    ) {
        let program = stateful(input, &steps, &kept);
        let apart = side_by_side(program.clone());
        let samples: Vec<u8> = (0..4 * input).map(|i| (i as u8).wrapping_mul(seed | 1)).collect();
        let expected = run_sequence(&apart, Path::Reference, &samples).expect("whole samples");
        for kernels in [Kernels::Portable, Kernels::Tiles, Kernels::Quads] {
            let model = program.clone().place(kernels, Memory::Whole).expect("a valid program");
            for state in &model.states {
                let held = model.range(state.input);
                for other in (0..model.tensors.len()).filter(|&other| other != state.input.0) {
                    let range = model.range(TensorId(other));
                    let meets = held.start < range.end && range.start < held.end;
                    prop_assert!(!meets || takes(&model, state.input, other), "{} {}", state.name, other);
                }
                for node in 0..model.nodes.len() {
                    let Region { offset, bytes } = model.scratch(node);
                    prop_assert!(offset + bytes <= held.start || held.end <= offset || bytes == 0);
                }
            }
            let found = run_sequence(&model, Path::Fast, &samples).expect("whole samples");
            prop_assert_eq!(&found, &expected);
            let less = program.clone().place(kernels, Memory::Reduced).expect("a valid program");
            let found = run_sequence(&less, Path::Fast, &samples).expect("whole samples");
            prop_assert_eq!(&found, &expected);
        }
    }
}

#[test]
fn what_a_state_becomes_takes_its_place_once_no_node_reads_it_any_more() {
    // t1 is kept; t2 = t0 + t0, t3 = t1 + t1, t4 = table(t3): the latest takes the place of t1.
    let steps = [Step::Add(1, 1), Step::Add(1, 1), Step::Table(0)];
    let model = stateful(9, &steps, &[9]).place(Kernels::Portable, Memory::Whole).expect("valid");
    assert_eq!(model.states[0].output, TensorId(4));
    assert_eq!(model.offset(TensorId(4)), model.offset(TensorId(1)));
    assert_eq!(model.copied_states().count(), 0);
    // t2 = t0 + t1 is what t1 becomes, and it reads t1.
    let model = stateful(9, &[Step::Add(1, 0)], &[9]);
    let model = model.place(Kernels::Portable, Memory::Whole).expect("valid");
    assert_eq!(model.copied_states().collect::<Vec<_>>(), [(TensorId(2), TensorId(1))]);
}

#[test]
fn a_chain_of_element_wise_operations_takes_one_buffer() {
    let model = placed(40, &[Step::Table(0), Step::Table(0)]);
    assert_eq!(model.arena_bytes(), 40);
}

#[test]
fn a_residual_branch_keeps_its_input() {
    // t1 = table(t0) while t0 is needed by the sum: two buffers; the sum replaces one of them.
    let model = placed(40, &[Step::Table(0), Step::Add(0, 1)]);
    assert_eq!(model.arena_bytes(), 80);
    assert_eq!(model.offset(TensorId(2)), model.offset(TensorId(1)));
}

#[test]
fn the_report_adds_up_constants_live_bytes_and_macs() {
    let model = placed(20, &[Step::FullyConnected(0, 10, true), Step::Table(0)]);
    let report = size_report(&model);
    // 200 weights of 4 bits, 10 biases of 4 bytes, one multiplier of 8 bytes, 12 parameters; a table.
    assert_eq!(report.nodes[0].flash_bytes, 100 + 40 + 8 + 48);
    assert_eq!(report.flash_bytes, 196 + 256);
    assert_eq!(report.macs, 200);
    // Input 20, output 10, four filters of 20 bytes decoded.
    assert_eq!(report.nodes[0].live_bytes, 20 + 10 + 80);
    assert_eq!(report.nodes[1].live_bytes, 10);
    assert_eq!(report.peak_node, Some(0));
    assert_eq!(report.nodes[0].weight_bits, Some(4));
    // The scratch at 0, the input at 80, the output at the next multiple of 8, which the arena's end
    // is too.
    assert_eq!(report.ram_bytes, 80 + 24 + 16);
}

/// A depthwise convolution of 3x3 and a pointwise one, which keep the plane and the channels.
fn separable(pad: usize) -> Program {
    let plane = [6, 5];
    let out = [plane[0] - 2 + 2 * pad, plane[1] - 2 + 2 * pad];
    let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pad: [pad; 2] };
    let depthwise =
        DepthwiseGeometry { input: plane, output: out, channels: 8, multiplier: 1, window };
    let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let pointwise = ConvGeometry {
        input: out,
        output: out,
        in_channels: 8,
        out_channels: 8,
        groups: 1,
        window,
    };
    let tensor = |index: usize, [height, width]: [usize; 2]| IntTensor {
        shape: [height, width, 8],
        grid: Grid { zero_point: -128, ..GRID },
        ..tensor(index, 1)
    };
    let tensors = vec![tensor(0, plane), tensor(1, out), tensor(2, out)];
    let weighted = |shape: &[usize]| Weighted {
        weights: Weights {
            shape: shape.to_vec(),
            bits: 8,
            storage: 8,
            data: (0..shape.iter().product::<usize>()).map(|i| (i % 7) as u8).collect(),
            scales: vec![0.01],
        },
        bias: vec![9; 8],
        multipliers: vec![Multiplier::from_real(0.01).expect("a multiplier")],
        clamp: INT8,
    };
    let operations = [
        IntOp::DepthwiseConv2d { geometry: depthwise, weighted: weighted(&[3, 3, 8]) },
        IntOp::Conv2d { geometry: pointwise, weighted: weighted(&[8, 1, 1, 8]) },
    ];
    let nodes = operations.into_iter().enumerate().map(|(index, op)| IntNode {
        name: format!("n{index}"),
        op,
        inputs: vec![TensorId(index)],
        output: TensorId(index + 1),
    });
    let border = |t: &IntTensor| Border::plain(&t.shape);
    Program {
        name: "separable".into(),
        inputs: vec![Input::new("x", TensorId(0), border(&tensors[0]))],
        outputs: vec![Output::new("y", TensorId(2), border(&tensors[2]))],
        nodes: nodes.collect(),
        tensors,
        states: Vec::new(),
        loops: Vec::new(),
        provenance: Provenance::default(),
    }
}

#[test]
fn tiles_work_in_place_where_plane_and_channels_stay() {
    let place =
        |program: Program, kernels| program.place(kernels, Memory::Whole).expect("a valid program");
    let planes = |placed: &Placed| {
        let offsets: BTreeSet<usize> = (0..3).map(|id| placed.offset(TensorId(id))).collect();
        offsets.len()
    };
    assert_eq!(planes(&place(separable(1), Kernels::Tiles)), 1);
    assert_eq!(planes(&place(separable(1), Kernels::Dsp)), 2);
    // Without padding the plane gets smaller: only the pointwise convolution is in place.
    assert_eq!(planes(&place(separable(0), Kernels::Tiles)), 2);
    let (program, placement) = place(separable(1), Kernels::Tiles).into_parts();
    let refused = Placed::new(program, placement, Kernels::Dsp).expect_err("not in place");
    assert!(refused.to_string().contains("live in"), "{refused}");
}
